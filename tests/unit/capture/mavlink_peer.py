"""An autopilot-like peer on a real socket: silent until asked, as ArduPilot is."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.link_frames import MESSAGE_NAMES, FrameCutter
from edge.capture.telemetry import Telemetry

ALL = frozenset(MESSAGE_NAMES.values())
LAT, LON = 315_000_000, 1_203_000_000
UTC_US = 1_790_000_000_000_000


def packed(message: Any, system_id: int = 1, component_id: int = 1) -> bytes:
    """Pack a message as its sender would."""
    return bytes(message.pack(mavlink.MAVLink(None, system_id, component_id)))


def heartbeat() -> Any:
    return mavlink.MAVLink_heartbeat_message(
        mavlink.MAV_TYPE_QUADROTOR, mavlink.MAV_AUTOPILOT_ARDUPILOTMEGA, 81, 0, 4, 3
    )


def message_of(name: str, boot_ms: int) -> Any:
    """Build one telemetry message of a vehicle that flies north at 10 m/s and turns slowly."""
    north_e7 = round(boot_ms * 1e-3 * 10.0 / 111_000 * 1e7)
    builders: dict[str, Callable[[], Any]] = {
        "ATTITUDE": lambda: mavlink.MAVLink_attitude_message(
            boot_ms, 0.0, 0.1, math.remainder(boot_ms * 1e-4, math.tau), 0.0, 0.0, 0.1
        ),
        "GLOBAL_POSITION_INT": lambda: mavlink.MAVLink_global_position_int_message(
            boot_ms, LAT + north_e7, LON, 60_000, 50_000, 1000, 0, 0, 65535
        ),
        "SYSTEM_TIME": lambda: mavlink.MAVLink_system_time_message(
            UTC_US + boot_ms * 1000, boot_ms
        ),
        "GPS_RAW_INT": lambda: mavlink.MAVLink_gps_raw_int_message(
            boot_ms * 1000, 3, LAT, LON, 60_000, 100, 100, 0, 0, 12, 0, 1500, 0
        ),
        "EKF_STATUS_REPORT": lambda: mavlink.MAVLink_ekf_status_report_message(
            831, 0.0, 0.0, 0.0, 0.0, 0.0
        ),
    }
    return builders[name]()


@dataclass
class Peer:
    """Speaks MAVLink on a socket; `ack_only` accepts every request and sends nothing."""

    send: Callable[[bytes], None]
    knows_511: bool = True
    ack_only: bool = False
    is_silent: bool = False
    system_id: int = 1
    # It has been up for a while.
    boot_start_ns: int = field(default_factory=lambda: time.monotonic_ns() - 100 * 10**9)
    heard: list[Any] = field(default_factory=list)
    periods_s: dict[str, float] = field(default_factory=dict)
    extra: bytes = b""
    _due_ns: dict[str, int] = field(default_factory=dict)
    _beat_ns: int = 0
    _cutter: FrameCutter = field(default_factory=lambda: FrameCutter(ALL))

    def boot_ms(self) -> int:
        return (time.monotonic_ns() - self.boot_start_ns) // 1_000_000

    def reboot(self) -> None:
        """Lose all intervals and start the boot clock again."""
        self.periods_s.clear()
        self.boot_start_ns = time.monotonic_ns()

    def take(self, data: bytes) -> None:
        for _, message in self._cutter.cut(data):
            self.heard.append(message)
            if not self.is_silent:
                self._answer(message)

    def _answer(self, message: Any) -> None:
        name = message.get_type()
        if name == "TIMESYNC" and message.tc1 == 0:
            now_ns = time.monotonic_ns() - self.boot_start_ns
            self.send(packed(mavlink.MAVLink_timesync_message(now_ns, message.ts1)))
        elif name == "COMMAND_LONG" and message.command == 511:
            self.send(packed(mavlink.MAVLink_command_ack_message(511, 0)))
            wanted = MESSAGE_NAMES[int(message.param1)]
            if self.knows_511 and not self.ack_only:
                self.periods_s[wanted] = message.param2 * 1e-6
        elif name == "COMMAND_LONG" and message.command == 512:
            self._announce(int(message.param1))
        elif name == "REQUEST_DATA_STREAM" and not self.ack_only:
            group = {10: ["ATTITUDE"], 6: ["GLOBAL_POSITION_INT"]}
            for wanted in group.get(message.req_stream_id, []):
                self.periods_s[wanted] = 1.0 / message.req_message_rate

    def _announce(self, number: int) -> None:
        if number == 259:
            camera = mavlink.MAVLink_camera_information_message(
                1, [86] * 32, [77] * 32, 0, 0.0, 0.0, 0.0, 1280, 720, 0, 256, 0, b""
            )
            self.send(packed(camera))
        elif number == 269:
            for stream_id, kind, uri in ((1, 1, b"5600"), (2, 0, b"rtsp://10.0.0.2/eo")):
                stream = mavlink.MAVLink_video_stream_information_message(
                    stream_id, 2, kind, 1, 30.0, 1280, 720, 2000, 0, 60, b"eye", uri, 1
                )
                self.send(packed(stream))

    def tick(self) -> None:
        """Send what is due."""
        if self.is_silent:
            return
        now_ns = time.monotonic_ns()
        if now_ns >= self._beat_ns:
            self._beat_ns = now_ns + 200_000_000
            self.send(packed(heartbeat(), self.system_id))
        for name, period_s in list(self.periods_s.items()):
            if now_ns >= self._due_ns.get(name, 0):
                self._due_ns[name] = now_ns + int(period_s * 1e9)
                with suppress(KeyError):  # this vehicle does not have everything
                    self.send(packed(message_of(name, self.boot_ms())))
        if self.extra:
            self.send(self.extra)
            self.extra = b""

    def commands(self, number: int) -> list[int]:
        """Return the first parameter of each command of this number that was heard."""
        return [
            int(message.param1)
            for message in list(self.heard)
            if message.get_type() == "COMMAND_LONG" and message.command == number
        ]


class UdpPeer:
    """A peer that calls a `udpin` address, like an autopilot's UDP client."""

    def __init__(self, port: int, **options: Any) -> None:
        self._target = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.01)
        self.peer = Peer(self._send, **options)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _send(self, data: bytes) -> None:
        with suppress(OSError):
            self._socket.sendto(data, self._target)

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(TimeoutError, ConnectionError):
                self.peer.take(self._socket.recv(65535))
            self.peer.tick()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()


