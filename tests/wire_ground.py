"""The ground's end of the wire, for tests: a MAVLink client and GStreamer receivers."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from tests.wire_flights import read_index

OWN = (1, 191)


def free_port() -> int:
    """Return a UDP and TCP port that was free a moment ago."""
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return int(tcp.getsockname()[1])


class Ground:
    """Listens on a UDP port and keeps every message with its arrival and sender's address."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.02)
        self.port = self.socket.getsockname()[1]
        self.url = f"udpout:127.0.0.1:{self.port}"
        self.got: list[tuple[float, Any]] = []
        self.peers: list[tuple[str, int]] = []
        self._mav = mavlink2.MAVLink(None, *OWN)

    def listen(self, seconds: float, until: Callable[[Any], bool] = lambda _: False) -> list[Any]:
        """Return what comes within a time, or up to the first message that fits."""
        begin, seen = time.monotonic(), len(self.got)
        while time.monotonic() - begin < seconds:
            try:
                data, peer = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            now = time.monotonic()
            if peer not in self.peers:
                self.peers.append(peer)
            messages = self._mav.parse_buffer(data) or []
            self.got += [(now, message) for message in messages]
            if any(until(message) for message in messages):
                break
        return [message for _, message in self.got[seen:]]

    def wait_for(self, kind: str, seconds: float = 5.0) -> Any:
        """Return the next message of a type."""
        got = self.listen(seconds, lambda message: message.get_type() == kind)
        found = [message for message in got if message.get_type() == kind]
        assert found, f"no {kind} in {seconds} s, only {Counter(m.get_type() for m in got)}"
        return found[-1]

    def send(self, message: Any) -> None:
        """Answer to where the last message came from."""
        self.socket.sendto(message.pack(self._mav), self.peers[-1])
        self._mav.seq = (self._mav.seq + 1) % 256

    def beat(self) -> None:
        """Send our heartbeat."""
        self.send(mavlink2.MAVLink_heartbeat_message(18, 8, 0, 0, 4, 3))

    def command(self, command: int, *params: float, component: int = 1) -> None:
        """Send COMMAND_LONG."""
        filled = [*params, *[0.0] * (7 - len(params))]
        self.send(mavlink2.MAVLink_command_long_message(1, component, command, 0, *filled))

    def ask(self, message_id: int, rate_hz: float) -> None:
        """Ask for a message's rate."""
        self.command(511, message_id, 1e6 / rate_hz)

    def close(self) -> None:
        self.socket.close()


class Receiver:
    """Decodes a stream by a GStreamer launch line; keeps (arrival, frame number, NTP ns)."""

    NTP_CAPS = "timestamp/x-ntp"
    NTP_TO_UNIX_NS = 2_208_988_800 * 10**9

    def __init__(self, launch: str) -> None:
        from sim.wire.gst import load_gst

        self.gst = load_gst()
        self.seen: list[tuple[float, int, int | None]] = []
        self.size: tuple[int, int] | None = None
        self._pipeline = self.gst.parse_launch(
            f"{launch} ! rtph264depay ! h264parse ! avdec_h264 max-threads=1 ! videoconvert ! "
            "video/x-raw,format=GRAY8 ! appsink name=out sync=false max-buffers=200"
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._pipeline.set_state(self.gst.State.PLAYING)
        self._thread.start()

    def _run(self) -> None:
        sink, ntp = self._pipeline.get_by_name("out"), self.gst.Caps.from_string(self.NTP_CAPS)
        while not self._stop.is_set():
            sample = sink.emit("try-pull-sample", 50_000_000)
            if sample is None:
                continue
            now, buffer = time.monotonic(), sample.get_buffer()
            shape = sample.get_caps().get_structure(0)
            self.size = (shape.get_value("width"), shape.get_value("height"))
            data = buffer.extract_dup(0, buffer.get_size())
            grey = np.frombuffer(data, np.uint8).reshape(self.size[1], -1)
            meta = buffer.get_reference_timestamp_meta(ntp)
            utc_ns = meta.timestamp - self.NTP_TO_UNIX_NS if meta else None
            self.seen.append((now, read_index(grey), utc_ns))

    def wait(self, n_frames: int, seconds: float = 8.0) -> None:
        """Wait until so many frames have been decoded."""
        end = time.monotonic() + seconds
        while len(self.seen) < n_frames:
            assert time.monotonic() < end, f"{len(self.seen)} of {n_frames} frames in {seconds} s"
            time.sleep(0.02)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._pipeline.set_state(self.gst.State.NULL)


def rtp(port: int) -> str:
    """Receive bare RTP, as a ground station does."""
    return (
        f'udpsrc address=127.0.0.1 port={port} caps="application/x-rtp,media=video,'
        'clock-rate=90000,encoding-name=H264,payload=96"'
    )


def rtsp(url: str, protocols: str = "tcp") -> str:
    """Receive RTSP with the sender's NTP time on each buffer."""
    return (
        f"rtspsrc location={url} latency=0 protocols={protocols} add-reference-timestamp-meta=true"
    )
