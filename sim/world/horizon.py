"""What stands about the district: hedges, rows of trees, woods and houses, in few triangles.

They are 200 m off and more for a camera amid the district, so a tree has twenty triangles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.world.country import (
    COUNTRY_HALF_M,
    Country,
    Plot,
    paint_country,
    plan_country,
    roads_out,
)
from sim.world.families import Family
from sim.world.layout import HALF_M, Layout
from sim.world.mesh import (
    VERTEX_FLOATS,
    Footprint,
    MeshBuilder,
    Rgb,
    Skin,
    Template,
    blob,
    box,
    gable_roof,
)
from sim.world.textures import Layer

FloatArray = NDArray[np.float64]
_CELL_M = 96.0  # of the laid ground; divides both squares' sides
_CLEAR_M = 8.0  # nothing stands nearer to the district: a lane runs round it
_NEAR_M = 35.0  # trees so near to the district are built finer
_HEDGE_M = 10.0  # of one piece
_CANOPY_SHARE = 0.62  # height of a wood's closed canopy in that of its trees


def lay_country(
    mesh: MeshBuilder, rng: np.random.Generator, family: Family, layout: Layout
) -> Country:
    """Lay farmland, woods and houses around the district, so that its edge is none.

    Args:
        mesh: Where to.
        rng: Of the district.
        family: In its season; its colours go on into the country.
        layout: Its plan, for the river and the roads that go on.

    Returns:
        The country's picture, and what its horizon is like.
    """
    plots = plan_country(rng, family)
    country = paint_country(rng, family, layout, plots)
    _lay_ground(mesh)
    _wall_up_river(mesh, layout)
    spots = [_trees(rng, mesh, plot, family) for plot in plots]
    for plot in plots:
        if plot.kind == "built":
            _build(rng, mesh, plot, (family, layout))
    placed = np.concatenate([np.zeros((0, 6)), *spots])
    placed = placed[_is_open(layout, placed[:, :2], placed[:, 4])]
    _plant(rng, mesh, placed, family)
    hedges = np.concatenate([np.zeros((0, 6)), *(_hedges(rng, plot) for plot in plots)])
    hedges = hedges[_is_open(layout, hedges[:, :2], np.full(len(hedges), _HEDGE_M / 2))]
    leaf = np.array(family.grass_rgb) / 255 * 1.05
    _plant_hedges(mesh, leaf * rng.uniform(0.8, 1.15, (len(hedges), 1)), hedges)
    return country


def _is_open(layout: Layout, spots_m: FloatArray, radius_m: FloatArray) -> NDArray[np.bool_]:
    """Say of points, shape (N, 2), whether they lie in the country, off water and roads."""
    far = np.abs(spots_m).max(axis=1)
    inside = (far > HALF_M + _CLEAR_M + radius_m) & (far < COUNTRY_HALF_M - 2)
    dry = layout.river.distance_m(spots_m[:, 0], spots_m[:, 1]) > radius_m + 2
    for street in roads_out(layout):
        across = np.abs(spots_m[:, 1 if street.along_east else 0] - street.at_m)
        dry &= across > street.width_m / 2 + radius_m + 2
    return np.asarray(inside & dry, bool)


def _lay_ground(mesh: MeshBuilder) -> None:
    at = np.arange(-COUNTRY_HALF_M, COUNTRY_HALF_M, _CELL_M)
    west, south = (grid.ravel() for grid in np.meshgrid(at, at))
    outside = np.maximum(np.abs(west + _CELL_M / 2), np.abs(south + _CELL_M / 2)) > HALF_M
    west, south = west[outside], south[outside]
    e = np.stack([west, west + _CELL_M, west + _CELL_M, west], axis=1)
    n = np.stack([south, south, south + _CELL_M, south + _CELL_M], axis=1)
    quads = np.stack([e, n, np.zeros_like(e)], axis=2)
    mesh.quads(quads, np.zeros((len(e), 4, 2)), Layer.COUNTRY, (1.0, 1.0, 1.0))


def _wall_up_river(mesh: MeshBuilder, layout: Layout) -> None:
    """Close the step from the river's bed up to the country's lane, with a culvert's mouth."""
    for side in (-1, 1):
        middle = float(layout.river.centre_m(side * HALF_M))
        for half, low, high, out, grey in (
            (layout.river.width_m / 2 + 6, -1.6, 0.0, 0.0, 0.5),
            (layout.river.width_m / 2 - 1, -1.6, -0.35, 0.05, 0.09),
        ):
            east, north = side * half, side * (HALF_M - out)
            corners = np.array(
                [
                    [middle + east, north, low],
                    [middle - east, north, low],
                    [middle - east, north, high],
                    [middle + east, north, high],
                ]
            )
            mesh.metric_quad(corners, 4.0, Layer.PLAIN, (grey, grey, grey))


