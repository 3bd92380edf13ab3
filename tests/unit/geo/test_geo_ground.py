"""Laws of flying over a terrain tile: heights from home up, first hits, and what is not known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pymap3d
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bench.geo_terrain import measure_cost, noiseless_errors_m
from edge.config import AccuracyConfig, GroundConfig
from edge.geo.height_watch import DoubtKind, HeightWatch, doubts_of
from edge.geo.locate import Locator, Unlocated
from edge.geo.mount import MountKind
from edge.geo.plane import LocalPlane
from edge.geo.rotations import matrices_from_rotation_vectors
from edge.geo.terrain import TerrainTile
from edge.geo.view import PIXEL_STEPS_UV, Rig, View
from edge.records import (
    Detection,
    FloatArray,
    Frame,
    GimbalAttitude,
    GroundSource,
    Home,
    MonoNs,
    NoGeotag,
    Pose,
    Sighting,
    YawReference,
)
from tests.unit.geo.geo_rig import camera, frame, gimbal, mount, pinhole, pose, wxyz
from tests.unit.geo.test_geo_terrain import HALF, HILLS, LAT, LON, clearances_by_hand, tile_of

TILE = GroundConfig(source="auto")
ONLY_TILE = GroundConfig.model_construct(source="terrain_tile")
HOME = Home(LAT, LON, 12.0)
HOME_M = float(HILLS.height_m(np.array(LAT), np.array(LON)))
UP = 90.0
AT = pose(lat_deg=LAT, lon_deg=LON, above_home_m=UP, amsl_m=HOME_M + UP, home=HOME)
ODD = replace(HILLS, datum="city")
SPOT = (400.0, 500.0)


def over(tile: TerrainTile | None, ground: GroundConfig = TILE, **keys: object) -> Locator:
    """A locator with a stabilised oblique camera behind a strong lens."""
    gimballed = mount(MountKind.STABILISED_GIMBAL)
    plane = LocalPlane(LAT, LON)
    return Locator(camera(), gimballed, plane, ground=ground, terrain=tile, **keys)  # type: ignore[arg-type]


def look(
    locator: Locator, at: Pose, spot: tuple[float, float] = SPOT, pitch_deg: float = -50.0
) -> Sighting | Unlocated:
    """Locate something flat."""
    box = Detection("bare_soil", 0.9, (spot[0] - 4, spot[1] - 4, spot[0] + 4, spot[1] + 4))
    return locator.locate([box], frame(), replace(at, gimbal=gimbal(pitch_deg, 0.0)))[0]


def seen(locator: Locator, at: Pose, spot: tuple[float, float] = SPOT) -> Sighting:
    """Locate something flat that is there."""
    found = look(locator, at, spot)
    assert isinstance(found, Sighting), found
    return found


@given(
    yaw_deg=st.floats(-180, 180),
    u=st.floats(5, 1270),
    v=st.floats(5, 715),
    up_m=st.floats(60, 150),
)
def test_a_place_is_where_the_ray_first_meets_the_tile(
    yaw_deg: float, u: float, v: float, up_m: float
) -> None:
    """By pymap3d and the test's own bilinear heights: on the ground, and nothing hides it."""
    at = replace(AT, ned_from_body_wxyz=wxyz(0, 0, yaw_deg), above_home_m=up_m)
    found = seen(over(HILLS), at, (u, v))
    assert found.ground_source is GroundSource.TERRAIN_TILE
    lat, lon = LocalPlane(LAT, LON).geodetic_from_enu(found.east_m, found.north_m)
    ground_m = float(HILLS.height_m(np.array(lat), np.array(lon)))
    assert found.ground_amsl_m == pytest.approx(ground_m, abs=0.02)
    way = np.array(pymap3d.geodetic2ned(lat, lon, ground_m, LAT, LON, HOME_M + up_m), float)
    slant_m = float(np.linalg.norm(way))
    surface_at = view_of(at, HILLS).ground.surface
    clear = clearances_by_hand(surface_at, way / slant_m, np.linspace(0, slant_m, 400))  # type: ignore[arg-type]
    assert clear[:-1].min() > -0.02
    bearing = math.degrees(math.atan2(way[1], way[0])) % 360
    assert abs((found.bearing_deg - bearing + 180) % 360 - 180) < 0.02


