"""Draws a district as the camera sees it: OpenGL on EGL, software Mesa where there is no GPU."""

from __future__ import annotations

from ctypes.util import find_library
from dataclasses import dataclass

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from edge.errors import SkywhistleError
from sim.camera import CameraModel, CameraPose
from sim.render.backdrop import Backdrop
from sim.render.geometry import FAR_M, NEAR_M, Geometry, Programs
from sim.render.lens import Lens
from sim.render.shaders import (
    DEPTH_FRAGMENT,
    DEPTH_VERTEX,
    GROUND_FRAGMENT,
    GROUND_VERTEX,
    PUFF_FRAGMENT,
    PUFF_VERTEX,
    SOLID_FRAGMENT,
    SOLID_VERTEX,
)
from sim.world.country import COUNTRY_HALF_M
from sim.world.district import District
from sim.world.layout import HALF_M
from sim.world.light import Daylight
from sim.world.textures import paint_detail

ImageArray = NDArray[np.uint8]
FloatArray = NDArray[np.float64]

_SHADOW_PX = 4096


class RenderError(SkywhistleError):
    """The picture could not be drawn."""


@dataclass(frozen=True)
class Look:
    """How one picture is exposed.

    Attributes:
        exposure: Gain on the light, 1 is a well exposed day.
        noise: Standard deviation of the sensor's noise, grey levels.
        blur_px: Motion during the exposure in the picture, (right, down).
    """

    exposure: float = 1.0
    noise: float = 0.0
    blur_px: tuple[float, float] = (0.0, 0.0)


def open_context() -> moderngl.Context:
    """Open an OpenGL context without a window.

    Raises:
        RenderError: There is no EGL here.
    """
    if find_library("EGL") is None:  # asked first: moderngl raises a bare Exception
        raise RenderError(
            "the simulator draws with OpenGL over EGL, and libEGL is not installed; "
            "install Mesa: apt install libegl1 libgl1-mesa-dri"
        )
    return moderngl.create_context(standalone=True, backend="egl")  # type: ignore[arg-type]


def _camera_from_world(pose: CameraPose) -> FloatArray:
    out = np.eye(4)
    out[:3, :3] = pose.enu_from_camera.T
    out[:3, 3] = -pose.enu_from_camera.T @ pose.position_m
    return out


def _smoke_light(day: Daylight) -> float:
    """Say how bright smoke looks against a well lit day, whose sun and sky add up to 1.5."""
    return float(np.mean(day.sky_rgb) + np.mean(day.sun_rgb) * np.sin(day.elevation_rad)) / 1.25


def _gl(matrix: FloatArray) -> bytes:
    return np.ascontiguousarray(matrix.T, np.float32).tobytes()


