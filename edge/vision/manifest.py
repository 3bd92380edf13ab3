"""`model.toml`: what a detector is, what it eats, how its output reads.

A tensor value is `((pixel - mean) / std) * scale`, with `mean` and `std` in the order of `colour`.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from edge.errors import ModelError, ModelHashError, ModelManifestError
from edge.toml_file import read_toml

MANIFEST_NAME = "model.toml"
FORMAT = 1
# A companion computer has 4 to 8 GB; the largest detectors in use are near 250 MB.
MAX_MODEL_BYTES = 512 * 1024 * 1024
MAX_SIDE_PX = 4096  # larger inputs do not run in flight, and a crafted one would take all memory
MIN_SIDE_PX = 32
MODEL_HASH_BYTES = 8  # of the SHA-256; what alerts carry

LayoutName: TypeAlias = Literal[
    "yolov5",
    "yolov8",
    "end2end",
    "yolox",
    "gfl",
    "nanodet",
    "detr_triple",
    "detr_logits",
    "detr_rows",
]
ResizeName: TypeAlias = Literal["letterbox_centre", "letterbox_top_left", "stretch"]
ColourName: TypeAlias = Literal["rgb", "bgr"]
Three: TypeAlias = tuple[float, float, float]
Side: TypeAlias = Annotated[int, Field(ge=MIN_SIDE_PX, le=MAX_SIDE_PX)]
Fraction: TypeAlias = Annotated[float, Field(ge=0.0, le=1.0)]
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]


class _Table(BaseModel):
    """A TOML table: unknown keys refused, values fixed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class InputTable(_Table):
    """What the model eats."""

    width_px: Side
    height_px: Side
    colour: ColourName = "rgb"
    layout: Literal["nchw", "nhwc"] = "nchw"
    scale: Finite = 1.0 / 255.0
    mean: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)
    std: tuple[Finite, Finite, Finite] = (1.0, 1.0, 1.0)
    resize: ResizeName = "letterbox_centre"
    pad_value: int = Field(114, ge=0, le=255)

    @field_validator("std")
    @classmethod
    def _std_divides(cls, std: Three) -> Three:
        if min(std) <= 0.0:
            raise ValueError("every std must be positive")
        return std


class HeadTable(_Table):
    """How the output reads."""

    layout: LayoutName
    strides: tuple[Annotated[int, Field(ge=1, le=256)], ...] = Field((8, 16, 32), min_length=1)


class ThresholdsTable(_Table):
    """Defaults that a patrol's rules may override."""

    min_score: Fraction = 0.25
    nms_iou: Fraction = 0.5
    nms_contained: Fraction = 1.0  # share of one box in another of its class; 1: no matter


class ManifestTable(_Table):
    """The keys of `model.toml`."""

    format: Literal[1]
    name: str = Field(min_length=1, max_length=64)
    file: str = Field("detector.onnx", min_length=1)
    sha256: str = Field(pattern=r"^[0-9a-fA-F]{64}$")
    licence: str = Field("unknown", min_length=1)
    labels: tuple[str, ...] = Field(min_length=1, max_length=10_000)
    advisory: tuple[str, ...] = Field(
        (), description="labels found too seldom to rely on; their alerts are flagged so"
    )
    input: InputTable
    head: HeadTable
    thresholds: ThresholdsTable = ThresholdsTable()
    scores: dict[str, Any] = {}

    @field_validator("file")
    @classmethod
    def _file_is_beside_the_manifest(cls, file: str) -> str:
        if Path(file).name != file or file in {".", ".."}:
            raise ValueError("must be a bare file name in the manifest's folder")
        return file

    @field_validator("labels")
    @classmethod
    def _labels_are_unique(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if "" in labels or len(set(labels)) != len(labels):
            raise ValueError("labels must be unique and not empty")
        return labels

    @field_validator("advisory")
    @classmethod
    def _advisory_are_labels(
        cls, advisory: tuple[str, ...], info: ValidationInfo
    ) -> tuple[str, ...]:
        labels = info.data.get("labels", advisory)  # missing where they are wrong themselves
        if unknown := [label for label in advisory if label not in labels]:
            raise ValueError(f"{unknown[0]!r} is none of the labels {', '.join(labels)}")
        return advisory


class ModelManifest(ManifestTable):
    """A manifest and the folder that it was read from."""

    folder: Path

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self.folder / self.file

    @property
    def model_hash(self) -> bytes:
        """The first 8 bytes of the file's SHA-256, as the manifest states it."""
        return bytes.fromhex(self.sha256)[:MODEL_HASH_BYTES]


def read_manifest(folder: Path) -> ModelManifest:
    """Read `model.toml` in `folder`; the model file itself is not opened.

    Raises:
        ModelManifestError: missing, not TOML, unknown key, impossible value; each mistake on a
            line of its own.
    """
    path = folder / MANIFEST_NAME
    advice = "write one with `skywhistle model add FILE.onnx`"
    table = read_toml(path, ModelManifestError, advice).into(ManifestTable)
    return ModelManifest(folder=folder, **{name: getattr(table, name) for name in _KEYS})


def write_manifest(manifest: ModelManifest) -> Path:
    """Write `model.toml` into the manifest's folder and return its path."""
    path = manifest.folder / MANIFEST_NAME
    tables = manifest.model_dump(mode="json", exclude={"folder"})
    heads = {name: value for name, value in tables.items() if not isinstance(value, dict)}
    lines = [f"{name} = {_toml(value)}" for name, value in heads.items()]
    for name, value in tables.items():
        if isinstance(value, dict) and value:
            lines += ["", f"[{name}]"]
            lines += [f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items()]
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise ModelManifestError(f"{path} cannot be written: {error.strerror}") from error
    return path


def read_model_bytes(path: Path) -> bytes:
    """Read a model file whole, within the size cap.

    Raises:
        ModelError: missing, or larger than `MAX_MODEL_BYTES`.
    """
    try:
        size = path.stat().st_size
        if size > MAX_MODEL_BYTES:
            raise ModelError(
                f"{path} has {size / 1e6:.0f} MB, more than the {MAX_MODEL_BYTES / 1e6:.0f} MB "
                "that a flight may load; export a smaller model"
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def read_checked_model(manifest: ModelManifest) -> bytes:
    """Read the model file and compare its hash with the manifest's.

    Raises:
        ModelHashError: they differ.
    """
    data = read_model_bytes(manifest.model_path)
    got = sha256(data).hexdigest()
    if got != manifest.sha256.lower():
        raise ModelHashError(
            f"{manifest.model_path} has SHA-256 {got[:16]}…, its {MANIFEST_NAME} says "
            f"{manifest.sha256[:16].lower()}…; restore the file, or adopt it anew with "
            "`skywhistle model add`"
        )
    return data


def first_fault(error: ValidationError) -> str:
    """Say key, value and what is wrong of the first thing that a validation refused."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{name} is missing"
    return f"{name} = {first['input']!r}: {first['msg']}"


_KEYS = tuple(ManifestTable.model_fields)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)


def _toml(value: Any) -> str:
    """Write one value; JSON's strings, numbers and lists are TOML's too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    # TOML forbids a bare DEL in a string, JSON does not.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
