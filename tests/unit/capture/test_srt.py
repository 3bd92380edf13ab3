"""Laws of drones' subtitles: each dialect says what it says, and nothing that it does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.capture.clock import BootClock, utc_by_record_time
from edge.capture.logs_srt import read_srt, srt_track
from edge.capture.recording_spec import FlightTelemetry
from edge.capture.srt import (
    ALTITUDE,
    AUTEL,
    COMPACT,
    DRONE,
    GIMBAL,
    M300,
    PHANTOM,
    PRY,
    REL_ABS,
    Dialect,
    read_subtitles,
)
from edge.capture.telemetry import Telemetry
from edge.config import AccuracyConfig
from edge.errors import TelemetryError
from edge.geo.camera import Intrinsics
from edge.geo.locate import Locator, Unlocated
from edge.geo.mount import MountFile, MountKind, make_mount
from edge.geo.plane import LocalPlane
from edge.records import Detection, Frame, NoGeotag, NoPose, Pose, Sighting, YawReference

LAT, LON, HEIGHT_M, SPEED_MPS = 31.5, 120.3, 60.0, 8.0
M_PER_LAT_DEG = 110_877.0
YPR = (35.0, -60.0, 0.0)
START_NS = 1_718_014_496_000_000_000  # 2024-06-10 10:14:56, the zone unsaid


def lat(t_s: float) -> float:
    return LAT + SPEED_MPS * t_s / M_PER_LAT_DEG


def framed(n: int, t_s: float, words: str, *, counts: str = "FrameCnt") -> str:
    """One subtitle a frame, as the newer aircraft write them."""
    clock = f"2024-06-10 10:14:{56 + int(t_s):02d}.{round(t_s % 1 * 1000):03d}"
    return (
        f'<font size="28">{counts}: {n + 1}, DiffTime: 33ms\n{clock}\n'
        "[iso: 100] [shutter: 1/800.0] [fnum: 2.8] [ev: 0] [focal_len: 24.00] "
        f"[dzoom_ratio: 1.00], {words} </font>"
    )


def rel_abs(t_s: float) -> str:
    height = f"[rel_alt: {HEIGHT_M:.3f} abs_alt: {HEIGHT_M + 12.0:.3f}]"
    return f"[latitude: {lat(t_s):.6f}] [longitude: {LON:.6f}] {height}"


def altitude(t_s: float) -> str:
    return f"[latitude: {lat(t_s):.6f}] [longtitude: {LON:.6f}] [altitude: {HEIGHT_M + 12.0:.6f}]"


def compact(t_s: float, more: str = "") -> str:
    return (
        f"F/2.8, SS 320.00, ISO 100, EV 0, GPS ({LON:.6f}, {lat(t_s):.6f}, 19), D 12.50m, "
        f"H {HEIGHT_M:.2f}m, H.S {SPEED_MPS:.2f}m/s, V.S 0.00m/s{more}"
    )


PRY_WORDS = ", F.PRY (2.0°, -1.0°, 30.0°), G.PRY (-60.0°, 0.0°, 35.0°)"
Words = Callable[[int, float], str]
# Dialect → (seconds between subtitles, what one says, tells the camera's attitude).
SAMPLES: dict[Dialect, tuple[float, Words, bool]] = {
    PHANTOM: (
        1.0,
        lambda _n, t: (
            f"HOME({LON:.4f},{LAT:.4f}) 2024.06.10 10:14:{56 + int(t):02d}\n"
            f"GPS({LON:.4f},{lat(t):.4f},17) BAROMETER:{HEIGHT_M:.1f}\n"
            "ISO:100 Shutter:120 EV: Fnum:2.8"
        ),
        False,
    ),
    M300: (
        1.0,
        lambda _n, t: (
            f"2024.06.10 10:14:{56 + int(t):02d}\n"
            f"GPS({lat(t):.4f},{LON:.4f},0.0M) BAROMETER:{HEIGHT_M:.1f}M"
        ),
        False,
    ),
    COMPACT: (1.0, lambda _n, t: compact(t), False),
    PRY: (1.0, lambda _n, t: compact(t, PRY_WORDS), True),
    ALTITUDE: (1 / 30, lambda n, t: framed(n, t, altitude(t)), False),
    DRONE: (
        1 / 30,
        lambda n, t: framed(n, t, altitude(t) + " [Drone: Yaw:30.0, Pitch:2.0, Roll:-1.0]"),
        False,
    ),
    REL_ABS: (1 / 30, lambda n, t: framed(n, t, rel_abs(t), counts="SrtCnt"), False),
    GIMBAL: (
        1 / 30,
        lambda n, t: framed(n, t, rel_abs(t) + " [gb_yaw: 35.0 gb_pitch: -60.0 gb_roll: 0.0]"),
        True,
    ),
    AUTEL: (
        1.0,
        lambda _n, t: (
            f"HOME(E: {LON:.6f}, N: {LAT:.6f}) 2024-06-10 10:14:{56 + int(t):02d}\n"
            f"GPS(E: {LON:.6f}, N: {lat(t):.6f}, {HEIGHT_M + 12:.2f}m)\n"
            "ISO:100 SHUTTER:320 EV:0.0 F-NUM:2.8"
        ),
        False,
    ),
}
BY_NAME = pytest.mark.parametrize("dialect", SAMPLES, ids=lambda dialect: dialect.name)
HEIGHT_KNOWN = {PHANTOM, M300, COMPACT, PRY, REL_ABS, GIMBAL}


def timecode(t_s: float) -> str:
    ms = int(t_s * 1000)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"


def written(folder: Path, step_s: float, words: Words, seconds: float = 3.0) -> Path:
    path = folder / "DJI_0001.SRT"
    blocks = [
        f"{n + 1}\n{timecode(n * step_s)} --> {timecode((n + 1) * step_s)}\n{words(n, n * step_s)}"
        for n in range(round(seconds / step_s) + 1)
    ]
    path.write_text("\n\n".join(blocks) + "\n\n", "utf-8")
    return path


def fed(path: Path, home_amsl_m: float | None = None) -> tuple[Telemetry, int]:
    """Feed subtitles; return the telemetry and the record time of video time 0."""
    telemetry = Telemetry(FlightTelemetry(log=path), utc_by_record_time, BootClock(1e-3))
    for one in read_srt(path, home_amsl_m=home_amsl_m):
        telemetry.feed(one.message, one.record_utc_ns)
    return telemetry, srt_track(path).start_utc_ns


def placed(pose: Pose) -> Sighting | Unlocated:
    """Where the middle of a picture lies, with a stabilised mount."""
    camera = Intrinsics("c", 640, 480, 500.0, 500.0, 320.0, 240.0)
    mount = make_mount(MountFile(id="gimbal", kind=MountKind.STABILISED_GIMBAL))
    locator = Locator(camera, mount, LocalPlane(LAT, LON), accuracy=AccuracyConfig())
    image = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    u, v = camera.width_px / 2, camera.height_px / 2
    middle = Detection("structure", 0.9, (u, v, u, v))
    return locator.locate([middle], Frame(image, pose.mono_ns, "main", 0), pose)[0]


@BY_NAME
def test_a_dialect_is_known_by_what_it_says(tmp_path: Path, dialect: Dialect) -> None:
    """Each dialect is told from the others, and its place is where the drone was."""
    step_s, words, _ = SAMPLES[dialect]
    file = read_subtitles(written(tmp_path, step_s, words))
    assert file.dialect is dialect
    at_one = next(one for one in file.subtitles if one.start_ns >= 990_000_000)
    decimals = 4 if dialect in {PHANTOM, M300} else 6
    assert at_one.decimals == decimals
    t_s = at_one.start_ns * 1e-9
    assert at_one.lat_deg == pytest.approx(lat(t_s), abs=0.6 * 10**-decimals)
    assert at_one.lon_deg == pytest.approx(LON, abs=0.6 * 10**-decimals)
    is_known = math.isfinite(at_one.above_home_m)
    assert is_known is (dialect in HEIGHT_KNOWN)
    if is_known:
        assert at_one.above_home_m == HEIGHT_M


@BY_NAME
def test_where_no_gimbal_is_told_the_answer_is_no_attitude(
    tmp_path: Path, dialect: Dialect
) -> None:
    """A detection has a place where the camera's attitude is told, and NO_ATTITUDE where not."""
    step_s, words, tells = SAMPLES[dialect]
    telemetry, start_ns = fed(written(tmp_path, step_s, words))
    pose = telemetry.at(start_ns + 1_500_000_000)
    assert isinstance(pose, Pose)
    place = placed(pose)
    if not tells:
        assert isinstance(place, Unlocated)
        assert place.reason is NoGeotag.NO_ATTITUDE
        return
    assert pose.gimbal is not None
    assert pose.gimbal.yaw_reference is YawReference.NORTH
    assert isinstance(place, Sighting)
    # 60 m up, 60° down, 35° from north: 60 / tan 60° away from below the drone.
    away_m = HEIGHT_M / math.tan(math.radians(60.0))
    north_m = (pose.lat_deg - LAT) * M_PER_LAT_DEG
    assert place.east_m == pytest.approx(away_m * math.sin(math.radians(35.0)), abs=0.3)
    assert place.north_m - north_m == pytest.approx(away_m * math.cos(math.radians(35.0)), abs=0.3)


