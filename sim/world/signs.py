"""Signs: of roads, of shops on their facades and roofs, and billboards."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np

from sim.world.buildings import Site
from sim.world.finds import Finds, free_spot, solid_points
from sim.world.mesh import Footprint, MeshBuilder, Rgb, Template, at_height, box
from sim.world.textures import SIGN_RGB, SIGN_ROWS, Layer
from sim.world.vehicles import hull, plain


@cache
def traffic_sign(shape: str) -> Template:
    """Build a road sign facing +x: "way" on a wide blue board, "round" or "light" on a mast."""
    mesh, pole = MeshBuilder(), plain((0.7, 0.71, 0.72))
    tall = {"way": 4.6, "round": 2.3, "light": 5.2}[shape]
    hull(mesh, ((-0.06, 0.06, 0.06, 0.03), (-0.05, 0.05, 0.05, tall)), pole)
    if shape == "way":
        board = Footprint(0.1, 0, 3.2, 0.08, np.pi / 2)
        rgb: Rgb = (0.08, 0.3, 0.68)
        box(mesh, board, (3.0, 4.8), plain(rgb), plain(rgb))
        lettered(mesh, Footprint(0.15, 0, 2.8, 0.02, np.pi / 2), (3.3, 4.4), 1)
    elif shape == "round":
        for wide, rgb, out in ((0.34, (0.85, 0.1, 0.1), 0.09), (0.22, (0.95, 0.95, 0.95), 0.1)):
            _disc(mesh, out, 2.4, wide, rgb)
    else:
        hull(mesh, ((-0.05, 0.05, 0.05, 5.1), (-0.05, 0.05, 0.05, 5.3)), pole)
        box(mesh, Footprint(0.15, 0, 0.3, 0.35), (4.2, 5.3), *(plain((0.08, 0.08, 0.08)),) * 2)
        _disc(mesh, 0.32, 5.0, 0.12, (1.0, 0.15, 0.1))
    return Template(mesh.rows())


def _disc(mesh: MeshBuilder, out_m: float, up_m: float, radius_m: float, rgb: Rgb) -> None:
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False) + np.pi / 8
    ring = np.column_stack(
        [np.full(8, out_m), radius_m * np.cos(angles), up_m + radius_m * np.sin(angles)]
    )
    for pick in ([0, 1, 2, 3], [0, 3, 4, 7], [4, 5, 6, 7]):
        mesh.metric_quad(ring[pick], 4.0, Layer.PLAIN, rgb)


def lettered(mesh: MeshBuilder, face: Footprint, heights_m: tuple[float, float], row: int) -> None:
    """Hang a line of lettering on the side of a footprint that faces its own -y.

    Args:
        mesh: Where to.
        face: As long as the lettering.
        heights_m: Its lower and its upper edge.
        row: Which line of the sheet of letters, 0 to SIGN_ROWS - 1.
    """
    low = face.corners()[:2]
    corners = np.concatenate([at_height(low, heights_m[0]), at_height(low[::-1], heights_m[1])])
    glyphs = face.length_m / max(heights_m[1] - heights_m[0], 0.1) / SIGN_ROWS
    start = (face.east_m * 0.37 + face.north_m * 0.61 + row * 0.29) % 1.0
    top, bottom = (row + 0.06) / SIGN_ROWS, (row + 0.94) / SIGN_ROWS
    u0, u1 = start, start + glyphs
    uv = np.array([[[u0, bottom], [u1, bottom], [u1, top], [u0, top]]])
    mesh.quads(corners[None], uv, Layer.SIGNS, (1.0, 1.0, 1.0))


def _shop_front(site: Site, body: Footprint, band_m: tuple[float, float]) -> None:
    """Run signs of several colours along one long side, in a band of a lower edge and a height."""
    rng = site.rng
    turn = body.turn_rad + (np.pi if rng.random() < 0.5 else 0.0)
    turned = Footprint(body.east_m, body.north_m, body.length_m, body.width_m, turn)
    low, high = band_m
    along = -turned.length_m / 2 + 0.3
    while along < turned.length_m / 2 - 2.5:
        long = min(float(rng.uniform(3.0, 8.5)), turned.length_m / 2 - 0.3 - along)
        middle = turned.place(np.array([[along + long / 2, -turned.width_m / 2 - 0.16]]))[0]
        sign = Footprint(float(middle[0]), float(middle[1]), long, 0.3, turned.turn_rad)
        _signboard(site, sign, (low, low + high))
        along += long + float(rng.choice([0.1, 0.2, 3.0], p=[0.5, 0.3, 0.2]))


def _signboard(site: Site, sign: Footprint, heights_m: tuple[float, float]) -> None:
    row = int(site.rng.integers(SIGN_ROWS))
    skin = plain(_board_rgb(row))
    box(site.mesh, sign, heights_m, skin, skin)
    inner = (heights_m[0] + 0.06, heights_m[1] - 0.06)
    front = sign.place(np.array([[0.0, -0.02]]))[0]
    face = Footprint(
        float(front[0]), float(front[1]), sign.length_m - 0.2, sign.width_m, sign.turn_rad
    )
    lettered(site.mesh, face, inner, row)


def hang_signs(site: Site) -> None:
    """Hang shop signs over ground floors and stand large letters along flat roofs' edges."""
    rng = site.rng
    for body, high in site.fronts:
        if rng.random() < 0.7:
            _shop_front(site, body, (float(rng.uniform(2.6, 3.2)), float(rng.uniform(0.9, 1.5))))
        if rng.random() < 0.3:
            tall = float(rng.uniform(1.2, 2.0))
            _shop_front(site, body, (high - tall - 0.2, tall))
    for body, up in site.flat_roofs:
        if body.length_m > 11 and rng.random() < 0.25:
            half = body.turn_rad + (np.pi if rng.random() < 0.5 else 0.0)
            long = float(rng.uniform(0.3, 0.8)) * body.length_m
            whole = Footprint(body.east_m, body.north_m, body.length_m, body.width_m, half)
            spot = whole.place(np.array([[0.0, -body.width_m / 2 + 0.6]]))[0]
            sign = Footprint(float(spot[0]), float(spot[1]), long, 0.3, half)
            _signboard(site, sign, (up + 0.5, up + float(rng.uniform(1.6, 3.2))))


