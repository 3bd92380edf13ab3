"""Laws of error ellipses and circles, and of the error budget against sampling."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.accuracy import ce90_m, ellipse_from_covariance
from edge.config import AccuracyConfig
from edge.geo.locate import Locator
from edge.geo.mount import MountKind
from edge.geo.plane import LocalPlane
from edge.records import (
    CE90_PER_SIGMA,
    Covariance2,
    Detection,
    Ellipse,
    FloatArray,
    Frame,
    MonoNs,
    SharedSource,
    Sighting,
)
from tests.unit.geo.geo_rig import frame, gimbal, mount, pinhole, pose

# One sigma, as a usual aircraft has them; what differs from look to look apart.
BUDGET = AccuracyConfig(
    gnss_h_m=1.5,
    height_m=3.0,
    tilt_deg=0.7,
    tilt_look_deg=0.2,
    heading_deg=2.0,
    heading_look_deg=0.2,
    box_px=2.0,
)
VELOCITY = (4.0, 7.0, 0.0)
TIME_S = 0.05
N = 40_000
# Height, depression; CE90 of the published table for the same sources.
CELLS = [(50.0, 90.0, 3.5), (50.0, 45.0, 6.7), (100.0, 60.0, 6.0)]


@given(a=st.floats(0.1, 50.0), ratio=st.floats(0.01, 1.0), azimuth=st.floats(0.0, 179.9))
def test_an_ellipse_comes_back_from_its_covariance(a: float, ratio: float, azimuth: float) -> None:
    """Axes are 2.146 sigmas long and the azimuth is the long one's from north."""
    sigma_a, sigma_b, angle = a, max(a * ratio, 0.01), math.radians(azimuth)
    sin, cos = math.sin(angle), math.cos(angle)
    covariance = (
        (sigma_a * sin) ** 2 + (sigma_b * cos) ** 2,
        (sigma_a**2 - sigma_b**2) * sin * cos,
        (sigma_a * cos) ** 2 + (sigma_b * sin) ** 2,
    )
    ellipse = ellipse_from_covariance(covariance)
    assert ellipse.a_m == pytest.approx(CE90_PER_SIGMA * sigma_a, rel=1e-6)
    assert ellipse.b_m == pytest.approx(CE90_PER_SIGMA * sigma_b, rel=1e-3, abs=0.011)
    if ratio < 0.95:
        off = (ellipse.azimuth_deg - azimuth + 90.0) % 180.0 - 90.0
        assert abs(off) < 0.01


def test_an_ellipse_holds_nine_in_ten() -> None:
    """Of samples with the covariance 90 % fall inside."""
    covariance = np.array([[4.0, 1.5], [1.5, 1.0]])
    samples = np.random.default_rng(2).multivariate_normal((0, 0), covariance, N)
    ellipse = ellipse_from_covariance((4.0, 1.5, 1.0))
    assert _share_inside(ellipse, samples) == pytest.approx(0.90, abs=0.006)


@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.1, 0.001])
def test_ce90_holds_nine_in_ten_of_any_ellipse(ratio: float) -> None:
    """The circle's radius is right to 1 % from a circle to a line."""
    samples = np.random.default_rng(3).normal(size=(400_000, 2)) * (1.0, ratio)
    sampled_m = float(np.quantile(np.hypot(*samples.T), 0.90))
    ellipse = Ellipse(CE90_PER_SIGMA, CE90_PER_SIGMA * ratio, 0.0)
    assert ce90_m(ellipse) == pytest.approx(sampled_m, rel=0.01)


