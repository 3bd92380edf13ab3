"""A 720p flight and a detector made for the bench's tests: no recording of anybody is needed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.vision.manifest import HeadTable, InputTable
from tests.unit.vision.tiny_models import serialised, write_model
from tests.wire_flights import RATE_HZ, frame_us, telemetry

WIDTH_PX, HEIGHT_PX = 1280, 720
SIDE_PX = 320  # of the detector's input
_CHANNELS = 16
_DRIFT_PX = 6  # of the ground between two frames
REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class MadeBench:
    """Where the flight and its detector lie."""

    flight: Path
    model: Path


def write_bench(folder: Path, seconds: float) -> MadeBench:
    """Write a flight over noise that drifts by, and a detector that sees six things in it."""
    model = folder / "model"
    write_model(
        model,
        six_things_model(),
        labels=("structure",),
        input=InputTable(width_px=SIDE_PX, height_px=SIDE_PX),
        head=HeadTable(layout="end2end"),
    )
    flight = folder / "flight"
    flight.mkdir()
    n_frames = round(seconds * RATE_HZ)
    _write_video(flight / "video.mp4", n_frames)
    rows = [f"{index},{frame_us(index)}" for index in range(n_frames)]
    (flight / "frames.csv").write_text("\n".join(["frame,utc_us", *rows]) + "\n")
    (flight / "telemetry.tlog").write_bytes(telemetry(seconds + 2.0))
    for kind, name in (("cameras", "sim-720p.toml"), ("mounts", "nadir-fixed.toml")):
        (flight / name).write_bytes((REPO / "calibration" / kind / name).read_bytes())
    (flight / "flight.toml").write_text(
        'format = 1\nname = "made for the bench"\n'
        '[[camera]]\nid = "main"\nvideo = "video.mp4"\nframes = "frames.csv"\n'
        'calibration = "sim-720p.toml"\nmount = "nadir-fixed.toml"\n'
        '[telemetry]\nlog = "telemetry.tlog"\n'
        '[patrol]\nconfig = "patrol.toml"\n'
    )
    (flight / "patrol.toml").write_text(
        f'drone_id = "bench"\n[[camera]]\nid = "main"\nsource = "mavlink"\nmodel = "{model}"\n'
        'calibration = "sim-720p.toml"\nmount = "nadir-fixed.toml"\n'
        "[inference]\nthreads = 1\n"  # on a busy machine two threads wait for one another
        '[[rule]]\nname = "shed"\nlabels = ["structure"]\nmin_looks = 4\ndepartment = "urban"\n'
    )
    return MadeBench(flight, model)


def six_things_model() -> bytes:
    """Build an `end2end` model that convolves for some milliseconds and always sees six things."""
    rng = np.random.default_rng(1)
    boxes = [
        [40 + 90 * column, 90 + 80 * row, 70 + 90 * column, 120 + 80 * row, 0.9, 0]
        for row in range(2)
        for column in range(3)
    ]
    layers = [(3, _CHANNELS, 2), *[(_CHANNELS, _CHANNELS, 1)] * 4]
    weights = {
        f"w{number}": rng.normal(0.0, 0.05, (n_out, n_in, 3, 3)).astype(np.float32)
        for number, (n_in, n_out, _) in enumerate(layers)
    }
    constants = {
        **weights,
        "things": np.array([boxes], np.float32),
        "none": np.array(0.0, np.float32),
    }
    nodes, last = [], "images"
    for number, (_, _, stride) in enumerate(layers):
        nodes.append(
            helper.make_node(
                "Conv", [last, f"w{number}"], [f"c{number}"], strides=[stride] * 2, pads=[1] * 4
            )
        )
        last = f"c{number}"
    nodes += [
        helper.make_node("ReduceMean", [last], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "none"], ["nothing"]),
        helper.make_node("Add", ["things", "nothing"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "six",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE_PX, SIDE_PX])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, 6])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return serialised(graph)


def _write_video(path: Path, n_frames: int) -> None:
    """Encode noise that drifts by: a picture that costs a decoder what ground does."""
    ground = _ground(HEIGHT_PX + _DRIFT_PX * 50)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.time_base = Fraction(1, RATE_HZ)
        stream.options = {"preset": "ultrafast", "crf": "26", "g": "25"}
        for index in range(n_frames):
            top = _DRIFT_PX * (index % 50)
            picture = np.ascontiguousarray(ground[top : top + HEIGHT_PX])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _ground(height_px: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(2)
    coarse = rng.integers(40, 200, (height_px // 8, WIDTH_PX // 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (WIDTH_PX, height_px)), np.uint8)
