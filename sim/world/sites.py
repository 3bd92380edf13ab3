"""Building sites and what resembles them: bare and netted soil, bare lots, ploughed fields."""

from __future__ import annotations

import cv2
import numpy as np

from sim.world.earth import (
    EARTH_TONES,
    Patch,
    Tones,
    blanket,
    blots,
    heap,
    lay_patch,
    lumpy_outline,
    roll_tracks,
)
from sim.world.finds import Finds, FloatArray, flat_points, free_plot, inside_points, tint_of
from sim.world.layout import Layout, Lot
from sim.world.lorries import excavator, roller, tipper
from sim.world.mesh import Footprint, Rgb, Skin, at_height, box
from sim.world.props import (
    MACHINE_RGB,
    TIPPER_RGB,
    crate,
    fence,
    pipes,
    stand,
    strew,
)
from sim.world.textures import Layer

OPEN_LOTS = ("yard", "field", "park", "site", "farm")
CLOSE_LOTS = ("parking", "block", "house", "row", "hall")  # with room between the buildings
_BLOCK_LEAST_M = 24.0
_FENCE_RGB = ((64, 120, 196), (58, 128, 88), (226, 228, 230), (70, 150, 160))


def clear_blocks(rng: np.random.Generator, layout: Layout, count: int) -> Layout:
    """Turn some whole blocks into one open lot each, so that there is room for sites and fields."""
    east_cuts = sorted(s.at_m for s in layout.streets if not s.along_east)
    north_cuts = sorted(s.at_m for s in layout.streets if s.along_east)
    blocks: dict[tuple[int, int], list[Lot]] = {}
    for lot in layout.lots:
        key = (
            int(np.searchsorted(east_cuts, lot.foot.east_m)),
            int(np.searchsorted(north_cuts, lot.foot.north_m)),
        )
        blocks.setdefault(key, []).append(lot)
    whole = {key: foot for key, lots in blocks.items() if (foot := _whole(lots)) is not None}
    keys = sorted(whole)
    chosen = [keys[i] for i in rng.permutation(len(keys))[:count]]
    gone = {id(lot) for key in chosen for lot in blocks[key]}
    kept = [lot for lot in layout.lots if id(lot) not in gone]
    return Layout(layout.river, layout.streets, (*kept, *(Lot("yard", whole[k]) for k in chosen)))


def _whole(lots: list[Lot]) -> Footprint | None:
    """Return the rectangle that lots fill, or None if they leave gaps or it is small."""
    if any(lot.foot.turn_rad != 0 for lot in lots):
        return None
    corners = np.concatenate([lot.foot.corners() for lot in lots])
    low, high = corners.min(axis=0), corners.max(axis=0)
    filled = sum(lot.foot.length_m * lot.foot.width_m for lot in lots)
    if filled < 0.97 * (high - low).prod() or (high - low).min() < _BLOCK_LEAST_M:
        return None
    (east, north), (long, wide) = ((low + high) / 2).tolist(), (high - low).tolist()
    return Footprint(east, north, long, wide)


def _site_size(rng: np.random.Generator, sizes_m: tuple[float, float]) -> tuple[float, float]:
    long = float(sizes_m[0] * (sizes_m[1] / sizes_m[0]) ** rng.random())
    return long, max(sizes_m[0] * 0.7, long * float(rng.uniform(0.4, 0.95)))


def _spot_in(rng: np.random.Generator, foot: Footprint, margin_m: float) -> FloatArray:
    room = np.maximum(np.array([foot.length_m, foot.width_m]) / 2 - margin_m, 0.1)
    return np.asarray(foot.place(rng.uniform(-1, 1, (1, 2)) * room)[0])


def _about(spot: FloatArray, size_m: tuple[float, float], turn_rad: float) -> Footprint:
    return Footprint(float(spot[0]), float(spot[1]), size_m[0], size_m[1], turn_rad)