@pytest.mark.parametrize(("height_m", "depression_deg", "published_m"), CELLS)
def test_the_covariance_is_that_of_sampled_errors(
    height_m: float, depression_deg: float, published_m: float
) -> None:
    """Each sigma and the CE90 agree within 10 % with sampling the same sources."""
    samples = _sampled(height_m, depression_deg)
    covariance = _predicted(height_m, depression_deg)
    ellipse = ellipse_from_covariance(covariance)
    assert math.sqrt(covariance[0]) == pytest.approx(samples[:, 0].std(), rel=0.10)
    assert math.sqrt(covariance[2]) == pytest.approx(samples[:, 1].std(), rel=0.10)
    centred = samples - samples.mean(axis=0)
    assert ce90_m(ellipse) == pytest.approx(np.quantile(np.hypot(*centred.T), 0.90), rel=0.10)
    assert _share_inside(ellipse, centred) == pytest.approx(0.90, abs=0.02)
    assert ce90_m(ellipse) == pytest.approx(published_m, rel=0.15)


def _share_inside(ellipse: Ellipse, samples: FloatArray) -> float:
    angle = math.radians(ellipse.azimuth_deg)
    along = samples @ (math.sin(angle), math.cos(angle))
    across = samples @ (math.cos(angle), -math.sin(angle))
    return float(((along / ellipse.a_m) ** 2 + (across / ellipse.b_m) ** 2 <= 1.0).mean())


def _predicted(height_m: float, depression_deg: float) -> Covariance2:
    """The whole covariance that the locator gives the picture's centre, looking north."""
    locator = Locator(
        pinhole(),
        mount(MountKind.FIXED, body_from_camera_deg=(0.0, -depression_deg, 0.0)),
        LocalPlane(31.5, 120.3),
        accuracy=BUDGET,
    )
    at = pose(
        above_home_m=height_m,
        velocity_ned_mps=VELOCITY,
        rates_body_radps=(0.0, 0.0, 0.0),
        sync_sigma_s=TIME_S,
    )
    # Water is level: the least height that is left uncertain, and added to the samples too.
    thing = Detection("floating_waste", 0.9, (639.5, 359.5, 639.5, 359.5))
    (sighting,) = locator.locate([thing], frame(), at)
    assert isinstance(sighting, Sighting)
    look, shared = sighting.look_covariance, sighting.shared_covariance
    return look[0] + shared[0], look[1] + shared[1], look[2] + shared[2]


def _sampled(height_m: float, depression_deg: float) -> FloatArray:
    """Places (east, north) of N disturbed views, by trigonometry alone."""
    rng = np.random.default_rng(4)
    tilt_rad, heading_rad, pixel_rad = (
        math.radians(math.hypot(BUDGET.tilt_deg, BUDGET.tilt_look_deg)),
        math.radians(math.hypot(BUDGET.heading_deg, BUDGET.heading_look_deg)),
        BUDGET.box_px / 1000.0,
    )
    sight = math.radians(depression_deg)
    # The sight line turned by small angles: nose up, about north, about down; pixels likewise.
    up = rng.normal(0, tilt_rad, N) + rng.normal(0, pixel_rad, N)
    about_north, about_down = rng.normal(0, tilt_rad, N), rng.normal(0, heading_rad, N)
    aside_px = rng.normal(0, pixel_rad, N)
    north, down = np.cos(sight - up), np.sin(sight - up)
    east = aside_px - about_north * down
    down = down + about_north * east
    north, east = (
        north * np.cos(about_down) - east * np.sin(about_down),
        north * np.sin(about_down) + east * np.cos(about_down),
    )
    reach = (height_m + rng.normal(0, math.hypot(BUDGET.height_m, 0.5), N)) / down
    late_s = rng.normal(0, math.hypot(TIME_S, 0.005), N)
    return np.column_stack(
        (
            east * reach + rng.normal(0, BUDGET.gnss_h_m, N) + VELOCITY[1] * late_s,
            north * reach + rng.normal(0, BUDGET.gnss_h_m, N) + VELOCITY[0] * late_s,
        )
    )