def view_of(at: Pose, tile: TerrainTile) -> View:
    """The chain of one instant."""
    rig = Rig(
        pinhole(), mount(MountKind.STABILISED_GIMBAL), LocalPlane(LAT, LON), TILE,
        AccuracyConfig(), tile,
    )  # fmt: skip
    view = rig.view(pinhole(), replace(at, gimbal=gimbal(-50.0)))
    assert isinstance(view, View)
    return view


def test_heights_come_from_home_up_not_from_gnss() -> None:
    """The autopilot's height above sea level, metres off, moves no place; home's does."""
    right = seen(over(HILLS), AT)
    drifted = seen(over(HILLS), replace(AT, amsl_m=AT.amsl_m + 25.0))
    assert (drifted.east_m, drifted.north_m) == (right.east_m, right.north_m)
    assert drifted.ground_amsl_m == right.ground_amsl_m
    higher = seen(over(HILLS, GroundConfig(home_offset_m=-5.0)), AT)
    lifted = seen(over(HILLS), replace(AT, above_home_m=UP + 5.0))
    assert (higher.east_m, higher.north_m) == pytest.approx((lifted.east_m, lifted.north_m))


def test_the_ground_s_height_is_that_at_the_thing() -> None:
    """In a datum of its own a tile gives the slope only: sea level is the autopilot's."""
    by_sea, by_city = seen(over(HILLS), AT), seen(over(ODD), AT)
    assert by_sea.ground_amsl_m == pytest.approx(by_city.ground_amsl_m, abs=1e-6)
    off = seen(over(ODD), replace(AT, amsl_m=AT.amsl_m + 30.0))
    assert off.ground_amsl_m == pytest.approx(by_city.ground_amsl_m + 30.0)
    assert abs(by_sea.ground_amsl_m - HOME_M) > 1.0


def holed(rows: slice, cols: slice) -> TerrainTile:
    """Hills with a void; (HALF, HALF) is home."""
    heights = HILLS.heights_m.copy()
    heights[rows, cols] = np.nan
    return replace(HILLS, heights_m=heights)


@pytest.mark.parametrize(
    ("tile", "at"),
    [
        (HILLS, replace(AT, home=None)),
        (None, AT),
        (holed(slice(HALF - 1, HALF + 2), slice(HALF - 1, HALF + 2)), AT),
        (HILLS, replace(AT, home=Home(LAT + 1.0, LON, 12.0))),
        (HILLS, replace(AT, lat_deg=LAT + 1.0)),
    ],
    ids=["no home", "no tile", "void at home", "home off the tile", "vehicle off the tile"],
)
def test_without_its_own_height_a_tile_is_not_used(tile: TerrainTile | None, at: Pose) -> None:
    """The tile alone gives NO_TERRAIN; `auto` takes the next source."""
    found = look(over(tile, ONLY_TILE), at)
    assert isinstance(found, Unlocated)
    assert found.reason is NoGeotag.NO_TERRAIN
    other = look(over(tile), at)
    assert isinstance(other, Sighting)
    assert other.ground_source is GroundSource.HOME


def test_a_void_is_no_terrain_and_spoils_nothing_else() -> None:
    """What lies in or behind a hole has no place; what the ray meets before it has."""
    north = holed(slice(0, HALF - 8), slice(None))  # from 40 m north on
    found = look(over(north), AT, (640.0, 100.0))
    assert isinstance(found, Unlocated)
    assert found.reason is NoGeotag.NO_TERRAIN
    away = replace(AT, ned_from_body_wxyz=wxyz(0, 0, 180))
    assert seen(over(north), away) == seen(over(HILLS), away)
    corners = over(north).footprint((1280, 720), replace(AT, gimbal=gimbal(-50.0)))
    assert np.isfinite(np.array(corners)).all()


def test_a_void_below_the_vehicle_hides_nothing_far_from_it() -> None:
    """A pond below the aircraft that the model leaves out is no reason to see nothing."""
    pond = holed(slice(HALF - 3, HALF - 1), slice(HALF - 2, HALF + 3))
    at = replace(AT, lat_deg=LAT + 10.0 / 111_000)
    assert seen(over(pond), at) == seen(over(HILLS), at)