def earthworks(finds: Finds, foot: Footprint, tones: Tones) -> None:
    """Set machines, heaps, pipes and stacks on a site, more of them on a larger one."""
    rng, mesh = finds.site.rng, finds.site.mesh
    area, used = foot.length_m * foot.width_m, 0
    for _ in range(min(4, int(rng.poisson(0.5 + area / 350)))):
        spot, turn = _spot_in(rng, foot, 4.0), float(rng.uniform(0, 6.28))
        tint = MACHINE_RGB[int(rng.integers(len(MACHINE_RGB)))]
        thing = (excavator(), roller(), tipper("earth"))[int(rng.choice(3, p=(0.55, 0.2, 0.25)))]
        if thing is tipper("earth"):
            tint = TIPPER_RGB[int(rng.integers(len(TIPPER_RGB)))]
        stand(mesh, thing, spot, turn, tint)
        used += 1
    soil = Skin(Layer.SOIL, tint_of(tones[int(rng.integers(2))], rng), 5.0)
    for _ in range(int(rng.integers(0 if used else 1, 3 + int(area / 160)))):
        size = float(rng.uniform(2.0, min(11.0, foot.width_m * 0.5)))
        spot = _spot_in(rng, foot, size * 0.6)
        under = _about(spot, (size, size * 0.8), float(rng.uniform(0, 3)))
        heap(
            finds, under, size * float(rng.uniform(0.08, 0.22)), soil, float(rng.uniform(0.8, 1.3))
        )
    if area > 180 and rng.random() < 0.5:
        _materials(finds, foot)
    if area > 400 and rng.random() < 0.28:
        _footings(finds, foot)


def _materials(finds: Finds, foot: Footprint) -> None:
    """Stack pipes, timber and bags where a lorry dropped them."""
    rng, mesh = finds.site.rng, finds.site.mesh
    spot, turn = _spot_in(rng, foot, 3.5), float(rng.uniform(0, 3.1))
    grey = float(rng.uniform(0.62, 0.92))
    under = _about(spot, (float(rng.uniform(1.8, 6)), float(rng.uniform(2, 6))), turn)
    pipes(mesh, under, float(rng.uniform(0.3, 1.2)), (grey, grey * 0.98, grey * 0.94))
    spots = spot + rng.normal(0, 3.0, (int(rng.integers(6, 22)), 2))
    tones = np.array([(0.75, 0.6, 0.4), (0.85, 0.84, 0.8), (0.35, 0.5, 0.7), (0.5, 0.3, 0.22)])
    strew(rng, mesh, at_height(spots, 0.0), (0.4, 1.8), tones)


def _footings(finds: Finds, foot: Footprint) -> None:
    """Begin a building: a slab with the columns of its first floor."""
    rng, mesh = finds.site.rng, finds.site.mesh
    long, wide = foot.length_m * rng.uniform(0.2, 0.45), foot.width_m * rng.uniform(0.2, 0.4)
    spot = _spot_in(rng, foot, 0.5 * float(np.hypot(long, wide)))
    slab = _about(spot, (float(long), float(wide)), foot.turn_rad)
    concrete = Skin(Layer.FLAT_ROOF, (0.82, 0.8, 0.76), 6.0)
    box(mesh, slab, (0.0, 0.35), concrete, concrete)
    stub = inside_points(
        Footprint(slab.east_m, slab.north_m, slab.length_m - 1, slab.width_m - 1, slab.turn_rad),
        4.0,
    )
    rows = np.column_stack(
        [
            stub,
            np.full(len(stub), 0.3),
            np.zeros(len(stub)),
            np.full((len(stub), 1), 0.5),
            np.full((len(stub), 1), float(rng.uniform(0.6, 3.2))),
        ]
    )
    crate().place(mesh, rows, np.full((len(stub), 3), 0.78))


def _dimmed(rgb: tuple[int, int, int], by: float = 0.8) -> tuple[int, int, int]:
    return int(rgb[0] * by), int(rgb[1] * by), int(rgb[2] * by)


def _age(patch: Patch, foot: Footprint) -> None:
    """Let weeds come up and water stand on a site that has lain for a while."""
    rng = patch.finds.site.rng
    area = foot.length_m * foot.width_m
    if rng.random() < 0.45:
        green = patch.finds.site.family.grass_rgb
        blots(patch, foot, int(area / rng.uniform(30, 90)) + 1, (0.3, 1.3), (green, 0.75))
    if rng.random() < 0.35:
        blots(patch, foot, int(rng.integers(1, 4)), (0.6, 1.8), ((126, 106, 88), 0.8))
    if rng.random() < 0.4:
        blots(patch, foot, int(rng.integers(2, 9)), (0.6, 1.8), ((206, 190, 168), 0.22))