def test_a_receiver_s_word_replaces_the_config_s() -> None:
    """RTK shrinks the ellipse; a boast does not go below what a receiver cannot know.

    Its word is of the distance, so each axis has half the variance.
    """

    def shared_var(h_acc_m: float | None) -> float:
        locator = Locator(
            pinhole(), mount(MountKind.FIXED), LocalPlane(31.5, 120.3), accuracy=BUDGET
        )
        thing = Detection("floating_waste", 0.9, (639.5, 359.5, 639.5, 359.5))
        (sighting,) = locator.locate([thing], frame(), pose(h_acc_m=h_acc_m))
        assert isinstance(sighting, Sighting)
        return sighting.shared_covariance[0]

    base = shared_var(0.02) - 0.02**2
    assert shared_var(None) == pytest.approx(base + 1.5**2)
    assert shared_var(4.0) == pytest.approx(base + 4.0**2 / 2.0)
    assert shared_var(0.2) == pytest.approx(base + 0.5**2)


def test_late_and_stale_samples_widen_the_ellipse() -> None:
    """Clock error, reach and gimbal age each add; clock and latency to what a pass shares."""
    locator = Locator(
        pinhole(), mount(MountKind.STABILISED_GIMBAL), LocalPlane(31.5, 120.3), accuracy=BUDGET
    )
    thing = Detection("floating_waste", 0.9, (600.0, 300.0, 640.0, 340.0))
    calm = pose(gimbal=gimbal(-50.0), velocity_ned_mps=VELOCITY)
    stale = replace(gimbal(-50.0), age_s=0.5)
    late_frame = Frame(frame().image_bgr, MonoNs(0), "test", 7, captured_sigma_s=0.1)

    def variances(at_frame: Frame, **changes: object) -> tuple[float, float]:
        (sighting,) = locator.locate([thing], at_frame, replace(calm, **changes))
        assert isinstance(sighting, Sighting)
        look, shared = sighting.look_covariance, sighting.shared_covariance
        return look[0] + look[2], shared[0] + shared[2]

    look, shared = variances(frame())
    assert variances(frame(), reach_s=0.3)[0] > look
    assert variances(frame(), gimbal=stale)[0] > look
    assert variances(frame(), sync_sigma_s=0.1)[1] > shared
    assert variances(late_frame)[1] > shared


def _looked(kind: MountKind, accuracy: AccuracyConfig) -> Sighting:
    locator = Locator(
        pinhole(), mount(kind, boresight_sigma_deg=0.3), LocalPlane(31.5, 120.3), accuracy=accuracy
    )
    at = pose(gimbal=gimbal(-50.0), velocity_ned_mps=VELOCITY, sync_sigma_s=TIME_S)
    (sighting,) = locator.locate(
        [Detection("smoke", 0.9, (600.0, 300.0, 640.0, 340.0))], frame(), at
    )
    assert isinstance(sighting, Sighting)
    return sighting


@pytest.mark.parametrize("kind", MountKind)
def test_what_looks_share_is_the_sum_of_its_sources(kind: MountKind) -> None:
    """By source or as one covariance, it is the same error."""
    seen = _looked(kind, BUDGET)
    columns = np.array(seen.shared_errors_m)
    assert columns.shape == (2, len(SharedSource))
    total = columns @ columns.T
    assert seen.shared_covariance == pytest.approx((total[0, 0], total[0, 1], total[1, 1]))


def test_only_what_the_camera_feels_counts() -> None:
    """A true gimbal does not feel the vehicle's tilt, and a camera without one has no gimbal's."""
    changes = {"tilt_deg": 2.0, "gimbal_deg": 2.0, "heading_deg": 4.0}
    felt = {
        kind: {
            name
            for name, value in changes.items()
            if _looked(kind, BUDGET.model_copy(update={name: value})).shared_errors_m
            != _looked(kind, BUDGET).shared_errors_m
        }
        for kind in MountKind
    }
    assert felt == {
        MountKind.FIXED: {"tilt_deg", "heading_deg"},
        MountKind.STABILISED_GIMBAL: {"gimbal_deg", "heading_deg"},
        MountKind.SERVO_GIMBAL: {"tilt_deg", "gimbal_deg", "heading_deg"},
    }
