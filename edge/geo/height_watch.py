"""Does the aircraft fly where the terrain tile has it?  Heights that should agree, compared.

A home that is not where the aircraft took off, or a barometer that has drifted, puts every place
metres aside and says nothing; a tile in another datum than its name reports wrong heights.  What
the autopilot knows besides shows it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from edge.config import GroundConfig
from edge.geo.ground import height_over_datum_m, height_sigma_m, rangefinder_agl_m
from edge.geo.rotations import is_unit, matrix_from_quaternion
from edge.geo.terrain import TerrainTile
from edge.geo.terrain_surface import TerrainSurface
from edge.records import Pose

log = logging.getLogger(__name__)

WATCH_EVERY_NS = 1_000_000_000
HOME_WITHIN_NS = 15_000_000_000
MOST_SIGMAS = 3.0
# One sigma each, of what a gap between two heights may hold beside their own errors.
GNSS_HEIGHT_SIGMA_M = 5.0  # where the receiver does not say
DATUMS_SIGMA_M = 1.0  # between two models of mean sea level
REPORT_SIGMA_M = 8.0  # the autopilot's terrain is one of 30 to 100 m from node to node
RANGE_SIGMA_M = 3.0  # a beam ends on roofs and trees, too


class DoubtKind(Enum):
    """What does not fit."""

    NO_HOME = "no_home"
    HOME_OFF_TILE = "home_off_tile"
    BELOW_GROUND = "below_ground"
    AMSL = "amsl"
    RANGEFINDER = "rangefinder"
    TERRAIN_REPORT = "terrain_report"


_MEND = "compare the tile's datum and place (`skywhistle terrain show`), ground.home_offset_m, and "
_TEXT = {
    DoubtKind.NO_HOME: "the autopilot has not said where home is (HOME_POSITION), so the tile "
    "cannot be used; does the aircraft have a home yet?",
    DoubtKind.HOME_OFF_TILE: "the terrain tile has no height at home, so it cannot be used; import "
    "a part of the model that covers home",
    DoubtKind.BELOW_GROUND: "the aircraft would be {gap:.1f} m below the terrain tile's ground: a "
    "wrong datum or home; " + _MEND + "the home that the autopilot reports",
    DoubtKind.AMSL: "home's terrain and the height above home make {gap:+.1f} m more than the "
    "autopilot's height above sea level, at most {most:.1f} m are explained; " + _MEND + "GNSS",
    DoubtKind.RANGEFINDER: "the terrain tile makes the aircraft {gap:+.1f} m higher above ground "
    "than the rangefinder does, at most {most:.1f} m are explained; " + _MEND + "the barometer",
    DoubtKind.TERRAIN_REPORT: "the terrain tile makes the aircraft {gap:+.1f} m higher above "
    "ground than the autopilot's own terrain does, at most {most:.1f} m are explained; "
    + _MEND
    + "TERRAIN_SPACING",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """Two heights that disagree by more than their sigmas allow."""

    kind: DoubtKind
    gap_m: float = 0.0
    most_m: float = 0.0

    def __str__(self) -> str:
        """Return one sentence for people, with what to do."""
        return _TEXT[self.kind].format(gap=self.gap_m, most=self.most_m)


def doubts_of(pose: Pose, tile: TerrainTile, config: GroundConfig) -> Iterator[Doubt]:
    """Yield what does not fit at one instant, the worst first; nothing where all agrees."""
    if pose.home is None:
        yield Doubt(DoubtKind.NO_HOME)
        return
    height_m = height_over_datum_m(pose, tile, config)
    if height_m is None:
        yield Doubt(DoubtKind.HOME_OFF_TILE)
        return
    sigma_m = height_sigma_m(pose, config)
    surface = TerrainSurface(tile, pose.lat_deg, pose.lon_deg, height_m)
    agl_m = surface.clearance_m()
    if agl_m < -MOST_SIGMAS * sigma_m:
        yield Doubt(DoubtKind.BELOW_GROUND, -agl_m)
    for kind, gap_m, other_sigma_m in _gaps(pose, surface, agl_m):
        most_m = MOST_SIGMAS * math.hypot(sigma_m, other_sigma_m)
        if abs(gap_m) > most_m:  # NaN, over a void, is no gap
            yield Doubt(kind, gap_m, most_m)


def _gaps(
    pose: Pose, surface: TerrainSurface, agl_m: float
) -> Iterator[tuple[DoubtKind, float, float]]:
    """Yield how much higher than by each other source the aircraft is, and one sigma of those."""
    if surface.tile.is_sea_level:
        absolute_m = math.hypot(pose.v_acc_m or GNSS_HEIGHT_SIGMA_M, DATUMS_SIGMA_M)
        yield DoubtKind.AMSL, surface.height_m - pose.amsl_m, absolute_m
    if is_unit(pose.ned_from_body_wxyz):
        by_range_m = rangefinder_agl_m(pose, matrix_from_quaternion(pose.ned_from_body_wxyz))
        if by_range_m is not None:
            yield DoubtKind.RANGEFINDER, agl_m - by_range_m, RANGE_SIGMA_M
    if pose.terrain_agl_m is not None:
        yield DoubtKind.TERRAIN_REPORT, agl_m - pose.terrain_agl_m, REPORT_SIGMA_M


@dataclass(slots=True)
class HeightWatch:
    """Looks once a second, and tells each kind of doubt once."""

    tile: TerrainTile | None
    config: GroundConfig
    doubt: Doubt | None = None  # the worst of the newest look
    _due_ns: int = 0
    _first_ns: int | None = None
    _told: set[DoubtKind] = field(default_factory=set)

    def look(self, pose: Pose) -> None:
        """Compare the heights of a pose, if it is time again."""
        if self.tile is None or self.config.source not in {"auto", "terrain_tile"}:
            return
        if 0 < self._due_ns - pose.mono_ns <= WATCH_EVERY_NS:
            return
        self._due_ns = pose.mono_ns + WATCH_EVERY_NS
        if self._first_ns is None:
            self._first_ns = pose.mono_ns
        if pose.home is None and pose.mono_ns - self._first_ns < HOME_WITHIN_NS:
            return  # it is asked for, and comes
        doubts = list(doubts_of(pose, self.tile, self.config))
        self.doubt = doubts[0] if doubts else None
        for one in doubts:
            if one.kind not in self._told:
                self._told.add(one.kind)
                log.warning("height_doubt kind=%s %s", one.kind.value, one)
