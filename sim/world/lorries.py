"""Lorries and earth-moving machines as templates, nose to +x, wheels on the ground."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np

from sim.world.mesh import Footprint, MeshBuilder, Rgb, Skin, Template, box, walls
from sim.world.textures import Layer
from sim.world.vehicles import (
    BACK,
    BLACK,
    FRONT,
    GLASS,
    LAMP,
    LEFT,
    PAINT,
    RIGHT,
    STEEL,
    TYRE,
    FloatArray,
    Painted,
    Section,
    hull,
    pane,
    plain,
    quad,
    ring_of,
    wheels,
)

_CAB_LOW: Section = (2.45, 4.2, 1.2, 0.55)
_CAB_SILL: Section = (2.45, 4.25, 1.22, 1.7)
_CAB_HEAD: Section = (2.45, 4.05, 1.16, 2.75)
_CAB_TOP: Section = (2.5, 3.75, 1.08, 2.95)


def _chassis(body: MeshBuilder, trim: MeshBuilder, axles_m: tuple[float, ...]) -> None:
    """Build what all lorries share: the frame, the wheels and the cab over its engine."""
    hull(trim, ((-4.1, 2.6, 0.95, 0.45), (-4.1, 2.6, 0.95, 1.0)), plain(TYRE))
    wheels(trim, axles_m, 1.22, 0.5)
    hull(body, (_CAB_LOW, _CAB_SILL, _CAB_HEAD, _CAB_TOP), plain(PAINT))
    upper = (_CAB_SILL, _CAB_HEAD)
    pane(trim, upper, FRONT, (0.05, 0.95, 0.06, 0.9), GLASS)
    pane(trim, (_CAB_LOW, _CAB_SILL), FRONT, (0.0, 1.0, 0.0, 0.28), BLACK)
    pane(trim, (_CAB_LOW, _CAB_SILL), FRONT, (0.2, 0.8, 0.42, 0.78), (0.18, 0.18, 0.19))
    for left, right in ((0.03, 0.2), (0.8, 0.97)):
        pane(trim, (_CAB_LOW, _CAB_SILL), FRONT, (left, right, 0.1, 0.26), LAMP)
    pane(trim, upper, RIGHT, (0.4, 0.92, 0.05, 0.82), GLASS)
    pane(trim, upper, LEFT, (0.08, 0.6, 0.05, 0.82), GLASS)


_LOADS: dict[str, tuple[Skin, float, float]] = {  # skin, height at the rim and in the middle
    "empty": (Skin(Layer.SOIL, (0.4, 0.32, 0.28), 4.0), 1.3, 1.3),
    "dark": (Skin(Layer.PLAIN, (0.16, 0.16, 0.17), 4.0), 1.25, 1.25),
    "earth": (Skin(Layer.SOIL, (0.8, 0.6, 0.46), 3.0), 2.35, 2.95),
    "sand": (Skin(Layer.SOIL, (0.98, 0.86, 0.64), 5.0), 2.4, 3.0),
    "rubble": (Skin(Layer.RUBBISH, (0.95, 0.92, 0.88), 4.0), 2.3, 2.8),
    "sheeted": (Skin(Layer.CREASED, (0.95, 0.93, 0.86), 4.0), 2.66, 2.85),
    "green": (Skin(Layer.CREASED, (0.2, 0.75, 0.56), 4.0), 2.66, 2.95),
    "blue": (Skin(Layer.CREASED, (0.2, 0.42, 0.82), 4.0), 2.66, 2.95),
    "slatted": (Skin(Layer.RIBBED, (0.92, 0.84, 0.66), 4.4), 2.68, 2.72),
}
LOADS = tuple(_LOADS)
SKIPS: dict[str, Rgb | None] = {  # the skip's own colour; None: that of the cab
    "same": None,
    "grey": (0.6, 0.61, 0.62),
    "rust": (0.5, 0.27, 0.18),
    "pale": (0.9, 0.89, 0.84),
    "yellow": (0.95, 0.7, 0.18),
}


def _fill(mesh: MeshBuilder, inside: tuple[float, float, float], load: str) -> None:
    """Lay a load into a skip: inside gives its back, its front and its half width."""
    back, front, half = inside
    skin, rim_m, middle_m = _LOADS[load]
    along, across = np.linspace(back, front, 5), np.linspace(-half, half, 5)
    x, y = np.meshgrid(along, across, indexing="ij")
    edge = np.array([0.0, 0.85, 1.0, 0.8, 0.0])
    up = rim_m + (middle_m - rim_m) * edge[:, None] * edge[None, :]
    if load in {"sheeted", "green", "blue"}:  # bows under the sheet: it dips between them
        up = (
            rim_m
            + (middle_m - rim_m) * (1 - (y / half) ** 2) * np.array([1, 0.7, 1, 0.7, 1])[:, None]
        )
    grid = np.stack([x, y, up], axis=2)
    quads = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=2)
    flat = quads.reshape(-1, 4, 3)
    mesh.quads(flat, flat[..., 1::-1] / skin.tile_m, skin.layer, skin.rgb)


def _skip(mesh: MeshBuilder, load: MeshBuilder, outer: Skin, high_m: float) -> None:
    """Build a skip with a rim, a tailboard and a canopy over the cab; its inside is worn."""
    low, top = (-4.2, 2.2, 1.16, 0.98), (-4.3, 2.3, 1.26, high_m)
    hull(mesh, (low, top), outer, has_top=False)
    inner: Section = (-4.15, 2.15, 1.12, high_m)
    rim, edge = ring_of(top), ring_of(inner)
    for i in range(4):
        j = (i + 1) % 4
        quad(mesh, np.stack([rim[i], rim[j], edge[j], edge[i]]), plain(outer.rgb))
    inside = edge[::-1, :2]
    walls(load, inside, (1.2, high_m), Skin(Layer.PLAIN, (0.46, 0.38, 0.33), 4.0))
    box(mesh, Footprint(2.75, 0, 1.0, 2.1), (high_m + 0.12, high_m + 0.2), *(plain(outer.rgb),) * 2)


@cache
def tipper(load: str, skip: str = "same") -> Painted:
    """Build a tipper lorry; its cab takes the tint, and its skip too unless that has a colour.

    Args:
        load: One of LOADS.
        skip: One of SKIPS.
    """
    body, trim = MeshBuilder(), MeshBuilder()
    _chassis(body, trim, (-3.35, -2.2, 2.9) if skip == "same" else (-3.35, -2.2, 1.6, 3.0))
    own = SKIPS[skip]
    outer = Skin(Layer.RIBBED, PAINT if own is None else own, 5.2)
    _skip(body if own is None else trim, trim, outer, 2.62)
    _fill(trim, (-4.15, 2.15, 1.12), load)
    return Painted(body.rows(), Template(trim.rows()))


def _drum_of_mixer(mesh: MeshBuilder) -> None:
    """Lay the mixer's drum: rings of eight, wide in the middle, tilted up to the back."""
    rings = []
    for along, radius, up in (
        (-3.9, 0.45, 3.2),
        (-2.6, 1.0, 2.75),
        (-0.6, 1.2, 2.3),
        (0.9, 0.95, 2.1),
        (1.7, 0.45, 2.05),
    ):
        angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
        y, z = radius * np.cos(angles), up + radius * np.sin(angles)
        rings.append(np.column_stack([np.full(8, along) + (z - up) * 0.2, y, z]))
    for number, (near, far) in enumerate(pairwise(rings)):
        quads = np.stack([near, np.roll(near, -1, axis=0), np.roll(far, -1, axis=0), far], axis=1)
        rgb = (0.25, 0.45, 0.75) if number == 1 else (0.94, 0.94, 0.92)
        mesh.quads(quads, quads[..., :2] / 4.0, Layer.PLAIN, rgb)
    for ring, turn in ((rings[0], -1), (rings[-1], 1)):
        quad(mesh, ring[[0, 2, 4, 6]][::turn], plain(BLACK))
    box(mesh, Footprint(-4.0, 0, 0.8, 1.2), (3.1, 3.5), *(plain(STEEL),) * 2)


