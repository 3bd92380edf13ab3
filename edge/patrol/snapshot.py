"""What a restarted flight must know, so that it does not raise the same incident as new.

Only incidents the rules have confirmed are kept.  Monotonic time does not survive a reboot, so
ages are stored; where UTC is known at both ends, the time in between is added to them, as soon as
it is known and again when it is known better.  What is restored begins another pass with its next
look.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from edge.errors import SkywhistleError
from edge.patrol.covariance import determinant
from edge.patrol.dossier import Dossier
from edge.patrol.extent import Extent, Point
from edge.patrol.incidents import Incidents
from edge.patrol.look import is_usable
from edge.patrol.passes import Settled
from edge.patrol.told import Told
from edge.records import (
    Incident,
    IncidentState,
    MonoNs,
    SharedSource,
    Sighting,
    TimeQuality,
    UtcTime,
)

log = logging.getLogger(__name__)

VERSION = 2  # 2: places know what they err by in common with the next look
PLANE_M = 1e6  # a district's plane reaches no further
MAX_FILE_BYTES = 256 * 1024 * 1024
UNKNOWN_TIME = UtcTime(None, TimeQuality.NONE)


class NotRestored(Enum):
    """Why a flight begins with no incidents."""

    NO_FILE = "no_file"
    DAMAGED = "damaged"  # moved aside, to the same name with `.damaged`
    OTHER_VERSION = "other_version"  # moved aside
    OTHER_PLANE = "other_plane"  # its metres count from another origin; moved aside


@dataclass(frozen=True, slots=True)
class SavedDossier:
    """One incident on disk; its instants are ages, and monotonic times in it are 0."""

    incident_id: str  # hex
    label: str
    state: IncidentState
    revision: int
    told: Told | None
    looks: int
    first_age_ns: int
    last_age_ns: int
    told_age_ns: int
    best_age_ns: int
    best: Sighting
    settled: Settled  # whose instant is an age, too
    scores: tuple[float, ...]
    sizes: tuple[tuple[float, float], ...]
    cut_size: tuple[float, float]
    ground_amsl_m: float
    extent: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """The whole file."""

    version: int
    plane: str
    utc_ns: int | None
    dossiers: tuple[SavedDossier, ...]


@dataclass(slots=True)
class _Earlier:
    """What of an incident is still as the earlier flight left it."""

    looks: int
    best: Sighting
    told: Told | None

    def move_back(self, dossier: Dossier, by_ns: int) -> None:
        """Set the instants of the earlier flight back; this flight's own stay."""
        dossier.first_mono_ns -= by_ns
        if dossier.looks == self.looks:
            dossier.last_mono_ns -= by_ns
            dossier.place.move_back(by_ns)
        if dossier.best is self.best:
            captured_mono_ns = MonoNs(self.best.captured_mono_ns - by_ns)
            self.best = replace(self.best, captured_mono_ns=captured_mono_ns)
            dossier.restore_view(self.best, dossier.extent)
        told = dossier.told
        if told is not None and told is self.told:
            told = self.told = replace(told, mono_ns=told.mono_ns - by_ns)
        dossier.change(dossier.state, dossier.revision, told)


@dataclass(slots=True)
class Restored:
    """What an earlier flight left, and how long ago that was as far as anyone knows yet."""

    mono_ns: int  # when it was restored
    saved_utc_ns: int | None
    earlier: dict[bytes, _Earlier]
    away_ns: int = 0  # already counted
    quality: TimeQuality = TimeQuality.NONE  # of the UTC that `away_ns` was learnt from

    @property
    def n(self) -> int:
        """How many incidents."""
        return len(self.earlier)

    def settle(self, incidents: Incidents, utc: UtcTime) -> None:
        """Set the instants of the earlier flight right, where their time is known better now.

        Args:
            incidents: Where they are.
            utc: Of `mono_ns`.
        """
        if utc.utc_ns is None or self.saved_utc_ns is None or utc.quality <= self.quality:
            return
        away_ns = max(utc.utc_ns - self.saved_utc_ns, 0)
        by_ns, self.away_ns, self.quality = away_ns - self.away_ns, away_ns, utc.quality
        for incident_id, earlier in self.earlier.items():
            dossier = incidents.dossier(incident_id)
            if dossier is not None:
                earlier.move_back(dossier, by_ns)

    def knows_time_of(self, incident: Incident) -> bool:
        """Say whether the best look is this flight's, or it is known when the earlier was."""
        earlier = self.earlier.get(incident.incident_id)
        is_earlier = earlier is not None and earlier.best is incident.best
        return not is_earlier or self.quality is not TimeQuality.NONE


