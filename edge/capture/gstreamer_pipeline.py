"""One GStreamer pipeline, from a recipe to pictures, and its end."""

from __future__ import annotations

import ctypes
import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np

from edge.capture.gstreamer_decoders import (
    choose_decoder,
    codec_of_caps,
    csi_head,
    decoding_chain,
)
from edge.capture.gstreamer_recipes import CODECS, Recipe
from edge.capture.gstreamer_time import StreamTime
from edge.capture.picture_memory import PictureMemory
from edge.capture.rtp import ends_picture, shares_clock, starts_picture
from edge.capture.video_records import Picture, without_password
from edge.errors import VideoError
from edge.records import ImageArray

log = logging.getLogger(__name__)

PacketSeen: TypeAlias = Callable[[bytes], bool]
PadCallback: TypeAlias = Callable[[Any, Any], Any]

# Newest wins, after decoding: a queue before it would lose reference frames, and one without a
# bound would grow to minutes of lag.
TAIL = (
    "queue name=tail leaky=downstream max-size-buffers=1 max-size-bytes=0 max-size-time=0 "
    "! videoconvert ! video/x-raw,format=BGR "
    "! appsink name=sink max-buffers=1 drop=true sync=false enable-last-sample=false"
)

LEAKY_DOWNSTREAM = 2  # as in TAIL
# A pipeline that does not stop within this is left to itself: some drivers hang for ever.
TEARDOWN_S = 5.0
PREROLL_S = 3
PACKET_HEAD_BYTES = 128
# Decoded pictures that may be between the decoder and the sink.
IN_FLIGHT = 32


