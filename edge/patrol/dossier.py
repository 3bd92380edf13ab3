"""All that is known of one incident; changes with each look."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from statistics import median

from edge.config import AssociationConfig
from edge.patrol.covariance import ZERO, add, eigenvalues, isotropic, scale
from edge.patrol.extent import Bounds, Extent, overlap
from edge.patrol.fusion import Estimate
from edge.patrol.look import Look, picture_quality
from edge.patrol.memory import Memory
from edge.patrol.passes import Running, Settled, Whereabouts, no_narrower
from edge.patrol.told import Told
from edge.records import Covariance2, Incident, IncidentState, MonoNs, Sighting

# The medians run over the newest looks: enough that no few of them decide, and bounded.
SCORES_KEPT = 64
SIZES_KEPT = 32
# A look further than this many sigmas from the others counts less, in proportion (Huber).
TRUST_SIGMA = 2.0
# Where the middle of a thing is, nobody knows better than this share of its box, one sigma: a
# detector takes a shadow or a soft border for a part of it, in each look alike.
MIDDLE_SHARE = 0.03
# An uncut outline much smaller than the thing is a part of it, and does not replace the outline.
MIN_OUTLINE_SHARE = 0.5
# A box with this much of its ground within an incident's is a part of that.
PART_SHARE = 0.7
# A look up to this many gates off is a bad look at a thing that its frame does not show otherwise
# (a gate of three sigmas loses one in ninety); as many in a row as this are something else.
STRAY_GATES = 1.5
MAX_STRAYS = 3
# A turn of the line of sight beyond this (1 − cos, less when looking down: 45° when looking flat)
# may put a thing beside its neighbour, so that it takes the other things to tell which it is.
SAME_VIEW_TURN = 0.3


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the places of a pass lie from the earlier ones, and how many things say so."""

    east_m: float
    north_m: float
    votes: float


NO_SHIFT = Shift(0.0, 0.0, 0.0)