_FILE: TypeAdapter[Saved] = TypeAdapter(Saved)


def save(
    path: Path, incidents: Incidents, mono_ns: int, *, utc_ns: int | None = None, plane: str = ""
) -> None:
    """Write all confirmed incidents; a crash or power cut leaves the old file or the new one.

    Args:
        path: The file; its folder is made if it is not there.
        incidents: What to keep.
        mono_ns: Now.
        utc_ns: Now, where it is known.
        plane: Names the origin of the district's plane, in any words; another one at `load`
            makes the file useless.

    Raises:
        SkywhistleError: The disk refuses.
    """
    kept = tuple(
        _saved(dossier, mono_ns)
        for dossier in incidents.dossiers()
        if dossier.state is not IncidentState.TENTATIVE
    )
    content = _FILE.dump_json(Saved(VERSION, plane, utc_ns, kept))
    beside = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)  # half of it is of no use, and takes room
        raise SkywhistleError(
            f"{path}: incidents were not saved ({error.strerror}); free the disk, or they may be "
            f"reported as new after a restart"
        ) from error


def load(
    path: Path,
    incidents: Incidents,
    mono_ns: int,
    *,
    utc: UtcTime = UNKNOWN_TIME,
    plane: str = "",
) -> Restored | NotRestored:
    """Take the incidents of an earlier flight into `incidents`.

    Args:
        path: The file.
        incidents: Where they go.
        mono_ns: Now.
        utc: Of now; where it is not known yet, or not well, `Restored.settle` takes it later.
        plane: As at `save`.

    Returns:
        What there was, or why nothing could be had; this never stops a flight.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return _moved_aside(path, NotRestored.DAMAGED, f"larger than {MAX_FILE_BYTES} bytes")
        saved = _FILE.validate_json(path.read_bytes())
    except FileNotFoundError:
        return NotRestored.NO_FILE
    except OSError as error:
        return _moved_aside(path, NotRestored.DAMAGED, str(error))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        return _moved_aside(path, NotRestored.DAMAGED, f"{where} {first['msg']}")
    if saved.version != VERSION:
        return _moved_aside(path, NotRestored.OTHER_VERSION, f"version {saved.version}")
    if saved.plane != plane:
        return _moved_aside(path, NotRestored.OTHER_PLANE, f"{saved.plane!r}, now {plane!r}")
    try:
        dossiers = [_restored(one, mono_ns, incidents) for one in saved.dossiers]
    except (ValueError, ArithmeticError) as error:
        return _moved_aside(path, NotRestored.DAMAGED, str(error))
    incidents.adopt(dossiers)
    earlier = {one.incident_id: _Earlier(one.looks, one.best, one.told) for one in dossiers}
    restored = Restored(mono_ns, saved.utc_ns, earlier)
    restored.settle(incidents, utc)
    return restored


def _saved(dossier: Dossier, mono_ns: int) -> SavedDossier:
    told, settled = dossier.told, dossier.place.settled()
    fused = replace(settled.fused, mono_ns=mono_ns - settled.fused.mono_ns)
    return SavedDossier(
        incident_id=dossier.incident_id.hex(),
        label=dossier.label,
        state=dossier.state,
        revision=dossier.revision,
        told=replace(told, mono_ns=0) if told is not None else None,
        looks=dossier.looks,
        first_age_ns=mono_ns - dossier.first_mono_ns,
        last_age_ns=mono_ns - dossier.last_mono_ns,
        told_age_ns=mono_ns - told.mono_ns if told is not None else 0,
        best_age_ns=mono_ns - dossier.best.captured_mono_ns,
        best=replace(dossier.best, captured_mono_ns=MonoNs(0)),
        settled=replace(settled, fused=fused),
        scores=tuple(dossier.scores),
        sizes=tuple(dossier.sizes),
        cut_size=dossier.cut_size,
        ground_amsl_m=dossier.ground_amsl_m,
        extent=dossier.extent.corners,
    )


def _restored(saved: SavedDossier, mono_ns: int, incidents: Incidents) -> Dossier:
    incident_id = bytes.fromhex(saved.incident_id)
    is_whole = len(incident_id) == 16 and saved.looks >= 1 and saved.scores
    if not is_whole or not _is_whole(saved.settled):
        raise ValueError(f"incident {saved.incident_id} is not whole")
    settled = saved.settled
    fused = replace(settled.fused, mono_ns=mono_ns - settled.fused.mono_ns)
    dossier = Dossier(
        incident_id,
        saved.label,
        incidents.association,
        incidents.memory,
        replace(settled, fused=fused),
    )
    dossier.looks = saved.looks
    dossier.first_mono_ns = mono_ns - saved.first_age_ns
    dossier.last_mono_ns = mono_ns - saved.last_age_ns
    dossier.scores.extend(saved.scores)
    dossier.sizes.extend(saved.sizes)
    dossier.cut_size = saved.cut_size
    dossier.ground_amsl_m = saved.ground_amsl_m
    best = replace(saved.best, captured_mono_ns=MonoNs(mono_ns - saved.best_age_ns))
    dossier.restore_view(best, Extent(saved.extent))
    told = saved.told
    if told is not None:
        told = replace(told, mono_ns=mono_ns - saved.told_age_ns)
    dossier.change(saved.state, saved.revision, told)
    if told is not None:
        # A crash may have come between the mailbox's commit of the next alert and this file; the
        # desk takes a revision once, so that number must not be used for other words.
        dossier.least_revision = saved.revision + 2
    # Fails here, not in flight, where the numbers make no place.
    if not (_is_sound(saved) and all(abs(side_m) <= PLANE_M for side_m in dossier.bounds())):
        raise ValueError(f"incident {saved.incident_id} is nowhere on a district's plane")
    return dossier


def _is_whole(settled: Settled) -> bool:
    n_sources = len(SharedSource)
    return settled.passes >= 1 and all(len(row) == n_sources for row in settled.fused.shared_m)


def _is_sound(saved: SavedDossier) -> bool:
    """Tell whether all numbers are such as a flight writes: finite, and errors that are errors."""
    settled, fused = saved.settled, saved.settled.fused
    sizes = [side_m for size in (*saved.sizes, saved.cut_size) for side_m in size]
    shared_m = [share for row in fused.shared_m for share in row]
    place = (fused.east_m, fused.north_m, settled.disagreement, saved.ground_amsl_m)
    return (
        is_usable(saved.best)
        and all(map(math.isfinite, (*fused.covariance, *shared_m, *place, *sizes)))
        # No error and no thing is larger than the plane; beyond, squares and products run over.
        and max(map(abs, (*shared_m, *place, *sizes))) <= PLANE_M
        and max(map(abs, fused.covariance)) <= PLANE_M * PLANE_M
        and min(sizes) >= 0.0
        and fused.covariance[0] > 0.0
        and determinant(fused.covariance) > 0.0
        and all(0.0 <= score <= 1.0 for score in saved.scores)
    )


def _moved_aside(path: Path, reason: NotRestored, why: str) -> NotRestored:
    aside = path.with_name(path.name + ".damaged")
    with contextlib.suppress(OSError):  # a disk that refuses is met again, and loudly, by `save`
        path.replace(aside)
    log.warning("incidents_not_restored reason=%s aside=%s why=%s", reason.value, aside, why)
    return reason


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