class TcpPeer:
    """A peer that listens on TCP, like a simulator or a serial bridge; drops on demand."""

    def __init__(self, **options: Any) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.02)
        self.port = int(self._server.getsockname()[1])
        self._client: socket.socket | None = None
        self.accepted = 0
        self.peer = Peer(self._send, **options)
        self.drop = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _send(self, data: bytes) -> None:
        if self._client is not None:
            with suppress(OSError):
                self._client.sendall(data)

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._client is None:
                with suppress(TimeoutError):
                    self._client, _ = self._server.accept()
                    self._client.settimeout(0.01)
                    self.accepted += 1
                continue
            self._serve(self._client)

    def _serve(self, client: socket.socket) -> None:
        data = None
        with suppress(TimeoutError, ConnectionError):
            data = client.recv(65535)
            self.peer.take(data)
        if data == b"" or self.drop.is_set():
            self.drop.clear()
            self.peer.periods_s.clear()  # intervals belong to the link they were asked on
            client.close()
            self._client = None
            return
        self.peer.tick()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._server.close()
        if self._client is not None:
            self._client.close()


def mono_from_boot_ms(telemetry: Telemetry, boot_ms: float) -> int | None:
    """Map the autopilot's boot time onto this computer's clock as the telemetry does inside."""
    return telemetry.mono_from_boot_ms(boot_ms)
