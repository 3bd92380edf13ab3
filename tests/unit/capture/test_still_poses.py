"""Laws of stills that tell their own pose: what is in EXIF and XMP, and nothing else."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edge.capture.clock import BootClock, utc_by_record_time
from edge.capture.recording_spec import FlightTelemetry
from edge.capture.recording_stills import messages_of, posed_stills
from edge.capture.still_poses import from_straight_down, read_still_pose
from edge.capture.telemetry import Telemetry
from edge.errors import FlightError, TelemetryError
from edge.geo.mount import MountFile, MountKind, make_mount
from edge.geo.rotations import matrix_from_euler
from edge.records import NoGeotag, NoPose, Pose
from tests.unit.capture.log_writers import dji_xmp, exif, pix4d_xmp, still

PLACE = (31.512345, -120.354321)
NADIR = {"GimbalYawDegree": "+35.10", "GimbalPitchDegree": "-90.00", "GimbalRollDegree": "+0.00"}
HEIGHTS = {"RelativeAltitude": "+60.20", "AbsoluteAltitude": "+72.30"}
FLIGHT = {"FlightYawDegree": "+34.0", "FlightPitchDegree": "-4.0", "FlightRollDegree": "+1.0"}


def taken(second: int) -> str:
    return f"2024:06:10 10:14:{second:02d}"


def folder_of(tmp_path: Path, *xmps: str, step_s: int = 1) -> list[Path]:
    paths = []
    for i, xmp in enumerate(xmps):
        path = tmp_path / f"DJI_{i:04d}.JPG"
        still(path, exif=exif(taken=taken(i * step_s), lat_lon_deg=PLACE, altitude_m=72.0), xmp=xmp)
        paths.append(path)
    return paths


def fed(paths: list[Path], home_amsl_m: float | None = None) -> tuple[Telemetry, list[int]]:
    posed = posed_stills(paths)
    telemetry = Telemetry(FlightTelemetry(stills=True), utc_by_record_time, BootClock(0.0))
    for one in messages_of(posed, home_amsl_m):
        telemetry.feed(one.message, one.record_utc_ns)
    return telemetry, [one.utc_ns for one in posed]


def seen_by(pose: Pose) -> NoGeotag | None:
    """What a stabilised mount makes of the pose's attitude."""
    mount = make_mount(MountFile(id="gimbal", kind=MountKind.STABILISED_GIMBAL))
    if not any(pose.ned_from_body_wxyz):
        return NoGeotag.NO_ATTITUDE  # as the view says of a quaternion that is no rotation
    turned = mount.ned_from_camera(pose, np.eye(3))
    return turned if isinstance(turned, NoGeotag) else None


def test_a_dji_still_tells_all_of_its_pose(tmp_path: Path) -> None:
    """Place by EXIF; heights, attitudes, accuracy and velocity by XMP, with their signs."""
    path = tmp_path / "a.jpg"
    rtk = {"RtkFlag": "50", "RtkStdLon": "0.01", "RtkStdLat": "0.02", "RtkStdHgt": "0.03"}
    more = {"FlightXSpeed": "+3.0", "FlightYSpeed": "-4.0", "CalibratedFocalLength": "3666.66"}
    still(path, exif=exif(taken=taken(1), subsecond="25", zone="+08:00", lat_lon_deg=PLACE),
          xmp=dji_xmp(**NADIR, **HEIGHTS, **FLIGHT, **rtk, **more))  # fmt: skip
    pose = read_still_pose(path)
    assert (pose.lat_deg, pose.lon_deg) == pytest.approx(PLACE, abs=1e-8)
    assert (pose.above_home_m, pose.absolute_m) == (60.2, 72.3)
    assert pose.camera_ypr_deg == (35.1, -90.0, 0.0)
    assert pose.drone_ypr_deg == (34.0, -4.0, 1.0)
    assert pose.h_acc_m == pytest.approx(math.hypot(0.01, 0.02))
    assert pose.velocity_ned_mps == (3.0, -4.0, 0.0)
    assert pose.focal_px == 3666.66
    assert pose.has_zone
    assert pose.time_ns == 1_717_985_641_250_000_000  # 02:14:01.25 UTC


