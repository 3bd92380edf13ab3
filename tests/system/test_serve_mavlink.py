"""The served vehicle behaves like an ArduPilot on a real UDP link."""

from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.errors import ScenarioError
from sim.serve import ServedFlight, ServeOptions
from sim.wire.flight import read_wire_flight
from tests.wire_flights import MadeFlight, served, write_flight
from tests.wire_ground import OWN, Ground

pytestmark = pytest.mark.system

ATTITUDE, POSITION = mavlink2.MAVLINK_MSG_ID_ATTITUDE, mavlink2.MAVLINK_MSG_ID_GLOBAL_POSITION_INT
CAMERA_INFORMATION, STREAM_INFORMATION = 259, 269
MOVES = (
    mavlink2.MAV_CMD_NAV_TAKEOFF,
    mavlink2.MAV_CMD_COMPONENT_ARM_DISARM,
    mavlink2.MAV_CMD_DO_SET_MODE,
    mavlink2.MAV_CMD_DO_REPOSITION,
    mavlink2.MAV_CMD_DO_MOUNT_CONTROL,
    mavlink2.MAV_CMD_PREFLIGHT_REBOOT_SHUTDOWN,
)
TALK = {"HEARTBEAT", "TIMESYNC"}  # what comes without being asked for


def kinds(messages: list[Any]) -> set[str]:
    return {message.get_type() for message in messages}


def of(messages: list[Any], kind: str) -> list[Any]:
    return [message for message in messages if message.get_type() == kind]


def test_a_link_that_only_listens_gets_heartbeats(made_flight: Path, ground: Ground) -> None:
    """Silence until asked is the first thing that a new integration stumbles on."""
    with served(made_flight, ground.url):
        got = ground.listen(1.1)
    assert kinds(got) <= TALK
    beat = of(got, "HEARTBEAT")[0]
    assert (beat.get_srcSystem(), beat.get_srcComponent()) == (1, 1)
    assert beat.autopilot == mavlink2.MAV_AUTOPILOT_ARDUPILOTMEGA


def test_the_asked_rate_arrives_on_the_link_that_asked(made_flight: Path, ground: Ground) -> None:
    """An interval is honoured within a fifth, up to the log's rate, and on its own link only."""
    other = Ground()
    with served(made_flight, ground.url, other.url):
        ground.wait_for("HEARTBEAT")
        ground.ask(ATTITUDE, 20)
        ground.ask(POSITION, 50)  # recorded at 10 Hz
        got = ground.listen(1.5)
        heard_elsewhere = other.listen(0.1)
    other.close()
    acks = of(got, "COMMAND_ACK")
    assert [ack.result for ack in acks] == [mavlink2.MAV_RESULT_ACCEPTED] * 2
    assert (acks[0].target_system, acks[0].target_component) == OWN
    for kind, rate_hz in (("ATTITUDE", 20), ("GLOBAL_POSITION_INT", 10)):
        stamps_ms = [message.time_boot_ms for message in of(got, kind)]
        steps_s = [(b - a) / 1000 for a, b in itertools.pairwise(stamps_ms)]
        assert 1 / statistics.mean(steps_s) == pytest.approx(rate_hz, rel=0.2)
        assert len(stamps_ms) == pytest.approx(1.5 * rate_hz, rel=0.2)
    assert kinds(heard_elsewhere) <= TALK


def test_the_vehicle_has_a_clock_of_its_own(made_flight: Path, ground: Ground) -> None:
    """Boot time begins at 0, TIMESYNC reads it, SYSTEM_TIME puts today's UTC beside it."""
    with served(made_flight, ground.url):
        ground.wait_for("HEARTBEAT")
        ground.ask(mavlink2.MAVLINK_MSG_ID_SYSTEM_TIME, 5)
        ground.send(mavlink2.MAVLink_timesync_message(0, 987_654_321))
        sync = ground.wait_for("TIMESYNC")
        while sync.ts1 != 987_654_321:  # its own requests come too
            sync = ground.wait_for("TIMESYNC")
        clock = ground.wait_for("SYSTEM_TIME")
        utc_s = time.time()
    assert 0 < sync.tc1 < 5e9
    assert clock.time_boot_ms < 5_000
    assert clock.time_unix_usec / 1e6 == pytest.approx(utc_s, abs=1.0)


def test_a_reboot_loses_intervals_port_and_clock(made_flight: Path, ground: Ground) -> None:
    """After a reboot only heartbeats come, from another port, until the ground asks again."""
    with served(made_flight, ground.url) as flight:
        ground.wait_for("HEARTBEAT")
        ground.ask(ATTITUDE, 50)
        before = ground.wait_for("ATTITUDE")
        ground.listen(0.3)
        flight.vehicle.reboot()
        ground.listen(0.2)
        beat = ground.wait_for("HEARTBEAT")
        assert beat.get_srcComponent() == 1
        assert kinds(ground.listen(0.5)) <= TALK
        assert len(ground.peers) == 2
        ground.ask(ATTITUDE, 50)
        after = ground.wait_for("ATTITUDE")
    assert after.time_boot_ms < 2_500
    assert after.yaw > before.yaw  # it flew on


