"""Recorded flights: a folder is read as what it says, or refused with what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.capture.recording import FlightSpec, open_flight
from edge.errors import FlightError
from edge.records import Frame, Tick
from tests.painted import N_FRAMES, START_US, paint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return paint(tmp_path / "flight").folder


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "flight.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_frames_come_in_time_with_the_log_fed_ahead_of_them(folder: Path) -> None:
    """When a frame is handed out, every log message up to a second after it has been fed."""
    newest_ns = 0
    n_frames = 0

    def feed(_message: object, record_ns: int) -> None:
        nonlocal newest_ns
        newest_ns = record_ns

    last_ns = 0
    for event in open_flight(folder).events(feed):
        moment_ns = event.captured_mono_ns if isinstance(event, Frame) else event.mono_ns
        assert moment_ns >= last_ns
        last_ns = moment_ns
        if isinstance(event, Frame):
            n_frames += 1
            assert newest_ns >= moment_ns + 900_000_000
    assert n_frames == open_flight(folder).n_frames() == N_FRAMES


def test_the_file_name_is_the_time_less_the_latency(folder: Path) -> None:
    """A still's time is UTC by its name; the camera's latency moves it back."""
    first = next(e for e in open_flight(folder).events(lambda _m, _t: None) if type(e) is Frame)
    assert first.captured_mono_ns == START_US * 1000
    edit(folder, 'mount = "mount.toml"', 'mount = "mount.toml"\nlatency_s = 0.25')
    later = next(e for e in open_flight(folder).events(lambda _m, _t: None) if type(e) is Frame)
    assert later.captured_mono_ns == START_US * 1000 - 250_000_000


def test_ticks_come_every_second_of_flight_time(folder: Path) -> None:
    """Between frames a second apart there is a tick a second, at the flight's own pace."""
    events = list(open_flight(folder).events(lambda _m, _t: None))
    assert sum(isinstance(event, Tick) for event in events) == N_FRAMES - 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("format = 1", "format = 2", "format is 2"),
        ('name = "painted"', 'nam = "painted"', "nam"),
        ('stills = "main/*.png"', 'stills = "none/*.png"', "no still fits"),
        ('stills = "main/*.png"', "", "either `video` or `stills`"),
        ('calibration = "camera.toml"', 'calibration = "absent.toml"', "absent.toml"),
        ('log = "flight.tlog"', 'log = "absent.tlog"', "absent.tlog"),
        ('pattern = "%Y%m%d%H%M%S%f.png"', "", "needs `pattern`"),
        ("format = 1", "format = [", "is not TOML"),
    ],
)
def test_a_folder_that_is_not_right_says_what_and_where(
    folder: Path, old: str, new: str, says: str
) -> None:
    """A wrong key, version or missing file is named before anything is read."""
    edit(folder, old, new)
    with pytest.raises(FlightError) as caught:
        open_flight(folder)
    assert says in str(caught.value)
    assert "flight.toml" in str(caught.value)


def test_a_folder_without_flight_toml_is_no_flight(tmp_path: Path) -> None:
    """The message says what a flight is."""
    with pytest.raises(FlightError, match=r"folder with flight\.toml"):
        open_flight(tmp_path)


def test_a_video_without_times_is_refused(folder: Path) -> None:
    """A video has no clock of its own: it needs frame times or a start."""
    (folder / "video.mp4").write_bytes(b"")
    edit(folder, 'stills = "main/*.png"', 'video = "video.mp4"')
    with pytest.raises(FlightError, match="frames"):
        open_flight(folder)


def test_a_still_whose_name_does_not_fit_is_named(folder: Path) -> None:
    """A stray picture stops the replay with its name, not with a wrong time."""
    stray = folder / "main" / "zzz.png"
    stray.write_bytes(next((folder / "main").glob("*.png")).read_bytes())
    with pytest.raises(FlightError, match=r"zzz\.png"):
        list(open_flight(folder).events(lambda _m, _t: None))


def test_frame_times_must_be_numbers(folder: Path) -> None:
    """A frames.csv without its two columns is refused by name."""
    (folder / "video.mp4").write_bytes(b"x")
    (folder / "frames.csv").write_text("frame,time\n0,now\n")
    edit(folder, 'stills = "main/*.png"', 'video = "video.mp4"\nframes = "frames.csv"')
    with pytest.raises(FlightError, match=r"frames\.csv"):
        open_flight(folder).n_frames()


def test_a_spec_of_the_shipped_flights_is_read(repo: Path) -> None:
    """Every flight folder in the repository opens."""
    for path in sorted((repo / "sim" / "flights").glob("*/flight.toml")):
        assert isinstance(open_flight(path.parent).spec, FlightSpec)