def test_a_camera_below_the_ground_is_said_so() -> None:
    """A tile whose home is above the aircraft is a wrong datum: no place, and a named reason."""
    north = np.mgrid[HALF : -HALF - 1 : -1, 0 : 2 * HALF + 1][0]
    wall = tile_of(np.where(north > 3, 300.0, 0.0))
    found = look(over(wall), replace(AT, lat_deg=LAT + 100.0 / 111_000))
    assert isinstance(found, Unlocated)
    assert found.reason is NoGeotag.BELOW_GROUND


def test_what_is_beyond_the_range_is_too_far() -> None:
    """Ground that is known and farther than max_slant_m is TOO_FAR, not NO_TERRAIN."""
    short = AccuracyConfig(max_slant_m=60.0)
    found = look(over(HILLS, accuracy=short), AT)
    assert isinstance(found, Unlocated)
    assert found.reason is NoGeotag.TOO_FAR


@given(
    slopes=st.tuples(st.floats(-0.35, 0.35), st.floats(-0.35, 0.35)),
    pitch_deg=st.floats(-90.0, -55.0),
)
def test_slopes_of_a_place_are_those_of_the_slope(
    slopes: tuple[float, float], pitch_deg: float
) -> None:
    """On a hillside a place moves with attitude, position and pixel as rays cut again say."""
    north, east = np.mgrid[HALF : -HALF - 1 : -1, -HALF : HALF + 1] * 5.0
    turned = replace(AT, gimbal=gimbal(pitch_deg))
    rig = Rig(
        pinhole(), mount(MountKind.STABILISED_GIMBAL), LocalPlane(LAT, LON), TILE,
        AccuracyConfig(), tile_of(slopes[0] * north + slopes[1] * east),
    )  # fmt: skip
    view = rig.view(pinhole(), turned)
    assert isinstance(view, View)
    uv = np.array([[500.0, 420.0]])
    rays = pinhole().rays_from_pixels(np.concatenate([uv, uv + PIXEL_STEPS_UV]))[0]
    directions = view.ned_from_rays(rays)
    flat = np.zeros(1)
    hit, slant = view.cut(view.origins(flat), directions[:1])
    got = view.slopes(directions[:1], directions[1:, None], flat, slant)
    for axis in range(3):
        step = np.eye(3)[axis]
        ends = []
        for sign in (1.0, -1.0):
            moved, _ = view.cut(view.origins(flat) + sign * 0.2 * step, directions[:1])
            turn = matrices_from_rotation_vectors(sign * 2e-3 * step[None])[0]
            spun, _ = view.cut(view.origins(flat), directions[:1] @ turn.T)
            ends.append((view.enu_from_ned(moved), view.enu_from_ned(spun)))
        shift = (ends[0][0] - ends[1][0])[0] / 0.4
        spin = (ends[0][1] - ends[1][1])[0] / 4e-3
        assert got.shift[0, :, axis] == pytest.approx(shift, abs=0.01)
        assert got.rotation[0, :, axis] == pytest.approx(spin, rel=0.02, abs=0.5)
    assert np.isfinite(hit).all()


def turned_by(half_rad: FloatArray, wxyz_: FloatArray) -> tuple[float, float, float, float]:
    """Turn an attitude by a small rotation about north, east and down."""
    x, y, z = half_rad
    w = math.sqrt(1.0 - x * x - y * y - z * z)
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    q = (left @ wxyz_).tolist()
    return q[0], q[1], q[2], q[3]


