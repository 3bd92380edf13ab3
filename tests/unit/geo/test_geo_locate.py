"""Laws of locating: there and back, by hand, and what has no place."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge.config import AccuracyConfig, GroundConfig, RuleConfig
from edge.errors import CalibrationError
from edge.geo.camera import Intrinsics
from edge.geo.lens import BrownLens
from edge.geo.lens_fisheye import FisheyeLens
from edge.geo.locate import Locator, Unlocated
from edge.geo.mount import MountKind
from edge.geo.place import places_of_labels, upper_parts
from edge.geo.plane import LocalPlane
from edge.records import (
    Detection,
    FloatArray,
    Frame,
    GroundSource,
    MonoNs,
    NoGeotag,
    Pose,
    Sighting,
    Xyxy,
)
from tests.unit.geo.geo_rig import LENS, camera, frame, gimbal, mount, pinhole, pose, wxyz

PLANE = LocalPlane(31.5, 120.3)
NADIR = Locator(pinhole(), mount(MountKind.FIXED), PLANE)
TILTED = Locator(pinhole(), mount(MountKind.STABILISED_GIMBAL), PLANE)


def box(label: str, around: tuple[float, float], half: tuple[float, float] = (0, 0)) -> Detection:
    """A box by its middle and half its sides, px."""
    (u, v), (w, h) = around, half
    return Detection(label, 0.9, (u - w, v - h, u + w, v + h))


def sighting(locator: Locator, detection: Detection, at: Pose) -> Sighting:
    """The place of one detection, which must have one."""
    (located,) = locator.locate([detection], frame(), at)
    assert isinstance(located, Sighting), located
    return located


def reason(locator: Locator, detection: Detection, at: Pose) -> NoGeotag:
    """Why one detection has no place."""
    (located,) = locator.locate([detection], frame(), at)
    assert isinstance(located, Unlocated), located
    assert located.detection == detection
    return located.reason


def project(ned_m: FloatArray, roll: float, pitch: float, yaw: float) -> FloatArray:
    """Draw NED points from the camera, (N, 3), with `camera()`'s numbers: a projection of its own.

    Turns each point by -yaw, -pitch, -roll about down, right and forward, one plane at a time.
    """
    x, y, z = ned_m.T
    x, y = x * math.cos(yaw) + y * math.sin(yaw), y * math.cos(yaw) - x * math.sin(yaw)
    x, z = x * math.cos(pitch) - z * math.sin(pitch), z * math.cos(pitch) + x * math.sin(pitch)
    y, z = y * math.cos(roll) + z * math.sin(roll), z * math.cos(roll) - y * math.sin(roll)
    a, b = y / x, z / x
    r2 = a**2 + b**2
    radial = 1 + LENS.k1 * r2 + LENS.k2 * r2**2 + LENS.k3 * r2**3
    u = a * radial + 2 * LENS.p1 * a * b + LENS.p2 * (r2 + 2 * a**2)
    v = b * radial + LENS.p1 * (r2 + 2 * b**2) + 2 * LENS.p2 * a * b
    return np.column_stack((655.0 + 900.0 * u, 349.0 + 905.0 * v))


@given(
    roll=st.floats(-0.3, 0.3),
    pitch=st.floats(-1.57, -0.5),
    yaw=st.floats(-3.1, 3.1),
    height=st.floats(20.0, 150.0),
    pixel=st.tuples(st.floats(0.0, 1279.0), st.floats(0.0, 719.0)),
)
def test_a_pixel_comes_back_from_its_place(
    roll: float, pitch: float, yaw: float, height: float, pixel: tuple[float, float]
) -> None:
    """Drawing the located ground point with other code hits the pixel again."""
    angles = (math.degrees(angle) for angle in (roll, pitch, yaw))
    fixed = mount(MountKind.FIXED, body_from_camera_deg=(0.0, 0.0, 0.0))
    locator = Locator(camera(), fixed, PLANE)
    at = pose(above_home_m=height, ned_from_body_wxyz=wxyz(*angles))
    (located,) = locator.locate([box("floating_waste", pixel)], frame(), at)
    assume(isinstance(located, Sighting))
    assert isinstance(located, Sighting)
    ground = np.array([[located.north_m, located.east_m, height]])
    assert np.abs(project(ground, roll, pitch, yaw) - pixel).max() < 1e-3


@given(
    north=st.floats(-15_000.0, 15_000.0), east=st.floats(-15_000.0, 15_000.0), yaw=st.floats(0, 359)
)
def test_a_place_does_not_depend_on_the_origin_of_the_plane(
    north: float, east: float, yaw: float
) -> None:
    """North is the place's own: far from the origin the same pose finds the same latitude."""
    near, far = (
        LocalPlane(60.0, 25.0),
        LocalPlane(*LocalPlane(60.0, 25.0).geodetic_from_enu(east, north)),
    )
    at = pose(lat_deg=60.0, lon_deg=25.0, gimbal=gimbal(-30.0), ned_from_body_wxyz=wxyz(0, 0, yaw))
    spots = []
    for plane in (near, far):
        locator = Locator(pinhole(), mount(MountKind.STABILISED_GIMBAL), plane)
        found = sighting(locator, box("floating_waste", (639.5, 359.5)), at)
        spots.append(near.enu_from_geodetic(*plane.geodetic_from_enu(found.east_m, found.north_m)))
    assert math.dist(*spots) < 0.01


