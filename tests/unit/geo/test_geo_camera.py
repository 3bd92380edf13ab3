"""Laws of lens and intrinsics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import CameraConfig
from edge.errors import CalibrationError
from edge.geo.camera import flown_intrinsics, read_intrinsics
from edge.geo.lens import BrownLens, Lens
from tests.unit.geo.geo_rig import LENSES, camera, pinhole

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
    """A 4:3 frame of a 16:9 calibration was cropped in a way nobody stated; a likely is told."""
    with pytest.raises(CalibrationError, match="1280×720, but frames are 640×480") as refusal:
        pinhole().scaled_to(640, 480)
    assert "crop_px = [160, 0, 960, 720]" in str(refusal.value)
    assert pinhole().cropped(160, 0, 960, 720).scaled_to(640, 480).cx_px == pytest.approx(319.5)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
@given(x=st.floats(0.0, 1.0), y=st.floats(0.0, 1.0), zoom=st.floats(1.0, 4.0))
def test_crop_scale_and_zoom_keep_a_place_s_ray(
    lens: Lens, x: float, y: float, zoom: float
) -> None:
    """The ray through a pixel is the ray through the pixel that the camera made of it."""
    whole = replace(camera(), lens=lens)
    flown = whole.cropped(160, 90, 960, 540).scaled_to(640, 360).zoomed(zoom)
    corner = np.array([[x, y]]) * (640.0, 360.0)  # of the flown picture, from its very corner
    middle = np.array([320.0, 180.0])
    of_crop = ((corner - middle) / zoom + middle) * 1.5  # undo the zoom, then the scaling
    ray, is_inside = flown.rays_from_pixels(corner - 0.5)
    same, is_same_inside = whole.rays_from_pixels(of_crop + np.array([[159.5, 89.5]]))
    assert is_inside.all()
    assert is_same_inside.all()
    assert np.allclose(ray, same, atol=1e-9)


@given(zoom=st.floats(1.0, 4.0), scale=st.sampled_from([0.25, 0.5, 2.0]))
def test_a_zoom_may_be_stated_before_the_size_is_known(zoom: float, scale: float) -> None:
    """Zooming about the middle and scaling commute, so frames of any size fit a stated zoom."""
    size = int(1280 * scale), int(720 * scale)
    early, late = camera().zoomed(zoom).scaled_to(*size), camera().scaled_to(*size).zoomed(zoom)
    assert early.cx_px == pytest.approx(late.cx_px)
    assert early.cy_px == pytest.approx(late.cy_px)
    assert early.fx_px == pytest.approx(late.fx_px)


@pytest.mark.parametrize(
    "part", [(-1, 0, 10, 10), (0, 0, 1281, 720), (1, 0, 1280, 720), (0, 0, 0, 0), (0, 719, 9, 2)]
)
def test_a_crop_beyond_the_picture_is_refused(part: tuple[int, int, int, int]) -> None:
    """A part of a picture lies in it."""
    with pytest.raises(CalibrationError, match=r"crop_px = .* is not within the calibrated"):
        camera().cropped(*part)


@pytest.mark.parametrize("factor", [0.99, 0.0, -2.0, float("nan"), float("inf")])
def test_a_zoom_that_shows_more_than_the_picture_is_refused(factor: float) -> None:
    """Enlarging the middle is a factor of one or more."""
    with pytest.raises(CalibrationError, match="digital zoom"):
        camera().zoomed(factor)


def test_what_is_flown_of_the_picture_is_stated_once(tmp_path: Path) -> None:
    """A calibration's crop and zoom hold; the config's hold where the file has none; never both."""
    path = tmp_path / "camera.toml"
    path.write_text(CAMERA_TOML)
    by_config = read_intrinsics(path, crop_px=(0, 0, 640, 360), zoom=2.0)
    path.write_text(CAMERA_TOML + "[flown]\ncrop_px = [0, 0, 640, 360]\nzoom = 2.0\n")
    assert read_intrinsics(path) == by_config
    assert (by_config.width_px, by_config.fx_px) == (640, 1800.0)
    with pytest.raises(CalibrationError, match="keep it in one place"):
        read_intrinsics(path, zoom=1.5)


def test_the_config_s_crop_reaches_the_intrinsics(tmp_path: Path) -> None:
    """`crop_px` and `zoom` of [[camera]] are taken from the calibrated picture."""
    path = tmp_path / "camera.toml"
    path.write_text(CAMERA_TOML)
    keys = {"id": "main", "source": "x.mp4", "model": "m", "calibration": path, "mount": "m.toml"}
    config = CameraConfig.model_validate({**keys, "crop_px": [160, 0, 960, 720], "zoom": 1.25})
    assert flown_intrinsics(config) == read_intrinsics(path).cropped(160, 0, 960, 720).zoomed(1.25)


def test_how_frames_relate_to_the_calibration_is_said() -> None:
    """The same size, or the same picture so many times as large."""
    assert pinhole().fit_to(1280, 720) == "is for this very size, 1280×720"
    assert "0.5 times as large" in pinhole().fit_to(640, 360)


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
        (
            "[-0.1, 0.01, 0.0, 0.0, 0.0]",
            "[-0.1, 0.01]",
            ":10: distortion: 2 coefficients; the brown model has 5",
        ),
        ('"brown"', '"rational"', "the rational model has 8: k1 k2 p1 p2 k3 k4 k5 k6"),
        ('"brown"', '"fisheye"', "the fisheye model has 4: k1 k2 k3 k4"),
        ("[-0.1, 0.01, 0.0, 0.0, 0.0]", "[-0.9, 0.0, 0.0, 0.0, 0.0]", "folds inside the picture"),
        ('source = "test"', "[flown]\nzoom = 0.5", ":13: flown.zoom = 0.5"),
        ('source = "test"', "[flown]\ncrop_px = [0, 0, 1, 2, 3]", "flown.crop_px"),
        ('source = "test"', "[flown]\ncrop_px = [700, 0, 700, 720]", "not within the calibrated"),
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


def test_a_lens_that_folds_in_the_very_corners_flies(tmp_path: Path) -> None:
    """A real calibration may not reach them: all else has its place, and they say why not."""
    path = tmp_path / "camera.toml"
    path.write_text(CAMERA_TOML.replace("[-0.1, 0.01, 0.0", "[-0.35, 0.0, 0.0"))
    camera = read_intrinsics(path)
    pixels = np.array([[0.0, 0.0], [639.5, 20.0], [300.0, 300.0]])
    rays, in_lens = camera.rays_from_pixels(pixels)
    assert in_lens.tolist() == [False, True, True]
    assert camera.pixels_from_rays(rays[1:]) == pytest.approx(pixels[1:], abs=0.01)
