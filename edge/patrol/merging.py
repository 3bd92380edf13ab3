"""When two incidents turn out to be one thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edge.config import AssociationConfig
from edge.patrol.association import TWIN_UNION_SHARE, gated
from edge.patrol.dossier import Dossier
from edge.patrol.extent import overlap
from edge.records import IncidentState

# Frames in a row in which two incidents must be at one place.
MERGE_FRAMES = 3
# A merge cannot be undone, so its gate is half of the one for looks (a quarter of the square).
MERGE_COST = 0.25


class Joinable(Protocol):
    """What merging needs of the collection."""

    association: AssociationConfig

    def neighbours(self, dossier: Dossier) -> list[Dossier]: ...

    def dossier(self, incident_id: bytes) -> Dossier | None: ...

    def join(self, elder: Dossier, younger: Dossier) -> None: ...


def merge_converged(seen: Sequence[Dossier], incidents: Joinable, mono_ns: int) -> None:
    """Merge what this frame's incidents have converged with.

    Two that one frame showed at distinct places stay two for good.  Two that were both reported
    stay two: the centre has two cases by then, and only people join cases.
    """
    for dossier in seen:
        if incidents.dossier(dossier.incident_id) is not dossier:
            continue  # merged a moment ago
        for other in incidents.neighbours(dossier):
            if not _has_converged(dossier, other, incidents.association, mono_ns):
                continue
            elder, younger = sorted((dossier, other), key=_seniority)
            incidents.join(elder, younger)
            if elder is not dossier:
                break


def _seniority(dossier: Dossier) -> tuple[bool, bool, int, bytes]:
    """Sort key: what the centre knows of, then what is confirmed, then the elder."""
    return (
        dossier.told is None,
        dossier.state is IncidentState.TENTATIVE,
        dossier.first_mono_ns,
        dossier.incident_id,
    )


def _has_converged(a: Dossier, b: Dossier, config: AssociationConfig, mono_ns: int) -> bool:
    if b.incident_id in a.apart or (a.told is not None and b.told is not None):
        return False
    is_one_place = _is_one_place(a, b, config, mono_ns)
    if a.last_frame == b.last_frame and not is_one_place:
        a.apart.add(b.incident_id)
        b.apart.add(a.incident_id)
        return False
    frames = a.converging.pop(b.incident_id, 0) + 1
    b.converging.pop(a.incident_id, None)
    if not is_one_place:
        return False
    a.converging[b.incident_id] = b.converging[a.incident_id] = frames
    return frames >= MERGE_FRAMES


def _is_one_place(a: Dossier, b: Dossier, config: AssociationConfig, mono_ns: int) -> bool:
    if overlap(a.extent, b.extent)[0] >= TWIN_UNION_SHARE:
        return True
    return gated(*a.gap_to(b, mono_ns), config) < MERGE_COST
