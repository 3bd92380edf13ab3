"""Damaged bytes end in a named error or in fewer messages, and end they do.

Each example flips, cuts, doubles or drops bytes of a good file.  What is read is fed to the
telemetry too: content that cannot be must not break it.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.capture.clock import BootClock, utc_by_record_time
from edge.capture.logs import read_log
from edge.capture.recording_spec import FlightTelemetry
from edge.capture.recording_stills import messages_of, posed_stills
from edge.capture.telemetry import Telemetry
from edge.errors import SkywhistleError, TelemetryError
from edge.records import NoPose, Pose
from tests.unit.capture.log_writers import dataflash, dataflash_text, dji_xmp, exif, still, ulog
from tests.unit.capture.logged_flight import BOOT_S, dataflash_rows, ulog_topics
from tests.unit.capture.test_srt import SAMPLES, written

# A tenth of the flight: the same formats, and quick to read.
_ROWS = list(dataflash_rows())[:260]
_STEP_MESSAGES = 20

Damage = tuple[float, int, bytes]
damages = st.lists(
    st.tuples(
        st.floats(0.0, 0.999),  # where, as a share of the file
        st.integers(0, 12),  # how many bytes go
        st.binary(max_size=12),  # what comes for them
    ),
    min_size=1,
    max_size=6,
)


@cache
def good(suffix: str) -> bytes:
    if suffix == ".bin":
        return dataflash(_ROWS)
    if suffix == ".log":
        return dataflash_text(_ROWS).encode()
    return ulog(
        [topic.__class__(topic.name, topic.fields, topic.rows[:15]) for topic in ulog_topics()],
        round(BOOT_S * 1e6),
    )


def damaged(data: bytes, damage: list[Damage]) -> bytes:
    for share, count, new in damage:
        at = int(share * len(data))
        data = data[:at] + new + data[at + count :]
    return data


def telemetry_of(path: Path) -> Telemetry:
    return Telemetry(FlightTelemetry(log=path), utc_by_record_time, BootClock(1e-3))


def survives(path: Path) -> int:
    """Read and feed; ask for poses now and then; return how many messages there were."""
    telemetry, count = telemetry_of(path), 0
    try:
        for count, one in enumerate(read_log(path), start=1):
            telemetry.feed(one.message, one.record_utc_ns)
            if count % _STEP_MESSAGES == 0:
                answer = telemetry.at(one.record_utc_ns - 10_000_000)
                assert isinstance(answer, (Pose, NoPose))
    except SkywhistleError as error:
        assert str(path) in str(error)
    return count


@pytest.mark.parametrize("suffix", [".bin", ".log", ".ulg"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=damages)
def test_a_damaged_log_is_fewer_messages_or_a_named_error(
    tmp_path: Path, suffix: str, damage: list[Damage]
) -> None:
    """Whatever bytes are wrong, no other error leaves the reader and no impossible pose the log."""
    path = tmp_path / f"a{suffix}"
    path.write_bytes(damaged(good(suffix), damage))
    assert survives(path) <= 20 * len(_ROWS)


@pytest.mark.parametrize("suffix", [".bin", ".log", ".ulg", ".srt"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.integers(0, 900), tail=st.binary(max_size=4000))
def test_garbage_behind_a_good_beginning_ends(
    tmp_path: Path, suffix: str, head: int, tail: bytes
) -> None:
    """A good start and then anything at all: it ends, in messages or in a named error."""
    path = tmp_path / f"a{suffix}"
    start = good(suffix)[:head] if suffix != ".srt" else b"1\n00:00:00,000 --> 00:00:01,000\n"
    path.write_bytes(start + tail)
    survives(path)


@pytest.mark.parametrize("dialect", list(SAMPLES), ids=lambda dialect: dialect.name)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=damages)
def test_damaged_subtitles_are_fewer_or_a_named_error(
    tmp_path: Path, dialect: object, damage: list[Damage]
) -> None:
    """Text of any kind in the middle of a dialect breaks nothing."""
    step_s, words, _ = SAMPLES[dialect]  # type: ignore[index]
    path = written(tmp_path, max(step_s, 0.1), words)
    path.write_bytes(damaged(path.read_bytes(), damage))
    survives(path)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=damages)
def test_damaged_stills_are_left_out_or_a_named_error(tmp_path: Path, damage: list[Damage]) -> None:
    """EXIF and XMP of any bytes give a pose, a still left out by name, or a named error."""
    path = tmp_path / "a.jpg"
    xmp = dji_xmp(GimbalYawDegree=1, GimbalPitchDegree=-90, GimbalRollDegree=0, RelativeAltitude=60)
    still(path, exif=exif(taken="2024:06:10 10:14:01", lat_lon_deg=(31.5, 120.3)), xmp=xmp)
    data = path.read_bytes()
    head = data[:1500]  # the picture itself is not read here
    path.write_bytes(damaged(head, damage) + data[1500:])
    telemetry = telemetry_of(path.with_suffix(".bin"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            posed = posed_stills([path])
        except SkywhistleError:
            return
    for one in messages_of(posed, None):
        telemetry.feed(one.message, one.record_utc_ns)
    answer = telemetry.at(posed[0].utc_ns)
    assert isinstance(answer, (Pose, NoPose))


def test_a_format_of_no_length_ends(tmp_path: Path) -> None:
    """A damaged table says that a message takes no bytes; reading it would never get on."""
    whole = dataflash([("ATT", {"TimeUS": 1000 * n, "Roll": 0.0}) for n in range(40)])
    path = tmp_path / "still.BIN"
    at = whole.index(b"ATT\0")  # before it stands the length, behind it what the columns are
    path.write_bytes(whole[: at - 1] + b"\0ATT\0" + bytes(16) + whole[at + 20 :])
    with pytest.raises(TelemetryError, match="end is never reached"):
        list(read_log(path))