def test_the_covariance_is_that_of_sampled_errors_on_a_slope() -> None:
    """Poses drawn from the budget's sigmas scatter a place as its covariance says."""
    north, east = np.mgrid[HALF : -HALF - 1 : -1, -HALF : HALF + 1] * 5.0
    tile = tile_of(0.25 * north - 0.15 * east)
    accuracy = AccuracyConfig(box_px=0.01)
    locator = over(tile, accuracy=accuracy)
    centre = seen(locator, replace(AT, amsl_m=UP))
    rng = np.random.default_rng(3)
    places = []
    per_m = 1 / 111_000.0
    thing_m = 0.5  # of what a flat thing's height is good to
    height_m = math.hypot(TILE.terrain_sigma_m, TILE.above_home_sigma_m, thing_m)
    gimbal_rad = math.radians(accuracy.gimbal_deg)
    yaw_rad = math.radians(math.hypot(accuracy.heading_deg, accuracy.gimbal_yaw_deg))
    # What a stabilised gimbal errs by: about its own right and forward, and about down.
    pitched = math.radians(-50.0)
    forward = np.array([math.cos(pitched), 0.0, -math.sin(pitched)])
    axes = np.stack(([0.0, 1.0, 0.0], forward, [0.0, 0.0, 1.0]))
    sigmas = np.array([gimbal_rad, gimbal_rad, yaw_rad])
    box = Detection("bare_soil", 0.9, (SPOT[0] - 4, SPOT[1] - 4, SPOT[0] + 4, SPOT[1] + 4))
    aim = np.array(wxyz(0.0, -50.0, 0.0))
    for _ in range(900):
        dn, de = rng.normal(0, accuracy.gnss_h_m, 2)
        half = rng.normal(0, sigmas) @ axes / 2
        drawn = replace(
            AT,
            lat_deg=LAT + dn * per_m,
            lon_deg=LON + de * per_m / math.cos(math.radians(LAT)),
            above_home_m=UP + rng.normal(0, height_m),
            gimbal=GimbalAttitude(turned_by(half, aim), YawReference.NORTH),
        )
        [one] = locator.locate([box], frame(), drawn)
        assert isinstance(one, Sighting)
        places.append((one.east_m, one.north_m))
    sampled = np.cov(np.array(places).T)
    var_e, cov, var_n = centre.shared_covariance
    assert sampled[0, 0] == pytest.approx(var_e, rel=0.15)
    assert sampled[1, 1] == pytest.approx(var_n, rel=0.15)
    assert sampled[0, 1] == pytest.approx(cov, abs=0.15 * math.sqrt(var_e * var_n))


@given(factor=st.sampled_from([0.5, 1.5, 2.0, 3.0]), u=st.floats(20, 1250), v=st.floats(20, 700))
def test_the_picture_s_size_does_not_matter_over_hills(factor: float, u: float, v: float) -> None:
    """The same thing in a picture of another size has the same place."""
    small = seen(over(HILLS), AT, (u, v))
    size = round(720 * factor), round(1280 * factor)
    large = Frame(np.zeros((*size, 3), np.uint8), MonoNs(0), "test", 7)
    box = np.array([u - 4, v - 4, u + 4, v + 4])
    scaled = tuple(((box + 0.5) * factor - 0.5).tolist())
    at = replace(AT, gimbal=gimbal(-50.0))
    [other] = over(HILLS).locate([Detection("bare_soil", 0.9, scaled)], large, at)
    assert isinstance(other, Sighting)
    assert (other.east_m, other.north_m) == pytest.approx((small.east_m, small.north_m), abs=1e-3)


def round_hills(lat_deg: float, lon_deg: float) -> TerrainTile:
    """Smooth hills by metres from a place, with heights on that place's own degrees."""
    near_pole = abs(lat_deg) > 89.0
    step_lat = 3.0 / 111_200.0
    cos = math.cos(math.radians(lat_deg))
    cols, step_lon = (721, 0.5) if near_pole else (135, 3.0 / 111_200.0 / cos)
    first_lat = min(90.0, lat_deg + 67 * step_lat)
    first_lat = max(first_lat, -90.0 + 134 * step_lat)
    first_lon = -180.0 if near_pole else lon_deg - 67 * step_lon
    lats = first_lat - step_lat * np.arange(135.0)
    lons = first_lon + step_lon * np.arange(float(cols))
    lat, lon = np.meshgrid(lats, lons, indexing="ij")
    east, north, _ = pymap3d.geodetic2enu(lat, lon, 0.0, lat_deg, lon_deg, 0.0)
    heights = 20.0 + 5.0 * np.sin(east / 40.0) * np.cos(north / 50.0)
    return TerrainTile(np.asarray(heights), first_lat, first_lon, step_lat, step_lon, "egm96")


