"""H.264 access units of a recorded video, through GStreamer: as they are, or encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import ScenarioError
from sim.wire.gst import bus_error, load_gst

MAX_KEYFRAME_GAP_S = 2.0  # so long a late joiner may wait for a picture
_UNITS_AHEAD = 8  # read from the file before they are wanted
_QUALITY = 22  # of x264, constant: little is lost over what the recording's encoder lost
_PULL_NS = 200_000_000
_STUCK_PULLS = 50  # 10 s without a unit and without an error

_DEMUX = 'filesrc location="{path}" ! qtdemux ! '
_UNITS = (
    "h264parse config-interval=-1 ! video/x-h264,stream-format=byte-stream,alignment=au ! "
    f"appsink name=units sync=false max-buffers={_UNITS_AHEAD}"
)


@dataclass(frozen=True)
class VideoFacts:
    """What a scan of a video file found."""

    width_px: int
    height_px: int
    n_frames: int
    bitrate_bps: int
    longest_keyframe_gap: int  # frames
    is_reordered: bool  # has B-frames, which no live camera sends


def scan_video(path: Path, rate_hz: float) -> VideoFacts:
    """Read through a video once without decoding it.

    Raises:
        MissingExtraError: GStreamer is not installed.
        ScenarioError: The file is not an mp4 with H.264 in it.
    """
    gst = load_gst()
    n_frames = size = last_key = gap = 0
    last_pts, is_reordered, caps = -1, False, None
    for sample in _samples(path, _DEMUX.format(path=path) + _UNITS):
        buffer, caps = sample.get_buffer(), sample.get_caps()
        if not buffer.has_flags(gst.BufferFlags.DELTA_UNIT):
            last_key = n_frames
        gap = max(gap, n_frames - last_key + 1)
        is_reordered |= buffer.pts < last_pts
        last_pts, size, n_frames = buffer.pts, size + buffer.get_size(), n_frames + 1
    if caps is None:
        raise ScenarioError(f"{path} holds no H.264 picture; record the flight again")
    shape = caps.get_structure(0)
    return VideoFacts(
        width_px=shape.get_value("width"),
        height_px=shape.get_value("height"),
        n_frames=n_frames,
        bitrate_bps=round(size * 8 * rate_hz / n_frames),
        longest_keyframe_gap=gap,
        is_reordered=is_reordered,
    )


def needs_encoding(facts: VideoFacts, rate_hz: float) -> bool:
    """Say whether the file as it is would keep late joiners waiting, or is out of order."""
    return facts.is_reordered or facts.longest_keyframe_gap > MAX_KEYFRAME_GAP_S * rate_hz


def access_units(path: Path, rate_hz: float, encode: bool) -> Iterator[Any]:
    """Yield the `Gst.Sample` of each frame in order, a key frame with its parameter sets."""
    launch = _DEMUX.format(path=path)
    if encode:
        launch += (
            "h264parse ! avdec_h264 ! videoconvert ! video/x-raw,format=I420 ! "
            f"x264enc tune=zerolatency speed-preset=superfast key-int-max={max(1, round(rate_hz))} "
            f"pass=qual quantizer={_QUALITY} ! "
        )
    yield from _samples(path, launch + _UNITS)


def black_unit(width_px: int, height_px: int) -> Any:
    """Return the `Gst.Sample` of one black picture, a key frame with its parameter sets."""
    shape = f"video/x-raw,format=I420,width={width_px},height={height_px},framerate=25/1"
    launch = f"videotestsrc pattern=black num-buffers=1 ! {shape} ! x264enc tune=zerolatency ! "
    return next(_samples(Path("a black picture"), launch + "h264parse ! " + _UNITS))


def _samples(path: Path, launch: str) -> Iterator[Any]:
    gst = load_gst()
    pipeline = gst.parse_launch(launch)
    sink = pipeline.get_by_name("units")
    try:
        pipeline.set_state(gst.State.PLAYING)
        waits = 0
        while True:
            sample = sink.emit("try-pull-sample", _PULL_NS)
            if sample is not None:
                waits = 0
                yield sample
                continue
            problem = bus_error(gst, pipeline)
            waits += 1
            if problem or waits > _STUCK_PULLS:
                raise ScenarioError(
                    f"cannot serve {path}: {problem or 'nothing came out of it for 10 s'}; "
                    f"a flight's video is H.264 in an mp4"
                )
            if sink.get_property("eos"):
                return
    finally:
        pipeline.set_state(gst.State.NULL)