def test_part_of_an_attitude_is_none(tmp_path: Path) -> None:
    """A yaw alone, or angles that are zero throughout, are not the camera's attitude."""
    for more in (" [gb_yaw: 35.0]", " [gb_yaw: 0.0 gb_pitch: 0.0 gb_roll: 0.0]"):
        path = written(tmp_path, 1 / 30, lambda n, t, more=more: framed(n, t, rel_abs(t) + more))  # type: ignore[misc]
        telemetry, start_ns = fed(path)
        pose = telemetry.at(start_ns + 1_500_000_000)
        assert isinstance(pose, Pose)
        place = placed(pose)
        assert isinstance(place, Unlocated)
        assert place.reason is NoGeotag.NO_ATTITUDE


def test_altitude_alone_needs_the_height_of_home(tmp_path: Path) -> None:
    """`altitude` has no datum: above home it is only where home's is given."""
    step_s, words, _ = SAMPLES[ALTITUDE]
    path = written(tmp_path, step_s, words)
    for home_amsl_m, wanted in ((None, math.nan), (12.0, HEIGHT_M)):
        telemetry, start_ns = fed(path, home_amsl_m)
        pose = telemetry.at(start_ns + 1_500_000_000)
        assert isinstance(pose, Pose)
        assert pose.above_home_m == pytest.approx(wanted, nan_ok=True)


