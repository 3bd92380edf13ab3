"""Where a camera's access units go: RTP over UDP, and RTSP for any number of clients."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from edge.errors import ScenarioError
from sim.wire.gst import bus_error, load_gst, load_rtsp_server

MAX_QUEUED = 60  # access units; beyond, whole groups of pictures are dropped and counted
_CAPS = "video/x-h264,stream-format=byte-stream,alignment=au"
_PAY = f"appsrc name=feed is-live=true format=time caps={_CAPS} ! rtph264pay name=pay0 pt=96 "
_RTCP_NS = 1_000_000_000  # between sender reports; the default of 5 s is long to wait for a time
_MTU = 1200  # bytes; passes most radio links and tunnels in one piece


@dataclass(frozen=True)
class AccessUnit:
    """One encoded frame and the instant its buffer is stamped with."""

    buffer: Any  # Gst.Buffer
    is_key: bool
    stamp_mono_ns: int


class VideoOutput(Protocol):
    """Takes access units at the moment they are due."""

    @property
    def dropped(self) -> int: ...

    def push(self, unit: AccessUnit) -> None: ...

    def close(self) -> None: ...


class _Feed:
    """An `appsrc` that begins at a key frame, never grows, and counts what it drops."""

    def __init__(self, source: Any) -> None:
        self.dropped = 0
        self._gst = load_gst()
        self._source = source
        self._wants_key, self._has_begun = True, False

    def push(self, unit: AccessUnit) -> None:
        if self._source.get_property("current-level-buffers") >= MAX_QUEUED:
            self._wants_key = True
        if self._wants_key and not unit.is_key:
            self.dropped += self._has_begun  # what came before its first picture is no loss
            return
        self._wants_key, self._has_begun = False, True
        flags = self._gst.BufferCopyFlags
        buffer = unit.buffer.copy_region(flags.MEMORY | flags.FLAGS, 0, unit.buffer.get_size())
        # The pipelines run on the system clock, which is mono_ns.
        buffer.pts = max(0, unit.stamp_mono_ns - self._source.get_base_time())
        buffer.dts = buffer.pts
        self._source.emit("push-buffer", buffer)


class RtpOutput:
    """RTP/H.264 to one UDP address, as a simple network camera sends it."""

    def __init__(self, host: str, port: int) -> None:
        self._gst = load_gst()
        self._pipeline = self._gst.parse_launch(
            f"{_PAY} config-interval=1 mtu={_MTU} ! "
            f"udpsink host={host} port={port} sync=false async=false"
        )
        self._pipeline.use_clock(self._gst.SystemClock.obtain())
        self._feed = _Feed(self._pipeline.get_by_name("feed"))
        if self._pipeline.set_state(self._gst.State.PLAYING) == self._gst.StateChangeReturn.FAILURE:
            problem = bus_error(self._gst, self._pipeline)
            self.close()
            raise ScenarioError(f"cannot send RTP to {host}:{port}: {problem}")

    @property
    def dropped(self) -> int:
        return self._feed.dropped

    def push(self, unit: AccessUnit) -> None:
        self._feed.push(unit)

    def close(self) -> None:
        self._pipeline.set_state(self._gst.State.NULL)


class RtspOutput:
    """One mount of the RTSP server.  Each client has a stream that begins at a key frame."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._lock = threading.Lock()
        self._feeds: list[_Feed] = []
        self._dropped_before = 0

    @property
    def dropped(self) -> int:
        with self._lock:
            return self._dropped_before + sum(feed.dropped for feed in self._feeds)

    def push(self, unit: AccessUnit) -> None:
        with self._lock:
            for feed in self._feeds:
                feed.push(unit)

    def close(self) -> None:
        self._close()

    def configure(self, _factory: Any, media: Any) -> None:
        """Feed the stream that the server has just made for a client."""
        media.set_clock(load_gst().SystemClock.obtain())
        feed = _Feed(media.get_element().get_by_name("feed"))
        media.connect("unprepared", self._forget, feed)
        with self._lock:
            self._feeds.append(feed)

    def _forget(self, _media: Any, feed: _Feed) -> None:
        with self._lock:
            if feed in self._feeds:
                self._feeds.remove(feed)
                self._dropped_before += feed.dropped


@cache
def _exact_media(rtsp: Any) -> Any:
    """Return a media type whose RTCP comes often and maps to NTP the buffers' own stamps.

    GStreamer's default is the instant of sending, some 20 ms later, every 5 s.
    """

    def report_often(_rtpbin: Any, element: Any) -> None:
        if element.get_factory().get_name() == "rtpsession":
            element.set_property("rtcp-min-interval", _RTCP_NS)

    class ExactMedia(rtsp.RTSPMedia):  # type: ignore[misc]
        def do_setup_rtpbin(self, rtpbin: Any) -> bool:
            rtpbin.set_property("rtcp-sync-send-time", False)
            rtpbin.connect("element-added", report_often)
            return True

    return ExactMedia


class RtspServer:
    """GStreamer's RTSP server on a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        """Listen; port 0 takes a free one.

        Raises:
            MissingExtraError: GstRtspServer is not installed.
            ScenarioError: The address is taken or is not ours.
        """
        self._rtsp = load_rtsp_server()
        from gi.repository import GLib

        self._server = self._rtsp.RTSPServer()
        self._server.set_address(host)
        self._server.set_service(str(port))
        self._context = GLib.MainContext()
        self._loop = GLib.MainLoop(self._context)
        self._source_id = self._server.attach(self._context)
        if not self._source_id:
            raise ScenarioError(
                f"cannot listen for RTSP on {host}:{port}: the port is taken or the address is "
                f"not of this computer; choose another with --rtsp"
            )
        self.host, self.port = host, int(self._server.get_bound_port())
        self._thread = threading.Thread(target=self._loop.run, name="wire-rtsp", daemon=True)
        self._thread.start()

    def add(self, path: str) -> RtspOutput:
        """Offer a stream at a path."""
        factory = self._rtsp.RTSPMediaFactory()
        factory.set_launch(f"( {_PAY} config-interval=1 )")
        factory.set_media_gtype(_exact_media(self._rtsp))
        mounts = self._server.get_mount_points()
        output = RtspOutput(lambda: mounts.remove_factory(path))
        factory.connect("media-configure", output.configure)
        mounts.add_factory(path, factory)
        return output

    def close(self) -> None:
        """Send the clients away and stop listening."""
        self._server.client_filter(lambda *_: self._rtsp.RTSPFilterResult.REMOVE)
        source = self._context.find_source_by_id(self._source_id)
        if source is not None:
            source.destroy()
        self._loop.quit()
        self._thread.join()
