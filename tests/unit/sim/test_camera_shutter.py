"""Laws of the shutter: rows in time, and motion while the light falls."""

from __future__ import annotations

import numpy as np
import pytest

from sim.camera import CameraModel, CameraPose, camera_pose, project
from sim.camera_shutter import Exposure, Shutter

READOUT_S = 0.03
NOON_S = 5.0


def _flying(time_s: float) -> CameraPose:
    """9 m/s to the north-east, turning 20 degrees a second, rocking, sinking."""
    late = time_s - NOON_S
    position = np.array([6.0 * late, 7.0 * late, 60.0 - 1.0 * late])
    return camera_pose(position, (0.02 + 0.2 * late, -1.1 + 0.15 * late, 0.3 + 0.35 * late))


def _exactly(camera: CameraModel, shutter: Shutter, point_m: np.ndarray) -> np.ndarray:
    """Find the pixel of a world point by its row's own instant, by bisection over time."""
    early, late = NOON_S - shutter.readout_s, NOON_S + shutter.readout_s

    def ahead(time_s: float) -> tuple[float, np.ndarray]:
        uv, _ = project(camera, _flying(time_s), point_m[None])
        row_s = shutter.row_time_s(NOON_S, uv[0, 1:], camera.height_px)
        return float(time_s - row_s[0]), uv[0]

    for _ in range(60):
        middle = (early + late) / 2
        early, late = (early, middle) if ahead(middle)[0] > 0 else (middle, late)
    return ahead((early + late) / 2)[1]


def _ground_points(camera: CameraModel) -> np.ndarray:
    """Return points on the ground all over the picture, shape (N, 3)."""
    u, v = np.meshgrid(np.linspace(40, 1240, 7), np.linspace(40, 680, 5))
    bent = (np.column_stack([u.ravel(), v.ravel()]) - [camera.cx_px, camera.cy_px]) / camera.fx_px
    rays = np.column_stack([camera.unbend(bent), np.ones(u.size)])
    pose = _flying(NOON_S)
    directions = rays @ pose.enu_from_camera.T
    return np.asarray(
        pose.position_m - directions * (pose.position_m[2] / directions[:, 2])[:, None]
    )


def test_a_rolling_shutter_shows_each_point_at_its_rows_instant(camera: CameraModel) -> None:
    """The warp puts points of the ground where the exact projection of each row does."""
    shutter = Shutter(0.0, READOUT_S)
    exposure = Exposure(camera, shutter, _flying)
    points = _ground_points(camera)
    drawn, _ = project(camera, _flying(NOON_S), points)
    exact = np.array([_exactly(camera, shutter, point) for point in points])
    assert np.abs(exact - drawn).max() > 5.0  # else the test would see nothing
    assert exposure.seen_at(drawn, NOON_S) == pytest.approx(exact, abs=0.05)


def test_what_stands_on_the_ground_is_off_by_little(camera: CameraModel) -> None:
    """The warp knows the ground only; a roof of ten metres is still within a pixel."""
    shutter = Shutter(0.0, READOUT_S)
    points = _ground_points(camera) * [1, 1, 0] + [0, 0, 10.0]
    drawn, _ = project(camera, _flying(NOON_S), points)
    inside = np.all((drawn > 0) & (drawn < [1279, 719]), axis=1)
    exact = np.array([_exactly(camera, shutter, point) for point in points[inside]])
    seen = Exposure(camera, shutter, _flying).seen_at(drawn[inside], NOON_S)
    assert np.abs(seen - exact).max() < 1.0


def test_the_picture_moves_as_the_points_do(camera: CameraModel) -> None:
    """A spot in the drawn picture lands where its point is seen, to a fifth of a pixel."""
    shutter = Shutter(0.0, READOUT_S)
    exposure = Exposure(camera, shutter, _flying)
    for centre in ((203.0, 88.0), (1011.0, 640.0)):
        rows, cols = np.mgrid[0:720, 0:1280]
        away = ((cols - centre[0]) ** 2 + (rows - centre[1]) ** 2) / (2 * 4.0**2)
        spot = np.repeat((240 * np.exp(-away)).astype(np.uint8)[..., None], 3, axis=2)
        light = exposure.expose(spot, NOON_S)[..., 0].astype(np.float64)
        found = (float((cols * light).sum()), float((rows * light).sum()))
        wanted = exposure.seen_at(np.array([centre]), NOON_S)[0]
        assert np.array(found) / light.sum() == pytest.approx(wanted, abs=0.2)


def test_blur_is_as_long_as_the_motion_during_the_exposure(camera: CameraModel) -> None:
    """A spot is smeared over the way that its ground point goes in the picture, and stays."""
    shutter = Shutter(0.02, 0.0)
    exposure = Exposure(camera, shutter, _flying)
    spot = np.zeros((720, 1280, 3), np.uint8)
    spot[358:363, 638:643] = 250
    light = exposure.expose(spot, NOON_S)[..., 0].astype(np.float64)
    rows, cols = np.nonzero(light > 4)
    point = _ground_points(camera)[17]  # the middle of the picture
    ends = [project(camera, _flying(NOON_S + s), point[None])[0][0] for s in (-0.01, 0.01)]
    way = np.abs(ends[1] - ends[0])
    assert way.max() > 3.0
    assert np.ptp(cols) == pytest.approx(4 + way[0], abs=1.6)
    assert np.ptp(rows) == pytest.approx(4 + way[1], abs=1.6)
    middle = ((cols * light[rows, cols]).sum(), (rows * light[rows, cols]).sum())
    assert np.array(middle) / light[rows, cols].sum() == pytest.approx((640.0, 360.0), abs=0.4)
    assert light.sum() == pytest.approx(25 * 250, rel=0.03)


def test_an_instant_exposure_changes_nothing(camera: CameraModel) -> None:
    """Without exposure time and readout the picture is the drawn one, bit for bit."""
    image = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    assert Exposure(camera, Shutter(), _flying).expose(image, NOON_S) is image


def test_at_rest_a_rolling_shutter_changes_nothing(camera: CameraModel) -> None:
    """Rows that are read late show the same where nothing moves."""
    still = _flying(NOON_S)
    image = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8)
    seen = Exposure(camera, Shutter(0.01, READOUT_S), lambda _: still).expose(image, NOON_S)
    assert np.abs(seen.astype(int) - image).max() <= 1
