"""Laws of the lens models."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from edge.geo.camera_file import border_uv, fold_in_picture
from edge.geo.lens import BrownLens, Lens, RationalLens
from edge.geo.lens_fisheye import FisheyeLens
from edge.geo.lenses import coefficient_names, lens_of
from edge.records import FloatArray
from tests.unit.geo.geo_rig import LENS, LENSES

small = st.floats(-0.4, 0.4)
tiny = st.floats(-0.01, 0.01)


def unit(rays: FloatArray) -> FloatArray:
    out: FloatArray = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return out


def rays_within(widest_rad: float, seed: int = 1) -> FloatArray:
    """Unit rays up to an angle off the axis, shape (400, 3)."""
    rng = np.random.default_rng(seed)
    angle, around = rng.uniform(0.0, widest_rad, 400), rng.uniform(0.0, 2.0 * np.pi, 400)
    across = np.sin(angle)
    return np.column_stack((across * np.cos(around), across * np.sin(around), np.cos(angle)))


@pytest.mark.parametrize("model", ["brown", "rational"])
def test_a_plane_s_lens_is_opencv_s(model: str) -> None:
    """Projection agrees with cv2.projectPoints, coefficients in its order."""
    lens, rays = LENSES[model], rays_within(0.7)
    coefficients = np.array([getattr(lens, name) for name in coefficient_names(model)])
    theirs, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), np.eye(3), coefficients)
    assert np.abs(lens.project(rays) - theirs[:, 0]).max() < 1e-9


def test_the_fisheye_is_opencv_s() -> None:
    """Projection agrees with cv2.fisheye.projectPoints, and so does the way back."""
    lens, rays = LENSES["fisheye"], rays_within(1.4)
    coefficients = np.array([getattr(lens, name) for name in coefficient_names("fisheye")])
    zero = np.zeros((3, 1))
    theirs, _ = cv2.fisheye.projectPoints(rays[:, None], zero, zero, np.eye(3), coefficients)
    assert np.abs(lens.project(rays) - theirs[:, 0]).max() < 1e-9
    ideal = cv2.fisheye.undistortPoints(theirs, np.eye(3), coefficients)[:, 0]
    back, _ = lens.unproject(theirs[:, 0])
    assert np.abs(back[:, :2] / back[:, 2:] - ideal).max() < 1e-6


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
@given(x=st.floats(-0.7, 0.7), y=st.floats(-0.4, 0.4), length=st.floats(0.01, 100.0))
def test_a_point_comes_back_through_its_ray(lens: Lens, x: float, y: float, length: float) -> None:
    """There and back is the same point, however long the ray is made."""
    rays, is_inside = lens.unproject(np.array([[x, y]]))
    assert is_inside.all()
    assert np.abs(lens.project(rays * length) - (x, y)).max() < 1e-6


@given(k1=small, k2=small, p1=tiny, p2=tiny, k3=small)
def test_what_brown_s_lens_sees_it_finds_again(
    k1: float, k2: float, p1: float, p2: float, k3: float
) -> None:
    """Any coefficients: well this side of the fold each ray returns, the rest is not inside."""
    check_return_in_plane(BrownLens(k1, k2, p1, p2, k3))


@given(above=st.tuples(small, small, tiny), below=st.tuples(small, small, tiny))
def test_what_a_rational_lens_sees_it_finds_again(
    above: tuple[float, float, float], below: tuple[float, float, float]
) -> None:
    """Any coefficients: well this side of fold and pole each ray returns."""
    lens = RationalLens(above[0], above[1], 1e-3, -1e-3, above[2], *below)
    check_return_in_plane(lens)


@example(k1=0.0, k2=0.4, k3=-0.0042827505828065375, k4=-0.009936030875008455)
@given(k1=small, k2=small, k3=tiny, k4=tiny)
def test_what_a_fisheye_sees_it_finds_again(k1: float, k2: float, k3: float, k4: float) -> None:
    """Any coefficients: up to the fold each ray returns, those that look backwards too."""
    lens = FisheyeLens(k1, k2, k3, k4)
    check_return(lens, 0.99 * lens.widest_rad)


def check_return_in_plane(lens: BrownLens) -> None:
    """Where the radial part all but stands still, the decentred part folds the model."""
    widest = 0.7 * min(lens.fold_radius, 1.5)
    radii = np.linspace(0.0, widest, 100)
    bent = lens.distort(np.column_stack((radii, np.zeros(100))))[:, 0]
    assume(float(np.diff(bent).min()) > 0.2 * widest / 99.0)
    check_return(lens, math.atan(widest))


def check_return(lens: Lens, widest_rad: float) -> None:
    rays = rays_within(widest_rad)
    again, is_inside = lens.unproject(lens.project(rays))
    assert is_inside.all()
    assert np.abs(unit(again) - rays).max() < 1e-4


def test_a_fisheye_looks_sideways_and_backwards() -> None:
    """At 90 degrees and beyond a ray has no z = 1, and yet its pixel."""
    lens = FisheyeLens()
    rays, is_inside = lens.unproject(np.array([[math.pi / 2.0, 0.0], [0.0, 2.0], [3.2, 0.0]]))
    assert is_inside.tolist() == [True, True, False]  # nothing is beyond straight backwards
    assert np.allclose(rays[0], (1.0, 0.0, 0.0))
    assert rays[1, 2] == pytest.approx(math.cos(2.0))


def test_a_point_beyond_the_fold_is_refused() -> None:
    """Where the model turns back on itself no ray is given, even where Newton finds one."""
    lens = BrownLens(k1=-0.5)  # folds at a radius of 0.816, where it reaches 0.544
    points = np.array([[0.5, 0.0], [0.56, 0.0], [0.9, 0.9]])
    assert lens.unproject(points)[1].tolist() == [True, False, False]
    fisheye = FisheyeLens(k1=-0.1)  # folds at 1.826 rad, where it reaches 1.217
    points = np.array([[1.21, 0.0], [1.22, 0.0]])
    assert fisheye.unproject(points)[1].tolist() == [True, False]


def test_a_rational_lens_ends_at_its_pole() -> None:
    """1 + k4 r² is zero at r = 2, with k4 = -0.25: beyond it nothing is inside."""
    lens = RationalLens(k4=-0.25)
    assert lens.fold_radius == pytest.approx(2.0)


def test_a_rational_lens_without_denominator_is_brown_s() -> None:
    """Its other coefficients mean the same."""
    same = RationalLens(LENS.k1, LENS.k2, LENS.p1, LENS.p2, LENS.k3)
    rays = rays_within(0.6)
    assert np.allclose(same.project(rays), LENS.project(rays), atol=1e-12)
    assert same.fold_radius == pytest.approx(LENS.fold_radius)


def test_an_unfolding_lens_takes_every_pixel() -> None:
    """A lens whose radius only grows has no fold."""
    assert BrownLens(k1=0.1).fold_radius == math.inf
    assert FisheyeLens(k1=0.1).widest_rad == math.pi


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_what_a_lens_does_not_see_has_no_pixel(lens: Lens) -> None:
    """A ray straight backwards is NaN, not the picture's middle."""
    assert np.isnan(lens.project(np.array([[0.0, 0.0, -1.0]]))).all()