def _along_edges(rng: np.random.Generator, foot: Footprint, step_m: float) -> FloatArray:
    """Return points along a plot's sides, shape (N, 2)."""
    corners, out = foot.corners(), []
    for i in range(4):
        start, end = corners[i], corners[(i + 1) % 4]
        count = int(np.hypot(*(end - start)) / step_m)
        share = (np.arange(count)[:, None] + rng.uniform(0, 0.8, (count, 1))) / max(count, 1)
        out.append(start + share * (end - start))
    return np.concatenate(out)


def _inside(rng: np.random.Generator, foot: Footprint, step_m: float, loose: float) -> FloatArray:
    """Return points over a plot, shape (N, 2), in rows or loosened."""
    x = np.arange(-foot.length_m / 2 + step_m, foot.length_m / 2 - step_m / 2, step_m)
    y = np.arange(-foot.width_m / 2 + step_m, foot.width_m / 2 - step_m / 2, step_m)
    grid = np.stack(np.meshgrid(x, y), axis=2).reshape(-1, 2)
    return foot.place(grid + rng.normal(0, loose * step_m + 1e-9, grid.shape))


def _as_trees(
    rng: np.random.Generator, points_m: FloatArray, radius_m: tuple[float, float], slim: float
) -> FloatArray:
    """Give points a turn and a size; rows as Template.place takes them."""
    n = len(points_m)
    radius = rng.uniform(*radius_m, n)
    tall = radius * slim * rng.uniform(0.8, 1.25, n)
    return np.column_stack([points_m, np.zeros(n), rng.uniform(0, 6.28, n), radius, tall])


def _trees(rng: np.random.Generator, mesh: MeshBuilder, plot: Plot, family: Family) -> FloatArray:
    """Return the trees of a plot, shape (N, 6), and close a wood's canopy."""
    foot, rows = plot.foot, [np.zeros((0, 6))]
    if plot.kind == "wood":
        size = (float(rng.uniform(3.4, 4.6)), float(rng.uniform(5.2, 6.8)))
        rows.append(_as_trees(rng, _along_edges(rng, foot, 7.5), size, 2.1))
        rows.append(_as_trees(rng, _inside(rng, foot, 15.0, 0.3), size, 2.4))
        _close_canopy(mesh, foot, float(np.mean(size)) * 2.3 * _CANOPY_SHARE, family)
    elif plot.kind == "orchard":
        rows.append(_as_trees(rng, _inside(rng, foot, 8.0, 0.03), (1.8, 2.4), 1.7))
    elif plot.kind == "built":
        rows.append(_as_trees(rng, _inside(rng, foot, 32.0, 0.4), (2.2, 4.2), 2.0))
    else:
        lone = rng.uniform(-0.5, 0.5, (int(rng.integers(0, 3)), 2))
        lone = foot.place(lone * [foot.length_m, foot.width_m])
        rows.append(_as_trees(rng, lone, (3.0, 5.5), 2.0))
    if plot.edge == "trees":
        points = _along_edges(rng, foot, float(rng.uniform(8, 15)))
        slim = float(rng.choice([1.9, 3.2]))  # poplars are slim
        rows.append(_as_trees(rng, points, (2.4, 4.4), slim))
    elif plot.edge == "hedge":
        points = _along_edges(rng, foot, 30.0)
        rows.append(_as_trees(rng, points, (1.5, 3.2), 1.5))
    return np.concatenate(rows)


def _hedges(rng: np.random.Generator, plot: Plot) -> FloatArray:
    """Return the pieces of a plot's hedge, shape (N, 6), with a gap now and then."""
    corners, out = plot.foot.corners(), [np.zeros((0, 6))]
    for i in range(4):
        start, along = corners[i], corners[(i + 1) % 4] - corners[i]
        count = int(np.hypot(*along) / _HEDGE_M)
        share = (np.arange(count)[:, None] + 0.5) / max(count, 1)
        turn = np.full(count, np.arctan2(along[1], along[0])) + rng.normal(0, 0.03, count)
        size = rng.uniform(0.95, 1.15, count)
        piece = [start + share * along, np.zeros(count), turn, size, rng.uniform(1.1, 2.3, count)]
        out.append(np.column_stack(piece)[rng.random(count) < 0.9])
    return np.concatenate(out) if plot.edge == "hedge" else out[0]


def _plant_hedges(mesh: MeshBuilder, tints: FloatArray, pieces: FloatArray) -> None:
    piece, leaves = MeshBuilder(), Skin(Layer.LEAVES, (1.0, 1.0, 1.0), 2.5)
    top = Skin(Layer.LEAVES, (1.25, 1.25, 1.25), 2.5)
    box(piece, Footprint(0.0, 0.0, _HEDGE_M, 1.6), (0.0, 1.0), leaves, top)
    Template(piece.rows()).place(mesh, pieces, tints)


