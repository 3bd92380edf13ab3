"""Flight folders of footage from elsewhere: times, zones, and what does not go together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture.recording import RecordedFlight, open_flight
from edge.errors import FlightError
from edge.records import Frame, Pose
from tests.unit.capture.log_writers import dji_xmp, exif, still
from tests.unit.capture.test_srt import COMPACT, GIMBAL, SAMPLES, START_NS, written

CALIBRATION = 'calibration = "camera.toml"\nmount = "mount.toml"\n'
SRT_TOML = (
    f'format = 1\nname = "a"\n[[camera]]\nid = "main"\nvideo = "DJI_0001.mp4"\n{CALIBRATION}'
    '[telemetry]\nlog = "DJI_0001.SRT"\n[time]\nrule = "srt"\n'
)
STILLS_TOML = (
    f'format = 1\nname = "a"\n[[camera]]\nid = "main"\nstills = "*.JPG"\n{CALIBRATION}'
    '[telemetry]\nstills = true\n[time]\nrule = "exif"\n'
)


def with_video(folder: Path, dialect: object = GIMBAL) -> Path:
    step_s, words, _ = SAMPLES[dialect]  # type: ignore[index]
    written(folder, step_s, words)
    video = cv2.VideoWriter(
        str(folder / "DJI_0001.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (64, 48)
    )
    for _ in range(60):
        video.write(np.zeros((48, 64, 3), np.uint8))
    video.release()
    return with_toml(folder, SRT_TOML)


def with_stills(folder: Path) -> Path:
    turned = {"GimbalYawDegree": 0, "GimbalPitchDegree": -90, "GimbalRollDegree": 5}
    for n, second in enumerate((3, 1, 2)):
        taken = exif(
            taken=f"2024:06:10 10:14:{second:02d}", lat_lon_deg=(31.5 + 1e-4 * second, 120.3)
        )
        xmp = dji_xmp(**turned, RelativeAltitude=60)
        still(folder / f"DJI_{n}.JPG", exif=taken, xmp=xmp)
    still(folder / "DJI_9.JPG")  # has no time
    return with_toml(folder, STILLS_TOML)


def with_toml(folder: Path, text: str) -> Path:
    for name in ("camera.toml", "mount.toml"):
        (folder / name).write_text("")
    (folder / "flight.toml").write_text(text)
    return folder


def flown(flight: RecordedFlight) -> list[tuple[Frame, object]]:
    """Each frame and what the telemetry says of its instant, as in a replay."""
    telemetry = flight.telemetry(flight.spec.telemetry)
    events = flight.events(telemetry.feed)
    return [(one, telemetry.at(one.captured_mono_ns)) for one in events if isinstance(one, Frame)]


def test_frames_of_a_video_take_their_subtitles_times(tmp_path: Path) -> None:
    """Every frame has a pose, at the time of its own subtitle, by the subtitles' clock."""
    frames = flown(open_flight(with_video(tmp_path)))
    assert len(frames) == 60
    assert all(isinstance(pose, Pose) and pose.reach_s < 0.2 for _, pose in frames[:-1])
    assert frames[30][0].captured_mono_ns == pytest.approx(START_NS + 10**9, abs=3_000_000)


@pytest.mark.parametrize("make", [with_video, with_stills])
def test_the_zone_of_a_camera_moves_frames_and_poses_alike(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    """A clock eight hours ahead: all times are eight hours earlier, and all poses the same."""
    folder = make(tmp_path)
    before = flown(open_flight(folder))
    text = (folder / "flight.toml").read_text()
    (folder / "flight.toml").write_text(text + "utc_offset_h = 8.0\n")
    after = flown(open_flight(folder))
    assert len(after) == len(before)
    for (frame, pose), (later, same) in zip(before, after, strict=True):
        assert frame.captured_mono_ns - later.captured_mono_ns == 8 * 3600 * 10**9
        assert isinstance(pose, Pose)
        assert isinstance(same, Pose)
        assert (pose.lat_deg, pose.gimbal) == (same.lat_deg, same.gimbal)


def test_a_video_without_a_clock_begins_when_a_person_says(tmp_path: Path) -> None:
    """Subtitles that have no clock get their start from `start_utc`."""
    folder = with_video(tmp_path, COMPACT)
    text = (folder / "flight.toml").read_text()
    (folder / "flight.toml").write_text(text + "start_utc = 2024-06-10T02:14:56Z\n")
    frames = flown(open_flight(folder))
    assert frames[0][0].captured_mono_ns == 1_717_985_696 * 10**9
    assert isinstance(frames[30][1], Pose)


def test_stills_come_in_the_order_of_their_times_with_their_own_poses(tmp_path: Path) -> None:
    """Sorted by time, each at its own place; one without a time is counted, not guessed."""
    flight = open_flight(with_stills(tmp_path))
    frames = flown(flight)
    places = [pose.lat_deg for _, pose in frames if isinstance(pose, Pose)]
    assert places == pytest.approx([31.5001, 31.5002, 31.5003], abs=1e-8)
    assert flight.dropped["no_time"] == 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("stills = true", 'stills = true\nlog = "a.BIN"', "either `log` or"),
        ("stills = true", "stills = true\nsystem_id = 2", "belong to a .tlog"),
        ('rule = "exif"', 'rule = "exif"\noffset_s = 1.0', "leave out"),
        ('rule = "exif"', 'rule = "filename"\npattern = "%Y"', "time rule 'exif'"),
        ('rule = "exif"', 'rule = "srt"', "video's .SRT"),
        ('rule = "exif"', 'rule = "exif"\nutc_offset_h = 28800', "less than or equal to 14"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    """Keys that contradict each other are one sentence, before anything is read."""
    folder = with_stills(tmp_path)
    text = (folder / "flight.toml").read_text()
    assert old in text
    (folder / "flight.toml").write_text(text.replace(old, new))
    with pytest.raises(FlightError, match=r"flight\.toml") as caught:
        open_flight(folder)
    assert says in str(caught.value)
