"""Excavations and shafts below the ground, with and without a barrier round them."""

from __future__ import annotations

import numpy as np

from sim.world.earth import EARTH_TONES, Tones, heap, lay_patch
from sim.world.finds import Finds, FloatArray, free_plot, inside_points, tint_of
from sim.world.lorries import excavator
from sim.world.mesh import Footprint, MeshBuilder, Rgb, Skin, at_height
from sim.world.props import (
    BARRIERS,
    MACHINE_RGB,
    barrier,
    stand,
    strew,
)
from sim.world.sites import CLOSE_LOTS, OPEN_LOTS
from sim.world.textures import Layer

_RIM_M = 0.75  # width of the trodden lip round a pit
_PILE_RGB = ((110, 84, 66), (96, 100, 104), (74, 88, 108), (120, 150, 164))


def _outline(rng: np.random.Generator, foot: Footprint, is_round: bool) -> FloatArray:
    """Return a pit's rim: a circle, a rectangle or one with a corner left standing."""
    if is_round:
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radius = min(foot.length_m, foot.width_m) / 2
        ring = radius * np.column_stack([np.cos(angles), np.sin(angles)])
        return foot.place(ring * (1 + rng.normal(0, 0.012, (24, 1))))
    half_l, half_w = foot.length_m / 2, foot.width_m / 2
    local = np.array([[-half_l, -half_w], [half_l, -half_w], [half_l, half_w], [-half_l, half_w]])
    if min(half_l, half_w) > 2.4 and rng.random() < 0.3:
        cut = np.array([half_l, half_w]) * rng.uniform(0.25, 0.7, 2)
        local = np.array(
            [
                [-half_l, -half_w],
                [half_l, -half_w],
                [half_l, half_w - cut[1]],
                [half_l - cut[0], half_w - cut[1]],
                [half_l - cut[0], half_w],
                [-half_l, half_w],
            ]
        )
    return foot.place(_waver(rng, local))


def _waver(rng: np.random.Generator, corners: FloatArray) -> FloatArray:
    """Put points along straight sides and push each a little, as a bucket leaves them."""
    out = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        pieces = max(2, int(np.hypot(*(end - start)) / 1.2))
        share = np.arange(pieces)[:, None] / pieces
        out.append(start + share * (end - start) + rng.normal(0, 0.07, (pieces, 2)))
    return np.concatenate(out)


def _strip(mesh: MeshBuilder, upper: FloatArray, lower: FloatArray, skin: Skin) -> None:
    """Join two closed lines, shape (N, 3) each, by a band of quads."""
    up_next, low_next = np.roll(upper, -1, axis=0), np.roll(lower, -1, axis=0)
    quads = np.stack([lower, low_next, up_next, upper], axis=1)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(up_next - upper, axis=1))])
    tall = np.linalg.norm(upper - lower, axis=1).mean()
    uv = np.stack(
        [
            np.column_stack([along[:-1], np.zeros(len(upper))]),
            np.column_stack([along[1:], np.zeros(len(upper))]),
            np.column_stack([along[1:], np.full(len(upper), tall)]),
            np.column_stack([along[:-1], np.full(len(upper), tall)]),
        ],
        axis=1,
    )
    mesh.quads(quads, uv / skin.tile_m, skin.layer, skin.rgb)


def _floor(mesh: MeshBuilder, ring: FloatArray, skin: Skin) -> None:
    """Close a ring, shape (N, 3), with a fan about its middle."""
    middle = np.tile(ring.mean(axis=0), (len(ring), 1))
    quads = np.stack([middle, ring, np.roll(ring, -1, axis=0), middle], axis=1)
    mesh.quads(quads, quads[..., :2] / skin.tile_m, skin.layer, skin.rgb)


def _walls_of(rng: np.random.Generator, tones: Tones, is_round: bool) -> Skin:
    concrete = float(rng.uniform(0.62, 0.8))
    sheet = ((110, 84, 66), (96, 100, 104), (74, 88, 108))[int(rng.integers(3))]
    earth = Skin(Layer.SOIL, tint_of(tones[0], rng), 4.0)
    if rng.random() < (0.5 if is_round else 0.3):
        lined = Skin(Layer.PLAIN, (concrete, concrete * 0.98, concrete * 0.95), 4.0)
        return (
            lined if is_round or rng.random() < 0.5 else Skin(Layer.RIBBED, tint_of(sheet, rng), 4)
        )
    return earth


