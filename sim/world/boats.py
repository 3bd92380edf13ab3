"""Boats and white water: marinas, moorings, wakes, weirs, surf, all of it ordinary."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.world.buildings import Named, Site
from sim.world.finds import Finds, bank_spot, solid_points
from sim.world.ground import GROUND_PX, RIVER_DROP_M, Material, pixels
from sim.world.layout import HALF_M, pond_outline
from sim.world.mesh import Footprint, MeshBuilder, Rgb, Skin, Template, at_height, box, walls
from sim.world.textures import Layer

FloatArray = NDArray[np.float64]
_LENGTH_M, _BEAM_M = 7.6, 2.5  # of the template
_MARINA_LEAST_M = 27.0  # a narrower river has no room for jetties
_HULL_RGB = ((0.95, 0.95, 0.95), (0.9, 0.91, 0.93), (0.3, 0.42, 0.6), (0.7, 0.3, 0.24))
_HULL_SHARE = (0.62, 0.2, 0.1, 0.08)
_FOAM_RGB = (226, 230, 228)


def boat_template() -> Template:
    """Build a boat about its waterline, bow to +x; the hull takes the tint."""
    mesh = MeshBuilder()
    hull = np.array([[-3.6, -1.2], [1.6, -1.25], [4.0, 0.0], [1.6, 1.25], [-3.6, 1.2]])
    paint = Skin(Layer.PLAIN, (1.0, 1.0, 1.0), 4.0)
    walls(mesh, hull, (-0.4, 0.8), paint)
    deck = at_height(hull, 0.75)
    wood: Rgb = (0.72, 0.64, 0.52)
    mesh.metric_quad(deck[[0, 1, 3, 4]], 3.0, Layer.PLAIN, wood)
    mesh.metric_quad(deck[[1, 2, 2, 3]], 3.0, Layer.PLAIN, wood)
    box(mesh, Footprint(-0.8, 0, 3.0, 1.7), (0.75, 2.1), paint, paint)
    glass = Skin(Layer.PLAIN, (0.12, 0.15, 0.19), 3.0)
    box(mesh, Footprint(0.75, 0, 0.3, 1.5), (1.2, 1.9), glass, glass)
    return Template(mesh.rows())


def _yacht_template() -> Template:
    """Build a yacht under bare poles: white deck, dark cockpit, mast and boom."""
    mesh = MeshBuilder()
    hull = np.array([[-3.6, -0.9], [0.6, -1.2], [4.0, 0.0], [0.6, 1.2], [-3.6, 0.9]])
    paint = Skin(Layer.PLAIN, (1.0, 1.0, 1.0), 4.0)
    walls(mesh, hull, (-0.4, 0.7), paint)
    deck = at_height(hull, 0.68)
    white: Rgb = (0.9, 0.9, 0.88)
    mesh.metric_quad(deck[[0, 1, 3, 4]], 3.0, Layer.PLAIN, white)
    mesh.metric_quad(deck[[1, 2, 2, 3]], 3.0, Layer.PLAIN, white)
    dark = Skin(Layer.PLAIN, (0.2, 0.26, 0.36), 3.0)
    box(mesh, Footprint(-2.2, 0, 1.8, 1.1), (0.68, 0.8), dark, dark)
    box(mesh, Footprint(0.3, 0, 2.2, 1.0), (0.68, 1.1), paint, paint)
    pole = Skin(Layer.PLAIN, (0.75, 0.76, 0.78), 3.0)
    box(mesh, Footprint(0.9, 0, 0.14, 0.14), (0.7, 9.0), pole, pole)
    box(mesh, Footprint(-0.9, 0, 3.4, 0.22), (1.7, 1.95), dark, dark)
    return Template(mesh.rows())


def _put(site: Site, berths: list[tuple[float, float, float, float]]) -> list[Named]:
    """Float boats: east, north, turn and scale of each; returns what the truth says of them."""
    if not berths:
        return []
    rng, table = site.rng, np.array(berths)
    level = np.full(len(table), -RIVER_DROP_M)
    rows = np.column_stack([table[:, :2], level, table[:, 2:4], table[:, 3]])
    tints = np.array(_HULL_RGB)[rng.choice(len(_HULL_RGB), len(rows), p=_HULL_SHARE)]
    sails = rng.random(len(rows)) < 0.4
    for chosen, template in ((~sails, boat_template()), (sails, _yacht_template())):
        template.place(site.mesh, rows[chosen], tints[chosen])
    out = []
    for east, north, turn, scale in berths:
        foot = Footprint(east, north, _LENGTH_M * scale, _BEAM_M * scale, turn)
        heights = (-RIVER_DROP_M, 0.8 * scale - RIVER_DROP_M + 0.6)
        out.append(Named("boat", foot.corners(), solid_points(foot, heights)))
    return out


def _clear_of_bridges(site: Site, north_m: float, margin_m: float) -> bool:
    bridges = [s.at_m for s in site.layout.streets if s.has_bridge]
    return all(abs(north_m - at) > margin_m for at in bridges)


def moor(site: Site, count: int) -> None:
    """Moor boats along the quays, and where the river is wide at the jetties of a marina."""
    rng, river = site.rng, site.layout.river
    if river.width_m > _MARINA_LEAST_M and rng.random() < 0.75:
        _marina(site)
    berths = []
    for _ in range(count):
        north = float(rng.uniform(-HALF_M + 8, HALF_M - 8))
        side = float(rng.choice([-1, 1]))
        east = float(river.centre_m(north)) + side * (river.width_m / 2 - 2.2)
        if not _clear_of_bridges(site, north, 12) or not site.is_free(east, north, 5.0):
            continue
        site.taken.append((east, north, 5.0))
        turn = float(np.pi / 2 * rng.choice([-1, 1]) + rng.normal(0, 0.04))
        berths.append((east, north, turn, float(rng.uniform(0.6, 1.5))))
    site.named += _put(site, berths)


def _marina(site: Site) -> None:
    """Run jetties out from one bank, boats side by side along both sides of each."""
    rng, river = site.rng, site.layout.river
    count, gap = int(rng.integers(2, 4)), float(rng.uniform(13, 16))
    reach = float(np.clip(river.width_m * 0.42, 8.0, 20.0))
    for _ in range(30):
        start, side = float(rng.uniform(-140, 140 - count * gap)), float(rng.choice([-1, 1]))
        norths = start + gap * np.arange(count)
        if all(_clear_of_bridges(site, n, 16) for n in norths):
            break
    else:
        return
    wood = Skin(Layer.PLAIN, (0.66, 0.6, 0.52), 3.0)
    berths = []
    for north in norths.tolist():
        edge = float(river.centre_m(north)) + side * (river.width_m / 2 + 0.6)
        jetty = Footprint(edge - side * reach / 2, north, reach, 1.4)
        box(site.mesh, jetty, (-RIVER_DROP_M - 0.1, -RIVER_DROP_M + 0.5), wood, wood)
        site.take(Footprint(jetty.east_m, north, reach + 2, gap))
        scale = float(rng.uniform(0.6, 0.8))
        for out in np.arange(2.6, reach - 0.8, 2.9 * scale + 0.4):
            for way in (-1.0, 1.0):
                if rng.random() < 0.14:
                    continue
                at = north + way * (0.9 + _LENGTH_M * scale / 2)
                turn = float(-way * np.pi / 2 + rng.normal(0, 0.03))
                berths.append((edge - side * out, at, turn, scale * float(rng.uniform(0.85, 1.0))))
    site.named += _put(site, berths)


def add_boat(finds: Finds) -> None:
    """Let a boat lie at a quay, or run along the river before a white wake."""
    rng, site = finds.site.rng, finds.site
    river = site.layout.river
    spot = bank_spot(finds, 8.0)
    if spot is None:
        return
    north, side = spot
    middle = north + (4.0 if river.flows_north else -4.0)
    is_moored = river.width_m < 9 or rng.random() < 0.4
    off = 2.0 if is_moored else river.width_m * float(rng.uniform(0.2, 0.35))
    east = float(river.centre_m(middle)) + side * (river.width_m / 2 - off)
    way, scale = float(rng.choice([-1, 1])), float(rng.uniform(0.6, 1.1))
    if not is_moored:
        _wake(finds, (east, middle), way, scale)
    for thing in _put(site, [(east, middle, way * np.pi / 2, scale)]):
        finds.add(("distractor", thing.cause), thing.outline_m, thing.points_m)


def _foam(finds: Finds, line_m: FloatArray, half_m: float, share: float) -> None:
    """Break the water white in flecks along a line, shape (N, 2); never what is no water."""
    rng, ground = finds.site.rng, finds.ground
    legs = np.linalg.norm(np.diff(line_m, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(legs)])
    count = int(along[-1] * half_m * 40 * share)
    at = rng.uniform(0, along[-1], count)
    spots = np.column_stack([np.interp(at, along, line_m[:, k]) for k in (0, 1)])
    spots = np.clip(pixels(spots + rng.normal(0, half_m * 0.5, spots.shape)), 0, GROUND_PX - 1)
    spots = spots[ground.material[spots[:, 1], spots[:, 0]] == Material.WATER]
    for col, row in spots.tolist():
        tone = np.array(_FOAM_RGB) * rng.uniform(0.84, 1.1)
        axes, turn = (int(rng.integers(1, 4)), int(rng.integers(1, 3))), float(rng.uniform(0, 180))
        rgb = np.minimum(tone, 255).astype(int).tolist()
        cv2.ellipse(ground.rgb, (col, row), axes, turn, 0, 360, rgb, -1)


def _wake(finds: Finds, spot: tuple[float, float], way: float, scale: float) -> None:
    """Draw a boat's wake: churned water behind it, and the two arms of its bow wave."""
    rng, here = finds.site.rng, np.array(spot)
    long = float(rng.uniform(9, 22)) * scale
    _foam(finds, here - np.array([[0.0, 3.4], [0.0, long]]) * way * [1, 1], 0.5 * scale, 0.9)
    for side in (-1.0, 1.0):
        arm = np.array([[0.0, -3.0 * scale], [side * long * 0.3, long]])
        _foam(finds, here - arm * way, 0.22 * scale, 0.5)


