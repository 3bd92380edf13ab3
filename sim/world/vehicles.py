"""Cars and buses as templates, nose to +x, wheels on the ground, and what vehicles are built of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.world.mesh import Footprint, MeshBuilder, Rgb, Skin, Template, box
from sim.world.textures import Layer

FloatArray = NDArray[np.float64]
Section = tuple[float, float, float, float]  # back, front, half width, height over the ground

PAINT: Rgb = (1.0, 1.0, 1.0)
GLASS: Rgb = (0.1, 0.12, 0.15)
TYRE: Rgb = (0.07, 0.07, 0.075)
BLACK: Rgb = (0.1, 0.1, 0.11)
STEEL: Rgb = (0.5, 0.51, 0.53)
LAMP: Rgb = (1.0, 0.98, 0.92)
TAIL: Rgb = (0.75, 0.08, 0.06)
FRONT, LEFT, BACK, RIGHT = 1, 2, 3, 0  # sides of a hull, as its corners run


@dataclass(frozen=True)
class Painted(Template):
    """A template of which one part takes the tint and the other keeps its own colours."""

    trim: Template

    def place(
        self, mesh: MeshBuilder, spots: NDArray[np.floating], tints: NDArray[np.floating]
    ) -> None:
        """Stamp copies; spots and tints as a template takes them."""
        super().place(mesh, spots, tints)
        self.trim.place(mesh, spots, np.ones_like(np.asarray(tints, np.float32)))


def ring_of(section: Section) -> FloatArray:
    """Return a section's corners, shape (4, 3), counter-clockwise from above."""
    back, front, half, up = section
    return np.array([[back, -half, up], [front, -half, up], [front, half, up], [back, half, up]])


def quad(mesh: MeshBuilder, corners: FloatArray, skin: Skin) -> None:
    """Add a quad, shape (4, 3), in a skin."""
    mesh.metric_quad(corners, skin.tile_m, skin.layer, skin.rgb)


def plain(rgb: Rgb) -> Skin:
    """Return a skin of one colour."""
    return Skin(Layer.PLAIN, rgb, 40.0)  # one tone: lacquer is not mottled


def hull(
    mesh: MeshBuilder, sections: tuple[Section, ...], skin: Skin, has_top: bool = True
) -> None:
    """Stretch a skin over rectangles of any size, one above the other."""
    rings = [ring_of(section) for section in sections]
    for low, high in pairwise(rings):
        for i in range(4):
            j = (i + 1) % 4
            quad(mesh, np.stack([low[i], low[j], high[j], high[i]]), skin)
    if has_top:
        quad(mesh, rings[-1], skin)


def pane(
    mesh: MeshBuilder,
    sections: tuple[Section, Section],
    side: int,
    span: tuple[float, float, float, float],
    rgb: Rgb,
) -> None:
    """Set a pane into a side of a hull; span: left, right, low, high as shares of that side."""
    low, high = ring_of(sections[0]), ring_of(sections[1])
    i, j = side, (side + 1) % 4
    left, right, bottom, top = span

    def at(along: float, up: float) -> FloatArray:
        under = low[i] + along * (low[j] - low[i])
        over = high[i] + along * (high[j] - high[i])
        return np.asarray(under + up * (over - under))

    corners = np.stack([at(left, bottom), at(right, bottom), at(right, top), at(left, top)])
    outward = np.cross(corners[1] - corners[0], corners[3] - corners[0])
    quad(mesh, corners + 0.02 * outward / (np.linalg.norm(outward) + 1e-9), plain(rgb))


def wheels(mesh: MeshBuilder, along_m: tuple[float, ...], half_m: float, radius_m: float) -> None:
    """Show wheels as six-sided faces on both sides, with a rim on each."""
    for radius, rgb, out in ((radius_m, TYRE, 0.0), (radius_m * 0.52, STEEL, 0.015)):
        angles = np.linspace(0, 2 * np.pi, 6, endpoint=False)
        x, up = radius * np.cos(angles), radius * np.sin(angles) + radius_m + 0.03
        for at in along_m:
            for side in (-1.0, 1.0):
                ring = np.column_stack([at + x, np.full(6, side * (half_m + out)), up])
                if side > 0:
                    ring = ring[::-1]
                for pick in ([0, 1, 2, 3], [3, 4, 5, 0]) if out == 0.0 else ([0, 1, 3, 4],):
                    quad(mesh, ring[pick], plain(rgb))


