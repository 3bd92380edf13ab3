"""Live video through real GStreamer, over real sockets."""

from __future__ import annotations

import gc
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gi", reason="PyGObject is not installed; `make test` installs it")

from edge.capture import gstreamer, gstreamer_decoders, gstreamer_pipeline
from edge.capture.gstreamer_decoders import Decoder, choose_decoder
from edge.capture.opencv import OpenCvReader, open_with_opencv
from edge.capture.picture_memory import PictureMemory
from edge.capture.slots import LatestFrame
from edge.capture.streams import VideoStream
from edge.capture.video import TimeSource, VideoSource, VideoState, open_video
from edge.capture.video_live import Address, LiveVideo
from edge.capture.video_probe import probe_camera
from edge.config import CameraConfig
from edge.errors import MissingExtraError, VideoError
from edge.records import Frame
from tests.unit.capture.video_senders import HEIGHT, RATE_HZ, WIDTH, read_time_ms, sending

PATIENCE_S = 20.0
# Encoder, loopback, decoder and a process's turn on a busy machine; the mistakes that the tests
# look for (a queue before a slow consumer, a foreign clock) are larger.
HONEST_MS = 300


# Wrong bits of a smeared picture are anything up to 32 s.
READABLE_MS = 4000


def camera(source: str, **changes: object) -> CameraConfig:
    values: dict[str, object] = {
        "id": "front",
        "source": source,
        "model": Path("model"),
        "calibration": Path("camera.toml"),
        "mount": Path("mount.toml"),
        "stale_after_s": 0.7,
        "frozen_after_s": 0.7,
    }
    return CameraConfig.model_validate(values | changes)


def free_port(kind: int = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nothing() -> None:
    return None


class Taker:
    """A slot with a way to wait for its next frame."""

    def __init__(self) -> None:
        self.ready = threading.Condition()
        self.slot = LatestFrame(self.ready)

    def take(self, timeout_s: float = PATIENCE_S) -> Frame:
        with self.ready:
            assert self.ready.wait_for(lambda: self.slot.has_frame, timeout_s), "no frame came"
            frame = self.slot.take()
        assert frame is not None
        return frame


@contextmanager
def playing(source: VideoSource) -> Iterator[Taker]:
    taker = Taker()
    source.start(taker.slot)
    try:
        yield taker
    finally:
        taker.slot.close()
        source.close()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def error_ms(frame: Frame) -> float:
    """Captured time minus the time written in the picture."""
    captured_ms = frame.captured_mono_ns / 1e6
    return captured_ms - read_time_ms(frame.image_bgr, round(captured_ms))


def usual_error_ms(taker: Taker, n: int = 9) -> float:
    """The median: an encoder's first picture is late where a machine is busy."""
    return sorted(error_ms(taker.take()) for _ in range(n))[n // 2]


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("rtp-h264", "udp://:{port}"),
        ("rtp-h265", "udp://127.0.0.1:{port}"),
        ("mpegts", "mpegts+udp://:{port}"),
    ],
)
def test_a_stream_over_udp_gives_pictures_with_their_true_time(kind: str, url: str) -> None:
    """Whatever the codec, unannounced, a frame's time is that at which its picture was made."""
    port = free_port()
    source = open_video(camera(url.format(port=port)), nothing)
    with sending(kind, port), playing(source) as taker:
        error = usual_error_ms(taker)
        health = source.health()
    assert abs(error) < HONEST_MS
    assert (health.state, health.time_source) == (VideoState.PLAYING, TimeSource.PTS)
    assert (health.width_px, health.height_px) == (WIDTH, HEIGHT)
    assert kind[-4:] not in {"h264", "h265"} or health.decoder.endswith(kind[-4:])
    assert health.reconnects == 0


