"""Telemetry logs: read to the end, whatever is in them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from edge.capture.logs import read_log, read_tlog
from edge.errors import TelemetryError
from tests.unit.capture.mavlink_peer import UTC_US, heartbeat, message_of, packed


def record(at_us: int, frame: bytes) -> bytes:
    return struct.pack(">Q", at_us) + frame


def written(folder: Path, content: bytes, name: str = "flight.tlog") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_every_record_comes_with_its_time(tmp_path: Path) -> None:
    """Messages come in the order of recording, each with the recorder's UTC."""
    content = b"".join(record(UTC_US + n, packed(message_of("ATTITUDE", n))) for n in range(500))
    found = [
        (entry.record_utc_ns, entry.message.time_boot_ms)
        for entry in read_log(written(tmp_path, content))
    ]
    assert found == [((UTC_US + n) * 1000, n) for n in range(500)]


def test_a_damaged_log_is_read_around_the_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Garbage inside and a record cut off at the end lose only themselves, and are told."""
    one = record(UTC_US, packed(message_of("ATTITUDE", 1)))
    two = record(UTC_US + 1, packed(message_of("ATTITUDE", 2)))
    broken = bytearray(one)
    broken[20] ^= 0x55
    path = written(tmp_path, one + b"\xfd\xfejunk" + bytes(broken) + two + one[:-4])
    assert [entry.message.time_boot_ms for entry in read_tlog(path)] == [1, 2]
    assert any("tlog_garbage" in entry.getMessage() for entry in caplog.records)


def test_only_the_named_messages_are_decoded(tmp_path: Path) -> None:
    """A caller that wants one kind gets that kind."""
    content = b"".join(
        record(UTC_US + n, packed(heartbeat() if n % 2 else message_of("ATTITUDE", n)))
        for n in range(10)
    )
    path = written(tmp_path, content)
    assert [entry.message.get_type() for entry in read_tlog(path, {"HEARTBEAT"})] == [
        "HEARTBEAT"
    ] * 5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("flight.xyz", b"x", r"no reader for '\.xyz'"),
        ("flight.tlog", b"this is a text, not a log" * 50, "holds no MAVLink"),
        ("flight.tlog", b"", "holds no MAVLink"),
    ],
)
def test_what_is_no_log_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """An unknown suffix and a file without messages have a named error."""
    with pytest.raises(TelemetryError, match=message):
        list(read_log(written(tmp_path, content, name)))


def test_a_missing_log_is_refused(tmp_path: Path) -> None:
    """A file that is not there says so."""
    with pytest.raises(TelemetryError, match="cannot be read"):
        list(read_log(tmp_path / "none.tlog"))
