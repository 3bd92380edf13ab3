"""Strips of bare earth: along a street, a verge or a river, with a trench, pipes and machines."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sim.world.earth import EARTH_TONES, Patch, Tones, blots, lay_patch, tread_road
from sim.world.finds import EDGE_M, Finds, FloatArray, tint_of
from sim.world.layout import BANK_M, HALF_M, WALK_M, clear_spans
from sim.world.lorries import excavator, roller, tipper
from sim.world.mesh import Footprint, Skin, at_height
from sim.world.pits import open_trench
from sim.world.props import MACHINE_RGB, TIPPER_RGB, pipes, stand, strew
from sim.world.sites import OPEN_LOTS
from sim.world.textures import Layer

WIDE_M = (4.0, 14.0)
LONG_M = (40.0, 160.0)
_LEAST_LONG_M = 30.0
_STEP_M = 3.0  # between two points of a strip's middle line


@dataclass(frozen=True)
class Strip:
    """A band of ground: its middle line, shape (N, 2), and how wide it is at each point."""

    line_m: FloatArray
    wide_m: FloatArray  # shape (N,)

    def across(self) -> FloatArray:
        """Return the unit vectors to the left of the line, shape (N, 2)."""
        along = np.gradient(self.line_m, axis=0)
        left = np.column_stack([-along[:, 1], along[:, 0]])
        return np.asarray(left / (np.linalg.norm(left, axis=1, keepdims=True) + 1e-9))

    def beside(self, share: float) -> FloatArray:
        """Return a line along it, shape (N, 2): share -0.5 is its right edge, 0.5 its left."""
        return np.asarray(self.line_m + share * self.wide_m[:, None] * self.across())

    def outline(self) -> FloatArray:
        """Return its outline, shape (2 N, 2)."""
        return np.concatenate([self.beside(-0.5), self.beside(0.5)[::-1]])

    def samples(self) -> FloatArray:
        """Cover it with points, shape (5 N, 2)."""
        return np.concatenate([self.beside(share) for share in (-0.45, -0.25, 0.0, 0.25, 0.45)])


def _straight(start: FloatArray, end: FloatArray) -> FloatArray:
    count = max(4, int(np.hypot(*(end - start)) / _STEP_M))
    return np.asarray(start + np.linspace(0, 1, count)[:, None] * (end - start))


def _along_lot(finds: Finds, wide_m: float, long_m: float) -> FloatArray | None:
    """Draw a line along one side of an open lot."""
    rng = finds.site.rng
    lots = [
        lot.foot
        for lot in finds.site.layout.lots
        if lot.kind in OPEN_LOTS
        and max(lot.foot.length_m, lot.foot.width_m) > _LEAST_LONG_M + 2
        and min(lot.foot.length_m, lot.foot.width_m) > wide_m + 3
    ]
    if not lots:
        return None
    foot = lots[int(rng.integers(len(lots)))]
    long, deep = foot.length_m, foot.width_m
    swap = deep > long or (deep > long_m and rng.random() < 0.4)
    if swap:
        long, deep = deep, long
    reach = min(long_m, long - 1.6)
    middle = float(rng.uniform(-0.5, 0.5)) * (long - 1.6 - reach)
    side = float(rng.choice([-1, 1])) * (deep / 2 - 1.0 - wide_m / 2)
    ends = np.array([[middle - reach / 2, side], [middle + reach / 2, side]])
    start, end = foot.place(ends[:, ::-1] if swap else ends)
    return _straight(start, end)


def _stretch(
    rng: np.random.Generator, spans: list[tuple[float, float]], long_m: float
) -> tuple[float, float] | None:
    """Draw where a strip begins in one of some spans, and how long it can be there."""
    if not spans:
        return None
    low, high = spans[int(rng.integers(len(spans)))]
    low, high = max(low, EDGE_M - HALF_M), min(high, HALF_M - EDGE_M)
    reach = min(long_m, high - low)
    if reach < _LEAST_LONG_M:
        return None
    return low + float(rng.random()) * (high - reach - low), reach


def _along_street(finds: Finds, wide_m: float, long_m: float) -> FloatArray | None:
    """Draw a line along the verge that a wide street keeps free beside it."""
    rng, streets = finds.site.rng, finds.site.layout.streets
    roomy = [s for s in streets if s.verge_m > wide_m]
    if not roomy:
        return None
    street = roomy[int(rng.integers(len(roomy)))]
    spans = [s for s in clear_spans(street, streets, WALK_M + 1) if s[1] - s[0] > _LEAST_LONG_M]
    stretch = _stretch(rng, spans, long_m)
    if stretch is None:
        return None
    start, reach = stretch
    across = street.width_m / 2 + WALK_M - 1.0 + wide_m / 2
    ends = street.place(np.array([[start, across], [start + reach, across]]))
    return _straight(ends[0], ends[1])


def _along_river(finds: Finds, wide_m: float, long_m: float) -> FloatArray | None:
    """Draw a line along the river's bank, bending as it bends, between two streets."""
    rng, river = finds.site.rng, finds.site.layout.river
    cuts = sorted(s.at_m for s in finds.site.layout.streets if s.along_east)
    spans = [
        (low + 16.0, high - 16.0)
        for low, high in pairwise(cuts)
        if high - low > _LEAST_LONG_M + 32.0
    ]
    stretch = _stretch(rng, spans, long_m)
    if stretch is None:
        return None
    start, reach = stretch
    north = np.linspace(start, start + reach, int(reach / _STEP_M))
    away = river.width_m / 2 + 2.8 + wide_m / 2
    return np.column_stack([river.centre_m(north) + float(rng.choice([-1, 1])) * away, north])


