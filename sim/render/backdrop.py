"""What is seen where nothing is laid: sky, distant country, belts of trees and ranges of hills."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import moderngl
import numpy as np
from numpy.typing import NDArray

from sim.camera import CameraPose
from sim.render.geometry import FAR_M
from sim.render.lens import Lens
from sim.render.shaders import BACKDROP_FRAGMENT, BACKDROP_VERTEX, BELT_FRAGMENT, BELT_VERTEX
from sim.world.country import COUNTRY_HALF_M, Country
from sim.world.light import Daylight

FloatArray = NDArray[np.float64]
_CORNERS = np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
_LOWEST_EYE_M = 1.0
# Radius of each ring about the district, and how high it rises beside the country's highest hills;
# those that do not rise bear trees and houses.
_BELTS = (
    (8600.0, 1.0),
    (5200.0, 0.65),
    (3000.0, 0.3),
    (2700.0, 0.0),
    (1900.0, 0.0),
    (1400.0, 0.0),
    (1080.0, 0.0),
    (880.0, 0.0),
    (740.0, 0.0),
    (640.0, 0.0),
)
_SEGMENTS = 64


def _belt_rows() -> NDArray[np.float32]:
    """Return the bands' vertices, far bands first, shape (N, 5): way 2, radius, rise, upper end."""
    angle = np.linspace(0, 2 * np.pi, _SEGMENTS + 1)
    way = np.column_stack([np.sin(angle), np.cos(angle)])
    rows = []
    for radius, rise in _BELTS:
        for start, end in pairwise(way):
            for spot, up in ((start, 0), (end, 0), (end, 1), (start, 0), (end, 1), (start, 1)):
                rows.append((*spot, radius, rise, up))
    return np.array(rows, np.float32)


def _zenith_rgb(day: Daylight) -> FloatArray:
    """Say what colour a cloudless sky would have overhead, as squared display values."""
    grey = np.full(3, float(np.mean(day.haze_rgb)))
    clear = (1 - 0.75 * day.cloud) * np.exp(-450.0 * day.haze_per_m)
    return np.asarray(grey + clear * (np.array([0.13, 0.29, 0.62]) - grey))


class Backdrop:
    """Fills a picture where its depth was left at the far end."""

    def __init__(self, ctx: moderngl.Context, lens: Lens, country: Country) -> None:
        self._ctx, self._country = ctx, country
        self._camera_from_picture = lens.camera_from_picture()
        self.program = ctx.program(vertex_shader=BACKDROP_VERTEX, fragment_shader=BACKDROP_FRAGMENT)
        self._corners = ctx.buffer(_CORNERS.astype(np.float32).tobytes())
        self._quad = ctx.vertex_array(self.program, [(self._corners, "2f", "in_spot")])
        self.belt_program = ctx.program(vertex_shader=BELT_VERTEX, fragment_shader=BELT_FRAGMENT)
        self._bands = ctx.buffer(_belt_rows().tobytes())
        names = ("in_way", "in_radius", "in_rise", "in_up")
        self._belts = ctx.vertex_array(self.belt_program, [(self._bands, "2f 1f 1f 1f", *names)])
        values = {name: getattr(country, name) for name in ("hills_m", "wooded", "built", "seed")}
        values |= {"px_rad": 1.0 / lens.fx_px, "woods_rgb": country.woods_rgb}
        self._set(values | {"half_m": COUNTRY_HALF_M})

    def _set(self, values: Mapping[str, float | tuple[float, ...]]) -> None:
        for program in (self.program, self.belt_program):
            for name, value in values.items():
                if name in program:
                    program[name].value = value  # type: ignore[union-attr]

    def is_seen(self, pose: CameraPose) -> bool:
        """Say whether any ray of a picture goes past the country that is laid as triangles.

        The rays meet level ground in a convex outline, so its corners decide for all of it.
        """
        if pose.position_m[2] < _LOWEST_EYE_M:
            return True
        spots = np.column_stack([_CORNERS, np.ones(4)])
        rays = spots @ (pose.enu_from_camera @ self._camera_from_picture).T
        if (rays[:, 2] > -1e-3).any():
            return True
        depth_m = pose.position_m[2] / -rays[:, 2]  # along the optical axis: each ray's z is 1
        hits = pose.position_m[:2] + rays[:, :2] * depth_m[:, None]
        return bool(np.abs(hits).max() > COUNTRY_HALF_M - 1.0 or depth_m.max() > FAR_M - 1.0)

    def draw(self, target: moderngl.Framebuffer, pose: CameraPose, day: Daylight) -> None:
        """Draw behind what the framebuffer in use, the target, holds; the light is set already."""
        turn = pose.enu_from_camera @ self._camera_from_picture
        self.program["world_from_picture"].write(  # type: ignore[union-attr]
            np.ascontiguousarray(turn.T, np.float32).tobytes()
        )
        red, green, blue = _zenith_rgb(day)
        values = {name: getattr(day, name) for name in ("cloud", "sky_gain", "clouds_at")}
        self._set(values | {"zenith_rgb": (float(red), float(green), float(blue))})
        self._ctx.enable_only(moderngl.DEPTH_TEST)
        self._ctx.depth_func = "<="
        self._quad.render(moderngl.TRIANGLE_STRIP)
        self._ctx.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        target.depth_mask = False  # all bands are as far off: one must not hide the next
        self._belts.render(moderngl.TRIANGLES)
        target.depth_mask = True
        self._ctx.enable_only(moderngl.DEPTH_TEST)
        self._ctx.depth_func = "<"

    def release(self) -> None:
        """Free what the driver holds."""
        for thing in (self._quad, self._corners, self._belts, self._bands):
            thing.release()