def test_a_ray_beyond_the_fold_has_no_pixel() -> None:
    """It would share the pixel of another ray."""
    beyond = np.array([[0.9, 0.0, 1.0]])
    assert np.isnan(BrownLens(k1=-0.5).project(beyond)).all()


def test_the_fold_in_a_picture_is_measured() -> None:
    """The share of the way to the corner: 0.544 of a picture whose corner is at 1.0."""
    corner = (border_uv(1600, 1200) - (799.5, 599.5)) / 1000.0  # corners at a radius of 1.0
    share = fold_in_picture(BrownLens(k1=-0.5), corner)
    assert share == pytest.approx(0.54, abs=0.011)
    assert fold_in_picture(BrownLens(k1=-0.1), corner) is None


def test_a_round_fisheye_picture_may_have_black_corners() -> None:
    """A model that reaches sideways need not reach the corners; one that folds early must."""
    corner = (border_uv(1600, 1200) - (799.5, 599.5)) / 380.0  # sides at 1.58 and 2.1 rad
    wide = lens_of("fisheye", (-0.06, 0.0, 0.0, 0.0))  # folds at 2.36 rad, reaches 1.57
    assert fold_in_picture(wide, corner) is None
    assert fold_in_picture(FisheyeLens(k1=-0.2), corner) is not None