def free_strip(finds: Finds) -> Strip | None:
    """Draw a free strip along something, or None without room; it is then taken."""
    site, rng = finds.site, finds.site.rng
    for _ in range(24):
        wide = float(WIDE_M[0] * (WIDE_M[1] / WIDE_M[0]) ** rng.random())
        long = float(LONG_M[0] * (LONG_M[1] / LONG_M[0]) ** rng.random())
        where = (_along_street, _along_river, _along_lot)[int(rng.choice(3, p=(0.4, 0.25, 0.35)))]
        if where is _along_river:
            wide = min(wide, BANK_M - 1.5)
        line = where(finds, wide, long)
        if line is None or np.abs(line).max() > HALF_M - EDGE_M:
            continue
        waver = np.cumsum(rng.normal(0, 0.05, len(line)))
        ends = np.clip(np.minimum(np.arange(len(line)), np.arange(len(line))[::-1]) / 2, 0.62, 1)
        strip = Strip(line, wide * np.clip(1 + waver - waver.mean(), 0.85, 1.0) * ends)
        if site.all_free(strip.samples(), 1.0):
            site.taken += [(float(e), float(n), wide * 0.5) for e, n in strip.line_m]
            return strip
    return None


def _trench(finds: Finds, patch: Patch, strip: Strip, tones: Tones) -> None:
    """Cut a narrow trench along a strip, what came out of it beside, and pipes to lay in it."""
    rng, mesh = finds.site.rng, finds.site.mesh
    count = len(strip.line_m)
    first = int(rng.integers(1, max(2, count // 3)))
    last = int(rng.integers(max(first + 3, count * 2 // 3), count))
    side = float(rng.choice([-1, 1]))
    line, across = strip.beside(side * 0.22)[first:last], strip.across()[first:last]
    half = float(rng.uniform(0.4, 0.8))
    rim = np.concatenate([line - half * across, (line + half * across)[::-1]])
    open_trench(finds, rim, float(rng.uniform(0.9, 1.8)), tones)
    bank = Skin(Layer.SOIL, tint_of(tones[1], rng), 4.0)
    wide, high = float(rng.uniform(0.7, 1.2)), rng.uniform(0.35, 0.9, len(line))
    top = line + side * across * (half + 0.5 + wide)
    high[[0, -1]] = 0.0
    for out in (-1, 1):
        low = at_height(top + out * wide * across, -0.03)
        crest = np.column_stack([top, high])
        quads = np.stack([low[:-1], low[1:], crest[1:], crest[:-1]], axis=1)
        quads = quads if out < 0 else quads[:, ::-1]
        mesh.quads(quads, quads[..., :2] / bank.tile_m, bank.layer, bank.rgb)
    if rng.random() < 0.7:
        _pipe_line(finds, line - side * across * (half + 0.9))


def _pipe_line(finds: Finds, line_m: FloatArray) -> None:
    """Lay pipes end to end along a line, with gaps where some are already in the trench."""
    rng, mesh = finds.site.rng, finds.site.mesh
    bore, grey = float(rng.uniform(0.35, 0.95)), float(rng.uniform(0.6, 0.92))
    rgb = (grey, grey * 0.98, grey * 0.94) if rng.random() < 0.7 else (0.12, 0.13, 0.15)
    for start, end in zip(line_m[:-2:2], line_m[2::2], strict=False):
        if rng.random() < 0.3:
            continue
        along, (east, north) = end - start, ((start + end) / 2).tolist()
        turn = float(np.arctan2(along[1], along[0]) + rng.normal(0, 0.03))
        foot = Footprint(east, north, float(np.hypot(*along)) * 0.94, bore, turn)
        pipes(mesh, foot, bore, rgb)


def _machines(finds: Finds, strip: Strip) -> None:
    """Set one to three machines on a strip, more or less along it, and stacks of stuff."""
    rng, mesh = finds.site.rng, finds.site.mesh
    for _ in range(int(rng.integers(1, 3 + int(len(strip.line_m) > 25)))):
        at = int(rng.integers(1, len(strip.line_m) - 1))
        along = strip.line_m[at + 1] - strip.line_m[at - 1]
        turn = float(np.arctan2(along[1], along[0]) + rng.normal(0, 0.3))
        pick = int(rng.choice(3, p=(0.55, 0.2, 0.25)))
        thing = (excavator(), roller(), tipper("earth"))[pick]
        tints = TIPPER_RGB if pick == 2 else MACHINE_RGB
        spot = strip.beside(float(rng.uniform(-0.15, 0.15)))[at]
        stand(mesh, thing, spot, turn, tints[int(rng.integers(len(tints)))])
    tones = np.array([(0.82, 0.81, 0.78), (0.66, 0.64, 0.6), (0.75, 0.6, 0.4), (0.3, 0.45, 0.66)])
    for _ in range(int(rng.integers(1, 5))):
        spot = strip.beside(float(rng.uniform(-0.4, 0.4)))[int(rng.integers(len(strip.line_m)))]
        spots = spot + rng.normal(0, 1.0, (int(rng.integers(3, 12)), 2))
        strew(rng, mesh, at_height(spots, 0.0), (0.4, 1.5), tones)


def lay_strip(finds: Finds) -> bool:
    """Open up a strip of earth and record it; False, and nothing done, where no room is left."""
    strip = free_strip(finds)
    if strip is None:
        return False
    rng = finds.site.rng
    tones = EARTH_TONES[int(rng.integers(len(EARTH_TONES)))]
    outline = strip.outline()
    patch = lay_patch(finds, outline, tones, 0.45)
    wide = float(strip.wide_m.mean())
    lane = strip.beside(float(rng.uniform(-0.12, 0.12)))
    tread_road(patch, lane, min(3.6, wide * 0.5), float(rng.uniform(0.25, 0.7)))
    _spots(patch, strip, tones)
    if wide > 4.6 and rng.random() < 0.6:
        _trench(finds, patch, strip, tones)
    _machines(finds, strip)
    points = np.concatenate([at_height(outline, 0.05), at_height(strip.samples()[::2], 0.05)])
    finds.add(("violation", "bare_soil"), outline, points)
    return True


def _spots(patch: Patch, strip: Strip, tones: Tones) -> None:
    """Leave damp and dry earth, clods, puddles and some weeds along a strip."""
    rng = patch.finds.site.rng
    moist = (int(tones[0][0] * 0.8), int(tones[0][1] * 0.8), int(tones[0][2] * 0.8))
    green, wide = patch.finds.site.family.grass_rgb, float(strip.wide_m.mean())
    weedy, wet = rng.random() < 0.5, rng.random() < 0.5
    for start, end in zip(strip.line_m[:-3:3], strip.line_m[3::3], strict=False):
        along, (east, north) = end - start, ((start + end) / 2).tolist()
        turn, long = float(np.arctan2(along[1], along[0])), float(np.hypot(*along))
        piece = Footprint(east, north, long, wide, turn)
        blots(patch, piece, 2, (0.5, 2.2), (moist, 0.5))
        blots(patch, piece, 8, (0.12, 0.45), (tones[1], 0.7))
        if weedy and rng.random() < 0.5:
            blots(patch, piece, 3, (0.3, 1.0), (green, 0.75))
        if wet and rng.random() < 0.25:
            blots(patch, piece, 1, (0.5, 1.4), ((132, 116, 98), 0.8))