LORRIES = ("box", "flatbed", "staked", "mixer", "tanker")


@cache
def lorry(kind: str) -> Painted:
    """Build a lorry of a kind in LORRIES; its cab takes the tint, a staked one's body too."""
    body, trim = MeshBuilder(), MeshBuilder()
    _chassis(body, trim, (-3.2, -2.1, 3.0) if kind in {"mixer", "tanker"} else (-2.8, 3.0))
    white = Skin(Layer.PLAIN, (0.96, 0.96, 0.95), 5.0)
    if kind == "box":
        hull(trim, ((-4.3, 2.35, 1.24, 0.95), (-4.3, 2.35, 1.24, 3.4)), white)
        pane(
            trim,
            ((-4.3, 2.35, 1.24, 0.95), (-4.3, 2.35, 1.24, 3.4)),
            BACK,
            (0.49, 0.51, 0.0, 1.0),
            STEEL,
        )
    elif kind == "flatbed":
        bed = Footprint(-1.0, 0, 6.6, 2.46)
        box(trim, bed, (0.98, 1.15), plain(STEEL), Skin(Layer.PLAIN, (0.5, 0.44, 0.38), 3.0))
        walls(body, bed.corners(), (1.0, 1.55), plain(PAINT))
        walls(body, bed.corners(-0.06)[::-1], (1.1, 1.55), plain(PAINT))
    elif kind == "staked":
        _skip(body, trim, Skin(Layer.RIBBED, PAINT, 3.4), 2.5)
        _fill(trim, (-4.15, 2.15, 1.12), "green")
    elif kind == "mixer":
        _drum_of_mixer(trim)
    else:
        for low, high in (
            ((1.05, 1.0), (1.22, 1.6)),
            ((1.22, 1.6), (1.0, 2.5)),
            ((1.0, 2.5), (0.5, 2.75)),
        ):
            hull(trim, ((-4.2, 2.2, *low), (-4.2, 2.2, *high)), white)
    return Painted(body.rows(), Template(trim.rows()))