def test_each_stills_pose_is_its_own_exactly(tmp_path: Path) -> None:
    """At a still's instant the pose is what it says, not what its neighbours blend into."""
    xmps = [dji_xmp(**(NADIR | {"GimbalYawDegree": str(40.0 * i)}), **HEIGHTS) for i in range(1, 5)]
    telemetry, times_ns = fed(folder_of(tmp_path, *xmps))
    for i, utc_ns in enumerate(times_ns, start=1):
        pose = telemetry.at(utc_ns)
        assert isinstance(pose, Pose)
        assert (pose.reach_s, pose.sync_sigma_s) == (0.0, 0.0)
        assert pose.gimbal is not None
        w, _, y, z = pose.gimbal.quaternion_wxyz
        assert 2 * math.degrees(math.atan2(z, w)) == pytest.approx(40.0 * i, abs=1e-6)
        assert abs(y) > 0.1


def test_a_still_without_attitude_has_none_whatever_its_neighbours_have(tmp_path: Path) -> None:
    """EXIF alone between two DJI stills half a second apart is NO_ATTITUDE, never a blend."""
    with_pose = dji_xmp(**NADIR, **HEIGHTS, **FLIGHT)
    partly = dji_xmp(GimbalYawDegree="+35.1", **HEIGHTS)
    for bare in ("", partly):
        paths = folder_of(tmp_path, with_pose, bare, with_pose)
        telemetry, times_ns = fed(paths, home_amsl_m=12.0)
        poses = [telemetry.at(utc_ns) for utc_ns in times_ns]
        assert all(isinstance(pose, Pose) for pose in poses)
        reasons = [seen_by(pose) for pose in poses if isinstance(pose, Pose)]
        assert reasons == [None, NoGeotag.NO_ATTITUDE, None]


def test_a_gimbal_that_is_unsaid_is_none_though_the_vehicle_is_told(tmp_path: Path) -> None:
    """With the vehicle's attitude alone, a gimbal's neighbour report is not taken for it."""
    xmps = [dji_xmp(**NADIR, **HEIGHTS, **FLIGHT), dji_xmp(**HEIGHTS, **FLIGHT)]
    telemetry, times_ns = fed(folder_of(tmp_path, *xmps))
    pose = telemetry.at(times_ns[1])
    assert isinstance(pose, Pose)
    assert any(pose.ned_from_body_wxyz)
    assert pose.gimbal is None
    assert seen_by(pose) is NoGeotag.NO_ATTITUDE


def test_angles_left_blank_are_none(tmp_path: Path) -> None:
    """A camera that writes zeros in every still has not told where it looked."""
    zeros = dict.fromkeys(NADIR, "+0.00")
    telemetry, times_ns = fed(folder_of(tmp_path, *[dji_xmp(**zeros, **HEIGHTS)] * 3))
    pose = telemetry.at(times_ns[1])
    assert isinstance(pose, Pose)
    assert seen_by(pose) is NoGeotag.NO_ATTITUDE


@pytest.mark.parametrize("roll", [0.0, 4.0, -170.0])
@pytest.mark.parametrize("pitch", [-12.0, 0.0, 30.0, 89.0])
@pytest.mark.parametrize("yaw", [-100.0, 0.0, 35.0])
def test_pix4ds_angles_hang_the_camera_under_its_axes(
    yaw: float, pitch: float, roll: float
) -> None:
    """Zero looks straight down with north on top; turned, the camera turns as a vehicle does."""

    def matrix(y: float, p: float, r: float) -> np.ndarray:
        return matrix_from_euler(*(math.radians(angle) for angle in (r, p, y)))

    wanted = matrix(yaw, pitch, roll) @ matrix(0.0, -90.0, 0.0)
    got = matrix(*from_straight_down((yaw, pitch, roll)))
    assert np.allclose(got, wanted, atol=1e-9)


def test_a_sensefly_still_is_read_with_its_accuracy(tmp_path: Path) -> None:
    """Camera:Yaw, Pitch, Roll of Pix4D's namespace, and GPSXYAccuracy."""
    path = tmp_path / "a.jpg"
    xmp = pix4d_xmp(Yaw=92.0, Pitch=0.0, Roll=0.0, GPSXYAccuracy=0.03, GPSZAccuracy=0.05)
    still(path, exif=exif(taken=taken(1), lat_lon_deg=PLACE, altitude_m=-3.5), xmp=xmp)
    pose = read_still_pose(path)
    assert pose.family == "Pix4D"
    assert pose.camera_ypr_deg == pytest.approx((92.0, -90.0, 0.0))
    assert (pose.h_acc_m, pose.v_acc_m) == (0.03, 0.05)
    assert pose.absolute_m == -3.5
    assert math.isnan(pose.above_home_m)


