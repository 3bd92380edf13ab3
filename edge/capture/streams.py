"""Which video streams the autopilot and its cameras announce, and when to ask them again.

Asked by REQUEST_MESSAGE: CAMERA_INFORMATION first, then VIDEO_STREAM_INFORMATION for all streams.
An answer of all zeros means that the sender knows of no camera; it is asked again, slowly, since
a camera may start later than the autopilot.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

CAMERA_INFORMATION_ID = 259
VIDEO_STREAM_INFORMATION_ID = 269
CAMERA_COMPONENTS = range(100, 106)  # MAV_COMP_ID_CAMERA to CAMERA6

_TYPE_RTSP, _TYPE_RTP, _TYPE_TCP, _TYPE_MPEG_TS = 0, 1, 2, 3
_ENCODINGS: dict[int, Literal["h264", "h265", "auto"]] = {1: "h264", 2: "h265"}
_SCHEMES = {_TYPE_RTP: "udp", _TYPE_TCP: "tcp", _TYPE_MPEG_TS: "mpegts+udp"}
_FULL_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_HOST_AND_PORT = re.compile(r"(?:(?P<host>[A-Za-z0-9_.-]*):)?(?P<port>\d{1,5})", re.ASCII)
# What may be announced: places on the network and nothing else.  Whoever can send on the link could
# otherwise name a device or a file of this computer, or put elements into a GStreamer pipeline.
_ON_THE_NETWORK = re.compile(
    r"rtsp[stu]?://[!-~]+"
    r"|(?:udp|rtp|tcp|mpegts|mpegts\+udp)://@?(?:[A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]):\d{1,5}/?",
    re.ASCII | re.IGNORECASE,
)
MAX_STREAMS = 32  # of one component; the largest cameras have six

_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
# Cameras that never answer 259 may still answer 269: ask for it beside, from then on.
_INFORMATION_TRIES = 3


@dataclass(frozen=True, slots=True)
class VideoStream:
    """A stream as it was announced, its address in the URL language of the config."""

    url: str  # rtsp://…, udp://:5600 (RTP), mpegts+udp://:5600, tcp://host:port
    encoding: Literal["h264", "h265", "auto"]
    width_px: int
    height_px: int
    rate_hz: float
    stream_id: int
    name: str
    component_id: int = 1


def text_of(value: Any) -> str:
    """Read a MAVLink text, which comes as str, bytes or a list of numbers, NUL-ended or not."""
    if isinstance(value, str):
        return value.split("\0", 1)[0].strip()
    if isinstance(value, Iterable):
        return bytes(value).split(b"\0", 1)[0].decode("utf-8", "replace").strip()
    return ""


def url_of(stream_type: int, uri: str) -> str | None:
    """Turn a type and `uri` into a URL of the config's language; None for what is no address."""
    if not uri:
        return None
    if _FULL_URL.match(uri):
        return _retyped(stream_type, uri) if _is_on_the_network(uri) else None
    scheme = _SCHEMES.get(stream_type)
    if scheme is None:
        url = f"rtsp://{uri}"
        return url if stream_type == _TYPE_RTSP and _is_on_the_network(url) else None
    found = _HOST_AND_PORT.fullmatch(uri)
    if not found or not 0 < int(found["port"]) < 65536:
        return None
    host = found["host"] or ""
    if scheme == "tcp":
        return f"tcp://{host or '127.0.0.1'}:{found['port']}"
    # The host of a stream that is sent to us is ours; only a multicast group must be joined.
    return f"{scheme}://{host if _is_multicast(host) else ''}:{found['port']}"


def _retyped(stream_type: int, uri: str) -> str:
    scheme, rest = uri.split("://", 1)
    if scheme.lower() in ("udp", "rtp", "mpegts") and stream_type == _TYPE_MPEG_TS:
        return f"mpegts+udp://{rest}"
    if scheme.lower() in ("rtp", "udp"):
        return f"udp://{rest}"
    return f"{scheme.lower()}://{rest}"


def _is_on_the_network(url: str) -> bool:
    try:
        _ = urlsplit(url).port
    except ValueError:  # half an IPv6 address, or no such port
        return False
    return _ON_THE_NETWORK.fullmatch(url) is not None