class Pipeline:
    """A pipeline's whole life; once closed it is never used again.

    Args:
        gst: the Gst namespace, initialised.
        url: the source, for messages.
        recipe: what it is built from.
        banned: decoders that are not to be used.
        packet_seen: told the first bytes of RTP packets until it returns True.
        memory: where pictures are copied to.

    Raises:
        VideoError: GStreamer refuses the pipeline, or it does not start.
    """

    def __init__(
        self,
        gst: Any,
        url: str,
        recipe: Recipe,
        banned: frozenset[str],
        packet_seen: PacketSeen,
        *,
        memory: PictureMemory,
    ) -> None:
        self._gst = gst
        self._url = without_password(url)
        self.recipe = recipe
        self.decoder = ""
        self._banned = banned
        self._packet_seen = packet_seen
        self._memory = memory
        self._plug_error: str | None = None
        self._codec = recipe.codec or ""
        self._has_joined = False
        # (pts, index, mono ns) of what left the decoder and was not yet seen at the sink.
        self._decoded: deque[tuple[int, int, int]] = deque(maxlen=IN_FLIGHT)
        self._n_decoded = 0
        self._let_go: dict[str, Callable[[], object]] = {}  # what undoes each callback
        self._time = StreamTime(recipe.trusts_pts, trusts_ntp=shares_clock(url))
        self._pipeline = self._build()
        self._sink = self._pipeline.get_by_name("sink")
        self._bus = self._pipeline.get_bus()
        try:
            self._start()
        except VideoError:
            self.close()
            raise

    # --- building ------------------------------------------------------------------------------

    def _build(self) -> Any:
        gst, recipe = self._gst, self.recipe
        first = recipe.head
        if first.startswith("csi:"):
            self.decoder, first = csi_head(gst, int(first.removeprefix("csi:")))
        if recipe.codec is not None:
            decoder = choose_decoder(gst, recipe.codec, self._banned)
            self.decoder = decoder.element
            first = f"{first} ! {decoding_chain(recipe.codec, decoder, is_rtp=True)}"
        joined = recipe.is_raw or recipe.codec is not None
        description = f"{first} ! {TAIL}" if joined else f"{first} {TAIL}"
        pipeline = self._parse(description)
        # The system clock is CLOCK_MONOTONIC, so that timestamps need no other mapping.
        pipeline.use_clock(gst.SystemClock.obtain())
        self._set_properties(pipeline.get_by_name("head"))
        if not joined:
            head = pipeline.get_by_name("head")
            pad_added = head.connect("pad-added", self._pad_added, pipeline)
            self._let_go["head"] = functools.partial(head.disconnect, pad_added)
        self._probe(pipeline, "tail", "sink", self._left_decoder)
        if recipe.sniffs_rtp:
            self._probe(pipeline, "packets", "src", self._packet)
        if recipe.codec is not None:
            self._probe(pipeline, "depay", "sink", self._join)
        return pipeline

    def _probe(self, pipeline: Any, element: str, pad_name: str, callback: PadCallback) -> None:
        pad = pipeline.get_by_name(element).get_static_pad(pad_name)
        probe = pad.add_probe(self._gst.PadProbeType.BUFFER, callback)
        self._let_go[element] = functools.partial(pad.remove_probe, probe)

    def _parse(self, description: str) -> Any:
        from gi.repository import GLib

        try:
            return self._gst.parse_launch(description)
        except GLib.Error as error:
            raise VideoError(
                f"{self._url}: GStreamer refuses the pipeline: {error.message}; "
                f"`gst-inspect-1.0 <element>` tells whether an element is installed"
            ) from error

    def _set_properties(self, head: Any) -> None:
        for name, value in self.recipe.properties.items():
            if head.find_property(name) is not None:  # older GStreamer lacks some
                head.set_property(name, value)

    def _pad_added(self, _head: Any, pad: Any, pipeline: Any) -> None:
        """A demuxer or RTSP session shows a stream.  Runs in GStreamer's thread."""
        gst = self._gst
        caps = pad.get_current_caps() or pad.query_caps(None)
        tail = pipeline.get_by_name("tail")
        if tail.get_static_pad("sink").is_linked() or not caps or caps.is_empty():
            return
        found = codec_of_caps(caps.get_structure(0))
        if found is None:
            return  # sound, metadata
        codec, is_rtp = found
        try:
            decoder = choose_decoder(gst, codec, self._banned)
            chain = gst.parse_bin_from_description(decoding_chain(codec, decoder, is_rtp), True)
        except VideoError as error:
            self._plug_error = str(error)
            return
        self.decoder = decoder.element
        pipeline.add(chain)
        if is_rtp and codec in CODECS:
            self._codec = codec
            self._probe(pipeline, "depay", "sink", self._join)
        if not chain.link(tail) or pad.link(chain.get_static_pad("sink")) != gst.PadLinkReturn.OK:
            self._plug_error = f"its {codec} stream does not link to {decoder.element}"
            return
        chain.sync_state_with_parent()

    def _start(self) -> None:
        gst = self._gst
        # Set before anything flows: a recording runs ahead while it prerolls, and would be thrown.
        if self.recipe.may_be_recorded:
            self._keep_every_picture(True)
            if self._is_live():
                self._keep_every_picture(False)
        if self._pipeline.set_state(gst.State.PLAYING) == gst.StateChangeReturn.FAILURE:
            broken = self.broken()
            reason = broken[1] if broken else "it does not start; is another program using it?"
            raise VideoError(f"{self._url}: {reason}")

    def _keep_every_picture(self, keep: bool) -> None:
        """Play at the pace of the stream's own time and lose nothing; or newest wins."""
        self._sink.set_property("sync", keep)
        self._sink.set_property("drop", not keep)
        self._pipeline.get_by_name("tail").set_property("leaky", 0 if keep else LEAKY_DOWNSTREAM)

    def _is_live(self) -> bool:
        gst = self._gst
        self._pipeline.set_state(gst.State.PAUSED)
        change, _, _ = self._pipeline.get_state(PREROLL_S * gst.SECOND)
        return bool(change == gst.StateChangeReturn.NO_PREROLL)

    # --- running -------------------------------------------------------------------------------

    def _left_decoder(self, _pad: Any, info: Any) -> Any:
        buffer = info.get_buffer()
        self._decoded.append((buffer.pts, self._n_decoded, time.monotonic_ns()))
        self._n_decoded += 1
        return self._gst.PadProbeReturn.OK

    def _packet(self, _pad: Any, info: Any) -> Any:
        if not self._packet_seen(info.get_buffer().extract_dup(0, PACKET_HEAD_BYTES)):
            return self._gst.PadProbeReturn.OK
        self._let_go.pop("packets", None)
        return self._gst.PadProbeReturn.REMOVE

    def _join(self, _pad: Any, info: Any) -> Any:
        """Let RTP packets through from the first that begins a picture, or follows one's end."""
        gst = self._gst
        packet = info.get_buffer().extract_dup(0, PACKET_HEAD_BYTES)
        if self._has_joined or starts_picture(packet, self._codec):
            self._let_go.pop("depay", None)
            return gst.PadProbeReturn.REMOVE
        self._has_joined = ends_picture(packet)
        return gst.PadProbeReturn.DROP

    def pull(self, timeout_s: float) -> Picture | None:
        """Wait for a picture at the sink."""
        sample = self._sink.try_pull_sample(round(timeout_s * self._gst.SECOND))
        if sample is None:
            return None
        buffer = sample.get_buffer()
        index, arrived_ns = self._origin(buffer.pts)
        captured = self._time.captured(
            self._pts_mono_ns(sample, buffer), _ntp_ns(buffer), arrived_ns
        )
        return Picture(
            image_bgr=_image(self._gst, sample, buffer, self._memory, self._url),
            captured_mono_ns=captured.mono_ns,
            captured_sigma_s=captured.sigma_s,
            time_source=captured.source,
            index=index,
        )

    def _origin(self, pts: int) -> tuple[int, int]:
        """Index of a picture, and when it left the decoder."""
        while self._decoded:
            decoded_pts, index, arrived_ns = self._decoded.popleft()
            if decoded_pts == pts:
                return index, arrived_ns
        return max(self._n_decoded - 1, 0), time.monotonic_ns()

    def _pts_mono_ns(self, sample: Any, buffer: Any) -> int | None:
        gst = self._gst
        if buffer.pts == gst.CLOCK_TIME_NONE:
            return None
        running = sample.get_segment().to_running_time(gst.Format.TIME, buffer.pts)
        if running == gst.CLOCK_TIME_NONE:
            return None
        before_ns = time.monotonic_ns()
        clock_ns = self._pipeline.get_clock().get_time()
        offset_ns = (before_ns + time.monotonic_ns()) // 2 - clock_ns  # some µs: the same clock
        return int(running + self._pipeline.get_base_time() + offset_ns)

    def broken(self) -> tuple[str, str] | None:
        """(element, reason) of an error or an end of the stream; None while all is well."""
        gst = self._gst
        if self._plug_error is not None:
            return "", self._plug_error
        message = self._bus.pop_filtered(gst.MessageType.ERROR | gst.MessageType.EOS)
        if message is None:
            return None
        if message.type == gst.MessageType.EOS:
            return "", "the sender ended the stream"
        error, _debug = message.parse_error()
        factory = message.src.get_factory() if isinstance(message.src, gst.Element) else None
        element = factory.get_name() if factory else ""
        return element, f"{error.message.rstrip('.')} ({element or message.src.get_name()})"

    def close(self) -> None:
        """Stop and let go of everything; give up on a driver that hangs."""
        stop = threading.Thread(
            target=self._pipeline.set_state, args=(self._gst.State.NULL,), daemon=True
        )
        stop.start()
        stop.join(TEARDOWN_S)
        # GStreamer holds the callbacks and they hold this object: a cycle that no collector sees.
        while self._let_go:
            _, let_go = self._let_go.popitem()
            let_go()
        # Its reader holds this object: with a cycle left, sockets and pictures of a connection that
        # broke would stay until a collection, which a loop of arrays brings once in an hour.
        self._packet_seen = _nobody_looks
        if stop.is_alive():
            log.error("video_teardown_hangs url=%s after_s=%.0f", self._url, TEARDOWN_S)