def _bottom_of(rng: np.random.Generator, tones: Tones) -> Skin:
    draw = rng.random()
    if draw < 0.3:
        muddy: tuple[Rgb, ...] = ((0.36, 0.32, 0.24), (0.28, 0.34, 0.28), (0.5, 0.4, 0.3))
        return Skin(Layer.PLAIN, muddy[int(rng.integers(3))], 6.0)
    if draw < 0.45:
        return Skin(Layer.FLAT_ROOF, (0.7, 0.68, 0.64), 5.0)
    return Skin(Layer.SOIL, tint_of(tones[int(rng.integers(2))], rng), 4.0)


def _dig(finds: Finds, foot: Footprint, is_round: bool) -> tuple[FloatArray, float, Tones]:
    """Dig a pit; returns its rim (N, 2), its depth and the tones of its earth."""
    rng, mesh = finds.site.rng, finds.site.mesh
    tones = EARTH_TONES[int(rng.integers(len(EARTH_TONES)))]
    rim = _outline(rng, foot, is_round)
    small = min(foot.length_m, foot.width_m)
    depth = float(rng.uniform(2.5, 7.0) if is_round else rng.uniform(1.4, min(5.5, 1.5 + small)))
    middle = rim.mean(axis=0)
    slope = 0.02 if is_round else float(rng.uniform(0.03, 0.3))
    shrink = 1 - min(depth * slope, 0.35 * small) / (small / 2 + 1e-6)
    base = middle + (rim - middle) * shrink
    lip = float(rng.uniform(0.06, 0.3))
    out = rim - middle
    out /= np.linalg.norm(out, axis=1, keepdims=True) + 1e-9
    collar = rim + out * _RIM_M
    wall, soil = _walls_of(rng, tones, is_round), Skin(Layer.SOIL, tint_of(tones[1], rng), 4.0)
    crest = np.column_stack([rim, lip + rng.normal(0, 0.03, len(rim))])
    _strip(mesh, crest, at_height(collar, -0.12), soil)
    _strip(mesh, crest, at_height(base, -depth), wall)
    _floor(mesh, at_height(base, -depth), _bottom_of(rng, tones))
    finds.holes.append(rim)
    if rng.random() < (0.5 if is_round else 0.4):
        _frame(finds, rim, not is_round and small > 4.0 and rng.random() < 0.6)
    if not is_round and small > 3.5 and rng.random() < 0.6:
        _props_in(finds, rim, depth)
    return rim, depth, tones


def open_trench(finds: Finds, rim_m: FloatArray, depth_m: float, tones: Tones) -> None:
    """Cut a narrow trench: its rim, shape (N, 2), counter-clockwise, its depth and its earth."""
    rng, mesh = finds.site.rng, finds.site.mesh
    count = len(rim_m) // 2
    middle = (rim_m[:count] + rim_m[count:][::-1]) / 2
    pairs = np.concatenate([middle, middle[::-1]])
    out = rim_m - pairs
    out /= np.linalg.norm(out, axis=1, keepdims=True) + 1e-9
    soil = Skin(Layer.SOIL, tint_of(tones[1], rng), 4.0)
    dark = Skin(Layer.SOIL, tint_of(tones[0], rng), 4.0)
    crest, floor = at_height(rim_m, 0.05), at_height(rim_m - 0.06 * out, -depth_m)
    ends = rim_m.copy()  # the lip runs on past both ends, where the ground is cut in steps too
    for at, inner in ((0, 1), (count - 1, count - 2), (count, count + 1), (-1, -2)):
        along = rim_m[at] - rim_m[inner]
        ends[at] += along / (np.linalg.norm(along) + 1e-9) * _RIM_M
    _strip(mesh, crest, at_height(ends + out * _RIM_M, -0.12), soil)
    _strip(mesh, crest, floor, dark)
    quads = np.stack(
        [floor[: count - 1], floor[1:count], floor[::-1][1:count], floor[::-1][: count - 1]], axis=1
    )
    bottom = _bottom_of(rng, tones)
    mesh.quads(quads, quads[..., :2] / bottom.tile_m, bottom.layer, bottom.rgb)
    finds.holes.append(rim_m)