def test_an_early_ack_is_worth_nothing(made_flight: Path, ground: Ground) -> None:
    """Judge by data, not by the ACK: in the first second after boot it may be empty."""
    with served(made_flight, ground.url, early_ack=True):
        ground.wait_for("HEARTBEAT")
        ground.ask(ATTITUDE, 50)
        assert ground.wait_for("COMMAND_ACK").result == mavlink2.MAV_RESULT_ACCEPTED
        assert "ATTITUDE" not in kinds(ground.listen(1.2))
        ground.ask(ATTITUDE, 50)
        ground.wait_for("ATTITUDE")


def test_data_streams_work_as_the_older_way(made_flight: Path, ground: Ground) -> None:
    """REQUEST_DATA_STREAM switches a group on, as ArduPilot still does."""
    with served(made_flight, ground.url):
        ground.wait_for("HEARTBEAT")
        position = mavlink2.MAV_DATA_STREAM_POSITION
        ground.send(mavlink2.MAVLink_request_data_stream_message(1, 1, position, 5, 1))
        got = ground.listen(1.0)
    assert kinds(got) - TALK == {"GLOBAL_POSITION_INT"}


def test_the_flight_waits_for_the_ground(made_flight: Path, ground: Ground) -> None:
    """Nothing is missed: the vehicle stands at the first instant until somebody asks for data."""
    with served(made_flight, ground.url, wait_for_ground=True, start_delay_s=0.6) as flight:
        ground.listen(0.7)
        assert not flight.status().has_begun
        ground.ask(ATTITUDE, 50)
        standing = of(ground.listen(0.4), "ATTITUDE")
        assert standing and {message.yaw for message in standing} == {0.0}
        assert standing[-1].time_boot_ms > standing[0].time_boot_ms
        flying = of(ground.listen(0.8), "ATTITUDE")
    assert flying[-1].yaw > 0.0


def test_home_is_sent_again_although_it_was_recorded_once(
    made_flight: Path, ground: Ground
) -> None:
    """What changes once a flight must reach a ground that comes late."""
    with served(made_flight, ground.url):
        ground.listen(0.3)
        ground.ask(mavlink2.MAVLINK_MSG_ID_HOME_POSITION, 10)
        homes = of(ground.listen(0.6), "HOME_POSITION")
    assert len(homes) > 3
    assert homes[0].latitude == 315000000


def test_a_loop_flies_on_under_one_boot_clock(tmp_path: Path, ground: Ground) -> None:
    """Lap after lap the boot clock only grows, while the recorded motion starts again."""
    folder = write_flight(tmp_path / "short", MadeFlight(0.8))
    with served(folder, ground.url, loop=True) as flight:
        ground.wait_for("HEARTBEAT")
        ground.ask(ATTITUDE, 50)
        got = of(ground.listen(1.9), "ATTITUDE")
        assert not flight.ended
    stamps_ms = [message.time_boot_ms for message in got]
    assert stamps_ms == sorted(stamps_ms)
    falls = sum(b.yaw < a.yaw for a, b in itertools.pairwise(got))
    assert falls >= 2


def test_a_command_that_moves_is_refused(made_flight: Path, ground: Ground) -> None:
    """The stand-in obeys nothing that would move an aircraft."""
    with served(made_flight, ground.url):
        ground.wait_for("HEARTBEAT")
        for command in MOVES:
            ground.command(command, 1)
            ack = ground.wait_for("COMMAND_ACK")
            assert (ack.command, ack.result) == (command, mavlink2.MAV_RESULT_UNSUPPORTED)


def test_garbage_and_others_traffic_change_nothing(made_flight: Path, ground: Ground) -> None:
    """Bytes that are no message, and commands to another vehicle, leave it as it was."""
    with served(made_flight, ground.url) as flight:
        ground.wait_for("HEARTBEAT")
        for junk in (b"", b"\xfd\x00", bytes(range(256)), b"\xfe" * 600):
            ground.socket.sendto(junk, ground.peers[-1])
        ground.send(mavlink2.MAVLink_command_long_message(9, 1, 511, 0, 30, 2e4, 0, 0, 0, 0, 0))
        assert kinds(ground.listen(0.6)) <= TALK
        ground.ask(ATTITUDE, 50)
        ground.wait_for("ATTITUDE")
        assert flight.vehicle.failure is None


def test_an_autopilot_without_a_camera_answers_zeros(made_flight: Path, ground: Ground) -> None:
    """ArduPilot that knows no camera answers all the same: count 0 and an empty uri."""
    with served(made_flight, ground.url):
        ground.wait_for("HEARTBEAT")
        ground.command(512, STREAM_INFORMATION)
        info = ground.wait_for("VIDEO_STREAM_INFORMATION")
    assert (info.count, info.uri, info.resolution_h) == (0, "", 0)


def test_frames_of_another_day_are_refused(tmp_path: Path, ground: Ground) -> None:
    """Video and log that do not overlap cannot be in step; nothing is served."""
    folder = write_flight(tmp_path / "off", MadeFlight(0.4, frames_late_us=3_600_000_000))
    with pytest.raises(ScenarioError, match="different times"):
        ServedFlight(read_wire_flight(folder), ServeOptions(mavlink=(ground.url,)))


def test_a_link_that_is_no_address_is_refused(made_flight: Path, ground: Ground) -> None:
    """A mistyped address stops the start and shows what one looks like."""
    with pytest.raises(ScenarioError, match=r"udpout:127\.0\.0\.1:14550"):
        served(made_flight, "udpout:nowhere")