def test_a_slow_consumer_gets_the_newest_picture_at_its_true_time() -> None:
    """The consumer's pace moves no timestamp and builds no queue; what it misses is counted."""
    port = free_port()
    source = open_video(camera(f"udp://:{port}"), nothing)
    with sending("rtp-h264", port), playing(source) as taker:
        frames = []
        taker.take()
        for _ in range(6):
            time.sleep(0.3)
            frames.append((taker.take(), time.monotonic_ns()))
        health = source.health()
    errors = sorted(error_ms(frame) for frame, _ in frames)
    assert abs(errors[len(errors) // 2]) < HONEST_MS
    # Newest: with a queue before it, the last would be 1.6 s old.
    last, taken_ns = frames[-1]
    assert taken_ns - last.captured_mono_ns < 1e9
    indices = [frame.index for frame, _ in frames]
    skipped = indices[-1] - indices[0] - (len(indices) - 1)
    assert skipped > 0
    assert health.dropped >= skipped


def test_who_joins_midway_sees_whole_pictures_only() -> None:
    """No picture without its upper slices, or without the one it builds on, is delivered."""
    port = free_port()
    with sending("rtp-h264", port):
        for _ in range(4):
            with playing(open_video(camera(f"udp://:{port}"), nothing)) as taker:
                for frame in (taker.take(), taker.take()):
                    assert abs(error_ms(frame)) < READABLE_MS


def test_configured_latency_is_taken_off_and_its_sigma_kept() -> None:
    """`latency_s` moves the capture time by itself, and its uncertainty is in the frame's."""
    port = free_port()
    config = camera(f"udp://:{port}", latency_s=2.0, latency_sigma_s=0.25)
    source = open_video(config, nothing)
    with sending("rtp-h264", port), playing(source) as taker:
        error = usual_error_ms(taker)
        frame = taker.take()
    assert abs(error + 2000) < HONEST_MS
    assert 0.25 <= frame.captured_sigma_s < 0.3


def test_a_camera_that_dies_is_reconnected_when_it_comes_back() -> None:
    """A silent source is torn down and opened again until it speaks; indices go on."""
    port = free_port()
    source = open_video(camera(f"udp://:{port}", stale_after_s=0.4), nothing)
    with sending("rtp-h264", port) as sender, playing(source) as taker:
        before = taker.take()
        sender.kill()
        until(lambda: source.health().state is VideoState.LOST, "the loss was not noticed")
        assert "no picture for" in source.health().last_error
        while taker.slot.has_frame:
            before = taker.take()
        sender.start()
        after = taker.take()
        error = usual_error_ms(taker)
        until(lambda: source.health().state is VideoState.PLAYING, "it did not recover")
        health = source.health()
    assert after.index > before.index
    assert abs(error) < HONEST_MS
    assert health.reconnects >= 1
    assert health.last_error == ""


def test_a_camera_may_change_its_codec_while_it_is_away() -> None:
    """After a reconnect the packets are looked at anew: H.264 may come back as H.265."""
    port = free_port()
    source = open_video(camera(f"udp://:{port}", stale_after_s=0.4), nothing)
    with playing(source) as taker:
        with sending("rtp-h264", port):
            taker.take()
        until(lambda: source.health().state is VideoState.LOST, "the loss was not noticed")
        taker.slot.take()
        with sending("rtp-h265", port):
            taker.take()
            assert source.health().decoder.endswith("h265")


@pytest.mark.parametrize("mode", ["black", "frozen"])
def test_bad_pictures_are_not_delivered_and_lead_to_a_reconnect(mode: str) -> None:
    """Black and frozen pictures are looked away from, counted, and left for a new connection."""
    port = free_port()
    source = open_video(camera(f"udp://:{port}"), nothing)
    with sending("rtp-h264", port) as sender, playing(source) as taker:
        taker.take()
        sender.show(mode)
        until(lambda: source.health().state.value == mode, f"{mode} was not noticed")
        taker.slot.take()
        delivered = source.health().frames
        until(lambda: source.health().reconnects >= 1, "no new connection")
        assert source.health().frames == delivered
        assert not taker.slot.has_frame
        assert getattr(source.health(), mode) > 0
        sender.show("good")
        taker.take()
        until(lambda: source.health().state is VideoState.PLAYING, "it did not recover")


def test_rtsp_plays_recovers_and_uses_the_senders_clock() -> None:
    """RTSP brings NTP times, which on one computer are exact; a new server is found again."""
    port = free_port(socket.SOCK_STREAM)
    source = open_video(camera(f"rtsp://127.0.0.1:{port}/camera", stale_after_s=1.0), nothing)
    with playing(source) as taker:
        until(lambda: source.health().state is VideoState.LOST, "nobody listens: not noticed")
        with sending("rtsp", port):
            assert abs(usual_error_ms(taker)) < HONEST_MS
            until(lambda: source.health().time_source is TimeSource.RTP_NTP, "no NTP time came")
            taker.slot.take()
            assert abs(usual_error_ms(taker)) < HONEST_MS
        until(lambda: source.health().state is VideoState.LOST, "the loss was not noticed")
        taker.slot.take()
        with sending("rtsp", port):
            assert abs(usual_error_ms(taker)) < HONEST_MS
    assert source.health().reconnects >= 2


def test_rtsp_without_gstreamer_says_that_it_knows_arrivals_only() -> None:
    """OpenCV's FFmpeg plays RTSP too; its times are arrivals, with a larger sigma, and say so."""
    port = free_port(socket.SOCK_STREAM)
    config = camera(f"rtsp://127.0.0.1:{port}/camera")
    source = LiveVideo(config, lambda: Address(config.source), open_with_opencv)
    with sending("rtsp", port), playing(source) as taker:
        frame = taker.take()
        health = source.health()
    assert health.time_source is TimeSource.ARRIVAL
    assert frame.captured_sigma_s >= 0.1
    assert frame.width_px == WIDTH


def test_nothing_to_open_is_an_error_without_gstreamer_too() -> None:
    """An address where nobody listens is a VideoError that names it."""
    port = free_port(socket.SOCK_STREAM)
    with pytest.raises(VideoError, match=str(port)):
        OpenCvReader(f"rtsp://127.0.0.1:{port}/camera")


def test_mpegts_over_tcp_plays() -> None:
    """tcp:// connects to the camera and finds out by itself what it sends."""
    port = free_port(socket.SOCK_STREAM)
    with sending("tcp", port):
        source = open_video(camera(f"tcp://127.0.0.1:{port}"), nothing)
        with playing(source) as taker:
            assert abs(usual_error_ms(taker)) < HONEST_MS


def test_an_announced_stream_is_waited_for() -> None:
    """`mavlink` asks again until a stream is announced, then plays what was announced."""
    port = free_port()
    announced: list[VideoStream] = []
    source = open_video(camera("mavlink"), lambda: announced[0] if announced else None)
    with sending("rtp-h264", port), playing(source) as taker:
        until(lambda: "announced" in source.health().last_error, "did not say what it waits for")
        assert source.health().state is VideoState.OPENING
        announced.append(VideoStream(f"udp://:{port}", "h264", 0, 0, 0.0, 1, "main"))
        taker.take()
    assert source.health().reconnects == 0


def test_a_users_own_pipeline_plays_and_its_size_may_change() -> None:
    """gst: takes any pipeline ending in raw video; a new size goes through and is counted."""
    own = (
        "gst:videotestsrc is-live=true pattern=snow num-buffers=20 "
        "! video/x-raw,width=320,height=240,framerate=30/1 ! c.  "
        "videotestsrc is-live=true pattern=snow num-buffers=90 "
        "! video/x-raw,width=160,height=120,framerate=30/1 ! c.  concat name=c"
    )
    source = open_video(camera(own), nothing)
    sizes = set()
    with playing(source) as taker:
        until(
            lambda: sizes.add((frame := taker.take()).width_px) or frame.width_px == 160,
            "the second size did not come",
        )
        assert source.health().size_changes == 1
        assert source.health().state is VideoState.PLAYING
    assert sizes == {320, 160}


def test_a_recording_in_a_users_pipeline_plays_at_its_own_pace_whole() -> None:
    """A pipeline that is not live loses no picture to the newest-wins rule inside GStreamer."""
    own = "gst:videotestsrc pattern=snow num-buffers=15 ! video/x-raw,framerate=30/1"
    source = open_video(camera(own), nothing)
    with playing(source):
        until(
            lambda: source.health().frames >= 15 or source.health().reconnects > 0,
            "the recording did not end",
        )
        health = source.health()
    assert health.frames == 15  # all of them reached the slot before the recording was opened anew
    assert health.reconnects == 0


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("gst:nosuchelement ! videoconvert", "nosuchelement"),
        ("gst:audiotestsrc", "refuses"),
        ("v4l2:///dev/video97", "video97"),
        ("csi://0", "csi://0"),
        ("tcp://127.0.0.1:1", "127.0.0.1:1"),
    ],
)
def test_what_cannot_be_opened_says_so_and_is_tried_again(source: str, says: str) -> None:
    """A camera that is not there ends nothing: the error is in the health, and tries go on."""
    video = open_video(camera(source), nothing)
    with playing(video):
        until(lambda: video.health().reconnects >= 1, "it was not tried again")
        health = video.health()
    assert health.state is VideoState.LOST
    assert says in health.last_error
    assert health.frames == 0


