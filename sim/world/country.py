"""The open country about a district: its plots, seen from above as one coarse picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.world.families import Family
from sim.world.layout import HALF_M, Layout, Street
from sim.world.mesh import Footprint, Rgb
from sim.world.textures import fractal

ImageArray = NDArray[np.uint8]
FloatArray = NDArray[np.float64]

COUNTRY_HALF_M = 3 * HALF_M  # the laid country is a square, twice this long
_PX = 1152  # a metre each: farther off than the district itself, nothing finer is seen
_LANE_M = 5.0  # a lane runs round the district; where it meets the river it is the culvert's top
_WIDE_M = 16.0  # a street so wide is a trunk road
_KINDS = {"meadow": 3.0, "crop": 3.0, "straw": 1.3, "ploughed": 0.9, "wood": 1.9, "orchard": 0.5}
_CROPS_RGB = ((94, 118, 52), (122, 134, 64), (78, 106, 58), (140, 142, 74))
_STRAW_RGB = ((186, 168, 112), (170, 150, 100), (196, 184, 136))


@dataclass(frozen=True)
class Plot:
    """A field, a wood or a hamlet.

    Attributes:
        kind: A name of _KINDS, or "built".
        edge: What runs along its sides: hedge, trees, track or none.
    """

    kind: str
    foot: Footprint
    edge: str


@dataclass(frozen=True)
class Country:
    """What lies about a district, out to the horizon.

    Attributes:
        rgba: Shape (px, px, 4), row 0 in the north, 2 * COUNTRY_HALF_M long; alpha 0 is water.
            Farther out it goes on as its own mirror image.
        woods_rgb: Colour of distant woods.
        hills_m: How high the distant hills are, 0 for a plain.
        wooded: Share of the distance that stands under trees, 0 to 1.
        built: Share of the distance that is built on, 0 to 1.
        seed: Of the shapes of the distance, in [0, 1).
    """

    rgba: ImageArray = field(default_factory=lambda: np.full((2, 2, 4), 96, np.uint8), repr=False)
    woods_rgb: Rgb = (0.2, 0.26, 0.15)
    hills_m: float = 60.0
    wooded: float = 0.5
    built: float = 0.2
    seed: float = 0.0


NO_COUNTRY = Country()


def _split(rng: np.random.Generator, foot: Footprint, longest_m: float) -> list[Footprint]:
    long, wide = foot.length_m, foot.width_m
    if max(long, wide) < longest_m * rng.uniform(0.7, 1.5):
        return [foot]
    cut, out = float(rng.uniform(0.32, 0.68)), []
    for low, high in ((0.0, cut), (cut, 1.0)):
        middle, share = (low + high) / 2 - 0.5, high - low
        along = np.array([[middle * long, 0.0]] if long >= wide else [[0.0, middle * wide]])
        east, north = foot.place(along)[0]
        size = (long * share, wide) if long >= wide else (long, wide * share)
        half = Footprint(float(east), float(north), *size, foot.turn_rad)
        out += _split(rng, half, longest_m)
    return out


def plan_country(rng: np.random.Generator, family: Family) -> list[Plot]:
    """Draw the plots of the country, those under the district among them."""
    side = 2 * COUNTRY_HALF_M * 1.42
    whole = Footprint(0.0, 0.0, side, side, float(rng.uniform(-0.6, 0.6)))
    homes = sum(family.shares.get(kind, 0.0) for kind in ("house", "block", "hall", "row"))
    built = homes / sum(family.shares.values()) * float(rng.uniform(0.05, 0.7))
    names = [*_KINDS, "built"]
    weights = np.array([*_KINDS.values(), 0.0]) * rng.uniform(0.3, 1.7, len(names))
    weights *= (1 - built) / weights.sum()
    weights[-1] = built
    plots = []
    for foot in _split(rng, whole, float(rng.uniform(90, 190))):
        kind = str(rng.choice(names, p=weights))
        edge = str(rng.choice(["hedge", "trees", "track", "none"], p=[0.38, 0.2, 0.14, 0.28]))
        apart = max(abs(foot.east_m), abs(foot.north_m)) - np.hypot(foot.length_m, foot.width_m) / 2
        if apart < COUNTRY_HALF_M:
            plots.append(Plot(kind, foot, edge))
    return plots


def _px(points_m: NDArray[np.floating]) -> NDArray[np.int32]:
    points = np.asarray(points_m, np.float64)
    east_south = np.column_stack([points[:, 0], -points[:, 1]]) + COUNTRY_HALF_M
    return np.asarray(np.rint(east_south * (_PX / (2 * COUNTRY_HALF_M)) - 0.5), np.int32)


def _shade(rgb: NDArray[np.floating], factor: float) -> tuple[int, int, int]:
    red, green, blue = np.clip(np.asarray(rgb, np.float64) * factor, 0, 255)
    return int(red), int(green), int(blue)


def _colour(rng: np.random.Generator, plot: Plot, family: Family) -> FloatArray:
    grass = np.array(family.grass_rgb, np.float64)
    tones = {
        "meadow": grass,
        "crop": 0.65 * np.array(_CROPS_RGB[int(rng.integers(len(_CROPS_RGB)))]) + 0.35 * grass,
        "straw": np.array(_STRAW_RGB[int(rng.integers(len(_STRAW_RGB)))], np.float64),
        "ploughed": np.array(family.soil_rgb, np.float64) * 0.85,
        "wood": grass * 0.5,
        "orchard": grass * 0.9,
        "built": 0.55 * np.array(family.paving_rgb, np.float64) * 0.8 + 0.45 * grass,
    }
    return np.asarray(tones[plot.kind] * rng.uniform(0.88, 1.1) * rng.uniform(0.97, 1.03, 3))


def _paint_plot(rgb: ImageArray, rng: np.random.Generator, plot: Plot, family: Family) -> None:
    base = _colour(rng, plot, family)
    cv2.fillPoly(rgb, [_px(plot.foot.corners())], _shade(base, 1.0), cv2.LINE_AA)
    foot = plot.foot
    if plot.kind in {"crop", "straw", "ploughed", "orchard"}:
        step, strength = float(rng.uniform(3.5, 14)), float(rng.uniform(0.03, 0.1))
        long, wide = max(foot.length_m, foot.width_m), min(foot.length_m, foot.width_m)
        for across in np.arange(-wide / 2 + step / 2, wide / 2, step):
            ends = np.array([[-long / 2, across], [long / 2, across]])
            ends = ends if foot.length_m >= foot.width_m else ends[:, ::-1]
            a, b = _px(foot.place(ends)).tolist()
            tone = _shade(base, 1 + strength * float(rng.choice([-1, 1])))
            cv2.line(rgb, a, b, tone, max(1, round(step / 4)), cv2.LINE_AA)
    grass = np.array(family.grass_rgb, np.float64)
    corners = _px(foot.corners())
    if plot.edge in {"hedge", "trees"}:
        cv2.polylines(rgb, [corners], True, _shade(grass, 0.68), 2, cv2.LINE_AA)
    elif plot.edge == "track":
        track = _shade(0.5 * np.array(family.soil_rgb) + 0.5 * np.array(family.paving_rgb), 0.95)
        cv2.polylines(rgb, [corners], True, track, 3, cv2.LINE_AA)
    else:
        cv2.polylines(rgb, [corners], True, _shade(grass, 0.9), 2, cv2.LINE_AA)


def _paint_river(rgba: ImageArray, family: Family, layout: Layout) -> None:
    north = np.linspace(-COUNTRY_HALF_M - 5, COUNTRY_HALF_M + 5, 300)
    centre, half = layout.river.centre_m(north), layout.river.width_m / 2
    for grow, colour, dry in (
        (4.0, _shade(np.array(family.grass_rgb), 0.7), 255),
        (0.0, family.water_rgb, 0),
    ):
        left = np.column_stack([centre - half - grow, north])
        right = np.column_stack([centre + half + grow, north])
        outline = _px(np.concatenate([left, right[::-1]]))
        cv2.fillPoly(rgba, [outline], (*colour, dry), cv2.LINE_AA)


def _paint_roads(rgba: ImageArray, family: Family, layout: Layout) -> None:
    asphalt = (*family.asphalt_rgb, 255)
    verge = (*_shade(np.array(family.grass_rgb), 1.08), 255)
    for grow, colour in ((4.0, verge), (0.0, asphalt)):
        for street in roads_out(layout):
            ends = np.array([[-COUNTRY_HALF_M, street.at_m], [COUNTRY_HALF_M, street.at_m]])
            a, b = _px(ends if street.along_east else ends[:, ::-1]).tolist()
            cv2.line(rgba, a, b, colour, round(street.width_m * 0.9 + grow), cv2.LINE_AA)
        reach = HALF_M + _LANE_M / 2
        ring = _px(Footprint(0.0, 0.0, 2 * reach, 2 * reach).corners())
        cv2.polylines(rgba, [ring], True, colour, round(_LANE_M + grow), cv2.LINE_AA)


def roads_out(layout: Layout) -> list[Street]:
    """Return the streets that go on over the country: those that cross the river, and wide ones."""
    return [s for s in layout.streets if s.has_bridge or s.width_m > _WIDE_M]


def paint_country(
    rng: np.random.Generator, family: Family, layout: Layout, plots: list[Plot]
) -> Country:
    """Paint the country, and draw what its horizon is like."""
    rgb = np.full((_PX, _PX, 3), family.grass_rgb, np.uint8)
    for plot in plots:
        _paint_plot(rgb, rng, plot, family)
    relief = cv2.resize(fractal(rng, 512, 8, 6, 0.75), (_PX, _PX), interpolation=cv2.INTER_CUBIC)
    uneven = np.clip(rgb * (1 + 0.075 * relief[..., None]), 0, 255).astype(np.uint8)
    rgba = np.ascontiguousarray(np.dstack([uneven, np.full((_PX, _PX), 255, np.uint8)]))
    _paint_river(rgba, family, layout)
    _paint_roads(rgba, family, layout)
    area = dict.fromkeys(("wood", "built"), 0.0)
    for plot in plots:
        if plot.kind in area:
            area[plot.kind] += plot.foot.length_m * plot.foot.width_m
    whole = sum(plot.foot.length_m * plot.foot.width_m for plot in plots)
    leaf = np.array(family.grass_rgb) / 255 * 0.62 * rng.uniform(0.9, 1.1, 3)
    return Country(
        rgba,
        (float(leaf[0]), float(leaf[1]), float(leaf[2])),
        hills_m=float(rng.choice([0.0, 1.0], p=[0.35, 0.65]) * rng.uniform(25, 260)),
        wooded=float(np.clip(2.0 * area["wood"] / whole + rng.uniform(0.1, 0.4), 0, 0.95)),
        built=float(np.clip(area["built"] / whole + rng.uniform(0.0, 0.15), 0, 1)),
        seed=float(rng.random()),
    )
