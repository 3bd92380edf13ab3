"""Brings a float detector to INT8 with pictures of flights: `skywhistle model quantize`.

Static, per channel, QDQ.  Weights take seven of the eight bits: x86 processors without VNNI add
pairs of products in sixteen bits, which eight-bit weights overflow.  On such a processor a small
detector of ours kept 61 % of its boxes with eight bits and 99 % with seven (measured); the file
must fly there, too.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from edge.config import InferenceConfig
from edge.errors import CalibrationSetError, ModelManifestError, QuantizationError
from edge.records import ImageArray
from edge.vision.agreement import Agreement, Pace, agreement, pace
from edge.vision.detector import OnnxDetector
from edge.vision.heads import Array
from edge.vision.inputs import model_inputs
from edge.vision.manifest import MANIFEST_NAME, ModelManifest, read_checked_model, write_manifest
from edge.vision.preprocess import InputTensor
from edge.vision.quantize_graph import Plan, nodes_to_quantize, plans, prepare
from edge.vision.runtime import RUNTIME_ERRORS, open_session

log = logging.getLogger(__name__)

MIN_PICTURES = 16  # different ones; with fewer the ranges are those of a few moments
CHECK_EVERY = 4  # each fourth picture is kept out of calibration, to compare the boxes on
GOOD_AGREEMENT = 0.95  # no further plan is tried
# What the runtime's tool raises on graphs that it does not understand.
_TOOL_ERRORS: tuple[type[Exception], ...] = (
    *RUNTIME_ERRORS,
    KeyError,
    AssertionError,
    TypeError,
    AttributeError,
)
_THUMB_PX = 16  # pictures that look the same so small are the same


@dataclass(frozen=True, slots=True)
class Trial:
    """One plan, carried out and measured."""

    plan: Plan
    agreement: Agreement
    pace: Pace

    @property
    def share(self) -> float:
        """How far the boxes agree; 0 where there was no box to compare."""
        return self.agreement.share or 0.0


@dataclass(frozen=True, slots=True)
class Quantized:
    """The new model and how it compares with the old one on pictures that it was not calibrated on.

    `trials` holds all plans that were tried; `best` is the one that was written.
    """

    manifest: ModelManifest
    best: Trial
    trials: tuple[Trial, ...]
    n_calibration: int
    n_check: int
    n_bytes_before: int
    n_bytes: int


def quantize_model(
    manifest: ModelManifest,
    pictures: Sequence[ImageArray],
    into_folder: Path,
    on_trial: Callable[[Trial], None] = lambda _trial: None,
) -> Quantized:
    """Quantize a model, choosing how much of it by what that does to its boxes.

    Args:
        manifest: Of the float model.
        pictures: Shape (H, W, 3) each, uint8 BGR, from flights; some are kept for the comparison.
        into_folder: Becomes the new model's folder; made if missing.
        on_trial: Called after each plan.

    Raises:
        CalibrationSetError: Fewer than `MIN_PICTURES` different pictures.
        QuantizationError: The model is quantized already, or the runtime cannot quantize it.
        ModelManifestError: The folder holds a model already.
    """
    if (into_folder / MANIFEST_NAME).exists():
        raise ModelManifestError(
            f"{into_folder / MANIFEST_NAME} exists; remove it or choose another folder"
        )
    pictures = _different(pictures)
    check = pictures[CHECK_EVERY - 1 :: CHECK_EVERY]
    calibration = [one for index, one in enumerate(pictures) if (index + 1) % CHECK_EVERY]
    data = read_checked_model(manifest)
    inference = InferenceConfig()
    float_detector = OnnxDetector(manifest, inference)
    best: tuple[Trial, bytes] | None = None
    trials = []
    with tempfile.TemporaryDirectory(prefix="skywhistle-") as scratch:
        prepared = prepare(data, manifest.model_path, Path(scratch))
        feeds = _feeds(manifest, data, calibration)
        for plan in plans():
            made = _quantized(prepared, nodes_to_quantize(prepared, plan), feeds, manifest)
            candidate = _detector_of(made, manifest, Path(scratch), inference)
            trial = Trial(
                plan,
                agreement(float_detector, candidate, check),
                pace(float_detector, candidate),
            )
            trials.append(trial)
            on_trial(trial)
            if best is None or trial.share > best[0].share:
                best = (trial, made)
            if trial.share >= GOOD_AGREEMENT or trial.agreement.share is None:
                break
    if best is None:
        raise QuantizationError(f"{manifest.model_path}: no plan was tried")
    written = _write(manifest, into_folder, best, len(calibration))
    return Quantized(
        written, best[0], tuple(trials), len(calibration), len(check), len(data), len(best[1])
    )


def _different(pictures: Sequence[ImageArray]) -> list[ImageArray]:
    """Leave out what looks the same: a hovering drone's minute is one picture.

    Raises:
        CalibrationSetError: Too few are left.
    """
    seen: set[bytes] = set()
    different = []
    for picture in pictures:
        small = cv2.resize(picture, (_THUMB_PX, _THUMB_PX), interpolation=cv2.INTER_AREA)
        key = np.right_shift(
            small.astype(np.uint8), 3
        ).tobytes()  # noise of a few levels makes no new picture
        if key not in seen:
            seen.add(key)
            different.append(picture)
    if len(different) < MIN_PICTURES:
        raise CalibrationSetError(
            f"{len(different)} different picture(s) of {len(pictures)} given, {MIN_PICTURES} are "
            "needed to calibrate; give --frames more or longer flights over the ground that will "
            "be flown"
        )
    return different


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # the runtime is not typed
    """Hands the runtime one picture after another, as in flight."""

    def __init__(self, feeds: Callable[[], Iterator[dict[str, Array]]]) -> None:
        self._feeds = feeds()

    def get_next(self) -> dict[str, Array] | None:
        return next(self._feeds, None)


def _feeds(
    manifest: ModelManifest, data: bytes, pictures: Sequence[ImageArray]
) -> Callable[[], Iterator[dict[str, Array]]]:
    """Return a maker of feeds: the preprocessing is the flight's own, picture by picture."""
    session = open_session(data, manifest.model_path, InferenceConfig()).session
    inputs = model_inputs(session, manifest.model_path)
    tensor = InputTensor(manifest.input, inputs.picture.type)
    wh_px = (manifest.input.width_px, manifest.input.height_px)

    def feeds() -> Iterator[dict[str, Array]]:
        for picture in pictures:
            tensor.fill(picture)
            yield inputs.feed(np.array(tensor.array), wh_px)

    return feeds