def _boom(
    mesh: MeshBuilder, joints_m: FloatArray, deep_m: tuple[float, ...], thick_m: float
) -> None:
    """Bend a flat girder along joints (N, 2) along and up, so deep at each, about y = -0.2."""
    bends = np.gradient(joints_m, axis=0)
    normal = np.column_stack([-bends[:, 1], bends[:, 0]])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    over = joints_m + normal * np.array(deep_m)[:, None] / 2
    under = joints_m - normal * np.array(deep_m)[:, None] / 2

    def at(pair: FloatArray, side: float) -> FloatArray:
        return np.array([pair[0], -0.2 + side * thick_m / 2, pair[1]])

    for i in range(len(joints_m) - 1):
        ring = [
            [at(over[k], -1), at(over[k], 1), at(under[k], 1), at(under[k], -1)] for k in (i, i + 1)
        ]
        for a in range(4):
            b = (a + 1) % 4
            quad(mesh, np.stack([ring[0][a], ring[1][a], ring[1][b], ring[0][b]]), plain(PAINT))


def _track(mesh: MeshBuilder, side_m: float) -> None:
    dark, low, high = plain(TYRE), 1.55, 2.0
    for sections in (((-low, low, 0.3, 0.03), (-high, high, 0.3, 0.45), (-low, low, 0.3, 0.88)),):
        shifted = MeshBuilder()
        hull(shifted, sections, dark)
        rows = shifted.rows()
        rows[:, 1] += side_m
        mesh.pieces.append(rows)