def test_straight_down_one_pixel_is_height_over_focal_length() -> None:
    """At 50 m and 1000 px of focal length 100 px to the right and 200 up are 5 m and 10 m."""
    found = sighting(NADIR, box("floating_waste", (739.5, 159.5), (20, 10)), pose())
    assert (found.east_m, found.north_m) == pytest.approx((5.0, 10.0), abs=1e-6)
    assert (found.width_m, found.depth_m) == pytest.approx((2.0, 1.0), abs=1e-6)
    assert found.gsd_m_per_px == pytest.approx(0.05, rel=1e-6)
    assert found.ground_amsl_m == pytest.approx(20.0)
    assert found.bearing_deg == pytest.approx(math.degrees(math.atan2(5, 10)))
    assert not found.is_cut
    assert found.outline_enu_m[0] == pytest.approx((4.0, 10.5), abs=1e-6)


def test_a_servo_gimbal_read_as_a_stabilised_one_is_35_m_off() -> None:
    """At 60 m and -29.7° of vehicle pitch the wrong kind misses by 60 / tan 60.3°."""
    at = pose(above_home_m=60.0, ned_from_body_wxyz=wxyz(0.0, -29.7, 0.0), gimbal=gimbal(-60.3))
    middle = box("floating_waste", (639.5, 359.5))
    right = sighting(Locator(pinhole(), mount(MountKind.SERVO_GIMBAL), PLANE), middle, at)
    wrong = sighting(TILTED, middle, at)
    assert right.north_m == pytest.approx(0.0, abs=1e-4)
    assert wrong.north_m == pytest.approx(60.0 / math.tan(math.radians(60.3)), abs=1e-4)


def test_the_lever_arm_turns_with_the_body() -> None:
    """A camera 2 m ahead on an aircraft heading east stands 2 m east."""
    ahead = mount(MountKind.FIXED, lever_arm_m=(2.0, 0.0, 1.0))
    at = pose(ned_from_body_wxyz=wxyz(0.0, 0.0, 90.0))
    found = sighting(Locator(pinhole(), ahead, PLANE), box("floating_waste", (639.5, 259.5)), at)
    assert (found.east_m, found.north_m) == pytest.approx((2.0 + 4.9, 0.0), abs=1e-6)