def add_billboard(finds: Finds) -> None:
    """Put up a billboard: on posts, as a slim pillar, or standing on the ground."""
    rng, mesh = finds.site.rng, finds.site.mesh
    style = int(rng.choice(4, p=[0.3, 0.2, 0.25, 0.25]))
    long, high, under = (
        (float(rng.uniform(5, 10)), float(rng.uniform(2.5, 4.5)), float(rng.uniform(2.5, 6))),
        (float(rng.uniform(1.4, 2.4)), float(rng.uniform(4.0, 7.0)), 0.3),
        (float(rng.uniform(4, 12)), float(rng.uniform(2.0, 3.5)), 0.2),
        (float(rng.uniform(6, 12)), float(rng.uniform(5.0, 9.0)), float(rng.uniform(0.4, 3.0))),
    )[style]
    spot = free_spot(finds, ("yard", "parking", "park", "field", "block", "hall"), long / 2 + 0.4)
    if spot is None:
        return
    foot = Footprint(*spot, long, 0.5, float(rng.uniform(0, 2 * np.pi)))
    grey = plain((0.6, 0.61, 0.62))
    for share in (-0.3, 0.3) if long > 3.0 else (0.0,):
        east, north = (float(v) for v in foot.place(np.array([[share * long, 0.0]]))[0])
        box(mesh, Footprint(east, north, 0.3, 0.3, foot.turn_rad), (0.02, under), grey, grey)
    board = plain((0.94, 0.94, 0.93))
    box(mesh, foot, (under, under + high), board, board)
    for turn in (foot.turn_rad, foot.turn_rad + np.pi):
        _compose(finds.site, Footprint(*spot, long, 0.54, turn), (under, under + high))
    points = solid_points(foot, (0.0, under + high))
    finds.add(("distractor", "billboard"), foot.corners(), points)


def _compose(site: Site, face: Footprint, heights_m: tuple[float, float]) -> None:
    """Fill a board's face with bands of colour, and lettering on most of them."""
    rng, (low, high) = site.rng, heights_m
    cuts = np.sort(rng.uniform(0.15, 0.85, int(rng.integers(1, 4))))
    edges = low + (high - low) * np.array([0.0, *cuts, 1.0])
    for bottom, top in pairwise(edges.tolist()):
        row = int(rng.integers(SIGN_ROWS))
        base = face.corners()[:2]
        band = np.concatenate([at_height(base, bottom), at_height(base[::-1], top)])
        site.mesh.metric_quad(band, 40.0, Layer.PLAIN, _board_rgb(row))
        if top - bottom > 0.35 and rng.random() < 0.8:
            line = min((top - bottom) * 0.8, 2.4)
            middle = (top + bottom) / 2
            inner = Footprint(
                face.east_m, face.north_m, face.length_m * 0.9, face.width_m + 0.04, face.turn_rad
            )
            lettered(site.mesh, inner, (middle - line / 2, middle + line / 2), row)


def _board_rgb(row: int) -> Rgb:
    red, green, blue = SIGN_RGB[row][0]
    return red / 255, green / 255, blue / 255
