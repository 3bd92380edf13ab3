"""Laws of solving a lens from views of a board."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.board import BoardView, CharucoBoard, Chessboard
from calibration.lens import fit_model, solve_lens
from calibration.lens_file import camera_toml, write_camera
from calibration.lens_fit import Fit, intrinsics_of
from calibration.lens_plot import draw_residuals
from edge.bench.geo_lens import measure_chessboard
from edge.errors import BenchError, CalibrationError, ConfigError, LensSetError
from edge.geo.camera import read_intrinsics
from edge.records import FloatArray
from tests.unit.calibration.lens_rig import (
    CAMERAS,
    SQUARE_M,
    KnownCamera,
    chessboard_drawing,
    chessboard_wh_m,
    photographs,
    poses,
    seen_views,
)

BROWN = CAMERAS["brown"]


def projection_error_px(fit: Fit, camera: KnownCamera, views: list[BoardView]) -> float:
    """The largest distance, where boards were seen, between pixels of the solved and true lens.

    A lens that is turned a little and has its middle shifted is nearly the same lens, so the best
    turn is taken out first.
    """
    uv = np.concatenate([view.pixels_uv for view in views])
    true = intrinsics_of(camera.model, fit.size_px, camera.values)
    ours = fit.intrinsics("")
    rays, _ = true.rays_from_pixels(uv)
    found, _ = ours.rays_from_pixels(uv)
    a, b = (r / np.linalg.norm(r, axis=1, keepdims=True) for r in (rays, found))
    u, _, vt = np.linalg.svd(b.T @ a)
    turn: FloatArray = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    return float(np.hypot(*(ours.pixels_from_rays(a @ turn.T) - uv).T).max())


@pytest.mark.parametrize("model", CAMERAS)
def test_corners_without_noise_give_the_lens_back(model: str) -> None:
    """Each model is recovered to a thousandth of a pixel all over the views."""
    camera = CAMERAS[model]
    views = seen_views(camera, noise_px=0.0)
    fit = fit_model(views, model)
    assert fit.rms_px < 1e-3
    assert projection_error_px(fit, camera, views) < 5e-3


@pytest.mark.parametrize("model", ["brown", "fisheye"])
def test_sigmas_are_what_noise_does(model: str) -> None:
    """Over many draws of noise the values scatter as widely as their sigmas say."""
    camera = CAMERAS[model]
    scores = []
    for seed in range(12):
        fit = fit_model(seen_views(camera, noise_px=0.2, seed=seed), model)
        scores.append((fit.values - camera.values) / fit.sigmas)
    spread = float(np.sqrt(np.mean(np.square(scores))))
    assert 0.7 < spread < 1.4  # of 12 × 8 values and more, correlated: 1 ± 0.15


@pytest.mark.parametrize("model", CAMERAS)
def test_photographs_of_a_chessboard_give_the_lens_back(model: str) -> None:
    """Rendered through a known lens, found and solved: right to a fifth of a pixel."""
    camera = CAMERAS[model]
    board = Chessboard(9, 6, SQUARE_M)
    pictures = photographs(camera, chessboard_drawing(9, 6), chessboard_wh_m(9, 6))
    found = [board.find(gray, f"{i}") for i, gray in enumerate(pictures)]
    views = [view for view in found if view is not None]
    solution = solve_lens(views, model)
    assert len(views) >= 12
    assert solution.fit.rms_px < 0.15
    assert not solution.rejected
    assert projection_error_px(solution.fit, camera, views) < 0.2
    assert np.abs(solution.fit.values[:2] / camera.focal_px - 1.0).max() < 2e-3


def test_photographs_of_a_charuco_board_give_the_lens_back() -> None:
    """Parts of the board are enough, and count."""
    board = CharucoBoard(10, 7, SQUARE_M, 0.022)
    size_m = (10 * SQUARE_M, 7 * SQUARE_M)
    pictures = photographs(BROWN, board.drawn(40), size_m)
    found = [board.find(gray, f"{i}") for i, gray in enumerate(pictures)]
    views = [view for view in found if view is not None]
    assert len(views) == 14
    assert min(len(view.pixels_uv) for view in views) < 54  # of 9 × 6
    solution = solve_lens(views, "brown")
    assert projection_error_px(solution.fit, BROWN, views) < 0.3


@pytest.mark.parametrize("model", ["brown", "fisheye"])
def test_the_model_is_chosen_by_what_it_was_not_fitted_to(model: str) -> None:
    """Of the models the simplest one that explains views held out, and that is the true one."""
    solution = solve_lens(seen_views(CAMERAS[model], noise_px=0.1)[:10])
    assert solution.fit.model == model


def test_it_is_opencv_s_answer() -> None:
    """On the same corners Brown's model and its sigmas are those of OpenCV's own solver."""
    views = seen_views(BROWN, noise_px=0.2)
    fit = fit_model(views, "brown", robust=False)
    rms_px, matrix, coefficients, _, _, sigmas, *_ = cv2.calibrateCameraExtended(
        [view.board_m.astype(np.float32) for view in views],
        [view.pixels_uv.astype(np.float32)[:, None] for view in views],
        (640, 480), np.eye(3), np.zeros(5),
    )  # fmt: skip
    assert fit.rms_px == pytest.approx(rms_px, rel=1e-3)
    assert fit.values[:4] == pytest.approx(
        [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]], abs=0.05
    )
    assert fit.values[4:] == pytest.approx(coefficients.ravel(), abs=0.01)
    assert fit.sigmas == pytest.approx(sigmas.ravel()[:9], rel=0.05)


def test_the_size_of_the_picture_changes_pixels_only() -> None:
    """Twice the pixels: twice the focal length, the same distortion."""
    views = seen_views(BROWN, noise_px=0.0)
    doubled = [
        replace(view, size_px=(1280, 960), pixels_uv=(view.pixels_uv + 0.5) * 2.0 - 0.5)
        for view in views
    ]
    one, two = fit_model(views, "brown"), fit_model(doubled, "brown")
    assert two.values[:2] == pytest.approx(2.0 * one.values[:2], rel=1e-5)
    assert two.values[4:] == pytest.approx(one.values[4:], abs=1e-3)


def test_a_view_that_is_wrong_is_left_out() -> None:
    """A board that moved, and one whose corners were taken for others, do not pull the lens."""
    views = seen_views(BROWN, noise_px=0.1)
    rng = np.random.default_rng(5)
    torn = replace(views[3], pixels_uv=views[3].pixels_uv + rng.normal(0.0, 3.0, (51, 2)))
    swapped = replace(views[9], pixels_uv=views[9].pixels_uv.copy())
    swapped.pixels_uv[:10] = swapped.pixels_uv[9::-1]
    views[3], views[9] = torn, swapped
    solution = solve_lens(views, "brown")
    assert set(solution.rejected) == {"view-03", "view-09"}
    assert solution.fit.values[0] == pytest.approx(520.0, abs=1.0)


def test_a_set_that_is_mostly_wrong_is_refused() -> None:
    """Views that do not agree give no lens, however many they are."""
    views = seen_views(BROWN, noise_px=0.1)
    rng = np.random.default_rng(5)
    for i in range(0, 14, 2):
        noise = rng.normal(0.0, 4.0 + i, views[i].pixels_uv.shape)
        views[i] = replace(views[i], pixels_uv=views[i].pixels_uv + noise)
    with pytest.raises(LensSetError, match="do not agree"):
        solve_lens(views, "brown")


def test_too_few_views_are_refused() -> None:
    """It says how many, and what to photograph next."""
    with pytest.raises(LensSetError, match=r"in 4 pictures; 6 are the least.*photograph the board"):
        solve_lens(seen_views(BROWN, noise_px=0.1)[:4])


def test_boards_seen_squarely_are_refused() -> None:
    """They tell the focal length only times the distance."""
    pose = poses(BROWN, (8 * SQUARE_M, 5 * SQUARE_M), tilt_deg=0.0)[0]
    first = seen_views(BROWN, noise_px=0.0)[0]
    rng = np.random.default_rng(2)
    views = []
    for i in range(10):
        place = rng.uniform((-0.2, -0.12, 0.35), (-0.05, -0.02, 0.6))
        moved = replace(pose, camera_from_board=np.eye(3), board_in_camera_m=place)
        uv = BROWN.project(first.board_m, moved) + rng.normal(0.0, 0.1, first.pixels_uv.shape)
        views.append(replace(first, name=f"flat-{i}", pixels_uv=uv))
    with pytest.raises(LensSetError, match="squarely"):
        solve_lens(views, "brown")


def test_pictures_of_two_sizes_are_refused() -> None:
    """The odd one is named."""
    views = seen_views(BROWN, noise_px=0.1)
    views[5] = replace(views[5], size_px=(480, 640))
    with pytest.raises(LensSetError, match="view-05 is 480×640, others are 640×480"):
        solve_lens(views)


def test_corners_that_no_board_reached_are_warned_of() -> None:
    """What the lens does there is a guess."""
    timid = replace(BROWN, reach_deg=(3.0, 2.0))
    warnings = " ".join(solve_lens(seen_views(timid, noise_px=0.05)[:10], "brown").warnings)
    assert "top left corner" in warnings
    assert "only 10 views" in warnings


def test_a_board_that_is_none_is_refused() -> None:
    """Numbers of squares and sizes that cannot be."""
    with pytest.raises(ConfigError, match="inner corners"):
        Chessboard(2, 6)
    with pytest.raises(ConfigError, match="smaller than its squares"):
        CharucoBoard(8, 6, 0.02, 0.03)
    with pytest.raises(ConfigError, match="no ArUco dictionary"):
        CharucoBoard(8, 6, 0.03, 0.02, "DICT_NONE")


@pytest.mark.parametrize("model", CAMERAS)
def test_the_written_file_is_the_lens_that_was_solved(model: str, tmp_path: Path) -> None:
    """It loads where the aircraft reads it, and says how it was measured."""
    solution = solve_lens(seen_views(CAMERAS[model], noise_px=0.1), model)
    text = camera_toml(solution, "cam-1", 'a test of "quotes"', "a board")
    path = tmp_path / "cameras" / "cam-1.toml"
    write_camera(path, text, overwrite=False)
    read, solved = read_intrinsics(path), solution.fit.intrinsics("cam-1")
    pixels = np.array([[10.0, 10.0], [320.0, 240.0], [600.0, 400.0]])
    assert np.allclose(
        read.rays_from_pixels(pixels)[0], solved.rays_from_pixels(pixels)[0], atol=1e-7
    )
    assert "view-00" in text
    assert (read.camera_id, read.width_px, read.height_px) == ("cam-1", 640, 480)
    with pytest.raises(CalibrationError, match="--overwrite"):
        write_camera(path, text, overwrite=False)


def test_the_residuals_are_drawn(tmp_path: Path) -> None:
    """A PNG that opens, whatever was rejected."""
    views = seen_views(BROWN, noise_px=0.1)
    noise = np.random.default_rng(1).normal(0.0, 3.0, views[2].pixels_uv.shape)
    views[2] = replace(views[2], pixels_uv=views[2].pixels_uv + noise)
    path = tmp_path / "plots" / "lens.png"
    draw_residuals(solve_lens(views, "brown"), "a lens", path)
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.shape[1] > 1000


def test_opencv_s_chessboards_give_their_lens(shared_data: Path) -> None:
    """On the tutorial's corners the tutorial's answer; on better ones, half the error."""
    figures = measure_chessboard(shared_data / "calibration")
    assert figures.tutorial_fx_px == pytest.approx(536.07, abs=0.1)
    assert figures.tutorial_rms_px == pytest.approx(0.409, abs=0.002)
    assert figures.fx_px == pytest.approx(532.8, abs=1.0)
    assert figures.rms_px < 0.22


def test_a_folder_without_chessboards_is_named(tmp_path: Path) -> None:
    """The figure is not measured, and the message says where it looked."""
    with pytest.raises(BenchError, match=r"left\*\.jpg"):
        measure_chessboard(tmp_path)