class Renderer:
    """Renders one district through one camera.  Not for use from several threads."""

    def __init__(
        self,
        district: District,
        camera: CameraModel,
        samples: int = 4,
        context: moderngl.Context | None = None,
    ) -> None:
        self.district, self.camera = district, camera
        self._ctx = context or open_context()
        self._lens = Lens(camera)
        self._held: list[moderngl.Buffer | moderngl.VertexArray | moderngl.Texture] = []
        self._geometry = self._load_triangles()
        self._load_textures()
        self._backdrop = Backdrop(self._ctx, self._lens, district.country)
        self._shadow_from_world = self._draw_shadows()
        self._make_targets(samples)
        self._load_puffs()

    def close(self) -> None:
        """Free what the graphics driver holds."""
        self._geometry.release()
        self._backdrop.release()
        for thing in self._held:
            thing.release()
        self._held.clear()

    def _keep(self, thing: moderngl.Buffer | moderngl.VertexArray | moderngl.Texture) -> None:
        self._held.append(thing)

    def _load_triangles(self) -> Geometry:
        ctx = self._ctx
        self._ground_program = ctx.program(
            vertex_shader=GROUND_VERTEX, fragment_shader=GROUND_FRAGMENT
        )
        # The same shader twice, so that each keeps the picture it wears.
        self._country_program = ctx.program(
            vertex_shader=GROUND_VERTEX, fragment_shader=GROUND_FRAGMENT
        )
        self._solid_program = ctx.program(
            vertex_shader=SOLID_VERTEX, fragment_shader=SOLID_FRAGMENT
        )
        self._depth_program = ctx.program(
            vertex_shader=DEPTH_VERTEX, fragment_shader=DEPTH_FRAGMENT
        )
        programs = Programs(
            self._ground_program, self._country_program, self._solid_program, self._depth_program
        )
        return Geometry(ctx, programs, self.district.triangles)

    def _load_textures(self) -> None:
        ground = self.district.ground_rgba
        self._ground = self._ctx.texture((ground.shape[1], ground.shape[0]), 4, ground.tobytes())
        around = self.district.country.rgba
        self._country = self._ctx.texture((around.shape[1], around.shape[0]), 4, around.tobytes())
        atlas = self.district.atlas_rgb
        self._atlas = self._ctx.texture_array(
            (atlas.shape[2], atlas.shape[1], atlas.shape[0]), 3, atlas.tobytes(), alignment=1
        )
        detail = paint_detail(np.random.default_rng(self.district.seed))
        self._detail = self._ctx.texture(detail.shape[1::-1], 4, detail.tobytes())
        for texture in (self._ground, self._country, self._atlas, self._detail):
            texture.build_mipmaps()
            texture.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
            self._keep(texture)  # type: ignore[arg-type]

    def _draw_shadows(self) -> FloatArray:
        """Draw the district once as the sun sees it."""
        sun = self.district.daylight.towards_sun()
        side = np.cross(sun, [0.0, 0.0, 1.0])
        side /= np.linalg.norm(side)
        up = np.cross(side, sun)
        reach = HALF_M * 1.45
        matrix = np.eye(4)
        matrix[0, :3], matrix[1, :3], matrix[2, :3] = side / reach, up / reach, -sun / (reach * 1.2)
        self._shadow_map = self._ctx.depth_texture((_SHADOW_PX, _SHADOW_PX))
        self._shadow_map.compare_func = "<="
        self._shadow_map.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        target = self._ctx.framebuffer(depth_attachment=self._shadow_map)
        target.use()
        target.clear(depth=1.0)
        # The map's rim stays open, and what lies past it reads its rim: no shadow.
        target.scissor = (1, 1, _SHADOW_PX - 2, _SHADOW_PX - 2)
        self._depth_program["clip_from_world"].write(_gl(matrix))  # type: ignore[union-attr]
        self._geometry.draw_depth()
        target.release()
        self._keep(self._shadow_map)
        return matrix

    def _make_targets(self, samples: int) -> None:
        size = (self._lens.width_px, self._lens.height_px)
        ctx = self._ctx
        self._drawn = ctx.framebuffer(
            [ctx.renderbuffer(size, 3, samples=samples)],
            ctx.depth_renderbuffer(size, samples=samples),
        )
        self._resolved = ctx.framebuffer([ctx.renderbuffer(size, 3)])
        small = (size[0] // 4, size[1] // 4)
        self._depth_map = ctx.depth_texture(small)
        self._depth_target = ctx.framebuffer(depth_attachment=self._depth_map)

    def _load_puffs(self) -> None:
        n_puffs = sum(s.n_puffs for s in self.district.smokes)
        self._puff_program = self._ctx.program(
            vertex_shader=PUFF_VERTEX, fragment_shader=PUFF_FRAGMENT
        )
        self._puff_buffer = self._ctx.buffer(reserve=max(n_puffs, 1) * 36)
        names = ("in_centre", "in_radius", "in_opacity", "in_rgb", "in_turn")
        self._puffs = self._ctx.vertex_array(
            self._puff_program, [(self._puff_buffer, "3f 1f 1f 3f 1f/i", *names)]
        )
        self._keep(self._puff_buffer)
        self._keep(self._puffs)

    def _light(self, pose: CameraPose, clip_from_world: FloatArray, exposure: float) -> None:
        day = self.district.daylight
        gain = exposure * np.array(day.balance_rgb)
        values = {
            "sun": day.towards_sun(),
            "sun_rgb": day.sun_rgb,
            "sky_rgb": day.sky_rgb,
            "haze_rgb": day.haze_rgb,
            "eye": pose.position_m,
            "haze_per_m": day.haze_per_m,
            "gain": gain,
            "vivid": day.vivid,
        }
        matrices = {
            "clip_from_world": clip_from_world,
            "shadow_from_world": self._shadow_from_world,
        }
        textures = {"atlas": self._atlas, "ground": self._ground, "shadow_map": self._shadow_map}
        textures |= {"detail": self._detail, "country": self._country}
        for unit, texture in enumerate(textures.values()):
            texture.use(unit)  # type: ignore[attr-defined]
        units = {name: unit for unit, name in enumerate(textures)}
        drawn = (self._ground_program, self._country_program, self._solid_program)
        for program in (*drawn, self._backdrop.program, self._backdrop.belt_program):
            for name, value in (values | units).items():
                if name in program:
                    program[name].value = tuple(value) if np.ndim(value) else value  # type: ignore[union-attr, arg-type]
            for name, matrix in matrices.items():
                if name in program:
                    program[name].write(_gl(matrix))  # type: ignore[union-attr]
        for program, half_m in (
            (self._ground_program, HALF_M),
            (self._country_program, COUNTRY_HALF_M),
        ):
            program["wet"].value = day.wet  # type: ignore[union-attr]
            program["half_m"].value = half_m  # type: ignore[union-attr]
        self._country_program["ground"].value = units["country"]  # type: ignore[union-attr]

    def _draw_puffs(
        self, pose: CameraPose, clip_from_world: FloatArray, time_s: float, exposure: float
    ) -> None:
        rows = []
        for smoke in self.district.smokes:
            puffs = smoke.puffs(time_s)
            turn = np.linspace(0, 7, len(puffs))[:, None]
            rows.append(np.column_stack([puffs, np.tile(smoke.rgb, (len(puffs), 1)), turn]))
        if not rows:
            return
        table = np.concatenate(rows)
        depth = pose.camera_points(table[:, :3])[:, 2]
        table = table[np.argsort(-depth)].astype(np.float32)
        self._puff_buffer.write(table.tobytes())
        program = self._puff_program
        program["clip_from_world"].write(_gl(clip_from_world))  # type: ignore[union-attr]
        program["right"].value = tuple(pose.enu_from_camera[:, 0])  # type: ignore[union-attr]
        program["down"].value = tuple(pose.enu_from_camera[:, 1])  # type: ignore[union-attr]
        day = self.district.daylight
        gain = exposure * np.array(day.balance_rgb) * _smoke_light(day)
        program["gain"].value = tuple(gain)  # type: ignore[union-attr]
        program["atlas"].value = 0  # type: ignore[union-attr]
        self._ctx.enable_only(moderngl.DEPTH_TEST | moderngl.BLEND)
        self._drawn.depth_mask = False
        self._puffs.render(moderngl.TRIANGLE_STRIP, vertices=4, instances=len(table))
        self._drawn.depth_mask = True

    def _horizon(self, exposure: float) -> tuple[float, float, float]:
        day = self.district.daylight
        seen = np.sqrt(np.clip(np.array(day.haze_rgb) * day.balance_rgb * exposure, 0, 1))
        return float(seen[0]), float(seen[1]), float(seen[2])

    def picture(self, pose: CameraPose, time_s: float, look: Look = Look()) -> ImageArray:
        """Draw what the camera sees; shape (height, width, 3), BGR, lens applied, no noise yet."""
        clip_from_world = self._lens.clip_from_camera() @ _camera_from_world(pose)
        self._drawn.use()
        self._drawn.clear(*self._horizon(look.exposure), depth=1.0)
        self._light(pose, clip_from_world, look.exposure)
        self._geometry.draw(clip_from_world)
        if self._backdrop.is_seen(pose):
            self._backdrop.draw(self._drawn, pose, self.district.daylight)
        self._draw_puffs(pose, clip_from_world, time_s, look.exposure)
        self._ctx.copy_framebuffer(self._resolved, self._drawn)
        shape = (self._lens.height_px, self._lens.width_px, 3)
        straight = np.frombuffer(self._resolved.read(components=3, alignment=1), np.uint8).reshape(
            shape
        )
        bent = np.asarray(cv2.remap(straight, *self._lens.maps, cv2.INTER_LINEAR), np.uint8)
        return np.asarray(cv2.cvtColor(_smear(bent, look.blur_px), cv2.COLOR_RGB2BGR), np.uint8)

    def visible_share(self, pose: CameraPose, points_m: FloatArray) -> FloatArray:
        """Say of each world point, shape (N, 3), whether nothing solid hides it: 1.0 or 0.0."""
        depth_m = self.depth_m(pose)
        local = pose.camera_points(points_m)
        ahead = local[:, 2] > NEAR_M
        z = np.where(ahead, local[:, 2], 1.0)
        col = (local[:, 0] / z * self._lens.fx_px + self._lens.cx_px) / 4
        row = (local[:, 1] / z * self._lens.fy_px + self._lens.cy_px) / 4
        height, width = depth_m.shape
        col_i = np.clip(np.nan_to_num(col), 0, width - 1).astype(int)
        row_i = np.clip(np.nan_to_num(row), 0, height - 1).astype(int)
        # 1.2 m of slack: a point on a surface must not be hidden by that surface's coarse depth.
        return np.asarray(ahead & (local[:, 2] < depth_m[row_i, col_i] + 1.2), np.float64)

    def depth_m(self, pose: CameraPose) -> FloatArray:
        """Return metres along the optical axis at a quarter of the resolution, FAR_M for sky."""
        clip_from_world = self._lens.clip_from_camera() @ _camera_from_world(pose)
        self._depth_target.use()
        self._depth_target.clear(depth=1.0)
        self._depth_program["clip_from_world"].write(_gl(clip_from_world))  # type: ignore[union-attr]
        self._geometry.draw_depth(clip_from_world)
        raw = np.frombuffer(self._depth_map.read(alignment=1), np.float32)
        ndc = raw.reshape(self._depth_map.height, self._depth_map.width).astype(np.float64) * 2 - 1
        return np.asarray(2 * FAR_M * NEAR_M / (FAR_M + NEAR_M - ndc * (FAR_M - NEAR_M)))


def _smear(image: ImageArray, blur_px: tuple[float, float]) -> ImageArray:
    """Blur along the motion during the exposure; motions under a pixel are left."""
    length = float(np.hypot(*blur_px))
    if length < 1.0:
        return image
    half = int(np.ceil(length / 2))
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for step in np.linspace(-0.5, 0.5, 8 * half + 1):
        col, row = half + step * blur_px[0], half + step * blur_px[1]
        kernel[round(row), round(col)] += 1
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)


def add_noise(image: ImageArray, sigma: float, rng: np.random.Generator) -> ImageArray:
    """Add the sensor's noise, a standard deviation in grey levels."""
    if sigma <= 0:
        return image
    height, width = image.shape[:2]
    noise = rng.standard_normal((height // 2 + 1, width), np.float32) * np.float32(sigma)
    half = np.rint(noise).astype(np.int16)
    grain = np.concatenate([half, half[::-1]])[:height]
    return np.asarray(cv2.add(image, cv2.merge([grain] * 3), dtype=cv2.CV_8U), np.uint8)
