"""What `skywhistle check` says of the autopilot: listen for a while, ask, and report."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.gimbal import GimbalKind
from edge.capture.link import MavlinkLink
from edge.capture.rates import missing
from edge.capture.streams import VideoStream
from edge.capture.telemetry import LinkHealth, Telemetry
from edge.config import AutopilotConfig
from edge.errors import TelemetryError
from edge.records import Pose

_POLL_S = 0.1
_POSE_BACK_NS = 200_000_000  # between two samples, not beyond the newest


@dataclass(frozen=True, slots=True)
class AutopilotProbe:
    """What was heard within a few seconds."""

    heartbeat: bool
    vehicle_type: str = ""  # as MAVLink names it: QUADROTOR, FIXED_WING, ...
    firmware: str = ""
    rates_hz: dict[str, float] = field(default_factory=dict)
    asked_hz: dict[str, float] = field(default_factory=dict)
    gimbal: GimbalKind = GimbalKind.NONE
    streams: tuple[VideoStream, ...] = ()
    health: LinkHealth | None = None
    pose: Pose | None = None  # at the end of listening; None: there is none yet
    error: str | None = None  # what, where, and what to do next

    @property
    def missing(self) -> tuple[str, ...]:
        """Messages that do not arrive as often as they were asked for."""
        return tuple(missing(self.asked_hz, self.rates_hz))


def probe_autopilot(config: AutopilotConfig, seconds: float) -> AutopilotProbe:
    """Open the link, ask for the configured rates, and report after `seconds` of listening.

    The time counts from the first heartbeat; without one the probe gives up after as long.
    """
    telemetry = Telemetry(config)
    try:
        link = MavlinkLink(config, telemetry)
        link.start()
    except TelemetryError as error:
        return AutopilotProbe(heartbeat=False, error=str(error))
    try:
        if _wait_for_heartbeat(link, seconds):
            time.sleep(seconds)
        health = link.health()
        pose = telemetry.at(time.monotonic_ns() - _POSE_BACK_NS)
        return AutopilotProbe(
            heartbeat=health.connected,
            vehicle_type=_name("MAV_TYPE", health.vehicle_type),
            firmware=f"{_name('MAV_AUTOPILOT', health.autopilot)} {health.firmware}".strip(),
            rates_hz=health.rates_hz,
            asked_hz=link.asked_hz(),
            gimbal=health.gimbal_kind,
            streams=link.video_streams(),
            health=health,
            pose=pose if isinstance(pose, Pose) else None,
            error=None if health.connected else _why_silent(config, health),
        )
    finally:
        link.close()


def _wait_for_heartbeat(link: MavlinkLink, seconds: float) -> bool:
    give_up_ns = time.monotonic_ns() + int(seconds * 1e9)
    while not link.health().connected:
        if time.monotonic_ns() > give_up_ns:
            return False
        time.sleep(_POLL_S)
    return True


def _why_silent(config: AutopilotConfig, health: LinkHealth) -> str:
    who = f"system {config.system_id}, component {config.component_id}"
    where = f"no heartbeat of {who} on {config.url}"
    if health.other_vehicle:
        return (
            f"{where}, but {health.other_vehicle} messages of other systems; "
            "is autopilot.system_id right?"
        )
    if health.not_believed:
        return (
            f"{where}, but {health.not_believed} frames that the key in "
            f"{config.signing_key_file} does not vouch for; has the vehicle the same key?"
        )
    if health.bad_crc > health.messages:
        return f"{where}: {health.bad_crc} broken frames; is autopilot.baud the autopilot's?"
    if health.messages:
        return f"{where}, but {health.messages} other messages; is autopilot.component_id right?"
    return f"{where}, and nothing else comes; check cable, port and the autopilot's serial protocol"


def _name(enum: str, number: int | None) -> str:
    entry = None if number is None else mavlink.enums[enum].get(number)
    return "" if entry is None else str(entry.name).removeprefix(f"{enum}_")