@given(yaw=st.floats(0, 359), depth=st.floats(3, 15), width=st.floats(3, 15), high=st.floats(2, 4))
def test_a_shed_is_placed_at_the_middle_of_its_plan(
    yaw: float, depth: float, width: float, high: float
) -> None:
    """From the side, its box's place is nearer to the plan's middle than its base and near it."""
    assume(depth > 1.5 * high)
    turn = math.radians(yaw)
    ahead = 40.0
    corners = np.array(
        [
            (
                ahead + a * depth / 2 * math.cos(turn) - b * width / 2 * math.sin(turn),
                a * depth / 2 * math.sin(turn) + b * width / 2 * math.cos(turn),
                down,
            )
            for a in (-1, 1)
            for b in (-1, 1)
            for down in (50.0, 50.0 - high)
        ]
    )
    seen = project(corners, 0.0, math.radians(-45.0), 0.0)
    (u0, v0), (u1, v1) = seen.min(axis=0), seen.max(axis=0)
    shed = Detection("structure", 0.9, (u0, v0, u1, v1))
    forward = mount(MountKind.FIXED, body_from_camera_deg=(0.0, -45.0, 0.0))
    found = sighting(Locator(camera(), forward, PLANE), shed, pose())
    base = sighting(Locator(camera(), forward, PLANE, places={"structure": "base"}), shed, pose())
    miss_m = math.hypot(found.north_m - ahead, found.east_m)
    assert miss_m < 1.5
    assert miss_m < math.hypot(base.north_m - ahead, base.east_m)


def test_smoke_seen_obliquely_stands_on_its_base_and_from_above_on_its_middle() -> None:
    """The bottom of the box is where it burns; straight down a plume shows no bottom."""
    half = (40.0, 50.0)
    oblique = sighting(TILTED, box("smoke", (639.5, 309.5), half), pose(gimbal=gimbal(-45.0)))
    above = sighting(TILTED, box("smoke", (639.5, 359.5), half), pose(gimbal=gimbal(-90.0)))
    assert oblique.north_m == pytest.approx(50.0, abs=1e-4)
    assert above.north_m == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("label", "upper", "is_part"),
    [
        ("smoke", (100, 20, 140, 80), True),  # its lower side is in the lower box
        ("smoke", (100, 20, 140, 58), False),  # ends above it: another column
        ("smoke", (160, 20, 240, 80), False),  # beside it
        ("structure", (100, 20, 140, 80), False),  # a shed behind a shed
    ],
)
def test_the_upper_part_of_a_column_is_known_by_where_it_stands(
    label: str, upper: Xyxy, is_part: bool
) -> None:
    """A box of smoke whose lower side lies within another such box is no column of its own."""
    boxes = [Detection(label, 0.9, (95, 60, 150, 200)), Detection(label, 0.8, upper)]
    assert upper_parts(boxes, [True, True]) == [False, is_part]
    assert upper_parts(boxes[::-1], [True, True]) == [is_part, False]
    assert upper_parts(boxes, [False, False]) == [False, False]  # from above nothing stands


def test_smoke_that_rises_over_the_horizon_keeps_its_base() -> None:
    """Only the bottom edge must lie on the ground; the outline stands on it."""
    at = pose(gimbal=gimbal(-10.0))
    found = sighting(TILTED, Detection("smoke", 0.9, (600.0, 10.0, 680.0, 400.0)), at)
    assert found.north_m == pytest.approx(
        50 / math.tan(math.radians(10) + math.atan(0.0405)), rel=0.01
    )
    assert len(found.outline_enu_m) == 4
    assert found.is_low_grazing


def test_a_rule_may_say_which_point_counts() -> None:
    """`place` of the first rule that names one wins; `auto` leaves it to the class."""
    rules = [
        RuleConfig(name="a", labels=("car", "smoke")),
        RuleConfig(name="b", labels=("car",), place="base"),
        RuleConfig(name="c", labels=("car",), place="centre"),
    ]
    assert places_of_labels(rules) == {"car": "base"}
    car = box("car", (639.5, 359.5), (20.0, 40.0))
    at = pose(gimbal=gimbal(-45.0))
    base = Locator(
        pinhole(), mount(MountKind.STABILISED_GIMBAL), PLANE, places=places_of_labels(rules)
    )
    assert sighting(base, car, at).north_m < sighting(TILTED, car, at).north_m


