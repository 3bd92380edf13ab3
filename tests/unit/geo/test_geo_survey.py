"""Laws of the batch tool: pixels of posed pictures come back to the ground that they show."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pymap3d
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from edge.cli.main import app
from edge.errors import CalibrationError, ConfigError, TableError
from edge.geo.camera import Intrinsics, read_intrinsics
from edge.geo.lens import BrownLens
from edge.geo.survey import (
    Pixel,
    PlacedPixel,
    PosedPicture,
    Sigmas,
    around_of,
    place_pixels,
    read_pixels,
    read_poses,
)
from edge.geo.terrain import TerrainTile, write_tile
from edge.geo.terrain_import import import_tile
from edge.records import NoGeotag
from tests.unit.geo.test_geo_terrain import HILLS, LAT, LON

REPO = Path(__file__).resolve().parents[3]
CAMERA = Intrinsics("wide", 1920, 1080, 1100.0, 1100.0, 955.0, 545.0, BrownLens(-0.25, 0.08, 1e-3))
EXACT = Sigmas((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
TYPICAL = Sigmas((1.5, 1.5, 3.0), tuple(np.radians([2.0, 0.7, 0.7]).tolist()))


def posed(**changes: object) -> PosedPicture:
    """A camera 100 m up that looks north-east and down."""
    base = PosedPicture("a", LAT, LON, 140.0, 40.0, -50.0, 3.0, EXACT)
    return replace(base, **changes)  # type: ignore[arg-type]


def placed(
    pixels: list[tuple[float, float]], pose: PosedPicture, ground: TerrainTile | float
) -> list[PlacedPixel]:
    """Place pixels of one picture."""
    wanted = [Pixel(pose.image, u, v) for u, v in pixels]
    return list(place_pixels(wanted, {pose.image: pose}, CAMERA, ground))


def seen_at(
    pose: PosedPicture, lat_deg: float, lon_deg: float, height_m: float
) -> tuple[float, float]:
    """Project a place into the picture with rotations of the test's own."""
    north, east, down = pymap3d.geodetic2ned(
        lat_deg, lon_deg, height_m, pose.lat_deg, pose.lon_deg, pose.height_m
    )
    yaw, pitch, roll = (math.radians(a) for a in (pose.yaw_deg, pose.pitch_deg, pose.roll_deg))
    forward = np.array(
        [math.cos(pitch) * math.cos(yaw), math.cos(pitch) * math.sin(yaw), -math.sin(pitch)]
    )
    level = np.array([-math.sin(yaw), math.cos(yaw), 0.0])  # to the right of an unrolled camera
    below = np.cross(forward, level)
    right = level * math.cos(roll) + below * math.sin(roll)
    lower = below * math.cos(roll) - level * math.sin(roll)
    local = np.array([right, lower, forward]) @ np.array([north, east, down])
    u, v = CAMERA.pixels_from_rays(local[None])[0].tolist()
    return u, v


def apart_m(one: PlacedPixel, lat_deg: float, lon_deg: float) -> float:
    """Return metres between a placed pixel and a place."""
    east, north, _ = pymap3d.geodetic2enu(one.lat_deg, one.lon_deg, 0.0, lat_deg, lon_deg, 0.0)
    return math.hypot(float(east), float(north))


def test_points_on_hills_are_found_through_a_strong_lens() -> None:
    """Over hills, obliquely, through strong distortion: 0.10 m in the median, 0.5 m at most."""
    errors = []
    for yaw_deg in range(0, 360, 30):
        pose = posed(yaw_deg=float(yaw_deg))
        pixels = [(u, v) for u in (40.0, 700.0, 1400.0, 1880.0) for v in (30.0, 540.0, 1050.0)]
        for (u, v), one in zip(pixels, placed(pixels, pose, HILLS), strict=True):
            assert one.reason is None
            ground_m = HILLS.height_m(np.array(one.lat_deg), np.array(one.lon_deg))
            assert one.ground_m == pytest.approx(float(ground_m), abs=0.02)
            again = seen_at(pose, one.lat_deg, one.lon_deg, float(ground_m))
            back = placed([again], pose, HILLS)[0]
            assert math.hypot(again[0] - u, again[1] - v) < 0.3
            errors.append(apart_m(back, one.lat_deg, one.lon_deg))
    assert np.median(errors) <= 0.10
    assert max(errors) <= 0.5