def test_positions_that_stand_in_several_subtitles_are_no_stairs(tmp_path: Path) -> None:
    """A receiver of 5 Hz under 30 subtitles a second gives the path, not steps of 1.6 m."""

    def words(n: int, t_s: float) -> str:
        return framed(n, t_s, rel_abs(math.floor(t_s * 5 + 1e-6) / 5))

    telemetry, start_ns = fed(written(tmp_path, 1 / 30, words))
    for t_s in (1.05, 1.3, 1.57, 1.94):
        pose = telemetry.at(start_ns + round(t_s * 1e9))
        assert isinstance(pose, Pose)
        assert (pose.lat_deg - lat(t_s)) * M_PER_LAT_DEG == pytest.approx(0.0, abs=0.35)
        assert pose.velocity_ned_mps[0] == pytest.approx(SPEED_MPS, abs=1.0)


def test_coarse_coordinates_say_how_coarse(tmp_path: Path) -> None:
    """Four decimals are steps of 11 m: the accuracy that is told holds the rounding."""
    step_s, words, _ = SAMPLES[PHANTOM]
    telemetry, start_ns = fed(written(tmp_path, step_s, words))
    pose = telemetry.at(start_ns + 1_500_000_000)
    assert isinstance(pose, Pose)
    assert pose.h_acc_m == pytest.approx(math.sqrt(2) * math.hypot(1.5, 11.132 / math.sqrt(12)))