@pytest.mark.parametrize(
    ("given_m", "source", "expected", "agl_m"),
    [
        ({"terrain_agl_m": 60.0, "rangefinder_slant_m": 55.0}, "auto", "terrain_report", 60.0),
        ({"rangefinder_slant_m": 55.0}, "auto", "rangefinder", 55.0),
        ({}, "auto", "home", 48.0),
        ({"terrain_agl_m": 60.0}, "home", "home", 48.0),
        ({"rangefinder_slant_m": 0.0}, "auto", "home", 48.0),
    ],
)
def test_the_ground_is_the_best_that_is_given(
    given_m: dict[str, float], source: str, expected: str, agl_m: float
) -> None:
    """Terrain report, then rangefinder, then home with its offset; the sighting says which."""
    ground = GroundConfig.model_validate({"source": source, "home_offset_m": 2.0})
    locator = Locator(pinhole(), mount(MountKind.FIXED), PLANE, ground=ground)
    found = sighting(locator, box("floating_waste", (739.5, 359.5)), pose(**given_m))
    assert found.ground_source is GroundSource(expected)
    assert found.east_m == pytest.approx(agl_m / 10.0, abs=1e-6)
    assert found.ground_amsl_m == pytest.approx(70.0 - agl_m)


def test_a_rangefinder_measures_along_the_body() -> None:
    """Banked by 20° its slant is longer than the height, and banked by 40° it is not asked."""
    at = pose(rangefinder_slant_m=60.0, ned_from_body_wxyz=wxyz(20.0, 0.0, 0.0))
    thing = box("floating_waste", (639.5, 359.5))
    found = sighting(NADIR, thing, at)
    assert 70.0 - found.ground_amsl_m == pytest.approx(60.0 * math.cos(math.radians(20.0)))
    steep = replace(at, ned_from_body_wxyz=wxyz(40.0, 0.0, 0.0))
    assert sighting(NADIR, thing, steep).ground_source is GroundSource.HOME


def test_a_box_at_the_edge_is_cut_and_less_certain() -> None:
    """What lies outside the picture may be as large again."""
    inner = sighting(NADIR, box("waste_pile", (200.0, 359.5), (50.0, 50.0)), pose())
    cut = sighting(NADIR, box("waste_pile", (51.0, 359.5), (50.0, 50.0)), pose())
    assert cut.is_cut
    assert not inner.is_cut
    assert cut.look_covariance[0] > 10.0 * inner.look_covariance[0]
    assert cut.look_covariance[2] == pytest.approx(inner.look_covariance[2], rel=0.5)


@pytest.mark.parametrize(
    ("at", "pixel", "why"),
    [
        (pose(gimbal=gimbal(10.0)), (639.5, 359.5), NoGeotag.RAY_ABOVE_HORIZON),
        (pose(gimbal=gimbal(-2.0)), (639.5, 359.5), NoGeotag.TOO_FAR),
        (pose(gimbal=gimbal(-45.0), above_home_m=-1.0), (639.5, 359.5), NoGeotag.BELOW_GROUND),
        (pose(), (639.5, 359.5), NoGeotag.NO_ATTITUDE),
        (
            pose(gimbal=gimbal(-45.0), ned_from_body_wxyz=(0.0, 0.0, 0.0, 0.0)),
            (639.5, 359.5),
            NoGeotag.NO_ATTITUDE,
        ),
    ],
)
def test_what_has_no_place_says_why(at: Pose, pixel: tuple[float, float], why: NoGeotag) -> None:
    """Never a place that is wrong in silence."""
    assert reason(TILTED, box("car", pixel), at) is why


def test_a_pixel_outside_the_lens_has_no_place_and_harms_no_other() -> None:
    """The model does not invert in the corner; the middle of the same frame is located."""
    bent = Locator(replace(pinhole(), lens=BrownLens(k1=-0.5)), mount(MountKind.FIXED), PLANE)
    things = [box("car", (5.0, 5.0)), box("car", (639.5, 359.5))]
    corner, middle = bent.locate(things, frame(), pose())
    assert isinstance(corner, Unlocated)
    assert corner.reason is NoGeotag.OUTSIDE_LENS
    assert isinstance(middle, Sighting)


def test_a_ground_source_that_is_silent_is_no_terrain() -> None:
    """Asked for a rangefinder, the locator does not fall back to another ground."""
    ground = GroundConfig(source="rangefinder")
    locator = Locator(pinhole(), mount(MountKind.FIXED), PLANE, ground=ground)
    assert reason(locator, box("car", (639.5, 359.5)), pose()) is NoGeotag.NO_TERRAIN


