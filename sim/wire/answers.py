"""What the vehicle on the wire answers to whom.  It never obeys a command that moves anything."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from sim.wire import camera as wire_camera
from sim.wire.camera import Announce, StreamInfo
from sim.wire.clock import BootClock
from sim.wire.link import GroundLink

log = logging.getLogger(__name__)

_m = mavlink2
AUTOPILOT = 1
EARLY_NS = 1_000_000_000  # since boot; an ACK before that may be worth nothing (measured)

_CAMERA_REQUESTS = {  # before REQUEST_MESSAGE there was a command for each
    521: _m.MAVLINK_MSG_ID_CAMERA_INFORMATION,
    2504: _m.MAVLINK_MSG_ID_VIDEO_STREAM_INFORMATION,
}


class Vehicle(Protocol):
    """What an answer needs of the vehicle that is asked."""

    system_id: int
    early_ack: bool
    texts_heard: deque[str]
    boot: BootClock

    def cameras(self) -> tuple[tuple[int, StreamInfo], ...]: ...

    def newest(self, message_id: int, mono_ns: int) -> Any | None: ...

    def was_asked(self, mono_ns: int) -> None: ...


def answer(vehicle: Vehicle, link: GroundLink, message: Any, mono_ns: int) -> None:
    """Answer one message that came in on a link; what is not in the table is ignored."""
    reply_to = _ANSWERS.get(message.get_type())
    if reply_to is not None:
        reply_to(vehicle, link, message, mono_ns)


def _hear(vehicle: Vehicle, link: GroundLink, message: Any, mono_ns: int) -> None:
    link.heard.add((message.get_srcSystem(), message.get_srcComponent()))


def _timesync(vehicle: Vehicle, link: GroundLink, message: Any, mono_ns: int) -> None:
    if message.tc1 == 0:  # a request; anything else is a reply to someone's
        reply = _m.MAVLink_timesync_message(vehicle.boot.boot_ns(mono_ns), message.ts1)
        link.send(reply, vehicle.system_id, AUTOPILOT)


def _data_stream(vehicle: Vehicle, link: GroundLink, message: Any, mono_ns: int) -> None:
    if message.target_system in (0, vehicle.system_id):
        rate_hz = message.req_message_rate if message.start_stop else 0
        link.intervals.ask_group(message.req_stream_id, rate_hz)
        vehicle.was_asked(mono_ns)


def _text(vehicle: Vehicle, link: GroundLink, message: Any, mono_ns: int) -> None:
    vehicle.texts_heard.append(message.text)


def _command(vehicle: Vehicle, link: GroundLink, message: Any, mono_ns: int) -> None:
    if message.target_system not in (0, vehicle.system_id):
        return
    target = message.target_component
    if target in (0, AUTOPILOT):
        result = _autopilot(vehicle, link, message, mono_ns)
        link.send(_ack(message, result), vehicle.system_id, AUTOPILOT)
    for component_id, info in vehicle.cameras():
        if target in (0, component_id):
            _camera(vehicle, link, message, (component_id, info, mono_ns))


def _ack(command: Any, result: int) -> Any:
    return _m.MAVLink_command_ack_message(
        command.command,
        result,
        target_system=command.get_srcSystem(),
        target_component=command.get_srcComponent(),
    )


def _autopilot(vehicle: Vehicle, link: GroundLink, command: Any, mono_ns: int) -> int:
    if command.command == _m.MAV_CMD_SET_MESSAGE_INTERVAL:
        return _set_interval(vehicle, link, command, mono_ns)
    if command.command == _m.MAV_CMD_GET_MESSAGE_INTERVAL:
        asked = int(command.param1)
        reply = _m.MAVLink_message_interval_message(asked, link.intervals.interval_us(asked))
        link.send(reply, vehicle.system_id, AUTOPILOT)
        return int(_m.MAV_RESULT_ACCEPTED)
    if command.command == _m.MAV_CMD_REQUEST_MESSAGE:
        return _request(vehicle, link, int(command.param1), mono_ns)
    if command.command == _m.MAV_CMD_REQUEST_AUTOPILOT_CAPABILITIES:
        return _request(vehicle, link, _m.MAVLINK_MSG_ID_AUTOPILOT_VERSION, mono_ns)
    log.info("command_refused command=%d link=%s", command.command, link.url)
    return int(_m.MAV_RESULT_UNSUPPORTED)


def _set_interval(vehicle: Vehicle, link: GroundLink, command: Any, mono_ns: int) -> int:
    message_id = int(command.param1)
    if message_id not in _m.mavlink_map:
        return int(_m.MAV_RESULT_DENIED)
    is_early = vehicle.early_ack and vehicle.boot.boot_ns(mono_ns) < EARLY_NS
    if not is_early:
        link.intervals.ask(message_id, command.param2)
        vehicle.was_asked(mono_ns)
    return int(_m.MAV_RESULT_ACCEPTED)


def _request(vehicle: Vehicle, link: GroundLink, message_id: int, mono_ns: int) -> int:
    boot_ms = vehicle.boot.boot_ns(mono_ns) // 1_000_000
    reply = vehicle.newest(message_id, mono_ns) or wire_camera.knows_nothing(message_id, boot_ms)
    if reply is None and message_id == _m.MAVLINK_MSG_ID_AUTOPILOT_VERSION:
        reply = _version()
    if reply is None:
        return int(_m.MAV_RESULT_FAILED)
    link.send(reply, vehicle.system_id, AUTOPILOT)
    return int(_m.MAV_RESULT_ACCEPTED)


def _version() -> Any:
    capabilities = _m.MAV_PROTOCOL_CAPABILITY_MAVLINK2 | _m.MAV_PROTOCOL_CAPABILITY_COMMAND_INT
    none = [0] * 8
    release = 0x040507FF  # 4.5.7, official: the generation whose behaviour is imitated
    return _m.MAVLink_autopilot_version_message(
        capabilities, release, 0, 0, 0, none, none, none, 0, 0, 0
    )


def _camera(
    vehicle: Vehicle, link: GroundLink, command: Any, whom: tuple[int, StreamInfo, int]
) -> None:
    component_id, info, mono_ns = whom
    wanted = _CAMERA_REQUESTS.get(command.command)
    if command.command == _m.MAV_CMD_REQUEST_MESSAGE:
        wanted = int(command.param1)
    reply: Any = None
    if wanted == _m.MAVLINK_MSG_ID_CAMERA_INFORMATION:
        boot_ms = vehicle.boot.boot_ns(mono_ns) // 1_000_000
        reply = wire_camera.camera_information(info, boot_ms)
    elif wanted == _m.MAVLINK_MSG_ID_VIDEO_STREAM_INFORMATION and _has_stream(info, command):
        reply = wire_camera.video_stream_information(info)
    # The autopilot routes an answer only to a component that it has seen a heartbeat of.
    if (command.get_srcSystem(), command.get_srcComponent()) in link.heard:
        result = _m.MAV_RESULT_ACCEPTED if reply is not None else _m.MAV_RESULT_UNSUPPORTED
        link.send(_ack(command, result), vehicle.system_id, component_id)
    if reply is not None:
        link.send(reply, vehicle.system_id, component_id)


def _has_stream(info: StreamInfo, command: Any) -> bool:
    asked = command.param2 if command.command == _m.MAV_CMD_REQUEST_MESSAGE else command.param1
    return info.announce is not Announce.NONE and int(asked) in (0, 1)


_ANSWERS: dict[str, Callable[[Vehicle, GroundLink, Any, int], None]] = {
    "HEARTBEAT": _hear,
    "TIMESYNC": _timesync,
    "REQUEST_DATA_STREAM": _data_stream,
    "STATUSTEXT": _text,
    "COMMAND_LONG": _command,
    "COMMAND_INT": _command,
}
