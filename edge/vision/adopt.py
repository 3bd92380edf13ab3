"""Takes somebody's ONNX file into a model folder: looks at it and writes `model.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import numpy as np
from pydantic import ValidationError

from edge.config import InferenceConfig
from edge.errors import ModelError, ModelFormatError, ModelLayoutError, ModelManifestError
from edge.vision.coco import COCO_LABELS, COCO_LABELS_BY_ID
from edge.vision.heads import Array
from edge.vision.inputs import ModelInputs, model_inputs
from edge.vision.manifest import (
    FORMAT,
    MANIFEST_NAME,
    MAX_SIDE_PX,
    MIN_SIDE_PX,
    ColourName,
    HeadTable,
    InputTable,
    LayoutName,
    ModelManifest,
    ResizeName,
    ThresholdsTable,
    first_fault,
    read_model_bytes,
    write_manifest,
)
from edge.vision.preprocess import ELEMENT_TYPES
from edge.vision.runtime import RUNTIME_ERRORS, open_session
from edge.vision.scan import refuse_what_must_not_run
from edge.vision.sniff import Sniffed, make_head, names_from_metadata, sniff

MODEL_FILE = "detector.onnx"
UNKNOWN_LICENCE = "unknown"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the person knows better than the file; None leaves it to the look."""

    layout: LayoutName | None = None
    strides: tuple[int, ...] | None = None
    labels: tuple[str, ...] | None = None
    width_px: int | None = None  # of a model whose input may have any size
    height_px: int | None = None
    colour: ColourName | None = None
    resize: ResizeName | None = None
    min_score: float | None = None


def overrides_from_text(**given: Any) -> Overrides:
    """Read overrides as a command line gives them: lists as text with commas between.

    Raises:
        ModelManifestError: A value that no override may have.
    """
    if given.get("labels") is not None:
        given["labels"] = tuple(part.strip() for part in given["labels"].split(","))
    for key, allowed in (("layout", LayoutName), ("colour", ColourName), ("resize", ResizeName)):
        value = given.get(key)
        if value is not None and value not in get_args(allowed):
            raise ModelManifestError(
                f"{key} = {value!r}: is none of {', '.join(get_args(allowed))}"
            )
    if given.get("strides") is not None:
        try:
            given["strides"] = tuple(int(part) for part in given["strides"].split(","))
        except ValueError as error:
            raise ModelManifestError(
                f"strides = {given['strides']!r}: give whole numbers, e.g. 8,16,32"
            ) from error
    return Overrides(**given)


@dataclass(frozen=True, slots=True)
class _Input:
    wh_px: tuple[int, int]
    is_planar: bool
    element_type: str


@dataclass(frozen=True, slots=True)
class _Look:
    metadata: Mapping[str, str]
    picture: _Input
    family: LayoutName  # whose training code normalises the picture
    head: Sniffed
    output_names: tuple[str, ...]


# How each family's own training code normalises a picture, as its repository's inference does.
_YOLO_INPUT = {"colour": "rgb", "resize": "letterbox_centre", "scale": 1.0 / 255.0}
_IMAGENET_BGR = {
    "colour": "bgr",
    "resize": "stretch",
    "scale": 1.0,
    "mean": (103.53, 116.28, 123.675),
    "std": (57.375, 57.12, 58.395),
}
_PLAIN_RGB = {"colour": "rgb", "resize": "stretch", "scale": 1.0 / 255.0}
_INPUT_OF_FAMILY: dict[LayoutName, dict[str, Any]] = {
    "yolov5": _YOLO_INPUT,
    "yolov8": _YOLO_INPUT,
    "end2end": _YOLO_INPUT,
    "yolox": {"colour": "bgr", "resize": "letterbox_top_left", "scale": 1.0},
    "gfl": _IMAGENET_BGR,
    "nanodet": _IMAGENET_BGR,
    "detr_triple": _PLAIN_RGB,
    "detr_rows": _PLAIN_RGB,
    "detr_logits": _PLAIN_RGB,
}
# RF-DETR, which names its outputs `dets` and `labels`, was trained on ImageNet's normalisation.
_RF_DETR_OUTPUTS = frozenset({"dets", "labels"})
_IMAGENET_RGB = {
    "colour": "rgb",
    "resize": "stretch",
    "scale": 1.0,
    "mean": (123.675, 116.28, 103.53),
    "std": (58.395, 57.12, 57.375),
}

DEFAULT_MIN_SCORE = 0.25
# Focal heads score class and place in one number, without objectness: what a yolo calls 0.25 they
# call 0.35, which is also nanodet's own default.
_MIN_SCORE_OF_LAYOUT: dict[LayoutName, float] = {"gfl": 0.35, "nanodet": 0.35}