def _is_multicast(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_multicast
    except ValueError:
        return False


def stream_of(msg: Any) -> VideoStream | None:
    """Read VIDEO_STREAM_INFORMATION; None where it announces nothing."""
    url = url_of(int(msg.type), text_of(msg.uri))
    if url is None or msg.count == 0:
        return None
    rate_hz = float(msg.framerate)
    return VideoStream(
        url=url,
        encoding=_ENCODINGS.get(int(getattr(msg, "encoding", 0)), "auto"),
        width_px=int(msg.resolution_h),
        height_px=int(msg.resolution_v),
        rate_hz=rate_hz if 0.0 < rate_hz < 1000.0 else 0.0,
        stream_id=int(msg.stream_id),
        name=text_of(msg.name),
        component_id=int(msg.get_srcComponent()),
    )


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """COMMAND_LONG 512: one message, once, from one component."""

    component_id: int
    message_id: int


@dataclass
class _Asked:
    """What one component was asked and what it said."""

    tries: int = 0
    next_mono_ns: int = 0
    has_information: bool = False
    expected: int = 0  # streams, as VIDEO_STREAM_INFORMATION.count says
    streams: dict[tuple[int, int], VideoStream] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        return 0 < self.expected <= len(self.streams)


class StreamCatalogue:
    """Remembers what was announced, and whom to ask next."""

    def __init__(self, autopilot_component_id: int = 1) -> None:
        self._asked: dict[int, _Asked] = {autopilot_component_id: _Asked()}

    def saw(self, component_id: int) -> None:
        """Note a component on the link; cameras are asked from then on."""
        if component_id in CAMERA_COMPONENTS and component_id not in self._asked:
            self._asked[component_id] = _Asked()

    def start_over(self) -> None:
        """Ask everybody again, after a reboot; what was announced holds until it is replaced."""
        for asked in self._asked.values():
            asked.tries = asked.next_mono_ns = asked.expected = 0
            asked.has_information = False

    def hear_camera(self, msg: Any) -> None:
        """Take CAMERA_INFORMATION; all zeros means that the sender knows of no camera."""
        asked = self._asked.get(msg.get_srcComponent())
        if asked is None or not (msg.flags or msg.resolution_h or text_of(msg.model_name)):
            return
        if not asked.has_information:
            asked.has_information = True
            asked.tries = asked.next_mono_ns = 0

    def hear_stream(self, msg: Any) -> None:
        """Take VIDEO_STREAM_INFORMATION; a stream announced again replaces itself."""
        asked = self._asked.get(msg.get_srcComponent())
        stream = stream_of(msg)
        if asked is None or stream is None:
            return
        key = (int(getattr(msg, "camera_device_id", 0)), stream.stream_id)
        if key not in asked.streams and len(asked.streams) >= MAX_STREAMS:
            return  # of 65,536 that a liar could announce
        asked.streams[key] = stream
        asked.expected = int(msg.count)

    def due(self, now_mono_ns: int) -> list[MessageRequest]:
        """Return what to ask now, with back-off, until each has named all its streams."""
        requests: list[MessageRequest] = []
        for component_id, asked in self._asked.items():
            if asked.is_complete or now_mono_ns < asked.next_mono_ns:
                continue
            asked.tries += 1
            wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(asked.tries - 1, 8))
            asked.next_mono_ns = now_mono_ns + int(wait_s * 1e9)
            if not asked.has_information:
                requests.append(MessageRequest(component_id, CAMERA_INFORMATION_ID))
            if asked.has_information or asked.tries > _INFORMATION_TRIES:
                requests.append(MessageRequest(component_id, VIDEO_STREAM_INFORMATION_ID))
        return requests

    def streams(self) -> tuple[VideoStream, ...]:
        """Return all streams, the autopilot's first; one address that two announce counts once."""
        by_url: dict[str, VideoStream] = {}
        for component_id in sorted(self._asked):
            for _, stream in sorted(self._asked[component_id].streams.items()):
                by_url.setdefault(stream.url, stream)
        return tuple(by_url.values())