def test_a_pipeline_that_breaks_in_flight_is_built_anew() -> None:
    """An element's error, as when a plug is pulled, costs a moment and not the camera."""
    own = "gst:videotestsrc is-live=true pattern=snow ! identity error-after=8"
    source = open_video(camera(own), nothing)
    with playing(source) as taker:
        until(lambda: source.health().reconnects >= 2, "it was not built again")
        assert taker.take().index > 8
        assert "identity" in source.health().last_error or source.health().last_error == ""


def test_a_decoder_that_broke_is_replaced_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hardware that fails in flight is not chosen again while another decoder is to be had."""
    monkeypatch.setitem(
        gstreamer_decoders._DECODERS,
        "h264",
        (
            # Stands for a hardware decoder that breaks after five pictures.
            Decoder("identity", ("error-after=5",), then="avdec_h264"),
            Decoder("avdec_h264"),
        ),
    )
    port = free_port()
    source = open_video(camera(f"udp://:{port}"), nothing)
    with sending("rtp-h264", port), playing(source) as taker:
        until(lambda: source.health().decoder == "avdec_h264", "the decoder was not replaced")
        taker.slot.take()
        taker.take()
    every = frozenset({"identity", "avdec_h264"})
    assert choose_decoder(gstreamer.load_gst(), "h264", every).element == "identity"


def test_an_rtsp_camera_with_sound_and_a_password_plays_its_video() -> None:
    """Sound is left alone; credentials in the URL open the camera and stand in no message."""
    port = free_port(socket.SOCK_STREAM)
    url = f"rtsp://pilot:{{}}@127.0.0.1:{port}/camera"
    with sending("rtsp-sound", port):
        with playing(open_video(camera(url.format("secret")), nothing)) as taker:
            taker.take()
        wrong = open_video(camera(url.format("hunter2")), nothing)
        with playing(wrong):
            until(lambda: wrong.health().state is VideoState.LOST, "it was let in")
    assert "nauthorized" in wrong.health().last_error
    assert "hunter2" not in wrong.health().last_error


@pytest.mark.parametrize("url", ["udp://:5600", "v4l2:///dev/video0", "gst:videotestsrc"])
def test_without_gstreamer_the_message_says_what_to_install(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the flight, not in it: the extra is named; RTSP falls back to OpenCV."""
    monkeypatch.setitem(sys.modules, "gi", None)
    gstreamer.load_gst.cache_clear()
    with pytest.raises(MissingExtraError, match=r"'\.\[gstreamer\]'"):
        open_video(camera(url), nothing)
    assert open_video(camera("rtsp://127.0.0.1:1/x"), nothing).is_live