def adopt_model(
    onnx_path: Path,
    into_folder: Path,
    name: str | None = None,
    licence: str = UNKNOWN_LICENCE,
    overrides: Overrides = Overrides(),
) -> ModelManifest:
    """Copy a model into a folder of its own and write the manifest that reads it.

    What the file says (metadata, shapes) comes first, then what its layout is known for.

    Args:
        onnx_path: The file.
        into_folder: Becomes the model's folder; made if missing.
        name: Of the model; the file's stem if None.
        licence: SPDX name; if unknown, what the file's metadata says.
        overrides: What the person knows better.

    Raises:
        ModelFormatError: not ONNX, external data, custom operators, does not load.
        ModelLayoutError: outputs match no known head; lists their shapes.
        ModelManifestError: the folder already holds a model, or an override is impossible.
    """
    if (into_folder / MANIFEST_NAME).exists():
        raise ModelManifestError(
            f"{into_folder / MANIFEST_NAME} exists; remove it or choose another folder"
        )
    data = read_model_bytes(onnx_path)
    refuse_what_must_not_run(data, onnx_path)
    seen = _look(data, onnx_path, overrides)
    try:
        manifest = ModelManifest(
            folder=into_folder,
            format=FORMAT,
            name=(name or onnx_path.stem)[:64],
            file=MODEL_FILE,
            sha256=sha256(data).hexdigest(),
            licence=_licence(licence, seen.metadata),
            labels=_labels(seen, overrides, onnx_path),
            input=_input_table(seen, overrides),
            head=HeadTable(layout=seen.head.layout, strides=seen.head.strides),
            thresholds=_thresholds(seen, overrides),
        )
    except ValidationError as error:
        raise ModelManifestError(f"{onnx_path}: {first_fault(error)}; override it") from error
    _store(manifest, data)
    return manifest


def _look(data: bytes, path: Path, overrides: Overrides) -> _Look:
    session = open_session(data, path, InferenceConfig()).session
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    inputs = model_inputs(session, path)
    picture = _look_at_input(inputs.picture, path, metadata, overrides)
    outputs = _trial_run(session, inputs, picture, path)
    names = tuple(output.name for output in session.get_outputs())
    family, head = _look_at_output(
        dict(zip(names, outputs, strict=True)), picture, metadata, overrides
    )
    return _Look(metadata, picture, family, head, names)


def _store(manifest: ModelManifest, data: bytes) -> None:
    """Write the model first: a manifest without its file would name nothing."""
    try:
        manifest.folder.mkdir(parents=True, exist_ok=True)
        manifest.model_path.write_bytes(data)
    except OSError as error:
        raise ModelError(f"{manifest.model_path} cannot be written: {error.strerror}") from error
    write_manifest(manifest)


def _look_at_input(
    described: Any, path: Path, metadata: Mapping[str, str], overrides: Overrides
) -> _Input:
    """Find the input's size and order; sizes that the file leaves open come from elsewhere."""
    shape = list(described.shape)
    if 3 not in (shape[1], shape[3]) or described.type not in ELEMENT_TYPES:
        raise ModelLayoutError(
            f"{path} takes {described.name} {described.type} {shape}; a detector takes one "
            f"picture, [1, 3, H, W] or [1, H, W, 3], as {' or '.join(ELEMENT_TYPES)}"
        )
    is_planar = shape[1] == 3
    height, width = shape[2:] if is_planar else shape[1:3]
    stated = _stated_size(metadata)
    height = height if isinstance(height, int) else overrides.height_px or stated[0]
    width = width if isinstance(width, int) else overrides.width_px or stated[1]
    if width is None or height is None:
        raise ModelLayoutError(
            f"{path} takes pictures of any size ({shape}); say which with width_px and height_px"
        )
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in (width, height)):
        raise ModelLayoutError(
            f"{path} takes {width}×{height} pictures; sides of {MIN_SIDE_PX} to {MAX_SIDE_PX} px "
            "can be flown"
        )
    if isinstance(shape[0], int) and shape[0] > 1:
        raise ModelLayoutError(f"{path} takes {shape[0]} pictures at once; export it with batch 1")
    return _Input((width, height), is_planar, described.type)