def _nobody_looks(_head: bytes) -> bool:
    return True


def _image(gst: Any, sample: Any, buffer: Any, memory: PictureMemory, url: str) -> ImageArray:
    """Copy a BGR buffer once, into memory of its own."""
    structure = sample.get_caps().get_structure(0)
    width, height = structure.get_int("width")[1], structure.get_int("height")[1]
    stride = (width * 3 + 3) & ~3  # GStreamer's default layout: rows begin at multiples of four
    rows = memory.take(height, stride)
    if _extract(gst, buffer, rows) < stride * (height - 1) + width * 3:
        n_bytes = buffer.get_size()
        raise VideoError(f"{url}: {n_bytes} bytes are no {width}×{height} BGR picture")
    if stride != width * 3:
        rows = np.ascontiguousarray(rows[:, : width * 3])
    return rows.reshape(height, width, 3)


def _extract(gst: Any, buffer: Any, into: ImageArray) -> int:
    """Copy a buffer's first bytes into an array; returns how many there were, at most its size."""
    extract = _gst_buffer_extract(gst)
    if extract is None:
        data = np.frombuffer(buffer.extract_dup(0, into.nbytes), np.uint8)
        into.reshape(-1)[: data.size] = data
        return int(data.size)
    return int(extract(hash(buffer), 0, into.ctypes.data, into.nbytes))


@functools.lru_cache(maxsize=1)
def _gst_buffer_extract(gst: Any) -> Callable[[int, int, int, int], int] | None:
    """GStreamer's own call: what PyGObject has of it copies twice, into new memory each time.

    It needs the address of what a Python object wraps: PyGObject's hash of it.  Where its name says
    another one there is no such call.
    """
    buffer = gst.Buffer.new()
    if f"(GstBuffer at {hash(buffer):#x})" not in repr(buffer):
        return None
    try:
        extract = ctypes.CDLL("libgstreamer-1.0.so.0").gst_buffer_extract
    except (OSError, AttributeError):  # GStreamer under another name
        return None
    extract.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t)
    extract.restype = ctypes.c_size_t
    return cast(Callable[[int, int, int, int], int], extract)


def _ntp_ns(buffer: Any) -> int | None:
    """The sender's NTP time of a picture, from its RTCP sender reports."""
    meta = buffer.get_reference_timestamp_meta(None)
    if meta is None or meta.reference.get_structure(0).get_name() != "timestamp/x-ntp":
        return None
    return int(meta.timestamp)