def test_a_frame_of_another_aspect_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A flight says in words why a size is refused, and not with every frame."""
    odd = Frame(np.zeros((480, 640, 3), np.uint8), MonoNs(0), "test", 0)
    locator = Locator(pinhole(), mount(MountKind.FIXED), PLANE)
    for _ in range(3):
        locator.locate([box("car", (100.0, 100.0))], odd, pose())
    (record,) = caplog.records
    assert "frames are 640×480: another aspect means a crop" in record.getMessage()


def test_a_fisheye_that_looks_ahead_sees_what_is_right_below() -> None:
    """At 90 degrees off the axis a ray has no z = 1, and yet a place; above the middle is sky."""
    focal_px = 380.0
    lens = Intrinsics("fish", 1280, 1280, focal_px, focal_px, 639.5, 639.5, FisheyeLens())
    ahead = mount(MountKind.FIXED, body_from_camera_deg=(0.0, 0.0, 0.0))
    locator = Locator(lens, ahead, PLANE)
    square = Frame(np.zeros((1280, 1280, 3), np.uint8), MonoNs(0), "fish", 0)
    below = 639.5 + focal_px * math.pi / 2.0
    boxes = [box("car", (639.5, below)), box("car", (639.5, 600.0))]
    down, sky = locator.locate(boxes, square, pose())
    assert isinstance(down, Sighting)
    assert math.hypot(down.east_m, down.north_m) < 1e-6
    assert down.depression_deg == pytest.approx(90.0, abs=1e-3)
    assert isinstance(sky, Unlocated)
    assert sky.reason is NoGeotag.RAY_ABOVE_HORIZON
    corners = locator.footprint((1280, 1280), pose())
    assert not isinstance(corners, NoGeotag)


def test_a_stated_crop_is_flown() -> None:
    """Of a 16:9 calibration the middle 4:3 is flown: its middle is where the whole one's is."""
    odd = Frame(np.zeros((480, 640, 3), np.uint8), MonoNs(0), "test", 0)
    locator = Locator(pinhole().cropped(160, 0, 960, 720), mount(MountKind.FIXED), PLANE)
    (located,) = locator.locate([box("car", (319.5, 239.5))], odd, pose())
    assert isinstance(located, Sighting)
    assert (located.east_m, located.north_m) == pytest.approx((0.0, 0.0), abs=1e-6)


def test_a_frame_of_another_aspect_has_no_places() -> None:
    """It is a reason, and the calibration's own error; a scaled frame is neither."""
    odd = Frame(np.zeros((480, 640, 3), np.uint8), MonoNs(0), "test", 0)
    half = Frame(np.zeros((360, 640, 3), np.uint8), MonoNs(0), "test", 0)
    (located,) = NADIR.locate([box("car", (100.0, 100.0))], odd, pose())
    assert located == Unlocated(box("car", (100.0, 100.0)), NoGeotag.FRAME_SIZE)
    with pytest.raises(CalibrationError):
        pinhole().scaled_to(640, 480)
    (small,) = NADIR.locate([box("car", (369.5, 179.5))], half, pose())
    assert isinstance(small, Sighting)
    assert small.east_m == pytest.approx(5.0, abs=1e-6)


@given(boxes=st.lists(st.tuples(*[st.floats(0, 1279)] * 4), min_size=1, max_size=6))
def test_boxes_of_one_frame_do_not_touch_each_other(
    boxes: list[tuple[float, float, float, float]],
) -> None:
    """Together and alone each detection gets the same answer, in the same order."""
    labels = ("structure", "smoke", "car")
    things = [
        Detection(labels[i % 3], 0.5, _ordered((x0, y0, x1, y1)))
        for i, (x0, y0, x1, y1) in enumerate(boxes)
    ]
    at = pose(gimbal=gimbal(-25.0))
    together = TILTED.locate(things, frame(), at)
    for thing, located in zip(things, together, strict=True):
        (alone,) = TILTED.locate([thing], frame(), at)
        assert type(alone) is type(located)
        assert located.detection == thing
        if isinstance(alone, Sighting) and isinstance(located, Sighting):
            assert located.east_m == pytest.approx(alone.east_m, abs=1e-6)
            assert located.width_m == pytest.approx(alone.width_m, rel=1e-6)
            assert located.look_covariance == pytest.approx(alone.look_covariance, rel=1e-6)