def _stated_size(metadata: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Read (height, width) from `imgsz`, which exporters write as `[640, 640]`."""
    numbers = [int(number) for number in re.findall(r"\d{1,9}", metadata.get("imgsz", ""))]
    return (numbers[0], numbers[-1]) if 1 <= len(numbers) <= 2 else (None, None)


def _trial_run(session: Any, inputs: ModelInputs, picture: _Input, path: Path) -> list[Array]:
    """Run the model once on a black picture: shapes are those that come, not those declared."""
    width, height = picture.wh_px
    shape = (1, 3, height, width) if picture.is_planar else (1, height, width, 3)
    blank = np.zeros(shape, ELEMENT_TYPES[picture.element_type])
    try:
        outputs = session.run(None, inputs.feed(blank, picture.wh_px))
    except RUNTIME_ERRORS as error:
        raise ModelFormatError(f"{path} does not run: {error}") from error
    return [np.asarray(output) for output in outputs]


def _look_at_output(
    outputs: Mapping[str, Array],
    picture: _Input,
    metadata: Mapping[str, str],
    overrides: Overrides,
) -> tuple[LayoutName, Sniffed]:
    """Name the family, which tells how pictures are normalised, and the head that reads it."""
    shapes = [tuple(output.shape) for output in outputs.values()]
    names = tuple(outputs)
    if overrides.layout is None:
        found = sniff(shapes, picture.wh_px, metadata, names)
        strides = overrides.strides or found.strides
        family = layout = found.layout
        if family == "yolox" and _is_decoded(next(iter(outputs.values()))):
            layout = "yolov5"
    else:
        family = layout = overrides.layout
        strides = overrides.strides or _usual_strides(layout)
    head = make_head(layout, strides, shapes, picture.wh_px, names=names)
    return family, Sniffed(layout, strides, head.n_classes)


def _is_decoded(raw: Array) -> bool:
    """Say whether a YOLOX file was exported with decoding inside: then it reads as yolov5 does.

    Raw sizes are logarithms of strides; decoded ones are pixels, and hardly any is below 6.
    """
    return bool(np.median(raw[0, :, 2:4]) > _LARGEST_RAW_SIZE)


# exp(6) strides of 8 px are 3227 px: no raw grid means boxes of that size everywhere.
_LARGEST_RAW_SIZE = 6.0


def _usual_strides(layout: LayoutName) -> tuple[int, ...]:
    usual: tuple[int, ...] = HeadTable(layout=layout).strides
    return usual


def _licence(given: str, metadata: Mapping[str, str]) -> str:
    stated = metadata.get("license", "").strip()
    return stated if given == UNKNOWN_LICENCE and stated else given


def _labels(seen: _Look, overrides: Overrides, path: Path) -> tuple[str, ...]:
    """Name the classes: as told, as the file says, or COCO's if there are as many.

    An end-to-end head does not say how many classes it has: without names it is taken for COCO's.
    """
    n_classes = seen.head.n_classes
    labels = overrides.labels or names_from_metadata(seen.metadata)
    if not labels and n_classes in {None, len(COCO_LABELS)}:
        labels = COCO_LABELS
    if not labels and n_classes == len(COCO_LABELS_BY_ID):
        labels = COCO_LABELS_BY_ID
    if not labels:
        raise ModelLayoutError(
            f"{path} has {n_classes} classes and no names for them in its metadata; give labels"
        )
    has_no_object = seen.head.layout == "detr_logits"  # a last column that need not be named
    if n_classes not in {None, len(labels), len(labels) + has_no_object}:
        raise ModelLayoutError(f"{path} has {n_classes} classes, but {len(labels)} labels")
    return labels


def _input_table(seen: _Look, overrides: Overrides) -> InputTable:
    picture = seen.picture
    values = dict(_INPUT_OF_FAMILY[seen.family])
    if seen.head.layout == "detr_logits" and set(seen.output_names) == _RF_DETR_OUTPUTS:
        values = dict(_IMAGENET_RGB)
    if picture.element_type == "tensor(uint8)":  # such models normalise inside
        values |= {"scale": 1.0, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
    if overrides.colour not in {None, values["colour"]}:  # mean and std follow the order
        values["colour"] = overrides.colour
        values |= {key: values[key][::-1] for key in ("mean", "std") if key in values}
    if overrides.resize is not None:
        values["resize"] = overrides.resize
    width, height = picture.wh_px
    order = "nchw" if picture.is_planar else "nhwc"
    return InputTable(width_px=width, height_px=height, layout=order, **values)


def _thresholds(seen: _Look, overrides: Overrides) -> ThresholdsTable:
    if overrides.min_score is not None:
        return ThresholdsTable(min_score=overrides.min_score)
    return ThresholdsTable(min_score=_MIN_SCORE_OF_LAYOUT.get(seen.head.layout, DEFAULT_MIN_SCORE))