@given(
    lat_deg=st.floats(-90.0, 90.0),
    lon_deg=st.floats(-180.0, 180.0),
    yaw_deg=st.floats(-360.0, 360.0),
    u=st.floats(0.0, 1919.0),
    v=st.floats(0.0, 1079.0),
)
def test_where_on_earth_it_is_does_not_matter(
    lat_deg: float, lon_deg: float, yaw_deg: float, u: float, v: float
) -> None:
    """At the poles and across the date line a pixel lies as far away as anywhere else."""
    pose = posed(lat_deg=lat_deg, lon_deg=lon_deg, yaw_deg=yaw_deg)
    here = placed([(u, v)], pose, 40.0)[0]
    there = placed([(u, v)], posed(yaw_deg=yaw_deg), 40.0)[0]
    assert here.reason is there.reason is None
    away_m = [
        pymap3d.geodetic2aer(one.lat_deg, one.lon_deg, 40.0, at.lat_deg, at.lon_deg, 140.0)[2]
        for one, at in ((here, pose), (there, posed()))
    ]
    assert away_m[0] == pytest.approx(away_m[1], abs=0.01)
    assert here.ground_m == pytest.approx(40.0, abs=0.01)


def test_straight_down_is_below() -> None:
    """Pitch −90° puts the principal point below the camera; yaw turns the picture's top."""
    flat = CAMERA.cx_px, CAMERA.cy_px
    below = placed([flat], posed(pitch_deg=-90.0, roll_deg=0.0), 40.0)[0]
    assert apart_m(below, LAT, LON) < 0.02
    upwards = placed([(flat[0], 200.0)], posed(pitch_deg=-90.0, roll_deg=0.0, yaw_deg=90.0), 40.0)
    assert upwards[0].lon_deg > LON + 1e-4
    assert upwards[0].lat_deg == pytest.approx(LAT, abs=2e-6)


def test_the_circle_holds_nine_in_ten() -> None:
    """Places drawn from the pose's own errors lie within ce90_m nine times in ten."""
    rng = np.random.default_rng(4)
    true = posed(sigmas=TYPICAL)
    pixel = (500.0, 700.0)
    centre = placed([pixel], true, 40.0)[0]
    north_m = 111_000.0
    inside = 0
    n_drawn = 1500
    for _ in range(n_drawn):
        north, east, up = rng.normal(0, TYPICAL.position_m)
        yaw, pitch, roll = np.degrees(rng.normal(0, TYPICAL.attitude_rad))
        drawn = replace(
            true,
            lat_deg=LAT + north / north_m,
            lon_deg=LON + east / (north_m * math.cos(math.radians(LAT))),
            height_m=true.height_m + up,
            yaw_deg=true.yaw_deg + yaw,
            pitch_deg=true.pitch_deg + pitch,
            roll_deg=true.roll_deg + roll,
        )
        shaken = rng.normal(pixel, 0.5)
        one = placed([(float(shaken[0]), float(shaken[1]))], drawn, 40.0)[0]
        inside += apart_m(one, centre.lat_deg, centre.lon_deg) <= centre.ce90_m
    assert 0.87 <= inside / n_drawn <= 0.93


@pytest.mark.parametrize(
    ("pose", "pixel", "ground", "reason"),
    [
        (posed(pitch_deg=-5.0), (955.0, 10.0), 40.0, NoGeotag.RAY_ABOVE_HORIZON),
        (posed(), (955.0, 10.0), 150.0, NoGeotag.BELOW_GROUND),
        (posed(height_m=5.0), (955.0, 900.0), HILLS, NoGeotag.BELOW_GROUND),
        (posed(lat_deg=LAT + 1), (955.0, 900.0), HILLS, NoGeotag.NO_TERRAIN),
        (posed(pitch_deg=-2.0), (955.0, 600.0), HILLS, NoGeotag.NO_TERRAIN),
        (posed(), (2500.0, 10.0), 40.0, NoGeotag.OUTSIDE_LENS),
        (posed(height_m=9000.0), (955.0, 545.0), 40.0, NoGeotag.TOO_FAR),
    ],
)
def test_what_has_no_place_has_a_reason(
    pose: PosedPicture, pixel: tuple[float, float], ground: TerrainTile | float, reason: NoGeotag
) -> None:
    """No pixel is placed wrongly in silence."""
    one = placed([pixel], pose, ground)[0]
    assert one.reason is reason
    assert math.isnan(one.lat_deg)


