"""Laws of lens and intrinsics."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import CalibrationError
from edge.geo.camera import read_intrinsics
from edge.geo.lens import BrownLens
from tests.unit.geo.geo_rig import LENS, camera, pinhole

CAMERA_TOML = """
id = "test"
width_px = 1280
height_px = 720
fx_px = 900.0
fy_px = 900.0
cx_px = 639.5
cy_px = 359.5
model = "brown"
distortion = [-0.1, 0.01, 0.0, 0.0, 0.0]
rms_px = 0.3
source = "test"
"""


@given(u=st.floats(0.0, 1279.0), v=st.floats(0.0, 719.0))
def test_a_pixel_comes_back_through_its_ray(u: float, v: float) -> None:
    """Undistortion is converged: there and back is the same pixel to a thousandth."""
    pixels = np.array([[u, v]])
    rays, in_lens = camera().rays_from_pixels(pixels)
    assert in_lens.all()
    assert np.abs(camera().pixels_from_rays(rays) - pixels).max() < 1e-3


def test_the_lens_is_opencv_s() -> None:
    """Projection agrees with cv2.projectPoints over the whole picture."""
    rng = np.random.default_rng(1)
    rays = np.column_stack((rng.uniform(-0.6, 0.6, (200, 2)), np.ones(200)))
    intrinsics = camera()
    matrix = np.array(
        [
            [intrinsics.fx_px, 0.0, intrinsics.cx_px],
            [0.0, intrinsics.fy_px, intrinsics.cy_px],
            [0.0, 0.0, 1.0],
        ]
    )
    coefficients = np.array([LENS.k1, LENS.k2, LENS.p1, LENS.p2, LENS.k3])
    theirs, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), matrix, coefficients)
    assert np.abs(intrinsics.pixels_from_rays(rays) - theirs[:, 0]).max() < 1e-6


def test_a_pixel_beyond_the_lens_s_fold_is_refused() -> None:
    """Where the model turns back on itself no ray is given, even where Newton finds one."""
    lens = BrownLens(k1=-0.5)  # folds at a radius of 0.816, where it reaches 0.544
    points = np.array([[0.5, 0.0], [0.56, 0.0], [0.9, 0.9]])
    _, in_lens = lens.undistort(points)
    assert in_lens.tolist() == [True, False, False]


def test_an_unfolding_lens_takes_every_pixel() -> None:
    """A lens whose radius only grows has no fold."""
    assert BrownLens(k1=0.1).fold_radius == float("inf")


@given(scale=st.sampled_from([0.25, 0.5, 1.5, 2.0]), x=st.floats(0.0, 1.0), y=st.floats(0.0, 1.0))
def test_a_place_in_the_picture_keeps_its_ray_at_any_size(scale: float, x: float, y: float) -> None:
    """Scaling moves pixel centres by the half pixel that the picture's corner stands off."""
    large = camera()
    small = large.scaled_to(int(1280 * scale), int(720 * scale))
    fraction = np.array([[x, y]])
    ray_large, _ = large.rays_from_pixels(fraction * (1280, 720) - 0.5)
    ray_small, _ = small.rays_from_pixels(fraction * (small.width_px, small.height_px) - 0.5)
    assert np.allclose(ray_large, ray_small, atol=1e-9)


def test_another_aspect_is_refused() -> None:
    """A 4:3 frame of a 16:9 calibration was cropped in a way nobody stated."""
    with pytest.raises(CalibrationError, match="1280×720, but frames are 640×480"):
        pinhole().scaled_to(640, 480)


def test_a_calibration_is_read_as_written(tmp_path: Path) -> None:
    """Every number of the file arrives."""
    path = tmp_path / "camera.toml"
    path.write_text(CAMERA_TOML)
    intrinsics = read_intrinsics(path)
    assert (intrinsics.camera_id, intrinsics.width_px, intrinsics.cy_px) == ("test", 1280, 359.5)
    assert intrinsics.lens == BrownLens(-0.1, 0.01)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("fx_px = 900.0", "fx_px = -900.0", ":5: fx_px = -900.0"),
        ("fx_px = 900.0", "fxx_px = 900.0", "did you mean `fx_px`?"),
        ("fx_px = 900.0\n", "", "fx_px: is missing"),
        ("fx_px = 900.0", "fx_px = nan", "fx_px = nan"),
        ("[-0.1, 0.01, 0.0, 0.0, 0.0]", "[-0.1, 0.01]", "distortion.2: is missing"),
        ('"brown"', '"magic"', "model = 'magic'"),
        ("cx_px = 639.5", "cx_px = 6395.0", "outside the 1280×720 picture"),
        ("fy_px", "fy_px =", "not TOML"),
    ],
)
def test_a_wrong_calibration_says_file_and_key(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    """Each mistake stops the start with a sentence that finds it."""
    path = tmp_path / "camera.toml"
    path.write_text(CAMERA_TOML.replace(old, new))
    with pytest.raises(CalibrationError) as refusal:
        read_intrinsics(path)
    assert str(path) in str(refusal.value)
    assert said in str(refusal.value)


def test_a_missing_calibration_is_named(tmp_path: Path) -> None:
    """The path that does not exist is in the message."""
    with pytest.raises(CalibrationError, match=r"nowhere\.toml"):
        read_intrinsics(tmp_path / "nowhere.toml")


def test_every_shipped_camera_loads(repo: Path) -> None:
    """What the repository ships is usable."""
    paths = sorted((repo / "calibration" / "cameras").glob("*.toml"))
    assert paths
    assert all(read_intrinsics(path).camera_id == path.stem for path in paths)
