"""Laws of the sky and of the country about a district."""

from __future__ import annotations

from dataclasses import replace

import moderngl
import numpy as np
import pytest
from numpy.typing import NDArray

from sim.camera import CameraModel, CameraPose, camera_pose
from sim.render.backdrop import Backdrop
from sim.render.renderer import Renderer
from sim.world.country import COUNTRY_HALF_M, plan_country
from sim.world.district import District
from sim.world.families import FAMILIES
from sim.world.horizon import lay_country
from sim.world.layout import HALF_M, Layout
from sim.world.light import Daylight, draw_daylight
from sim.world.mesh import Footprint, MeshBuilder, Skin, box
from sim.world.textures import Layer

CLEAR = Daylight(2.0, 0.7, (1.0, 0.95, 0.9), (0.5, 0.52, 0.55), 0.0003, cloud=0.3)


def _pose(height_m: float, pitch_deg: float) -> CameraPose:
    spot = np.array([0.0, 0.0, height_m])
    return camera_pose(spot, (0.0, float(np.deg2rad(pitch_deg)), 0.5))


@pytest.fixture(scope="module")
def open_land(layout: Layout, plain: District) -> District:
    """A plain with nothing on it, and the country about it."""
    mesh, grey = MeshBuilder(), Skin(Layer.PLAIN, (0.3, 0.3, 0.3), 8.0)
    box(mesh, Footprint(0, 0, 2 * HALF_M, 2 * HALF_M), (-0.5, 0.0), grey, grey)
    country = lay_country(mesh, np.random.default_rng(5), FAMILIES["village"], layout)
    return replace(plain, triangles=mesh.rows(), country=country, daylight=CLEAR)


@pytest.fixture(scope="module")
def low(open_land: District, camera: CameraModel, needs_egl: None) -> NDArray[np.uint8]:
    """What is seen from 20 m, 8 degrees under the horizon: the horizon is in row 112."""
    renderer = Renderer(open_land, camera.scaled(0.5), samples=0)
    image = renderer.picture(_pose(20.0, -8.0), 0.0)
    renderer.close()
    return image


def test_a_low_picture_has_a_sky_brighter_than_its_land(low: NDArray[np.uint8]) -> None:
    """Over the horizon it is brighter than under it, and the sky is not one flat colour."""
    sky, land = low[:70].astype(float), low[140:].astype(float)
    assert sky.mean() > land.mean() + 20.0
    assert sky.mean(axis=2).std() > 3.0
    assert len(np.unique(sky.reshape(-1, 3), axis=0)) > 200


def test_the_distance_is_neither_sky_nor_one_colour(low: NDArray[np.uint8]) -> None:
    """Just under the horizon lie woods and fields, darker than the sky over them."""
    sky, far = low[60:80].astype(float), low[114:128].astype(float)
    assert far.mean() < sky.mean() - 15.0
    assert far.mean(axis=2).std() > 6.0


def test_the_same_land_and_light_give_the_same_picture(
    open_land: District, camera: CameraModel, low: NDArray[np.uint8]
) -> None:
    """Sky and hills hang on the seed alone, not on what was drawn before."""
    renderer = Renderer(open_land, camera.scaled(0.5), samples=0)
    renderer.picture(_pose(60.0, -85.0), 0.0)
    again = renderer.picture(_pose(20.0, -8.0), 0.0)
    renderer.close()
    assert np.array_equal(again, low)


def test_a_patrol_picture_is_the_same_with_and_without_the_backdrop(
    open_land: District, camera: CameraModel, needs_egl: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the laid land fills the picture the backdrop is not drawn, and would not be seen."""
    renderer = Renderer(open_land, camera.scaled(0.5))
    pose = _pose(80.0, -55.0)
    without = renderer.picture(pose, 0.0)
    drawn: list[CameraPose] = []
    draw = Backdrop.draw

    def noted(
        self: Backdrop, target: moderngl.Framebuffer, pose: CameraPose, day: Daylight
    ) -> None:
        drawn.append(pose)
        draw(self, target, pose, day)

    monkeypatch.setattr(Backdrop, "is_seen", lambda self, pose: True)
    monkeypatch.setattr(Backdrop, "draw", noted)
    forced = renderer.picture(pose, 0.0)
    renderer.close()
    assert len(drawn) == 1
    assert np.array_equal(forced, without)


@pytest.mark.parametrize(
    ("view", "is_seen"),
    [((60, -90), False), ((95, -50), False), ((40, -40), False), ((20, -8), True)],
)
def test_only_views_past_the_laid_land_pay_for_a_backdrop(
    open_land: District,
    camera: CameraModel,
    needs_egl: None,
    view: tuple[float, float],
    is_seen: bool,
) -> None:
    """A patrol's views see nothing but laid land; a low one sees the horizon."""
    renderer = Renderer(open_land, camera.scaled(0.25), samples=0)
    assert renderer._backdrop.is_seen(_pose(*view)) == is_seen
    depth_m = renderer.depth_m(_pose(*view))
    renderer.close()
    assert bool(depth_m.max() > 890.0) == is_seen


@pytest.mark.parametrize("name", ["dense_town", "village", "harbour"])
def test_the_country_keeps_out_of_the_district(layout: Layout, name: str) -> None:
    """It is laid all around, out to its edge, and nothing of it stands in the streets."""
    mesh = MeshBuilder()
    lay_country(mesh, np.random.default_rng(2), FAMILIES[name], layout)
    rows = mesh.rows()
    ground = rows[rows[:, 8] == Layer.COUNTRY].reshape(-1, 3, rows.shape[1])[:, :, :2]
    a, b = ground[:, 1] - ground[:, 0], ground[:, 2] - ground[:, 0]
    area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / 2
    assert area == pytest.approx(4 * COUNTRY_HALF_M**2 - 4 * HALF_M**2)
    assert np.abs(rows[:, :2]).max() < COUNTRY_HALF_M + 30.0
    high = rows[rows[:, 2] > 0.1]
    assert np.abs(high[:, :2]).max(axis=1).min() > HALF_M
    assert len(rows) < 3 * 160_000


def test_plots_tile_the_country_and_differ() -> None:
    """Fields cover the land once, in many sizes and of several kinds."""
    plots = plan_country(np.random.default_rng(7), FAMILIES["village"])
    rng = np.random.default_rng(1)
    spots = rng.uniform(-COUNTRY_HALF_M, COUNTRY_HALF_M, (300, 2))
    held = np.zeros(len(spots))
    for plot in plots:
        cos, sin = np.cos(plot.foot.turn_rad), np.sin(plot.foot.turn_rad)
        local = (spots - [plot.foot.east_m, plot.foot.north_m]) @ np.array(
            [[cos, -sin], [sin, cos]]
        )
        held += np.all(np.abs(local) < [plot.foot.length_m / 2, plot.foot.width_m / 2], axis=1)
    assert (held == 1).all()
    areas = [plot.foot.length_m * plot.foot.width_m for plot in plots]
    assert max(areas) > 4 * min(areas)
    assert len({plot.kind for plot in plots}) >= 4


def test_skies_range_from_clear_to_overcast_and_from_dim_to_burnt_out() -> None:
    """Days of many seeds show cloudless, broken and closed skies, and some too bright."""
    days = [draw_daylight(np.random.default_rng(seed)) for seed in range(80)]
    assert min(day.cloud for day in days) < 0.15
    assert max(day.cloud for day in days) > 0.95
    assert min(day.sky_gain for day in days) < 0.8
    assert max(day.sky_gain for day in days) > 1.5
