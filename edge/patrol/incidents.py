"""All incidents of the district: each frame's sightings find theirs, or begin new ones."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from edge.config import AccuracyConfig, AssociationConfig
from edge.patrol.association import (
    GATED_PART_SHARE,
    Fit,
    are_twins,
    assign,
    fit,
    is_stray,
)
from edge.patrol.dossier import NO_SHIFT, PART_SHARE, STRAY_GATES, Dossier, Shift
from edge.patrol.extent import Bounds, touch
from edge.patrol.look import Look, is_usable, look_at, order_key
from edge.patrol.memory import Memory
from edge.patrol.merging import merge_converged
from edge.patrol.nearby import Nearby
from edge.patrol.shift import PassShift, offsets
from edge.patrol.told import Told
from edge.records import Incident, IncidentState, Sighting

log = logging.getLogger(__name__)

FORGET_EVERY_NS = 1_000_000_000  # forgetting need not be punctual
# When full, what is lost first; within a state, what was unseen longest.
EVICTION_ORDER = (
    IncidentState.TENTATIVE,
    IncidentState.GONE,
    IncidentState.CONFIRMED,
    IncidentState.REPORTED,
)


@dataclass(frozen=True, slots=True)
class IncidentsHealth:
    """Counts since the start, and how many incidents there are in each state."""

    tentative: int
    confirmed: int
    reported: int
    gone: int
    absorbed: int  # sightings that were a second box of something seen in the same frame
    strays: int  # bad looks just outside the gate of an incident of the same pass
    merged: int  # incidents that turned out to be another
    forgotten: int  # tentative ones unseen for forget_tentative_s
    evicted: int  # lost because there were max_incidents
    refused: int  # sightings with numbers that are not finite, or negative variances


class Incidents:
    """Joins sightings to incidents on the ground, and keeps what is known of each."""

    def __init__(
        self,
        association: AssociationConfig,
        new_id: Callable[[], bytes],
        accuracy: AccuracyConfig | None = None,
    ) -> None:
        """Begin with no incidents.

        Args:
            association: When two sightings are one thing.
            new_id: Makes a 16-byte id, time-ordered, never the same twice.
            accuracy: How long the errors last that looks share.
        """
        self.association = association
        self.memory = Memory(accuracy or AccuracyConfig())
        self._new_id = new_id
        self._dossiers: dict[bytes, Dossier] = {}
        self._nearby: dict[str, Nearby] = {}  # by label
        self._shifts: dict[str, PassShift] = {}  # by camera
        self._touched: dict[bytes, None] = {}  # an ordered set
        self._frame = 0
        self._forgotten_at_ns = -FORGET_EVERY_NS
        self._absorbed = self._strays = self._merged = 0
        self._forgotten = self._evicted = self._refused = 0

    def __len__(self) -> int:
        return len(self._dossiers)

    def __iter__(self) -> Iterator[Incident]:
        return (dossier.incident for dossier in tuple(self._dossiers.values()))

    def dossiers(self) -> tuple[Dossier, ...]:
        """Return all dossiers, oldest first."""
        return tuple(self._dossiers.values())

    def dossier(self, incident_id: bytes) -> Dossier | None:
        """Return one dossier; None when the incident was forgotten, merged or evicted."""
        return self._dossiers.get(incident_id)

    def get(self, incident_id: bytes) -> Incident | None:
        """Return one incident; None when it was forgotten, merged or evicted."""
        dossier = self._dossiers.get(incident_id)
        return dossier.incident if dossier is not None else None

    def touched(self) -> tuple[Dossier, ...]:
        """Return the dossiers that changed since `take_touched` was last called."""
        return tuple(self._dossiers[key] for key in self._touched)

    def take_touched(self) -> list[Dossier]:
        """Return the dossiers that changed since the last call, and begin anew."""
        touched = list(self.touched())
        self._touched.clear()
        return touched

    def add(self, sightings: Sequence[Sighting], mono_ns: int) -> None:
        """Take in the sightings of one frame; none at all is fine.

        Args:
            sightings: All of one frame of one camera, in any order.
            mono_ns: When the frame was captured.
        """
        self._frame += 1
        whole = [sighting for sighting in sightings if not sighting.is_upper_part]
        self._absorbed += len(sightings) - len(whole)
        usable = sorted(filter(is_usable, whole), key=order_key)
        self._refused += len(whole) - len(usable)
        looks = [(look, self._near_look(look)) for look in map(look_at, usable)]
        shift = self._shift(looks, mono_ns)
        for label, of_label in groupby(looks, key=lambda pair: pair[0].sighting.detection.label):
            self._add_label(label, list(of_label), mono_ns, shift)
        if mono_ns - self._forgotten_at_ns >= FORGET_EVERY_NS:
            self._forgotten_at_ns = mono_ns
            self._forget(mono_ns)

    def _shift(self, looks: Sequence[tuple[Look, list[Dossier]]], mono_ns: int) -> Shift:
        """Return how far this frame lies from the earlier passes."""
        if not looks:
            return NO_SHIFT
        camera_id = looks[0][0].sighting.camera_id
        follower = self._shifts.setdefault(camera_id, PassShift(self.association))
        votes = [offsets(look, near, mono_ns, self.association) for look, near in looks]
        return follower.of_frame(votes, mono_ns)

    def _add_label(
        self,
        label: str,
        looks_near: Sequence[tuple[Look, list[Dossier]]],
        mono_ns: int,
        shift: Shift,
    ) -> None:
        looks = [look for look, _ in looks_near]
        fits = [self._fits(look, near, mono_ns, shift) for look, near in looks_near]
        seen: list[tuple[Look, Dossier]] = []
        left_over: list[tuple[Look, float]] = []
        for look, row, key in zip(looks, fits, assign(fits), strict=True):
            if key is None:
                left_over.append((look, GATED_PART_SHARE if row else PART_SHARE))
                continue
            dossier = self._dossiers[key]
            dossier.add(look, mono_ns, self._frame, row[key].distance_sigma)
            seen.append((look, dossier))
        placed = [look for look, _ in seen]
        for look, part_share in left_over:
            others, placed = placed, [*placed, look]
            if any(are_twins(look, other, part_share) for other in others):
                self._absorbed += 1
            elif (whole := self._whole_of(look, label, mono_ns)) is not None:
                whole.glimpse(mono_ns)
                self._absorbed += 1
            elif (near := self._strayed_from(look, label, mono_ns)) is not None:
                near.stray(mono_ns, self._frame)
                self._strays += 1
            else:
                seen.append((look, self._begin(label, look, mono_ns)))
        for _, dossier in seen:
            if self.dossier(dossier.incident_id) is dossier:  # one look may have cost another
                self._place(dossier)
        merge_converged([dossier for _, dossier in seen], self, mono_ns)

    def _fits(
        self, look: Look, near: Sequence[Dossier], mono_ns: int, shift: Shift
    ) -> dict[bytes, Fit]:
        config = self.association
        there = (one for one in near if one.incident_id in self._dossiers)  # not evicted since
        found = ((dossier, fit(look, dossier, mono_ns, config, shift)) for dossier in there)
        return {dossier.incident_id: one for dossier, one in found if one is not None}

    def _near_look(self, look: Look) -> list[Dossier]:
        bounds = _grown(look.extent.bounds, look.sighting, self._reach_m(look))
        return self._near(look.sighting.detection.label, bounds)

    def _reach_m(self, look: Look) -> float:
        gate_m = self.association.gate_sigma * look.whole_sigma_m
        return max(gate_m, self.association.min_gate_m)

    def _near(self, label: str, bounds: Bounds) -> list[Dossier]:
        nearby = self._nearby.get(label)
        if nearby is None:
            return []
        near = (self._dossiers[key] for key in sorted(nearby.near(bounds)))
        return [dossier for dossier in near if touch(dossier.bounds(), bounds)]

    def neighbours(self, dossier: Dossier) -> list[Dossier]:
        """Return the incidents of the same label whose bounds may touch this one's."""
        return [
            other for other in self._near(dossier.label, dossier.bounds()) if other is not dossier
        ]

    def _whole_of(self, look: Look, label: str, mono_ns: int) -> Dossier | None:
        """Return the incident of the same pass that this look shows only a part of, if any."""
        for dossier in self._near(label, look.extent.bounds):
            if dossier.is_part(look, mono_ns):
                return dossier
        return None

    def _strayed_from(self, look: Look, label: str, mono_ns: int) -> Dossier | None:
        """Return the incident, not seen in this frame, that this is a bad look at, if any."""
        reach_m = STRAY_GATES * self._reach_m(look)
        for dossier in self._near(label, _grown(look.extent.bounds, look.sighting, reach_m)):
            is_unseen = dossier.last_frame != self._frame
            if is_unseen and is_stray(look, dossier, mono_ns, self.association):
                return dossier
        return None

    def _begin(self, label: str, look: Look, mono_ns: int) -> Dossier:
        if len(self._dossiers) >= self.association.max_incidents:
            self._evict(mono_ns)
        dossier = Dossier(self._new_id(), label, self.association, self.memory)
        dossier.add(look, mono_ns, self._frame)
        self._dossiers[dossier.incident_id] = dossier
        self._place(dossier)  # at once: the next new thing of this frame may oust this one
        return dossier

    def _place(self, dossier: Dossier) -> None:
        """Register where an incident is and that it changed."""
        nearby = self._nearby.setdefault(dossier.label, Nearby())
        nearby.put(dossier.incident_id, dossier.bounds())
        self._touched[dossier.incident_id] = None

    def adopt(self, dossiers: Iterable[Dossier]) -> None:
        """Take in dossiers of an earlier flight; nothing is due about them until seen again."""
        for dossier in dossiers:
            self._dossiers[dossier.incident_id] = dossier
            self._place(dossier)
            self._touched.pop(dossier.incident_id)

    def join(self, elder: Dossier, younger: Dossier) -> None:
        """Make one incident of two."""
        log.info("incidents_merged into=%s", elder.incident_id.hex())
        elder.take(younger)
        self._remove(younger)
        for key in elder.apart:
            self._dossiers[key].apart.add(elder.incident_id)
        self._place(elder)
        self._merged += 1

    def decide(self, incident_id: bytes, state: IncidentState, told: Told | None) -> None:
        """Note a decision of the rules; the revision counts what was told.

        Raises:
            KeyError: There is no such incident any more.
        """
        dossier = self._dossiers[incident_id]
        revision = dossier.revision if told is None else dossier.next_revision
        dossier.change(state, revision, told or dossier.told)

    def _remove(self, dossier: Dossier) -> None:
        del self._dossiers[dossier.incident_id]
        self._nearby[dossier.label].remove(dossier.incident_id)
        self._touched.pop(dossier.incident_id, None)
        for key in (*dossier.apart, *dossier.converging):
            other = self._dossiers[key]
            other.apart.discard(dossier.incident_id)
            other.converging.pop(dossier.incident_id, None)

    def _forget(self, mono_ns: int) -> None:
        horizon_ns = mono_ns - self.association.forget_tentative_s * 1e9
        for dossier in self.dossiers():
            if dossier.state is IncidentState.TENTATIVE and dossier.last_mono_ns < horizon_ns:
                self._remove(dossier)
                self._forgotten += 1

    def _evict(self, mono_ns: int) -> None:
        """Lose one; what is in view comes last, or two new things would oust each other for ever.

        Without that, a district whose memory is full would never report anything new again.
        """
        in_view_ns = mono_ns - self.association.new_pass_after_s * 1e9
        victim = min(
            self._dossiers.values(),
            key=lambda one: (
                one.last_mono_ns >= in_view_ns,
                EVICTION_ORDER.index(one.state),
                one.last_mono_ns,
                one.incident_id,
            ),
        )
        self._remove(victim)
        self._evicted += 1
        if victim.state is not IncidentState.TENTATIVE:
            log.warning(
                "incident_evicted incident=%s state=%s max_incidents=%d",
                victim.incident_id.hex(),
                victim.state.value,
                self.association.max_incidents,
            )

    def health(self) -> IncidentsHealth:
        """Count what there is and what was lost."""
        states = [dossier.state for dossier in self._dossiers.values()]
        return IncidentsHealth(
            tentative=states.count(IncidentState.TENTATIVE),
            confirmed=states.count(IncidentState.CONFIRMED),
            reported=states.count(IncidentState.REPORTED),
            gone=states.count(IncidentState.GONE),
            absorbed=self._absorbed,
            strays=self._strays,
            merged=self._merged,
            forgotten=self._forgotten,
            evicted=self._evicted,
            refused=self._refused,
        )


def _grown(bounds: Bounds, sighting: Sighting, reach_m: float) -> Bounds:
    """Return the bounds with everything within reach of the place."""
    west, south, east, north = bounds
    return (
        math.floor(min(west, sighting.east_m - reach_m)),
        math.floor(min(south, sighting.north_m - reach_m)),
        math.ceil(max(east, sighting.east_m + reach_m)),
        math.ceil(max(north, sighting.north_m + reach_m)),
    )