@pytest.mark.parametrize(
    ("lat_deg", "lon_deg"),
    [
        (0.0, 0.0),
        (78.0, 180.0),
        (-66.0, -180.0),
        (12.0, 179.9999),
        (89.9995, 10.0),
        (-89.9994, 170.0),
        (90.0, 0.0),
    ],
)
def test_a_place_over_hills_is_the_same_anywhere_on_earth(lat_deg: float, lon_deg: float) -> None:
    """At the poles and across the date line things lie as far away as at home."""
    spots = [(u, v) for u in (100.0, 640.0, 1200.0) for v in (150.0, 400.0, 700.0)]

    def places(lat: float, lon: float) -> FloatArray:
        at = replace(AT, lat_deg=lat, lon_deg=lon, above_home_m=50.0, home=Home(lat, lon, 0.0))
        locator = Locator(
            camera(), mount(MountKind.STABILISED_GIMBAL), LocalPlane(lat, lon),
            ground=TILE, terrain=round_hills(lat, lon),
        )  # fmt: skip
        found = [seen(locator, at, spot) for spot in spots]
        return np.array([(one.east_m, one.north_m, one.ground_amsl_m) for one in found])

    assert places(lat_deg, lon_deg) == pytest.approx(places(LAT, LON), abs=0.06)


def test_a_noiseless_flight_over_hills_is_right_to_a_hand() -> None:
    """Through real messages and a strong lens: 0.10 m in the median, 0.5 m at most."""
    errors_m = noiseless_errors_m(frames_hz=0.4)
    assert len(errors_m) > 300
    assert np.median(errors_m) <= 0.10
    assert errors_m.max() <= 0.5


def test_the_cost_of_a_place_is_told_in_milliseconds() -> None:
    """It is a positive number, and none of it is the flight's set-up."""
    assert 0.0 < measure_cost(rounds=3) < 1e3


@pytest.mark.parametrize(
    ("change", "tile", "kind"),
    [
        ({}, HILLS, None),
        ({"amsl_m": AT.amsl_m + 10.0}, HILLS, None),
        ({"home": None}, HILLS, DoubtKind.NO_HOME),
        ({"home": Home(LAT, LON + 1, 1.0)}, HILLS, DoubtKind.HOME_OFF_TILE),
        ({"above_home_m": -80.0, "amsl_m": HOME_M - 80}, HILLS, DoubtKind.BELOW_GROUND),
        ({"amsl_m": AT.amsl_m - 30.0}, HILLS, DoubtKind.AMSL),
        ({"amsl_m": AT.amsl_m - 30.0}, ODD, None),
        ({"rangefinder_slant_m": UP - 15.0}, HILLS, DoubtKind.RANGEFINDER),
        ({"rangefinder_slant_m": UP + 3.0}, HILLS, None),
        ({"terrain_agl_m": UP + 40.0}, HILLS, DoubtKind.TERRAIN_REPORT),
    ],
)
def test_heights_that_disagree_are_doubted(
    change: dict[str, object], tile: TerrainTile, kind: DoubtKind | None
) -> None:
    """What the sigmas explain is passed over; what they do not is named, with what to do."""
    doubts = list(doubts_of(replace(AT, **change), tile, TILE))  # type: ignore[arg-type]
    assert [one.kind for one in doubts] == ([] if kind is None else [kind])
    assert kind is None or len(str(doubts[0])) > 60


def test_a_doubt_is_told_once_and_kept_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    """The log has each kind once; the newest look says whether it still holds."""
    watch = HeightWatch(HILLS, TILE)
    for second in range(5):
        wrong = replace(AT, amsl_m=AT.amsl_m - 30.0, mono_ns=MonoNs(second * 10**9))
        watch.look(wrong)
        assert watch.doubt is not None
    assert sum("height_doubt kind=amsl" in line for line in caplog.messages) == 1
    watch.look(replace(AT, mono_ns=MonoNs(9 * 10**9)))
    assert watch.doubt is None
    idle = HeightWatch(HILLS, GroundConfig(source="home"))
    idle.look(wrong)
    assert idle.doubt is None


def test_home_may_come_a_little_late() -> None:
    """Within the first seconds nobody is told that home is missing; later they are."""
    watch = HeightWatch(HILLS, TILE)
    for second in range(20):
        watch.look(replace(AT, home=None, mono_ns=MonoNs(second * 10**9)))
        assert (watch.doubt is not None) == (second >= 15)
