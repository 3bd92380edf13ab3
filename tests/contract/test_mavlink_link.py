"""What leaves for the vehicle, by complete list; and a real log re-sent over a real socket."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.gimbal import GimbalKind
from edge.capture.link import MavlinkLink
from edge.capture.logs import read_log
from edge.capture.telemetry import Telemetry
from edge.config import AutopilotConfig
from edge.errors import TelemetryError
from edge.records import Pose

SLICE_BYTES = 80_000  # four seconds


def test_the_complete_list_of_what_can_be_sent() -> None:
    """Nothing else leaves, and nothing in the list moves anything."""
    assert (
        frozenset({"HEARTBEAT", "COMMAND_LONG", "REQUEST_DATA_STREAM", "TIMESYNC", "STATUSTEXT"})
        == MavlinkLink.SENDABLE
    )
    assert frozenset({511, 512}) == MavlinkLink.COMMANDS


@pytest.mark.parametrize(
    "message",
    [
        mavlink.MAVLink_set_mode_message(1, 1, 4),
        mavlink.MAVLink_landing_target_message(0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0),
        *(
            mavlink.MAVLink_command_long_message(1, 1, command, 0, 0, 0, 0, 0, 0, 0, 0)
            for command in range(1, 70)
        ),
        mavlink.MAVLink_command_long_message(1, 1, 400, 0, 1, 0, 0, 0, 0, 0, 0),
        mavlink.MAVLink_command_int_message(1, 1, 0, 511, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        mavlink.MAVLink_manual_control_message(1, 0, 0, 0, 0, 0),
    ],
    ids=lambda message: f"{message.get_type()}-{getattr(message, 'command', '')}",
)
def test_what_could_move_something_is_refused(message: mavlink.MAVLink_message) -> None:
    """The only door out refuses modes, arming, missions, targets and manual control."""
    config = AutopilotConfig(url="udpin:127.0.0.1:0")
    link = MavlinkLink(config, Telemetry(config))
    with pytest.raises(TelemetryError, match="may send"):
        link._send(message)


def slice_of(path: Path, folder: Path) -> list[tuple[float, bytes]]:
    """Cut some seconds out of the middle of a flight, as (seconds from the start, frame)."""
    content = path.read_bytes()
    middle = folder / "slice.tlog"
    middle.write_bytes(content[len(content) // 2 :][:SLICE_BYTES])
    found = [
        (entry.record_utc_ns * 1e-9, bytes(entry.message.get_msgbuf()))
        for entry in read_log(middle)
    ]
    return [(at_s - found[0][0], frame) for at_s, frame in found]


@pytest.mark.parametrize(("name", "gimbal"), [("tuned", 1), ("gimbal", 154)])
def test_a_log_re_sent_over_udp_gives_poses(
    shared_data: Path, tmp_path: Path, name: str, gimbal: int
) -> None:
    """A slice of a real flight, at its own pace: poses, gimbal and rates as in the log."""
    config = AutopilotConfig(url="udpin:127.0.0.1:0", gimbal_component_id=gimbal)
    telemetry = Telemetry(config)
    link = MavlinkLink(config, telemetry)
    link.start()
    assert link.port is not None
    poses = refused = 0
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            path = shared_data / "logs" / f"ardupilot-sitl-{name}.tlog"
            frames = slice_of(path, tmp_path)
            start, asked = time.monotonic(), 0.0
            for at_s, frame in frames:
                time.sleep(max(0.0, start + at_s - time.monotonic()))
                sender.sendto(frame, ("127.0.0.1", link.port))
                if at_s > 1.0 and at_s - asked > 0.05:
                    asked = at_s
                    pose = telemetry.at(time.monotonic_ns() - 80_000_000)
                    is_whole = isinstance(pose, Pose) and pose.gimbal is not None
                    poses, refused = poses + is_whole, refused + (not is_whole)
        time.sleep(0.2)
        health = link.health()
    finally:
        link.close()
    assert poses > max(10, refused)  # a busy computer stamps arrivals late
    assert health.messages >= 0.98 * len(frames)
    assert (health.bad_crc, health.unknown, health.bad_content, health.reboots) == (0, 0, 0, 0)
    assert health.other_vehicle > 0
    assert health.rates_hz["ATTITUDE"] > 5.0
    assert health.gimbal_kind is not GimbalKind.NONE