def open_plot(finds: Finds) -> None:
    """Open up one plot as a building site and leave its earth uncovered."""
    rng, mesh = finds.site.rng, finds.site.mesh
    foot = free_plot(finds, OPEN_LOTS, _site_size(rng, (9.0, 40.0)))
    if foot is None:
        return
    tones = EARTH_TONES[int(rng.integers(len(EARTH_TONES)))]
    fenced = rng.random() < 0.45
    outline = foot.corners(-0.5) if fenced else lumpy_outline(rng, foot)
    patch = lay_patch(finds, outline, tones, 0.25 if fenced else 0.8)
    area = foot.length_m * foot.width_m
    blots(patch, foot, int(area / 40), (0.8, 3.5), (_dimmed(tones[0]), 0.55))
    blots(patch, foot, int(area / 12) + 2, (0.12, 0.5), (_dimmed(tones[1], 1.12), 0.7))
    roll_tracks(
        patch, foot, int(rng.integers(3, 6 + int(area / 60))), float(rng.uniform(0.35, 0.8))
    )
    _age(patch, foot)
    if fenced:
        tint = tint_of(_FENCE_RGB[int(rng.integers(len(_FENCE_RGB)))], rng)
        sides = tuple(int(i) for i in rng.permutation(4)[: int(rng.integers(2, 5))])
        fence(mesh, foot.corners(-0.2), Skin(Layer.RIBBED, tint, 6.0), 2.0, sides)
    earthworks(finds, foot, tones)
    around = np.concatenate([at_height(outline, 0.05), flat_points(_shrunk(foot, 0.8))])
    finds.add(("violation", "bare_soil"), outline, around)


def _shrunk(foot: Footprint, share: float) -> Footprint:
    return Footprint(
        foot.east_m, foot.north_m, foot.length_m * share, foot.width_m * share, foot.turn_rad
    )


_NET_RGB: tuple[Rgb, ...] = (  # over the green of the texture: green, dull, near black, faded
    (0.85, 0.68, 0.8),
    (0.8, 0.56, 0.72),
    (0.62, 0.36, 0.55),
    (1.25, 0.85, 1.15),
    (0.5, 0.44, 0.6),
)


def add_netted_soil(finds: Finds) -> None:
    """Cover soil with the green net that makes it legal, heaped or spread over a site."""
    rng, mesh = finds.site.rng, finds.site.mesh
    foot = free_plot(finds, OPEN_LOTS, _site_size(rng, (5.0, 26.0)))
    if foot is None:
        return
    tones = EARTH_TONES[int(rng.integers(len(EARTH_TONES)))]
    lay_patch(finds, foot.corners(0.2), tones, 0.5)
    tint = _NET_RGB[int(rng.integers(len(_NET_RGB)))]
    skin = Skin(Layer.NET, tint, float(rng.uniform(3.5, 6.0)))
    cols, rows = max(6, int(foot.length_m / 0.8)), max(6, int(foot.width_m / 0.8))
    up = _lumps(rng, (rows, cols)) * float(rng.uniform(0.2, min(3.2, foot.width_m * 0.22)))
    up[[0, -1]], up[:, [0, -1]] = 0.03, 0.03
    grid = blanket(finds, _shrunk(foot, 0.95), up, skin)
    _seams(finds, grid, tint)
    if rng.random() < 0.3:
        stand(mesh, excavator(), foot.corners(0.5)[0], float(rng.uniform(0, 6)), MACHINE_RGB[0])
    points = np.concatenate([grid[::3, ::3].reshape(-1, 3), at_height(foot.corners(-0.3), 0.05)])
    finds.add(("distractor", "netted_soil"), foot.corners(-0.2), points)


def _lumps(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Draw heights, 0 to 1, that fall off to the edges; shape as asked."""
    x, y = np.meshgrid(np.linspace(-1, 1, shape[1]), np.linspace(-1, 1, shape[0]))
    up = np.zeros(shape)
    for _ in range(int(rng.integers(2, 7))):
        east, north, reach = rng.uniform(-0.7, 0.7), rng.uniform(-0.6, 0.6), rng.uniform(0.25, 0.7)
        away = np.hypot(x - east, y - north) / reach
        up = np.maximum(up, rng.uniform(0.5, 1) * np.clip(1 - away, 0, 1))
    edge = np.clip(4 * (1 - np.maximum(np.abs(x), np.abs(y))), 0, 1)
    return np.asarray((up + 0.08 + 0.03 * rng.random(shape)) * edge)


def _seams(finds: Finds, grid: FloatArray, tint: Rgb) -> None:
    """Sew the net's widths together, and weigh the seams down with bags or stones."""
    rng, mesh = finds.site.rng, finds.site.mesh
    dark = (tint[0] * 0.55, tint[1] * 0.55, tint[2] * 0.55)
    step = int(rng.integers(4, 9))
    across = grid[1] - grid[0]
    width = 0.22 * across[:, :2] / (np.linalg.norm(across[:, :2], axis=1, keepdims=True) + 1e-9)
    for row in range(step, len(grid) - 1, step):
        low, high = grid[row].copy(), grid[row].copy()
        low[:, 2], high[:, 2] = low[:, 2] + 0.06, high[:, 2] + 0.06
        high[:, :2] += width
        quads = np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1)
        mesh.quads(quads, quads[..., :2] / 4.0, Layer.NET, dark)
    bags = grid[step::step, 1::3].reshape(-1, 3)
    if rng.random() < 0.7 and len(bags):
        bags = bags[rng.random(len(bags)) < 0.8]
        shade = np.array([(0.86, 0.84, 0.78), (0.6, 0.54, 0.46), (0.75, 0.74, 0.72)])
        strew(rng, mesh, bags, (0.3, 0.55), shade)