def test_the_video_begins_when_the_subtitles_clock_says(tmp_path: Path) -> None:
    """The clock of the subtitles gives the start, to half of what it is written to."""
    for dialect, (step_s, words, _) in SAMPLES.items():
        start_ns = srt_track(written(tmp_path, step_s, words)).start_utc_ns
        if dialect in {COMPACT, PRY}:
            assert start_ns == 0  # they have no clock
        else:
            assert start_ns == pytest.approx(START_NS, abs=2_000_000)


def test_a_frame_has_its_own_subtitles_time(tmp_path: Path) -> None:
    """Where frames are counted as the video's are, the count decides; else its time stamps."""
    step_s, words, _ = SAMPLES[GIMBAL]
    track = srt_track(written(tmp_path, step_s, words))
    assert track.frame_ns(30, 1_001_000_000) == 1_000_000_000
    assert track.frame_ns(30, 3_000_000_000) == 3_000_000_000  # encoded again at 10 a second
    assert track.frame_ns(5000, 77) == 77
    step_s, words, _ = SAMPLES[COMPACT]
    assert srt_track(written(tmp_path, step_s, words)).frame_ns(30, 77) == 77


def test_a_hole_in_the_subtitles_is_a_gap(tmp_path: Path) -> None:
    """Two seconds without subtitles are no pose, and the flight goes on behind them."""
    step_s, words, _ = SAMPLES[GIMBAL]
    path = written(tmp_path, step_s, words, seconds=6.0)
    blocks = path.read_text("utf-8").split("\n\n")
    path.write_text("\n\n".join(blocks[:60] + blocks[120:]), "utf-8")
    telemetry, start_ns = fed(path)
    assert telemetry.at(start_ns + 3_000_000_000) is NoPose.GAP
    assert isinstance(telemetry.at(start_ns + 4_500_000_000), Pose)
    assert isinstance(telemetry.at(start_ns + 1_500_000_000), Pose)


def test_subtitles_out_of_order_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A subtitle whose video time goes back is no sample, and a warning counts it."""
    step_s, words, _ = SAMPLES[GIMBAL]
    path = written(tmp_path, step_s, words)
    blocks = path.read_text("utf-8").split("\n\n")
    path.write_text("\n\n".join(blocks[:40] + blocks[10:12] + blocks[40:]), "utf-8")
    track = srt_track(path)
    assert track.file.n_disordered == 2
    assert "srt_out_of_order" in caplog.text


@pytest.mark.parametrize("lat_deg", ["0.000000", "38.500000"])
def test_a_place_that_cannot_be_is_no_fix(tmp_path: Path, lat_deg: str) -> None:
    """Zeros before the first fix, and a jump that no drone flies, are NO_FIX around them."""

    def words(n: int, t_s: float) -> str:
        told = rel_abs(t_s) + " [gb_yaw: 35.0 gb_pitch: -60.0 gb_roll: 0.0]"
        is_bad = 40 <= n < 44
        told = told.replace(f"{lat(t_s):.6f}", lat_deg) if is_bad else told
        return framed(n, t_s, told.replace(f"{LON:.6f}", "0.000000") if is_bad else told)

    telemetry, start_ns = fed(written(tmp_path, 1 / 30, words))
    assert telemetry.at(start_ns + 1_334_000_000) is NoPose.NO_FIX
    assert isinstance(telemetry.at(start_ns + 1_200_000_000), Pose)
    assert isinstance(telemetry.at(start_ns + 2_000_000_000), Pose)


def test_latitude_and_longitude_are_told_apart_where_values_prove_it(tmp_path: Path) -> None:
    """A first number that stays below 90 under a second beyond it is a latitude."""
    path = written(
        tmp_path, 1.0, lambda _n, t: compact(t).replace(
            f"({LON:.6f}, {lat(t):.6f}", f"({lat(t):.6f}, {LON:.6f}"
        ),
    )  # fmt: skip
    file = read_subtitles(path)
    assert file.is_lat_first
    assert file.subtitles[0].lat_deg == pytest.approx(LAT)


def test_zooming_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A focal length that changes is warned of: one calibration does not fit it all."""

    def words(n: int, t_s: float) -> str:
        told = framed(n, t_s, rel_abs(t_s))
        return told.replace("focal_len: 24.00", "focal_len: 48.00") if n > 30 else told

    path = written(tmp_path, 1 / 30, words)
    assert srt_track(path).zooms
    list(read_srt(path))
    assert "srt_zoom_changes" in caplog.text