def _frame(finds: Finds, rim: FloatArray, sheeted: bool) -> None:
    """Edge a pit with a concrete frame, or let its sheet piles stand over the ground."""
    rng, mesh = finds.site.rng, finds.site.mesh
    grey = float(rng.uniform(0.66, 0.86))
    concrete = Skin(Layer.FLAT_ROOF, (grey, grey * 0.99, grey * 0.96), 5.0)
    steel = Skin(Layer.RIBBED, tint_of(_PILE_RGB[int(rng.integers(len(_PILE_RGB)))], rng), 2.2)
    high = float(rng.uniform(0.15, 0.5))
    middle = rim.mean(axis=0)
    out = rim - middle
    out /= np.linalg.norm(out, axis=1, keepdims=True) + 1e-9
    outer = rim + out * (0.12 if sheeted else float(rng.uniform(0.35, 0.6)))
    skin = steel if sheeted else concrete
    _strip(mesh, at_height(rim, high), at_height(rim, -1.2), skin)
    _strip(mesh, at_height(outer, high), at_height(rim, high), skin)
    _strip(mesh, at_height(outer, -0.1), at_height(outer, high), skin)


def _props_in(finds: Finds, rim: FloatArray, depth: float) -> None:
    """Leave in a foundation pit what stands in its mud: water, pile heads, a pump, shuttering."""
    rng, mesh = finds.site.rng, finds.site.mesh
    middle, base = rim.mean(axis=0), -depth + 0.02
    puddle = middle + (rim - middle) * rng.uniform(0.25, 0.55) + rng.normal(0, 0.3, 2)
    mud = ((0.4, 0.44, 0.4), (0.34, 0.3, 0.24), (0.52, 0.46, 0.36))[int(rng.integers(3))]
    _floor(mesh, at_height(puddle, base + 0.03), Skin(Layer.PLAIN, mud, 6.0))
    spots = middle + (rim[rng.integers(0, len(rim), 14)] - middle) * rng.uniform(0.1, 0.7, (14, 1))
    tones = np.array([(0.8, 0.79, 0.76), (0.74, 0.6, 0.42), (0.5, 0.6, 0.64), (0.5, 0.34, 0.26)])
    strew(rng, mesh, at_height(spots, base), (0.4, 1.3), tones)


def _surroundings(finds: Finds, foot: Footprint, tones: Tones) -> None:
    """Trample the earth round a pit and throw what came out of it beside."""
    rng = finds.site.rng
    grow = float(rng.uniform(1.0, 2.6))
    outer = Footprint(
        foot.east_m, foot.north_m, foot.length_m + 2 * grow, foot.width_m + 2 * grow, foot.turn_rad
    )
    lay_patch(finds, outer.corners(), tones, 0.7)


def _beside(finds: Finds, foot: Footprint, tones: Tones, gap_m: float) -> None:
    """Put a spoil heap, an excavator or timber beside a pit, clear of its rim."""
    rng, mesh = finds.site.rng, finds.site.mesh
    side = float(rng.choice([-1, 1]))
    size = float(rng.uniform(1.8, 4.0))
    local = np.array(
        [[rng.uniform(-0.3, 0.3) * foot.length_m, side * (foot.width_m / 2 + gap_m + size * 0.5)]]
    )
    spot = foot.place(local)[0]
    draw = rng.random()
    if draw < 0.5 and finds.site.is_free(float(spot[0]), float(spot[1]), 0.2):
        under = Footprint(float(spot[0]), float(spot[1]), size * 1.5, size, foot.turn_rad)
        heap(finds, under, size * 0.3, Skin(Layer.SOIL, tint_of(tones[1], rng), 4.0))
    elif draw < 0.7 and foot.width_m > 4:
        turn = foot.turn_rad - side * np.pi / 2
        tint = MACHINE_RGB[int(rng.integers(len(MACHINE_RGB)))]
        stand(mesh, excavator(), foot.place(local + np.array([[0, side * 2.5]]))[0], turn, tint)
    else:
        spots = at_height(spot + rng.normal(0, 0.8, (8, 2)), 0.0)
        strew(rng, mesh, spots, (0.3, 1.4), np.array([(0.74, 0.6, 0.42), (0.7, 0.7, 0.68)]))