def test_a_picture_without_a_pose_is_said_so() -> None:
    """Order is kept, and only the pixels of unknown pictures are without a place."""
    pixels = [Pixel("a", 900, 500), Pixel("b", 900, 500), Pixel("a", 901, 500)]
    out = list(place_pixels(pixels, {"a": posed()}, CAMERA, 40.0))
    assert [one.pixel for one in out] == pixels
    assert [one.reason for one in out] == [None, NoGeotag.NO_POSE, None]


POSES = "image,lat_deg,lon_deg,height_m,yaw_deg,pitch_deg,roll_deg"
POSE = f"a.jpg,{LAT},{LON},140,40,-50,0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image,lat_deg\na,1\n", "no column lon_deg, height_m"),
        ("", "and has nothing"),
        (f"{POSES}\na,91,1,1,1,1,1\n", "poses.csv:2: lat_deg is 91.0; it lies within ±90"),
        (f"{POSES}\na,1,1,1,1,-91,1\n", "pitch_deg is -91"),
        (f"{POSES}\na,x,1,1,1,1,1\n", "lat_deg is 'x'; write a number"),
        (f"{POSES}\na,nan,1,1,1,1,1\n", "finite number"),
        (f"{POSES}\na,1,1,1,1,1\n", "roll_deg is None"),
        (f"{POSES}\na,1,1,1,1,1,1,7\n", "more values than there are columns"),
        (f"{POSES}\n{POSE}\n{POSE}\n", "has a pose already"),
        (f"{POSES},yaw_sigma_deg\n{POSE},-1\n", "a sigma is not negative"),
        (f"{POSES},image\n{POSE},a\n", "names column image twice"),
    ],
)
def test_a_table_that_cannot_be_names_line_and_column(tmp_path: Path, text: str, says: str) -> None:
    """File, line, column, and what is expected stand in the message."""
    path = tmp_path / "poses.csv"
    path.write_text(text)
    with pytest.raises(TableError) as caught:
        read_poses(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_table_or_a_named_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """What is no table is refused as such, never with another exception."""
    path = tmp_path_factory.mktemp("csv") / "pixels.csv"
    path.write_bytes(b"image,u_px,v_px\n" + data)
    try:
        read_pixels(path)
    except TableError as error:
        assert str(path) in str(error)


def test_sigmas_are_the_table_s_where_it_has_them(tmp_path: Path) -> None:
    """A column of sigmas counts; an empty cell and a missing column take the config's."""
    path = tmp_path / "poses.csv"
    path.write_text(
        f"{POSES},height_sigma_m,yaw_sigma_deg\n{POSE},0.1,0.2\nb.jpg,1,1,1,1,1,1,,0.3\n"
    )
    poses = read_poses(path)
    assert poses["a.jpg"].sigmas.position_m[2] == 0.1
    assert poses["a.jpg"].sigmas.attitude_rad[0] == pytest.approx(math.radians(0.2))
    assert poses["b.jpg"].sigmas.position_m[2] == 3.0


def test_the_command_places_pixels(tmp_path: Path) -> None:
    """`skywhistle geotag` writes a line for each pixel, with a place or with a reason."""
    camera = REPO / "calibration/cameras/sim-720p.toml"
    write_tile(HILLS, tmp_path / "hills.npz")
    (tmp_path / "poses.csv").write_text(f"{POSES}\n{POSE}\n")
    (tmp_path / "pixels.csv").write_text(
        "image,u_px,v_px\na.jpg,639.5,359.5\nb.jpg,1,1\na.jpg,1e5,0\n"
    )
    words = ["--camera", str(camera), "--out", str(tmp_path / "out.csv")]
    words += ["--poses", str(tmp_path / "poses.csv"), "--pixels", str(tmp_path / "pixels.csv")]
    done = CliRunner().invoke(app, ["geotag", *words, "--terrain", str(tmp_path / "hills.npz")])
    assert done.exit_code == 0, done.output
    assert "1 of 3 pixels placed" in done.output
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "image,u_px,v_px,lat_deg,lon_deg,ground_m,ce90_m,reason"
    assert lines[2:] == ["b.jpg,1,1,,,,,no_pose", "a.jpg,100000,0,,,,,outside_lens"]
    image, u, v, lat, lon, ground, ce90, reason = lines[1].split(",")
    assert (image, u, v, reason) == ("a.jpg", "639.5", "359.5", "")
    intrinsics = read_intrinsics(camera)
    pose = read_poses(tmp_path / "poses.csv")["a.jpg"]
    [one] = place_pixels([Pixel("a.jpg", 639.5, 359.5)], {"a.jpg": pose}, intrinsics, HILLS)
    assert (float(lat), float(lon)) == pytest.approx((one.lat_deg, one.lon_deg), abs=1e-7)
    assert float(ground) == pytest.approx(one.ground_m, abs=0.02)
    assert 1.0 < float(ce90) < 10.0


def test_the_command_takes_an_elevation_model_as_it_is(tmp_path: Path) -> None:
    """A GeoTIFF and the tile made of it give the same places; only its part is read."""
    from tests.unit.geo.test_geo_terrain import DEGREES, write_model

    rows, cols = np.mgrid[0:700, 0:700]
    model = write_model(tmp_path / "m.tif", 20.0 + rows / 50 + cols / 90, "EPSG:4326", DEGREES)
    lat, lon = LAT - 0.0175, LON + 0.0175
    (tmp_path / "poses.csv").write_text(f"{POSES}\na,{lat},{lon},140,40,-50,0\n")
    (tmp_path / "pixels.csv").write_text("image,u_px,v_px\na,100,300\na,900,700\n")
    words = [f"--camera={REPO / 'calibration/cameras/sim-720p.toml'}"]
    words += [f"--{name}={tmp_path / name}.csv" for name in ("poses", "pixels")]
    write_tile(import_tile(model, "x"), tmp_path / "m.npz")
    out = []
    for name in ("m.tif", "m.npz"):
        more = [f"--terrain={tmp_path / name}", f"--out={tmp_path / 'out.csv'}"]
        done = CliRunner().invoke(app, ["geotag", *words, *more])
        assert "2 of 2 pixels placed" in done.output, done.output
        out.append((tmp_path / "out.csv").read_text().replace("\n", ",").split(",")[8:])
    for a, b in zip(*out, strict=True):
        try:
            assert float(a) == pytest.approx(float(b), abs=0.011)
        except ValueError:
            assert a == b


def test_what_pictures_can_see_lies_around_them() -> None:
    """The box around poses holds them all and the farthest ground, across the date line, too."""
    poses = [posed(lat_deg=10.0, lon_deg=179.99), posed(lat_deg=10.02, lon_deg=-179.99)]
    around = around_of(poses)
    assert around is not None
    lat, lon, km = around
    assert (lat, abs(lon)) == pytest.approx((10.01, 180.0))
    assert 6.5 < km < 7.0
    assert around_of([]) is None
    assert around_of([posed(lat_deg=89.0)]) is None


@pytest.mark.parametrize("ground", [[], ["--terrain", "a.npz", "--ground-height", "3"]])
def test_the_command_wants_one_ground(tmp_path: Path, ground: list[str]) -> None:
    """Neither and both are refused before anything is read."""
    words = [f"--{name}={tmp_path / name}" for name in ("camera", "poses", "pixels", "out")]
    done = CliRunner().invoke(app, ["geotag", *words, *ground])
    assert isinstance(done.exception, ConfigError)
    assert "either --terrain or --ground-height" in str(done.exception)


def test_the_command_wants_a_calibration(tmp_path: Path) -> None:
    """A camera file that is not there is named."""
    words = [f"--{name}={tmp_path / name}" for name in ("camera", "poses", "pixels", "out")]
    done = CliRunner().invoke(app, ["geotag", *words, "--ground-height", "0"])
    assert isinstance(done.exception, CalibrationError)