def test_subtitles_of_a_film_are_no_telemetry(tmp_path: Path) -> None:
    """Words without a place are refused, with the dialects that are known."""
    path = tmp_path / "film.srt"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello there.\n")
    with pytest.raises(TelemetryError, match="rel-abs"):
        read_subtitles(path)


@pytest.mark.parametrize(
    ("body", "gimbal", "drone", "height_m"),
    [
        ("GPS (116.33, 39.98, 20) D 12m H 50m H.S 3m/s", None, None, 50.0),
        (
            "[latitude : 31.5] [longtitude : 120.3] [rel_alt 57.2 abs_alt 204.6] "
            "[Drone: Yaw:1.9, Pitch:-3.1, Roll:1.5] [Gimbal: Yaw:10.0, Pitch:-45.0, Roll:0.5]",
            (10.0, -45.0, 0.5),
            (1.9, -3.1, 1.5),
            57.2,
        ),
        (
            "[latitude: 31.5] [longitude: 120.3] [rel_alt: 57.2 abs_alt: 204.6] "
            "drone: yaw 1.9 pitch -3.1 roll 1.5 gimbal: yaw 10.0 pitch -45.0 roll 0.5",
            (10.0, -45.0, 0.5),
            (1.9, -3.1, 1.5),
            57.2,
        ),
        (
            "RTK (120.083799, 30.213635, 28), HOME (120.084146, 30.214243, 103.55m), D 75.36m, "
            "H 76.19m, F.PRY (-5.3°, 2.1°, 28.3°), G.PRY (-40.0°, 0.0°, 28.2°)",
            (28.2, -40.0, 0.0),
            (28.3, -5.3, 2.1),
            76.19,
        ),
        (
            "[latitude: 31.5] [longitude: 120.3] [rel_alt: 5.0 abs_alt: 9.0] "
            "[gb_yaw: 999.0 gb_pitch: -60.0 gb_roll: 0.0]",
            None,
            None,
            5.0,
        ),
    ],
)
def test_attitudes_are_read_in_every_spelling(
    tmp_path: Path,
    body: str,
    gimbal: tuple[float, ...] | None,
    drone: tuple[float, ...] | None,
    height_m: float,
) -> None:
    """Yaw, pitch and roll come by their names, whatever their order; impossible ones are none."""
    path = tmp_path / "a.SRT"
    path.write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{body}\n", "utf-8")
    (one,) = read_subtitles(path).subtitles
    assert one.gimbal_ypr_deg == gimbal
    assert one.drone_ypr_deg == drone
    assert one.above_home_m == height_m
    assert one.has_place


def test_without_a_height_above_home_nothing_is_placed(tmp_path: Path) -> None:
    """An attitude and an altitude of no datum are not enough: a reason, never a place."""
    more = " [gb_yaw: 35.0 gb_pitch: -60.0 gb_roll: 0.0]"
    path = written(tmp_path, 1 / 30, lambda n, t: framed(n, t, altitude(t) + more))
    telemetry, start_ns = fed(path)
    pose = telemetry.at(start_ns + 1_500_000_000)
    assert isinstance(pose, Pose)
    assert isinstance(placed(pose), Unlocated)