def _on_works(finds: Finds, spare_m: float) -> Footprint | None:
    """Take a corner that a building site keeps for its pit, if one is left."""
    while finds.corners:
        plot = finds.corners.pop()
        long, wide = plot.length_m - 2 * spare_m, plot.width_m - 2 * spare_m
        if min(long, wide) > 2.0:
            return Footprint(plot.east_m, plot.north_m, long, wide, plot.turn_rad)
    return None


def _place(finds: Finds, spare_m: float) -> tuple[Footprint, bool] | None:
    """Find room for a pit and what is round it: its own rectangle, and whether it is a shaft."""
    rng = finds.site.rng
    is_round = bool(rng.random() < 0.3)
    if (corner := _on_works(finds, spare_m)) is not None:
        return corner, is_round
    if is_round:
        long = wide = float(rng.uniform(2.0, 6.0))
    else:
        long = float(2.2 * (15 / 2.2) ** rng.random())
        wide = max(2.0, long * float(rng.uniform(0.3, 0.95)))
    plot = free_plot(finds, OPEN_LOTS, (long + 2 * spare_m, wide + 2 * spare_m), 0.9)
    if plot is None:  # no room on open land: a smaller one, in a courtyard or a car park
        long, wide = min(long, 3.6), min(wide, 2.6)
        wanted = (long + 2 * spare_m - 1, wide + 2 * spare_m - 1)
        plot = free_plot(finds, (*OPEN_LOTS, *CLOSE_LOTS), wanted, 0.9)
        spare_m -= 0.5
    if plot is None:  # a manhole of a shaft
        long, wide = min(long, 2.2), min(wide, 2.2)
        wanted = (long + 2 * spare_m - 1, wide + 2 * spare_m - 1)
        plot = free_plot(finds, (*OPEN_LOTS, *CLOSE_LOTS), wanted, 0.9)
    if plot is None:
        return None
    long, wide = plot.length_m - 2 * spare_m, plot.width_m - 2 * spare_m
    return Footprint(plot.east_m, plot.north_m, long, wide, plot.turn_rad), is_round


def _inner(rim: FloatArray, foot: Footprint) -> FloatArray:
    """Sample the mouth of a pit at the ground's height, shape (K, 3)."""
    small = Footprint(
        foot.east_m, foot.north_m, foot.length_m * 0.6, foot.width_m * 0.6, foot.turn_rad
    )
    return at_height(np.concatenate([rim, inside_points(small, 1.5)]), 0.05)


def add_open_pit(finds: Finds) -> None:
    """Dig a deep pit or a shaft and leave it without a barrier."""
    placed = _place(finds, 2.6)
    if placed is None:
        return
    foot, is_round = placed
    rim, depth, tones = _dig(finds, foot, is_round)
    _surroundings(finds, foot, tones)
    _beside(finds, foot, tones, 1.0)
    finds.add(("violation", "open_pit"), rim, _inner(rim, foot), None, depth)


def add_guarded_pit(finds: Finds) -> None:
    """Dig a pit and close it off all round, as the rules ask."""
    placed = _place(finds, 2.8)
    if placed is None:
        return
    foot, is_round = placed
    rng = finds.site.rng
    rim, depth, tones = _dig(finds, foot, is_round)
    _surroundings(finds, foot, tones)
    gap = float(rng.uniform(0.9, 1.5))
    middle = rim.mean(axis=0)
    out = rim - middle
    if is_round:
        ring = middle + out * (1 + gap / (foot.width_m / 2))
        line = ring[::3]
    else:
        line = foot.corners(gap)
    styles = list(BARRIERS)
    barrier(finds.site.mesh, line, styles[int(rng.integers(len(styles)))])
    points = np.concatenate([at_height(line, 0.05), at_height(line, 1.1), _inner(rim, foot)])
    finds.add(("distractor", "guarded_pit"), line, points, None, depth)