def test_connections_that_were_closed_leave_nothing_behind() -> None:
    """For ever means thousands of connections: pipelines, threads and sockets all go."""
    port = free_port()
    url = f"udp://:{port}"
    opener = gstreamer.GstOpener(jitter_s=0.1)
    with sending("rtp-h264", port):
        opener.open(url, "auto").close()  # plugins are loaded, libraries have their threads
        files, threads = len(list(Path("/proc/self/fd").iterdir())), native_threads()
        runs = []
        for _ in range(5):
            reader = opener.open(url, "auto")
            until(lambda r=reader: r.read(0.2) is not None, "no picture")
            runs.append(weakref.ref(reader._run))
            reader.close()
            del reader
        gc.collect()
        until(lambda: native_threads() <= threads, "threads are left")
        assert len(list(Path("/proc/self/fd").iterdir())) <= files
    assert not any(run() for run in runs)


def native_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def test_a_probe_says_what_a_camera_gives() -> None:
    """`check` learns size, rate, decoder and time source from a short look."""
    port = free_port()
    with sending("rtp-h264", port):
        probe = probe_camera(camera(f"udp://:{port}"), nothing, seconds=PATIENCE_S)
    assert probe.opened
    assert (probe.width_px, probe.height_px) == (WIDTH, HEIGHT)
    assert 0.5 * RATE_HZ < probe.rate_hz < 1.5 * RATE_HZ
    assert probe.decoder
    assert (probe.time_source, probe.error) == ("pts", "")


