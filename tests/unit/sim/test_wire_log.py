"""Telemetry logs and flight folders are read strictly, and say what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.errors import ScenarioError
from sim.wire.flight import read_wire_flight
from sim.wire.log import Packet, decode, read_packets, survey
from tests.wire_flights import BOOT_AT_START_US, START_US, MadeFlight, telemetry, write_flight


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_flight(tmp_path_factory.mktemp("flight"), MadeFlight(1.0))


def test_every_byte_of_a_log_is_read_back(folder: Path) -> None:
    """Times and raw packets put together again are the file."""
    path = folder / "telemetry.tlog"
    packets = list(read_packets(path))
    again = b"".join(packet.record_us.to_bytes(8, "big") + packet.raw for packet in packets)
    assert again == path.read_bytes()


def test_a_survey_finds_span_and_boot_clock(folder: Path) -> None:
    """The boot clock is the median over the log, not one message's stamp."""
    found = survey(folder / "telemetry.tlog", 1)
    assert found.start_us == START_US
    assert found.boot_minus_record_us == pytest.approx(BOOT_AT_START_US - START_US, abs=1000)
    assert mavlink2.MAVLINK_MSG_ID_HOME_POSITION in found.first


def test_a_log_cut_off_in_a_packet_ends_there(folder: Path, tmp_path: Path) -> None:
    """A power cut loses the last packet, not the log."""
    whole = list(read_packets(folder / "telemetry.tlog"))
    cut = tmp_path / "cut.tlog"
    cut.write_bytes((folder / "telemetry.tlog").read_bytes()[:-3])
    assert len(list(read_packets(cut))) == len(whole) - 1


def test_what_is_no_log_is_refused_with_the_byte(tmp_path: Path) -> None:
    """A file of something else names where it stops being a log."""
    path = tmp_path / "other.tlog"
    path.write_bytes(b"these are no packets at all")
    with pytest.raises(ScenarioError, match="byte 0"):
        list(read_packets(path))


def test_a_log_of_another_system_names_who_is_in_it(folder: Path) -> None:
    """The wrong system id is the commonest mistake; the message shows the right one."""
    with pytest.raises(ScenarioError, match=r"\(1, 1\)"):
        survey(folder / "telemetry.tlog", 7)


def test_a_packet_with_a_wrong_checksum_does_not_decode() -> None:
    """A damaged packet is nothing, not a guess."""
    raw = telemetry(0.1)[8:]
    good = raw[: 12 + raw[1]]
    assert decode(Packet(0, good)) is not None
    assert decode(Packet(0, good[:-1] + bytes([good[-1] ^ 0xFF]))) is None


@pytest.mark.parametrize(
    ("find", "put", "says"),
    [
        ("format = 1", "format = 2", "format = 2"),
        ("[telemetry]", "[other]", r"no \[telemetry\]"),
        ("telemetry.tlog", "gone.tlog", "no such file"),
        ('video = "video.mp4"', "", "no video"),
        ("format = 1", "format = ", "is not TOML"),
    ],
)
def test_a_flight_that_is_not_whole_says_what_is_missing(
    folder: Path, tmp_path: Path, find: str, put: str, says: str
) -> None:
    """Each mistake in flight.toml is named, with the file."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (folder / "flight.toml").read_text()
    (tmp_path / "flight.toml").write_text(text.replace(find, put))
    with pytest.raises(ScenarioError, match=says) as caught:
        read_wire_flight(tmp_path)
    assert "flight.toml" in str(caught.value)


@pytest.mark.parametrize("rows", ["frame,utc_us\n", "frame,time\n0,1\n", "frame,utc_us\n0,x\n"])
def test_a_bad_frame_list_is_refused(folder: Path, tmp_path: Path, rows: str) -> None:
    """Without a time for each frame there is nothing to keep in step."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "frames.csv").write_text(rows)
    with pytest.raises(ScenarioError, match=r"frames\.csv"):
        read_wire_flight(tmp_path)
