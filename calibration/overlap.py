"""Which pictures of a flight to compare: those that show the same ground, best from other sides."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.config import AccuracyConfig, GroundConfig
from edge.geo.camera import Intrinsics
from edge.geo.footprint import footprint_of
from edge.geo.mount import Mount
from edge.geo.plane import LocalPlane
from edge.geo.view import Rig
from edge.records import FloatArray, NoGeotag, Pose

# Pictures turned against each other by more than this are of another heading.
TURNED_RAD = math.radians(45.0)
OPPOSITE_RAD = math.radians(135.0)
MIN_OVERLAP = 0.25  # of the smaller share of the two pictures
MAX_PAIRS = 240
MAX_PAIRS_OF_LOOK = 4  # in each class of headings
_GRID = 7


@dataclass(frozen=True, slots=True)
class Seen:
    """The ground that one picture shows."""

    corners_m: FloatArray  # (4, 2), east and north, in picture order
    up_rad: float  # azimuth of the picture's top on the ground


@dataclass(frozen=True, slots=True)
class Pair:
    """Two looks at the same ground."""

    first: int
    second: int
    overlap: float
    turned_rad: float  # between the pictures' tops, 0 to π


def seen_by(
    poses: Sequence[Pose], intrinsics: Intrinsics, mount: Mount, ground: GroundConfig
) -> list[Seen | None]:
    """Return what each pose's picture shows; None where it shows no ground."""
    accuracy = AccuracyConfig(max_slant_m=400.0)
    plane = LocalPlane(poses[0].lat_deg, poses[0].lon_deg)
    rig = Rig(intrinsics, mount, plane, ground, accuracy)
    return [seen_of(rig, intrinsics, pose) for pose in poses]


def seen_of(rig: Rig, intrinsics: Intrinsics, pose: Pose) -> Seen | None:
    """Return what one pose's picture shows; None where it shows no ground."""
    view = rig.view(intrinsics, pose)
    corners = view if isinstance(view, NoGeotag) else footprint_of(view, rig.accuracy.max_slant_m)
    if isinstance(corners, NoGeotag):
        return None
    corners = np.asarray(corners)
    top, bottom = corners[:2].mean(axis=0), corners[2:].mean(axis=0)
    east, north = (top - bottom).tolist()
    return Seen(corners, math.atan2(east, north))


def pairs_of(seen: Sequence[Seen | None], max_pairs: int = MAX_PAIRS) -> list[Pair]:
    """Choose pairs: the best overlaps of alike, of crossing and of opposite headings, in shares."""
    kinds: dict[int, list[Pair]] = {0: [], 1: [], 2: []}
    for first, one in enumerate(seen):
        for second in range(first + 1, len(seen)):
            two = seen[second]
            if one is None or two is None:
                continue
            overlap = min(_share(one, two), _share(two, one))
            if overlap >= MIN_OVERLAP:
                turned = abs((one.up_rad - two.up_rad + math.pi) % (2 * math.pi) - math.pi)
                kind = int(turned > TURNED_RAD) + int(turned > OPPOSITE_RAD)
                kinds[kind].append(Pair(first, second, overlap, turned))
    return [pair for kind in kinds.values() for pair in _spread(kind, max_pairs // 3)]


def _spread(pairs: list[Pair], count: int) -> list[Pair]:
    """Take the best overlaps, but no look more than a few times."""
    taken: list[Pair] = []
    times: Counter[int] = Counter()
    for pair in sorted(pairs, key=lambda pair: -pair.overlap):
        if len(taken) == count:
            break
        if max(times[pair.first], times[pair.second]) < MAX_PAIRS_OF_LOOK:
            times.update((pair.first, pair.second))
            taken.append(pair)
    return taken


def _share(one: Seen, two: Seen) -> float:
    """Return how much of one picture's ground the other shows, by a grid of points."""
    steps = (np.arange(_GRID) + 0.5) / _GRID
    across, down = (axis.reshape(-1, 1) for axis in np.meshgrid(steps, steps))
    left_top, right_top, right_bottom, left_bottom = one.corners_m
    points = (1 - down) * ((1 - across) * left_top + across * right_top) + down * (
        (1 - across) * left_bottom + across * right_bottom
    )
    return float(inside(points, two.corners_m).mean())


def inside(points_m: FloatArray, corners_m: FloatArray) -> FloatArray:
    """Tell which points, shape (N, 2), lie in a convex quadrilateral, shape (4, 2)."""
    sides = np.roll(corners_m, -1, axis=0) - corners_m
    off = points_m[:, None, :] - corners_m[None]
    turns = sides[:, 0] * off[:, :, 1] - sides[:, 1] * off[:, :, 0]
    return np.asarray((turns >= 0).all(axis=1) | (turns <= 0).all(axis=1))