@dataclass(frozen=True)
class CarShape:
    """A car's measures in metres; positions along it count from its middle, forward."""

    half_long: float
    half_wide: float
    belt: float  # height of the window sills
    top: float
    sills: tuple[float, float]  # where the cabin starts and ends at the belt
    roof: tuple[float, float]  # and at the top
    bed: tuple[float, float] | None = None  # a pick-up's


CARS = {
    "hatchback": CarShape(1.98, 0.86, 0.9, 1.48, (-1.9, 0.95), (-1.5, 0.1)),
    "saloon": CarShape(2.35, 0.9, 0.9, 1.44, (-1.75, 1.05), (-0.95, 0.2)),
    "suv": CarShape(2.3, 0.93, 1.02, 1.7, (-2.2, 1.1), (-1.95, 0.35)),
    "van": CarShape(2.4, 0.86, 1.05, 1.95, (-2.38, 1.95), (-2.3, 1.25)),
    "pickup": CarShape(2.6, 0.92, 1.0, 1.74, (-0.75, 1.25), (-0.6, 0.55), (-2.5, -0.85)),
}


@cache
def car(kind: str) -> Painted:
    """Build a car of a kind in CARS; its bodywork takes the tint."""
    shape, body, trim = CARS[kind], MeshBuilder(), MeshBuilder()
    long, half = shape.half_long, shape.half_wide
    under: Section = (-long + 0.08, long - 0.1, half - 0.05, 0.24)
    bumper: Section = (-long, long, half, 0.58)
    deck: Section = (-long + 0.06, long - 0.22, half - 0.06, shape.belt)
    hull(body, (under, bumper, deck), plain(PAINT))
    cabin: tuple[Section, Section] = (
        (*shape.sills, half - 0.08, shape.belt),
        (*shape.roof, half - 0.24, shape.top),
    )
    hull(body, cabin, plain(PAINT))
    pane(trim, cabin, FRONT, (0.05, 0.95, 0.08, 0.92), GLASS)
    pane(trim, cabin, BACK, (0.08, 0.92, 0.12, 0.9), GLASS)
    has_rear = shape.bed is None
    for side in (RIGHT, LEFT):
        panes = ((0.1, 0.5), (0.54, 0.92)) if has_rear else ((0.08, 0.92),)
        for span in panes:
            pane(trim, cabin, side, (*span, 0.1, 0.88), GLASS)
    for left, right in ((0.04, 0.26), (0.74, 0.96)):
        pane(trim, (bumper, deck), FRONT, (left, right, 0.15, 0.7), LAMP)
        pane(trim, (bumper, deck), BACK, (left, right, 0.3, 0.85), TAIL)
    pane(trim, (under, bumper), FRONT, (0.15, 0.85, 0.3, 0.95), BLACK)
    if shape.bed is not None:
        inside = (*shape.bed, half - 0.18, shape.belt + 0.015)
        quad(trim, ring_of(inside), plain((0.16, 0.16, 0.17)))
    wheels(trim, (-long * 0.6, long * 0.62), half + 0.01, 0.31)
    return Painted(body.rows(), Template(trim.rows()))


@cache
def bus() -> Painted:
    """Build a town bus eleven metres long; its bodywork takes the tint."""
    body, trim = MeshBuilder(), MeshBuilder()
    low: Section = (-5.5, 5.5, 1.24, 0.35)
    sill: Section = (-5.5, 5.5, 1.25, 1.35)
    head: Section = (-5.48, 5.4, 1.2, 2.75)
    top: Section = (-5.3, 5.2, 1.05, 3.0)
    hull(body, (low, sill, head, top), plain(PAINT))
    pane(trim, (sill, head), FRONT, (0.04, 0.96, -0.1, 0.85), GLASS)
    pane(trim, (sill, head), BACK, (0.1, 0.9, 0.2, 0.8), GLASS)
    for side in (RIGHT, LEFT):
        for at in range(5):
            pane(trim, (sill, head), side, (0.02 + at * 0.195, 0.2 + at * 0.195, 0.0, 0.75), GLASS)
    pane(trim, (low, sill), RIGHT, (0.8, 0.9, 0.1, 1.0), GLASS)
    for along in (-2.5, 1.8):
        box(trim, Footprint(along, 0, 2.2, 1.4), (2.98, 3.2), *(plain((0.86, 0.86, 0.85)),) * 2)
    wheels(trim, (-3.2, 3.3), 1.26, 0.48)
    return Painted(body.rows(), Template(trim.rows()))
