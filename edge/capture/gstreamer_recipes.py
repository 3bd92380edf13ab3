"""From a source's URL to a GStreamer pipeline's first half, as text.  Knows no GStreamer."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import SplitResult, urlsplit

from edge.capture.video_records import without_password
from edge.errors import VideoError

# A burst of one 4K key frame is some 500 kB; the kernel's default of 208 kB loses packets.
UDP_BUFFER_BYTES = 4 * 1024 * 1024
# rtspsrc asks for UDP first; after this long without a packet it asks for TCP (its default: 5 s).
RTSP_UDP_PATIENCE_US = 2_000_000
TCP_PATIENCE_US = 5_000_000

CODECS = ("h264", "h265")

# Where a camera speaks RTP without a session description, the clock rate is that of all video.
_RTP_CAPS = "application/x-rtp,media=video,clock-rate=90000,encoding-name={name}"

_HOST = re.compile(r"[A-Za-z0-9_.:-]+", re.ASCII)  # it goes into the pipeline's text
_NOTHING: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a pipeline begins.

    `head` ends in an element called `head`.  Either it gives raw video, or `codec` names what its
    one pad carries, or neither: then its pads appear later and their caps tell.
    """

    head: str
    is_raw: bool = False
    codec: str | None = None
    properties: Mapping[str, object] = field(default_factory=lambda: _NOTHING)  # of the head
    may_be_recorded: bool = False  # not surely live: a user's own pipeline
    trusts_pts: bool = True  # timestamps are this computer's arrival times
    sniffs_rtp: bool = False  # `codec` is a guess; the packets will tell


def recipe_from_url(url: str, encoding: str, jitter_s: float, guess: str = "h264") -> Recipe:
    """Read a live source's URL.

    Args:
        url: rtsp://…, udp://[host]:port, mpegts+udp://[host]:port, tcp://host:port,
            v4l2:///dev/video0, csi://0 or gst:<pipeline>.
        encoding: h264, h265, or auto; of bare RTP only, the others say it themselves.
        jitter_s: how long RTP packets are held to put them in order.
        guess: the codec to begin with where `encoding` is auto.

    Raises:
        VideoError: the URL is of none of these kinds, or lacks its port.
    """
    if url.startswith("gst:"):
        return _own_pipeline(url)
    try:
        parts = urlsplit(url)
    except ValueError as error:  # half an IPv6 address
        raise VideoError(f"{without_password(url)}: is no address ({error})") from error
    jitter_ms = round(jitter_s * 1000)
    if parts.scheme in {"rtsp", "rtsps", "rtspt", "rtspu"}:
        return _rtsp(url, jitter_ms)
    if parts.scheme == "udp":
        return _rtp(parts, encoding, jitter_ms, guess)
    if parts.scheme in {"mpegts+udp", "mpegts"}:
        return _mpegts(parts)
    if parts.scheme == "tcp":
        return _tcp(parts)
    if parts.scheme == "v4l2":
        device = parts.path or f"/dev/{parts.netloc}"
        # decodebin takes what the camera gives, be it raw, MJPEG or H.264.
        return Recipe(f"v4l2src device={device} ! decodebin name=head", is_raw=True)
    if parts.scheme == "csi":
        return _csi(parts)
    raise VideoError(
        f"{without_password(url)}: no kind of source that is known; use mavlink, rtsp://, "
        f"udp://:5600, mpegts+udp://:5600, tcp://host:port, v4l2:///dev/video0, csi://0, "
        f"gst:<pipeline>, a file or a folder"
    )


def _own_pipeline(url: str) -> Recipe:
    description = url.removeprefix("gst:").strip().strip("!").strip()
    if not description:
        raise VideoError("gst: names no pipeline; write e.g. gst:v4l2src ! videoconvert")
    return Recipe(f"{description} ! identity name=head", is_raw=True, may_be_recorded=True)


def _rtsp(url: str, jitter_ms: int) -> Recipe:
    return Recipe(
        "rtspsrc name=head",
        properties={
            "location": url,
            # Its default is 2000.  Not drop-on-latency: that loses the first pictures, which arrive
            # while the jitter buffer still waits for its first deadline.
            "latency": jitter_ms,
            "timeout": RTSP_UDP_PATIENCE_US,
            "tcp-timeout": TCP_PATIENCE_US,
            # GStreamer 1.22 and later: the sender's NTP time travels with each picture.
            "add-reference-timestamp-meta": True,
        },
    )


def _rtp(parts: SplitResult, encoding: str, jitter_ms: int, guess: str) -> Recipe:
    codec = guess if encoding == "auto" else encoding
    caps = _RTP_CAPS.format(name=codec.upper())
    return Recipe(
        f'udpsrc name=packets {_udp_listen(parts)} caps="{caps}" '
        f"! rtpjitterbuffer name=head latency={jitter_ms}",
        codec=codec,
        sniffs_rtp=encoding == "auto",
    )


def _mpegts(parts: SplitResult) -> Recipe:
    caps = "video/mpegts,systemstream=true,packetsize=188"
    return Recipe(
        f'udpsrc name=packets {_udp_listen(parts)} caps="{caps}" ! tsdemux name=head',
        # PTS minus PCR is the multiplexer's delay, which may be most of a second.
        trusts_pts=False,
    )


def _tcp(parts: SplitResult) -> Recipe:
    host, port = parts.hostname, _port(parts)
    if not host or not _HOST.fullmatch(host):
        raise VideoError(f"{parts.geturl()}: names no host; write tcp://192.168.1.10:5600")
    return Recipe(
        f"tcpclientsrc name=packets host={host} port={port} ! parsebin name=head",
        trusts_pts=False,
    )


def _csi(parts: SplitResult) -> Recipe:
    sensor = parts.netloc or parts.path.strip("/") or "0"
    if not sensor.isdecimal():
        raise VideoError(f"{parts.geturl()}: csi:// takes a sensor's number, e.g. csi://0")
    return Recipe(f"csi:{sensor}", is_raw=True)  # which element: when it is known what is there


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError as error:
        raise VideoError(f"{parts.geturl()}: {error}; write e.g. udp://:5600") from error
    if port is None:
        raise VideoError(f"{parts.geturl()}: names no port; write e.g. udp://:5600")
    return port


def _udp_listen(parts: SplitResult) -> str:
    """Where to listen: any address, one of ours, or a multicast group."""
    port = _port(parts)
    host = parts.hostname or "0.0.0.0"  # video comes on whichever link is up
    address = host if _can_listen(host) else "0.0.0.0"  # a host that is not ours is the sender
    return f"address={address} port={port} buffer-size={UDP_BUFFER_BYTES}"


def _can_listen(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None  # a name
    if address is not None and address.is_multicast:
        return True
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