def _quantized(
    prepared: Path,
    nodes: list[str],
    feeds: Callable[[], Iterator[dict[str, Array]]],
    manifest: ModelManifest,
) -> bytes:
    if not nodes:
        raise QuantizationError(
            f"{manifest.model_path} has no layer that eight bits would speed up; fly it as it is"
        )
    out = prepared.with_name("quantized.onnx")
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the runtime's tool logs to the root, a line a tensor
    try:
        quantize_static(
            prepared,
            out,
            _Reader(feeds),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,  # seven bits: see the top
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=nodes,
            calibrate_method=CalibrationMethod.MinMax,
        )
    except _TOOL_ERRORS as error:
        raise QuantizationError(
            f"{manifest.model_path} cannot be quantized by ONNX Runtime: {error!r}; fly it as it is"
        ) from error
    finally:
        root.setLevel(level)
    return out.read_bytes()


def _detector_of(
    data: bytes, manifest: ModelManifest, scratch: Path, inference: InferenceConfig
) -> OnnxDetector:
    folder = scratch / "candidate"
    folder.mkdir(exist_ok=True)
    (folder / manifest.file).write_bytes(data)
    return OnnxDetector(_manifest_of(data, manifest, folder, {}), inference)


def _manifest_of(
    data: bytes, manifest: ModelManifest, folder: Path, scores: dict[str, Any]
) -> ModelManifest:
    digest = sha256(data).hexdigest()
    update = {"folder": folder, "sha256": digest, "scores": scores}
    return manifest.model_copy(update=update)


def _write(
    manifest: ModelManifest, folder: Path, best: tuple[Trial, bytes], n_calibration: int
) -> ModelManifest:
    """Write the model first: a manifest without its file would name nothing."""
    trial, data = best
    # The float model's own scores are not this one's: it has to be scored anew.
    scores = {
        "quantized_from": manifest.sha256,
        "calibration_pictures": n_calibration,
        "boxes_agree": round(trial.share, 3),
        "time_ratio": round(trial.pace.ratio, 2),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / manifest.file).write_bytes(data)
    except OSError as error:
        raise QuantizationError(f"{folder} cannot be written: {error.strerror}") from error
    written = _manifest_of(data, manifest, folder, scores).model_copy(
        update={"name": f"{manifest.name[:59]}-int8"}
    )
    write_manifest(written)
    return written