def test_a_place_that_jumps_is_no_fix(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One still a kilometre off between its neighbours is struck out, and named."""
    paths = folder_of(tmp_path, *[dji_xmp(**NADIR, **HEIGHTS)] * 5)
    far = (PLACE[0] + 0.01, PLACE[1])
    still(paths[2], exif=exif(taken=taken(2), lat_lon_deg=far), xmp=dji_xmp(**NADIR, **HEIGHTS))
    telemetry, times_ns = fed(paths)
    answers = [telemetry.at(utc_ns) for utc_ns in times_ns]
    assert answers[2] is NoPose.NO_FIX
    assert all(isinstance(answers[i], Pose) for i in (0, 1, 4))
    assert "DJI_0002" in caplog.text


@pytest.mark.parametrize("speed_mps", [5.0, 20.0])
def test_stills_in_quick_succession_are_no_jumps(tmp_path: Path, speed_mps: float) -> None:
    """Every 0.7 s at 20 m/s, with times in whole seconds: each still has its own exact place."""
    paths = []
    for i in range(12):
        lat_deg = PLACE[0] + speed_mps * 0.7 * i / 110_877.0
        path = tmp_path / f"DJI_{i:04d}.JPG"
        time = exif(taken=taken(int(0.7 * i)), lat_lon_deg=(lat_deg, PLACE[1]))
        still(path, exif=time, xmp=dji_xmp(**NADIR, **HEIGHTS))
        paths.append(path)
    telemetry, times_ns = fed(paths)
    for i, utc_ns in enumerate(times_ns):
        pose = telemetry.at(utc_ns)
        assert isinstance(pose, Pose)
        lat_deg = PLACE[0] + speed_mps * 0.7 * i / 110_877.0
        assert pose.lat_deg == pytest.approx(lat_deg, abs=1e-8)


def test_stills_of_one_second_keep_their_order_and_their_poses(tmp_path: Path) -> None:
    """Cameras write whole seconds: stills of the same second stay apart, in order of name."""
    xmps = [dji_xmp(**(NADIR | {"GimbalYawDegree": f"{10 * i}"}), **HEIGHTS) for i in range(1, 4)]
    posed = posed_stills(folder_of(tmp_path, *xmps, step_s=0))
    assert [one.path.name[-5] for one in posed] == ["0", "1", "2"]
    assert len({one.utc_ns for one in posed}) == 3


def test_stills_whose_times_are_out_of_order_are_sorted_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Time, not name, is the order of a flight."""
    for name, second in (("a.jpg", 30), ("b.jpg", 10), ("c.jpg", 20)):
        still(tmp_path / name, exif=exif(taken=taken(second), lat_lon_deg=PLACE), xmp="")
    posed = posed_stills(sorted(tmp_path.glob("*.jpg")))
    assert [one.path.name for one in posed] == ["b.jpg", "c.jpg", "a.jpg"]
    assert "stills_out_of_order" in caplog.text


def test_a_still_without_a_place_is_no_fix(tmp_path: Path) -> None:
    """A still before the first fix says zeros, or nothing: NO_FIX, not a place in the ocean."""
    paths = folder_of(tmp_path, dji_xmp(**NADIR, **HEIGHTS))
    for i, place in enumerate((None, (0.0, 0.0)), start=1):
        path = tmp_path / f"DJI_{i:04d}.JPG"
        still(path, exif=exif(taken=taken(i), lat_lon_deg=place), xmp=dji_xmp(**NADIR, **HEIGHTS))
        paths.append(path)
    telemetry, times_ns = fed(paths)
    answers = [telemetry.at(utc_ns) for utc_ns in times_ns]
    assert isinstance(answers[0], Pose)
    assert answers[1:] == [NoPose.NO_FIX, NoPose.NO_FIX]


def test_a_still_without_a_time_is_left_out_by_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One without a time is named and left out; a folder without any is refused."""
    still(tmp_path / "a.jpg")
    with pytest.raises(FlightError, match="DateTimeOriginal"):
        posed_stills([tmp_path / "a.jpg"])
    still(tmp_path / "b.jpg", exif=exif(taken=taken(3), lat_lon_deg=PLACE))
    assert [one.path.name for one in posed_stills(sorted(tmp_path.iterdir()))] == ["b.jpg"]
    assert "a.jpg" in caplog.text


@pytest.mark.parametrize(
    ("xmp", "says"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]>' + dji_xmp(**NADIR), "declarations"),
        ("<x:xmpmeta unclosed", "damaged"),
    ],
)
def test_xmp_that_is_no_cameras_is_refused(tmp_path: Path, xmp: str, says: str) -> None:
    """Entities and broken XML are a named error, not a slow machine."""
    still(tmp_path / "a.jpg", exif=exif(taken=taken(1)), xmp=xmp)
    with pytest.raises(TelemetryError, match=says):
        read_still_pose(tmp_path / "a.jpg")