@cache
def excavator(pose: str = "dig") -> Painted:
    """Build an excavator about its turntable, boom to +x; bodywork takes the tint.

    Args:
        pose: dig, with its bucket far out, or park, with its arm drawn in.
    """
    body, trim = MeshBuilder(), MeshBuilder()
    for side in (-1.05, 1.05):
        _track(trim, side)
    hull(trim, ((-0.9, 0.9, 0.8, 0.5), (-0.9, 0.9, 0.8, 1.0)), plain(BLACK), has_top=False)
    hull(
        body,
        ((-2.0, 1.1, 1.3, 1.0), (-2.0, 1.1, 1.3, 1.75), (-1.9, 0.0, 1.15, 2.1)),
        plain(PAINT),
    )
    hull(trim, ((-2.5, -1.7, 1.3, 0.95), (-2.6, -1.6, 1.3, 1.9)), plain((0.2, 0.2, 0.2)))
    cab = MeshBuilder()
    frame: tuple[Section, Section] = ((-0.3, 1.25, 0.5, 1.1), (-0.25, 1.0, 0.45, 2.95))
    hull(cab, frame, plain(PAINT))
    glass = MeshBuilder()
    for face in range(4):
        pane(glass, frame, face, (0.08, 0.92, 0.25, 0.92), GLASS)
    for part, into in ((cab, body), (glass, trim)):
        rows = part.rows()
        rows[:, 1] += 0.78
        into.pieces.append(rows)
    reach = {
        "dig": np.array([[0.7, 1.5], [2.0, 3.4], [3.7, 4.3], [5.9, 3.3], [6.5, 1.4]]),
        "park": np.array([[0.7, 1.5], [1.8, 3.5], [3.4, 4.4], [4.6, 3.4], [3.9, 1.1]]),
    }[pose]
    _boom(body, reach[:4], (0.5, 0.75, 0.55, 0.4), 0.5)
    _boom(body, reach[[2, 3, 4]], (0.3, 0.5, 0.3), 0.4)
    tip = reach[4]
    hull(
        trim,
        (
            (tip[0] - 0.3, tip[0] + 0.5, 0.6, tip[1] - 1.0),
            (tip[0] - 0.6, tip[0] + 0.6, 0.6, tip[1]),
        ),
        plain((0.22, 0.21, 0.2)),
    )
    return Painted(body.rows(), Template(trim.rows()))


@cache
def roller() -> Painted:
    """Build a wheeled loader about its middle, bucket to +x; bodywork takes the tint."""
    body, trim = MeshBuilder(), MeshBuilder()
    for along in (-1.5, 1.5):
        for side in (-1.05, 1.05):
            box(trim, Footprint(along, side, 1.0, 0.5), (0.05, 1.25), *(plain(TYRE),) * 2)
    wheels(trim, (-1.5, 1.5), 1.32, 0.68)
    hull(
        body,
        ((-2.9, -0.4, 0.85, 0.8), (-2.95, -0.4, 0.9, 1.5), (-2.7, -0.4, 0.8, 2.0)),
        plain(PAINT),
    )
    hull(trim, ((-3.1, -2.8, 0.9, 0.7), (-3.1, -2.8, 0.9, 1.3)), plain(BLACK))
    cab: tuple[Section, Section] = ((-0.6, 0.8, 0.72, 1.2), (-0.5, 0.6, 0.66, 3.05))
    hull(body, ((-0.4, 1.1, 0.7, 0.7), (-0.4, 1.1, 0.7, 1.3)), plain(PAINT))
    hull(body, cab, plain(PAINT))
    for face in range(4):
        pane(trim, cab, face, (0.07, 0.93, 0.15, 0.92), GLASS)
    for side in (-0.55, 0.55):
        arm = MeshBuilder()
        _boom(arm, np.array([[0.9, 1.7], [2.2, 1.5], [3.2, 0.6]]), (0.35, 0.45, 0.35), 0.25)
        rows = arm.rows()
        rows[:, 1] += side + 0.2
        body.pieces.append(rows)
    bucket: tuple[Section, Section] = ((3.0, 3.9, 1.35, 0.08), (2.85, 3.6, 1.35, 1.05))
    hull(body, bucket, plain(PAINT), has_top=False)
    quad(trim, ring_of((2.9, 3.6, 1.3, 0.9)), plain((0.2, 0.17, 0.15)))
    return Painted(body.rows(), Template(trim.rows()))