class Dossier:
    """One incident's looks, folded together: constant memory however often it is seen."""

    def __init__(
        self,
        incident_id: bytes,
        label: str,
        config: AssociationConfig,
        memory: Memory,
        settled: Settled | None = None,
    ) -> None:
        self.incident_id = incident_id
        self.label = label
        self.state = IncidentState.TENTATIVE
        self.revision = 0
        self.least_revision = 1  # that the next alert may have
        self.told: Told | None = None
        self.looks = 0
        self.first_mono_ns = 0
        self.last_mono_ns = 0
        self.last_frame = -1  # number of the last frame that showed it
        self.strays = 0  # in a row
        self.best_quality = 0.0
        self.place = Whereabouts(memory, settled)
        self.scores: deque[float] = deque(maxlen=SCORES_KEPT)
        self.sizes: deque[tuple[float, float]] = deque(maxlen=SIZES_KEPT)  # uncut looks
        self.cut_size = (0.0, 0.0)  # largest of the cut looks: a lower bound
        self.ground_amsl_m = 0.0
        self.converging: dict[bytes, int] = {}  # other incident → frames in a row at one place
        self.apart: set[bytes] = set()  # others seen beside it in one frame
        self._config = config
        self._best: Sighting | None = None
        self._extent: Extent | None = None
        # Worked out when asked for, until the next look.
        self._incident: Incident | None = None
        self._estimate: Estimate | None = None
        self._bounds: Bounds | None = None
        self._size_wd_m = (0.0, 0.0)  # width, depth

    def _is_stale(self) -> None:
        self._incident = self._estimate = self._bounds = None

    @property
    def best(self) -> Sighting:
        """The look that serves best as evidence."""
        if self._best is None:
            raise ValueError("a dossier without looks has no best one")
        return self._best

    @property
    def extent(self) -> Extent:
        """The ground it covers, as last seen."""
        if self._extent is None:
            raise ValueError("a dossier without looks has no extent")
        return self._extent

    @property
    def size_m(self) -> float:
        """The larger side."""
        return max(self._size_wd_m)

    def is_same_pass(self, camera_id: str, mono_ns: int) -> bool:
        """Tell whether a look now shares its bias with the last one.

        Another camera has another boresight, so its looks are compared by the whole error.
        """
        running = self.place.running
        return (
            running is not None
            and running.last.camera_id == camera_id
            and not self._is_new_pass(mono_ns)
        )

    def _is_new_pass(self, mono_ns: int) -> bool:
        return mono_ns - self.last_mono_ns > self._config.new_pass_after_s * 1e9

    def expected(self, look: Look, mono_ns: int, shift: Shift = NO_SHIFT) -> Estimate:
        """Return where a look would fall, with the error that differs from that look's.

        Within a pass the bias is common and drops out, but for what of it has moved with the line
        of sight since the last look (`_drift`).  Against another pass, the whole error counts, the
        less the more things tell the `shift` between the passes.  The look's own noise is not
        included.
        """
        running, sighting = self.place.running, look.sighting
        if running is None or not self.is_same_pass(sighting.camera_id, mono_ns):
            fused = self.estimate()
            whole = add(fused.covariance, sighting.shared_covariance)
            opposed = self._opposed(sighting)
            return Estimate(
                fused.east_m + shift.east_m,
                fused.north_m + shift.north_m,
                scale(whole, (1.0 + opposed) / (1.0 + shift.votes)),
            )
        east_m, north_m = running.east_m, running.north_m
        drift = _drift(running, look)
        if not self.is_same_view(sighting, mono_ns):
            east_m, north_m = east_m + shift.east_m, north_m + shift.north_m
            drift = scale(drift, 1.0 / (1.0 + shift.votes))
        return Estimate(east_m, north_m, add(running.covariance, drift))

    def is_same_view(self, sighting: Sighting, mono_ns: int) -> bool:
        """Tell whether a look is of the same pass, and from much the same side as the last."""
        running = self.place.running
        if running is None or not self.is_same_pass(sighting.camera_id, mono_ns):
            return False
        last = running.last
        turn_rad = math.radians(sighting.bearing_deg - last.bearing_deg)
        return (1.0 - math.cos(turn_rad)) * _flatness(sighting, last) < SAME_VIEW_TURN

    def _opposed(self, sighting: Sighting) -> float:
        """Return 0 for a look from the side that is known, up to 1 for one from across.

        A height or tilt that is wrong the same way on both passes puts the thing to opposite
        sides: twice the bias apart, where independent biases would be √2 times.
        """
        running = self.place.running
        known = running.last if running is not None else self._best
        if known is None:
            return 0.0
        turn_rad = math.radians(sighting.bearing_deg - known.bearing_deg)
        return max(-math.cos(turn_rad), 0.0) * _flatness(sighting, known)

    def estimate(self) -> Estimate:
        """Return the place by all passes, bias floor included."""
        if self._estimate is None:
            fused = self.place.estimate()
            self._estimate = replace(fused, covariance=self._floored(fused.covariance))
        return self._estimate

    def covariance_with(self, look: Look, mono_ns: int) -> Covariance2:
        """Return what the covariance would be after one more look, wherever that puts it."""
        return self._floored(self.place.estimate_with(look, mono_ns))

    def _floored(self, covariance: Covariance2) -> Covariance2:
        width_m, depth_m = self._size_wd_m
        middle = isotropic(MIDDLE_SHARE * math.sqrt(0.5 * (width_m**2 + depth_m**2)))
        return no_narrower(add(covariance, middle), self._config.bias_floor_m)

    def add(self, look: Look, mono_ns: int, frame: int, distance_sigma: float = 0.0) -> None:
        """Take in a look that was found to be of this incident."""
        sighting = look.sighting
        if self.place.running is not None and self._is_new_pass(mono_ns):
            self.place.close_pass()
        trust = min(1.0, TRUST_SIGMA / distance_sigma) if distance_sigma > 0.0 else 1.0
        running = self.place.running
        drift = ZERO if running is None else _drift(running, look)
        self.place.add(look, mono_ns, trust, drift)
        self.looks += 1
        self.first_mono_ns = mono_ns if self.looks == 1 else self.first_mono_ns
        self.last_mono_ns = max(mono_ns, self.last_mono_ns)
        self.last_frame = frame
        self.strays = 0
        self.scores.append(sighting.detection.score)
        self.ground_amsl_m += (sighting.ground_amsl_m - self.ground_amsl_m) / self.looks
        self._add_extent(look)
        quality = picture_quality(sighting)
        if self._best is None or quality > self.best_quality:
            self._best, self.best_quality = sighting, quality
        self._is_stale()

    def glimpse(self, mono_ns: int) -> None:
        """Note that a part of it was seen, which says that it is there but not where."""
        self.last_mono_ns = max(mono_ns, self.last_mono_ns)
        self._incident = None

    def stray(self, mono_ns: int, frame: int) -> None:
        """Note a bad look at it, which does not count for its place."""
        self.strays += 1
        self.last_frame = frame
        self.glimpse(mono_ns)

    def is_part(self, look: Look, mono_ns: int) -> bool:
        """Tell whether a look of the same pass shows a part of this thing, not another thing."""
        if not self.is_same_pass(look.sighting.camera_id, mono_ns):
            return False
        return overlap(look.extent, self.extent)[1] >= PART_SHARE

    def _add_extent(self, look: Look) -> None:
        sighting = look.sighting
        if sighting.is_cut:
            width_m, depth_m = self.cut_size
            self.cut_size = (max(width_m, sighting.width_m), max(depth_m, sighting.depth_m))
            if self._extent is None:
                self._extent = look.extent
            elif not self.sizes:
                self._extent = self._extent.joined(look.extent)
            self._size_wd_m = self._size()
            return
        area_m2 = sighting.width_m * sighting.depth_m
        self.sizes.append((sighting.width_m, sighting.depth_m))
        self._size_wd_m = width_m, depth_m = self._size()
        if self._extent is None or area_m2 >= MIN_OUTLINE_SHARE * width_m * depth_m:
            self._extent = look.extent

    def _size(self) -> tuple[float, float]:
        if not self.sizes:
            return self.cut_size
        return (
            median([width for width, _ in self.sizes]),
            median([depth for _, depth in self.sizes]),
        )

    def restore_view(self, best: Sighting, extent: Extent) -> None:
        """Take over what an earlier flight saw; the first look of this one is the better picture.

        The earlier picture may be gone, and its time is known less well.
        """
        self._best, self.best_quality, self._extent = best, 0.0, extent
        self._size_wd_m = self._size()
        self._is_stale()

    def take(self, other: Dossier) -> None:
        """Take over the looks of another record of the same thing."""
        self.place.take(other.place)
        share = other.looks / (self.looks + other.looks)
        self.ground_amsl_m += share * (other.ground_amsl_m - self.ground_amsl_m)
        self.looks += other.looks
        self.first_mono_ns = min(self.first_mono_ns, other.first_mono_ns)
        if other.last_mono_ns > self.last_mono_ns:
            self.last_mono_ns, self.last_frame = other.last_mono_ns, other.last_frame
        self.scores.extend(other.scores)
        if other.sizes and not self.sizes:
            self._extent = other.extent
        elif not self.sizes:
            self._extent = self.extent.joined(other.extent)
        self.sizes.extend(other.sizes)
        self.cut_size = (
            max(self.cut_size[0], other.cut_size[0]),
            max(self.cut_size[1], other.cut_size[1]),
        )
        self.apart |= other.apart
        if other.best_quality > self.best_quality:
            self._best, self.best_quality = other.best, other.best_quality
        self._size_wd_m = self._size()
        self._is_stale()

    def bounds(self) -> Bounds:
        """Return the ground within which a look may be of this incident."""
        if self._bounds is None:
            self._bounds = self._reach()
        return self._bounds

    def _reach(self) -> Bounds:
        fused = self.estimate()
        reach_m = self._config.gate_sigma * math.sqrt(eigenvalues(fused.covariance)[0])
        reach_m = max(reach_m, self._config.min_gate_m)
        easts, norths = [fused.east_m], [fused.north_m]
        if self.place.running is not None:
            easts.append(self.place.running.east_m)
            norths.append(self.place.running.north_m)
        west, south, east, north = self.extent.bounds
        return (
            min(west, min(easts) - reach_m),
            min(south, min(norths) - reach_m),
            max(east, max(easts) + reach_m),
            max(north, max(norths) + reach_m),
        )

    @property
    def next_revision(self) -> int:
        """The revision of the next alert."""
        return max(self.revision + 1, self.least_revision)

    def change(self, state: IncidentState, revision: int, told: Told | None) -> None:
        """Note what was decided about it."""
        self.state, self.revision, self.told = state, revision, told
        self._incident = None

    @property
    def incident(self) -> Incident:
        """The fused record, as the rules and the alert see it."""
        if self._incident is None:
            self._incident = self._fused()
        return self._incident

    def _fused(self) -> Incident:
        fused = self.estimate()
        width_m, depth_m = self._size_wd_m
        return Incident(
            incident_id=self.incident_id,
            label=self.label,
            state=self.state,
            revision=self.revision,
            east_m=fused.east_m,
            north_m=fused.north_m,
            ground_amsl_m=self.ground_amsl_m,
            covariance=fused.covariance,
            width_m=width_m,
            depth_m=depth_m,
            looks=self.looks,
            median_score=median(self.scores),
            first_mono_ns=MonoNs(self.first_mono_ns),
            last_mono_ns=MonoNs(self.last_mono_ns),
            best=self.best,
        )

    def gap_to(self, other: Dossier, mono_ns: int) -> tuple[float, float, Covariance2]:
        """Return (east, north, covariance) of the gap to another incident, m and m².

        By the running places where both are in their current pass; else by the whole error.
        """
        mine, theirs = self.place.running, other.place.running
        if (
            mine is None
            or theirs is None
            or self._is_new_pass(mono_ns)
            or other._is_new_pass(mono_ns)
        ):
            a, b = self.estimate(), other.estimate()
            gap = (b.east_m - a.east_m, b.north_m - a.north_m)
            return (*gap, add(a.covariance, b.covariance))
        return (
            theirs.east_m - mine.east_m,
            theirs.north_m - mine.north_m,
            add(mine.covariance, theirs.covariance),
        )


def _drift(running: Running, look: Look) -> Covariance2:
    """Return how far the bias may have moved between two looks of a pass, m².

    It turns with the bearing: not at all when looking the same way or straight down, all of it from
    a quarter turn on.  And it shrinks as the same tilt and height are seen more steeply.
    """
    last, now = running.last, look.sighting
    turn_rad = math.radians(now.bearing_deg - last.bearing_deg)
    turned = (1.0 - math.cos(turn_rad)) * _flatness(now, last)
    drift = scale(add(now.shared_covariance, last.shared_covariance), turned)
    return add(drift, isotropic(look.bias_sigma_m - running.bias_sigma_m))


def _flatness(a: Sighting, b: Sighting) -> float:
    """Return 0 when looking straight down, near 1 when looking flat."""
    return max(math.cos(math.radians(min(a.depression_deg, b.depression_deg))), 0.0)