def test_a_probe_of_silence_says_so() -> None:
    """Where nothing comes, the probe is not open and has an error to show."""
    probe = probe_camera(camera(f"udp://:{free_port()}"), nothing, seconds=0.5)
    assert not probe.opened
    assert probe.error


def test_a_closed_connection_is_gone_at_once() -> None:
    """Sockets and pictures of a connection that broke do not wait for a garbage collection."""
    gc.collect()
    gc.disable()
    try:
        reader = gstreamer.GstOpener(jitter_s=0.1).open(f"udp://:{free_port()}", "h264")
        pipeline = weakref.ref(reader._run)
        reader.read(0.05)
        reader.close()
        del reader
        assert pipeline() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(("width", "height"), [(320, 240), (322, 7), (1, 1), (5, 3)])
@pytest.mark.parametrize("has_call", [True, False])
def test_a_picture_is_copied_as_gstreamer_has_it(
    width: int, height: int, has_call: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixel by pixel, however rows are padded, with GStreamer's own call or without it."""
    gst = gstreamer.load_gst()
    if not has_call:
        monkeypatch.setattr(gstreamer_pipeline, "_gst_buffer_extract", lambda _gst: None)
    stride = (3 * width + 3) & ~3
    rows = np.random.default_rng(1).integers(0, 255, (height, stride), np.uint8)
    caps = gst.Caps.from_string(f"video/x-raw,format=BGR,width={width},height={height}")
    buffer = gst.Buffer.new_wrapped(rows.tobytes())
    sample = gst.Sample.new(buffer, caps, None, None)
    image = gstreamer_pipeline._image(gst, sample, buffer, PictureMemory(), "here")
    assert np.array_equal(image, rows[:, : 3 * width].reshape(height, width, 3))
    short = gst.Buffer.new_wrapped(rows.tobytes()[: stride * (height - 1) + 3 * width - 1])
    with pytest.raises(VideoError, match=f"are no {width}×{height} BGR picture"):
        gstreamer_pipeline._image(gst, sample, short, PictureMemory(), "here")