def _ordered(corners: tuple[float, float, float, float]) -> Xyxy:
    x0, y0, x1, y1 = corners
    y0, y1 = y0 * 719 / 1279, y1 * 719 / 1279
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def test_no_detections_need_no_pose() -> None:
    """An empty frame has an empty answer, even where the chain lacks something."""
    assert TILTED.locate([], frame(), pose()) == []


def test_the_footprint_straight_down_is_the_frame_by_scale() -> None:
    """1280 × 720 px at 5 cm are 64 × 36 m around the vehicle."""
    corners = NADIR.footprint((1280, 720), pose())
    assert not isinstance(corners, NoGeotag)
    enu = [PLANE.enu_from_geodetic(lat, lon) for lat, lon in corners]
    expected = [(-32, 18), (32, 18), (32, -18), (-32, -18)]
    assert np.allclose(enu, expected, atol=1e-2)


def test_the_footprint_ends_at_the_greatest_slant() -> None:
    """Far corners above the horizon are clipped; with all of them above there is none."""
    locator = Locator(
        pinhole(),
        mount(MountKind.STABILISED_GIMBAL),
        PLANE,
        accuracy=AccuracyConfig(max_slant_m=400.0),
    )
    corners = locator.footprint((1280, 720), pose(gimbal=gimbal(-10.0)))
    assert not isinstance(corners, NoGeotag)
    ranges = [math.hypot(*PLANE.enu_from_geodetic(lat, lon)) for lat, lon in corners]
    assert ranges[0] == pytest.approx(math.sqrt(400.0**2 - 50.0**2), abs=0.01)
    assert ranges[2] < 150.0
    sky = locator.footprint((1280, 720), pose(gimbal=gimbal(60.0)))
    assert sky is NoGeotag.RAY_ABOVE_HORIZON


def test_gsd_grows_with_the_slant() -> None:
    """Straight down it is height over focal length; a pixel in the sky has none."""
    down = NADIR.gsd((639.5, 359.5), (1280, 720), pose())
    oblique = TILTED.gsd((639.5, 359.5), (1280, 720), pose(gimbal=gimbal(-30.0)))
    assert down == pytest.approx(0.05, rel=1e-6)
    # slant 100 m: 0.1 m across, 0.2 m along; the root of their product
    assert oblique == pytest.approx(math.sqrt(0.1 * 0.2), rel=1e-3)
    sky = TILTED.gsd((639.5, 0.0), (1280, 720), pose(gimbal=gimbal(-5.0)))
    assert sky is NoGeotag.RAY_ABOVE_HORIZON


def test_the_finest_detail_is_that_of_the_nearest_ground() -> None:
    """Straight down it is height over focal length; seen obliquely, that of the near side."""
    down = NADIR.finest_gsd((100.0, 100.0, 900.0, 600.0), (1280, 720), pose())
    assert down == pytest.approx(0.05, rel=1e-3)
    oblique = pose(gimbal=gimbal(-30.0))
    part = (500.0, 200.0, 800.0, 700.0)
    finest = TILTED.finest_gsd(part, (1280, 720), oblique)
    assert isinstance(finest, float)
    # A pixel's width on the ground goes with the slant: height / (focal length · sin depression).
    depression = math.radians(30.0) + math.atan2(700.0 - 359.5, 1000.0)
    along_axis = 50.0 / math.sin(depression) * math.cos(depression - math.radians(30.0))
    assert finest == pytest.approx(along_axis / 1000.0, rel=0.03)  # corners are off the axis
    middle = TILTED.gsd((639.5, 450.0), (1280, 720), oblique)
    assert isinstance(middle, float)
    assert finest < middle
    sky = TILTED.finest_gsd((0.0, 0.0, 50.0, 50.0), (1280, 720), pose(gimbal=gimbal(0.0)))
    assert isinstance(sky, NoGeotag)