def whiten_water(finds: Finds) -> None:
    """Let water break where it does so every day: at a weir, along quays and ponds' edges."""
    site, rng = finds.site, finds.site.rng
    river = site.layout.river
    if rng.random() < 0.5:
        _weir(finds)
    if rng.random() < 0.35:  # waves against the bank that the wind blows on
        north = np.linspace(-HALF_M, HALF_M, 60)
        side = float(rng.choice([-1, 1]))
        for row in range(int(rng.integers(1, 3))):
            off = river.width_m / 2 - 0.5 - 1.6 * row
            lap = 0.3 * np.sin(north * 0.5 + rng.uniform(0, 6))
            line = np.column_stack([river.centre_m(north) + side * off + lap, north])
            _foam(finds, line, 0.3, float(rng.uniform(0.06, 0.2)))
    for lot in site.layout.lots:
        if lot.kind == "pond" and rng.random() < 0.5:
            shore = pond_outline(lot)
            middle = shore.mean(axis=0)
            part = shore[: int(rng.integers(14, 40))]
            _foam(finds, middle + (part - middle) * 0.95, 0.25, float(rng.uniform(0.2, 0.5)))


def _weir(finds: Finds) -> None:
    """Lay a sill across the river where nothing lies in it, white water below."""
    site, rng = finds.site, finds.site.rng
    river = site.layout.river
    sign = 1.0 if river.flows_north else -1.0
    for _ in range(12):
        north = float(rng.uniform(-HALF_M + 30, HALF_M - 30))
        middle = float(river.centre_m(north))
        across = np.linspace(-0.45, 0.45, 7) * river.width_m + middle
        spots = np.column_stack([across, np.full(7, north)])
        if not _clear_of_bridges(site, north, 14) or not site.all_free(spots, 5.0):
            continue
        stone = Skin(Layer.PLAIN, (0.5, 0.49, 0.46), 3.0)
        sill = Footprint(middle, north, river.width_m + 0.6, 0.9)
        box(site.mesh, sill, (-RIVER_DROP_M - 0.3, -RIVER_DROP_M + 0.22), stone, stone)
        site.taken += [(float(e), north, 3.0) for e in across]
        for step, (half, share) in enumerate(((0.5, 1.6), (0.9, 0.9), (1.4, 0.3))):
            line = spots + np.array([0.0, sign * (0.9 + 1.5 * step)])
            _foam(finds, line, half, share)
        return
