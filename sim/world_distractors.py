"""What only looks like a violation: each maker places one distractor and records its truth."""

from __future__ import annotations

import numpy as np

from sim.textures import Layer
from sim.world_finds import (
    EDGE_M,
    Finds,
    FloatArray,
    bank_spot,
    free_spot,
    mound,
    solid_points,
    tint_of,
)
from sim.world_ground import RIVER_DROP_M
from sim.world_layout import HALF_M
from sim.world_mesh import (
    Footprint,
    Skin,
    at_height,
    box,
    lorry_template,
)


def add_lorry(finds: Finds) -> None:
    """Park a box lorry."""
    rng = finds.site.rng
    spot = free_spot(finds, ("yard", "parking"), 4.3)
    if spot is None:
        return
    turn = float(rng.choice([0, np.pi / 2]) + rng.normal(0, 0.08))
    tint = ((0.92, 0.92, 0.92), (0.85, 0.86, 0.88), (0.72, 0.3, 0.16), (0.3, 0.5, 0.32))[
        int(rng.integers(4))
    ]
    lorry_template().place(finds.site.mesh, np.array([[*spot, 0, turn, 1, 1]]), np.array([tint]))
    foot = Footprint(*spot, 8.2, 2.45, turn)
    finds.add(("distractor", "lorry"), foot.corners(), solid_points(foot, (0.0, 3.3)))


def add_container(finds: Finds) -> None:
    """Set down a shipping container."""
    rng = finds.site.rng
    spot = free_spot(finds, ("yard",), 3.4)
    if spot is None:
        return
    foot = Footprint(*spot, 6.06, 2.44, float(rng.uniform(0, np.pi)))
    tint = tint_of(
        ((170, 62, 40), (196, 110, 44), (58, 112, 74), (120, 70, 52))[int(rng.integers(4))], rng
    )
    skin = Skin(Layer.RIBBED, tint, 3.2)
    box(finds.site.mesh, foot, (0.0, 2.6), skin, skin)
    finds.add(("distractor", "container"), foot.corners(), solid_points(foot, (0.0, 2.6)))


def _sheet(finds: Finds, foot: Footprint, up_m: float, skin: Skin) -> FloatArray:
    steps = np.linspace(-0.5, 0.5, 9)
    local = np.array([[[x * foot.length_m, y * foot.width_m] for x in steps] for y in steps])
    plane = foot.place(local.reshape(-1, 2)).reshape(9, 9, 2)
    up = np.full((9, 9, 1), up_m) + finds.site.rng.uniform(0, 0.22, (9, 9, 1))
    up[[0, -1]], up[:, [0, -1]] = 0.05, 0.05
    grid = np.concatenate([plane, up], axis=2)
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=2).reshape(
        -1, 4, 3
    )
    finds.site.mesh.quads(quads, quads[..., :2] / skin.tile_m, skin.layer, skin.rgb)
    return np.asarray(grid.reshape(-1, 3))


def add_tarpaulin(finds: Finds) -> None:
    """Spread a blue, green or striped sheet on the ground."""
    rng = finds.site.rng
    spot = free_spot(finds, ("yard", "field"), 3.6)
    if spot is None:
        return
    foot = Footprint(
        *spot, float(rng.uniform(3.5, 6)), float(rng.uniform(2.6, 4)), float(rng.uniform(0, 3.1))
    )
    tint = tint_of(
        ((48, 110, 190), (44, 104, 176), (60, 130, 84), (176, 120, 60))[int(rng.integers(4))], rng
    )
    points = _sheet(finds, foot, 0.25, Skin(Layer.CREASED, tint, 5.0))
    finds.add(("distractor", "tarpaulin"), foot.corners(), points)


def add_netted_soil(finds: Finds) -> None:
    """Heap soil and cover it with the green net that makes it legal."""
    rng = finds.site.rng
    size = float(rng.uniform(4.5, 9))
    spot = free_spot(finds, ("yard",), size / 2 + 0.5)
    if spot is None:
        return
    skin = Skin(Layer.NET, tint_of((235, 240, 235), rng), 5.0)
    outline, points = mound(finds, spot, (size, size * 0.8, float(rng.uniform(0.9, 1.9))), skin)
    finds.add(("distractor", "netted_soil"), outline, points)


def add_pool(finds: Finds) -> None:
    """Sink a swimming pool into a garden or yard."""
    rng = finds.site.rng
    spot = free_spot(finds, ("house", "park", "yard"), 3.8)
    if spot is None:
        return
    foot = Footprint(
        *spot,
        float(rng.uniform(5, 7.5)),
        float(rng.uniform(3, 4)),
        float(rng.choice([0, np.pi / 2])),
    )
    finds.ground.polygon(foot.corners(0.45), (222, 218, 208))
    finds.ground.polygon(foot.corners(), (76, 176, 196))
    finds.ground.wash(foot.corners(-0.6), (58, 156, 186), 0.6, 0.4)
    finds.add(("distractor", "pool"), foot.corners(0.4), at_height(foot.corners(0.4), 0.05))


def add_solar_panels(finds: Finds) -> None:
    """Lay solar panels on a flat roof."""
    rng, site = finds.site.rng, finds.site
    roofs = [
        (f, h)
        for f, h in site.flat_roofs
        if max(abs(f.east_m), abs(f.north_m)) < HALF_M - EDGE_M and f.length_m > 8
    ]
    if not roofs:
        return
    under, base = roofs[int(rng.integers(len(roofs)))]
    site.flat_roofs.remove((under, base))
    foot = Footprint(
        under.east_m, under.north_m, under.length_m * 0.62, under.width_m * 0.6, under.turn_rad
    )
    rim = Skin(Layer.PLAIN, (0.6, 0.6, 0.62), 3.0)
    box(site.mesh, foot, (base, base + 0.9), rim, Skin(Layer.SOLAR, (1.0, 1.0, 1.0), 4.2))
    finds.add(
        ("distractor", "solar_panels"), foot.corners(), solid_points(foot, (base, base + 0.9))
    )


def add_algae(finds: Finds) -> None:
    """Let algae bloom in the river, away from the quays."""
    rng, river = finds.site.rng, finds.site.layout.river
    spot = bank_spot(finds, 10.0)
    if spot is None:
        return
    north = spot[0]
    east = float(river.centre_m(north)) + rng.uniform(-0.15, 0.15) * river.width_m
    angles = np.linspace(0, 2 * np.pi, 22, endpoint=False)
    lumpy = 1 + 0.25 * np.sin(2 * angles + rng.uniform(0, 6)) + 0.15 * np.sin(5 * angles)
    size = float(rng.uniform(2.5, 4.5))
    outline = np.column_stack(
        [east + size * lumpy * np.cos(angles), north + 1.7 * size * lumpy * np.sin(angles)]
    )
    finds.ground.wash(outline, (92, 126, 52), float(rng.uniform(0.5, 0.8)), 0.9)
    finds.add(("distractor", "algae"), outline, at_height(outline, -RIVER_DROP_M + 0.1))


DISTRACTORS = {
    "lorry": add_lorry,
    "container": add_container,
    "tarpaulin": add_tarpaulin,
    "netted_soil": add_netted_soil,
    "pool": add_pool,
    "solar_panels": add_solar_panels,
    "algae": add_algae,
}