def _close_canopy(mesh: MeshBuilder, foot: Footprint, high_m: float, family: Family) -> None:
    """Lay leaves between a wood's trees, where all of it lies in the country."""
    inner = Footprint(foot.east_m, foot.north_m, foot.length_m - 9, foot.width_m - 9, foot.turn_rad)
    nearest = np.abs(inner.corners(_CLEAR_M))
    apart = np.abs([foot.east_m, foot.north_m]).max() - np.hypot(foot.length_m, foot.width_m) / 2
    if nearest.max() > COUNTRY_HALF_M or apart < HALF_M or min(inner.length_m, inner.width_m) < 6:
        return
    red, green, blue = np.array(family.grass_rgb) / 255 * 0.5
    skin = Skin(Layer.LEAVES, (float(red), float(green), float(blue)), 7.0)
    box(mesh, inner, (0.0, high_m), skin, skin)


def _tree(rng: np.random.Generator, subdivisions: int) -> Template:
    """Build a tree of few triangles, of unit crown radius and unit height."""
    vertices, faces = blob(rng, subdivisions, 0.35)
    corner = vertices[faces] * np.array([1.0, 1.0, 0.52]) + np.array([0.0, 0.0, 0.5])
    rows = np.zeros((len(faces), 3, VERTEX_FLOATS), np.float32)
    rows[..., 0:3] = corner
    rows[..., 3:6] = vertices[faces] / np.linalg.norm(vertices[faces], axis=2, keepdims=True)
    rows[..., 6:8] = corner[..., :2] * 0.9 + rng.uniform(0, 1, 2) + corner[..., 2:3] * 0.6
    rows[..., 8] = float(Layer.LEAVES)
    rows[..., 9:12] = np.clip(0.42 + 0.75 * (corner[..., 2:3] - 0.25), 0.3, 1.0)
    rows = rows[corner[..., 2].max(axis=1) > 0.47]  # nobody looks up at it from below
    return Template(rows.reshape(-1, VERTEX_FLOATS))


def _plant(rng: np.random.Generator, mesh: MeshBuilder, placed: FloatArray, family: Family) -> None:
    far = np.abs(placed[:, :2]).max(axis=1) > HALF_M + _NEAR_M
    kind = rng.integers(0, 3, len(placed))
    base = np.array([0.62, 0.78, 0.46]) * 0.45 + np.array(family.grass_rgb) / 255 * 0.6
    for i in range(3):
        for subdivisions, chosen in ((0, far), (1, ~far)):
            spots = placed[chosen & (kind == i)]
            tone = rng.uniform(0.72, 1.15, (len(spots), 1))
            tints = base * tone * rng.uniform(0.88, 1.12, (len(spots), 3))
            _tree(rng, subdivisions).place(mesh, spots, tints)


def _lit(rng: np.random.Generator, choices: tuple[tuple[int, int, int], ...]) -> Rgb:
    tone = np.array(choices[int(rng.integers(len(choices)))]) / 255 * 1.15
    red, green, blue = np.clip(tone * rng.uniform(0.88, 1.1), 0, 1)
    return float(red), float(green), float(blue)


def _build(
    rng: np.random.Generator, mesh: MeshBuilder, plot: Plot, where: tuple[Family, Layout]
) -> None:
    """Set houses over a plot; now and then blocks of flats, where the town itself is high."""
    family, layout = where
    is_high = family.floors[1] >= 5 and rng.random() < 0.4
    spots = _inside(rng, plot.foot, 42.0 if is_high else float(rng.uniform(19, 26)), 0.08)
    spots = spots[_is_open(layout, spots, np.full(len(spots), 12.0))]
    floors = int(rng.integers(5, 15)) if is_high else int(rng.integers(1, 3))
    for east, north in spots[rng.random(len(spots)) < 0.85]:
        turn = plot.foot.turn_rad + float(rng.choice([0.0, np.pi / 2]))
        size = (24.0, 13.0) if is_high else (float(rng.uniform(9, 14)), float(rng.uniform(7, 9)))
        foot = Footprint(float(east), float(north), *size, turn)
        high = 3.1 * (floors + int(rng.integers(0, 2)))
        wall = Skin(Layer.FACADE, _lit(rng, family.wall_rgb), 6.2)
        top = Skin(Layer.FLAT_ROOF, (0.66, 0.65, 0.63), 8.0)
        box(mesh, foot, (0.0, high), wall, top)
        if not is_high:
            roof = Skin(Layer.TILE_ROOF, _lit(rng, family.roof_rgb), 5.0)
            gable_roof(mesh, foot, (high, high + size[1] * 0.3), roof, wall)