_LOT_TONES: tuple[Tones, ...] = (
    ((150, 144, 134), (182, 176, 164)),  # gravel
    ((156, 138, 112), (186, 168, 140)),  # trodden loam
    ((128, 124, 120), (158, 154, 150)),  # cinders
    ((168, 142, 122), (196, 172, 152)),  # reddish, trodden pale
)


def add_bare_lot(finds: Finds) -> None:
    """Leave a lot unpaved: trodden hard, wheel-marked, weedy at the edge, with parked vehicles.

    It is no site: no fresh earth, no hoarding, no heap, no earth-moving machine.
    """
    rng, mesh = finds.site.rng, finds.site.mesh
    foot = free_plot(finds, OPEN_LOTS, _site_size(rng, (9.0, 34.0)))
    if foot is None:
        return
    tones = _LOT_TONES[int(rng.integers(len(_LOT_TONES)))]
    outline = lumpy_outline(rng, foot, 0.05)
    patch = lay_patch(finds, outline, tones, 0.9)
    area = foot.length_m * foot.width_m
    roll_tracks(patch, foot, int(rng.integers(2, 6)), float(rng.uniform(0.06, 0.18)))
    green = finds.site.family.grass_rgb
    blots(patch, foot, int(area / rng.uniform(25, 70)), (0.3, 1.1), (green, 0.8))
    if rng.random() < 0.6 and foot.width_m > 9:
        turn = foot.turn_rad + np.pi / 2
        kind = ("empty", "sheeted")[int(rng.integers(2))]
        tint = TIPPER_RGB[int(rng.integers(len(TIPPER_RGB)))]
        for along in np.arange(-foot.length_m / 2 + 2.5, foot.length_m / 2 - 2.5, 3.4):
            if rng.random() < 0.55:
                spot = foot.place(np.array([[along, rng.normal(0, 0.3)]]))[0]
                stand(mesh, tipper(kind), spot, turn + rng.normal(0, 0.05), tint)
    points = np.concatenate([at_height(outline, 0.05), flat_points(_shrunk(foot, 0.8))])
    finds.add(("distractor", "bare_lot"), outline, points)


_PLOUGH_TONES: tuple[Tones, ...] = (
    ((92, 70, 52), (128, 102, 78)),
    ((112, 84, 62), (148, 118, 90)),
    ((128, 92, 70), (164, 128, 100)),
)


def add_ploughed_field(finds: Finds) -> None:
    """Plough a field: earth in parallel furrows from edge to edge, or beds with seedlings."""
    rng = finds.site.rng
    foot = free_plot(finds, OPEN_LOTS, _site_size(rng, (12.0, 40.0)))
    if foot is None:
        return
    tones = _PLOUGH_TONES[int(rng.integers(len(_PLOUGH_TONES)))]
    patch = lay_patch(finds, foot.corners(-0.4), tones, 0.2)
    furrows, seedlings = patch.canvas(), patch.canvas()
    gap, reach = float(rng.uniform(0.55, 1.3)), foot.length_m / 2
    planted = rng.random() < 0.4
    for across in np.arange(-foot.width_m / 2 + 0.5, foot.width_m / 2 - 0.3, gap):
        ends = patch.local(foot.place(np.array([[-reach, across], [reach, across]])))
        cv2.line(furrows, ends[0].tolist(), ends[1].tolist(), 1.0, 2, cv2.LINE_AA)
        middle = patch.local(
            foot.place(np.array([[-reach, across + gap / 2], [reach, across + gap / 2]]))
        )
        cv2.line(seedlings, middle[0].tolist(), middle[1].tolist(), 1.0, 2, cv2.LINE_AA)
    patch.mix(np.array(tones[0]) * 0.6, 0.6 * furrows)
    if planted:
        share = np.clip(0.5 + 0.5 * patch.noise, 0, 1)
        patch.mix(np.array([88, 122, 56]), 0.8 * seedlings * share)
    finds.add(("distractor", "ploughed_field"), foot.corners(-0.4), flat_points(foot))
