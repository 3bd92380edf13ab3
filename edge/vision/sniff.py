"""Tells output layouts apart by shape and metadata, and makes the head that reads one."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edge.errors import ModelLayoutError
from edge.vision.heads import (
    AnchorFirstHead,
    ClassFirstHead,
    EndToEndHead,
    FocalHead,
    Head,
    LevelOutputs,
    RawGridHead,
)
from edge.vision.manifest import LayoutName
from edge.vision.sniff_detr import detr_head, logits_outputs, says_detr, triple_outputs

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Sequence[Shape]

# Sets of strides that detectors are built with, the usual one first.
KNOWN_STRIDES: tuple[tuple[int, ...], ...] = (
    *((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (4, 8, 16), (8, 16), (16, 32)),
    *((4,), (8,), (16,), (32,), (4, 8), (16, 32, 64)),
)
DETR_LAYOUTS = frozenset({"detr_triple", "detr_logits", "detr_rows"})
ANCHORS_PER_CELL = 3  # yolov5 and its kin
MAX_END_TO_END_ROWS = 1000  # exporters keep 100 to 300; DETRs have as many queries
# A 4096 px input with stride 4 has 1.4 million cells; nothing that flies comes near.
MAX_ROWS = 1_500_000
MAX_CLASSES = 10_000


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What the shapes and the metadata say about a model's output."""

    layout: LayoutName
    strides: tuple[int, ...]
    n_classes: int | None  # None: the layout does not say


def n_cells(input_wh_px: tuple[int, int], strides: Sequence[int]) -> int:
    """Count the cells of a grid; the last cell of a row or column may be cut."""
    width, height = input_wh_px
    return sum((-(-width // stride)) * (-(-height // stride)) for stride in strides)


def sniff(
    shapes: Shapes,
    input_wh_px: tuple[int, int],
    metadata: Mapping[str, str],
    names: Sequence[str] = (),
) -> Sniffed:
    """Name the layout of a model's outputs.

    Args:
        shapes: One per output, in the model's order; whole numbers.
        input_wh_px: The model's input.
        metadata: The file's own key-value pairs; `names` and `end2end` are looked at.
        names: Of the outputs; looked at where shapes alone leave a choice.

    Raises:
        ModelLayoutError: no layout fits; lists the shapes.
    """
    _refuse_absurd(shapes)
    if len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][0] == 1:
        found = _sniff_single(shapes[0], input_wh_px, metadata)
        if found is not None:
            return found
    elif triple_outputs(shapes, names) is not None:
        return Sniffed("detr_triple", KNOWN_STRIDES[0], None)
    elif (pair := logits_outputs(shapes, names)) is not None:
        return Sniffed("detr_logits", KNOWN_STRIDES[0], shapes[pair[1]][-1])
    elif (levels := _match_levels(shapes, input_wh_px)) is not None:
        n_classes = shapes[levels[0].scores_index][-1]
        layout: LayoutName = "nanodet" if len(shapes[0]) == 2 else "gfl"
        return Sniffed(layout, tuple(level.stride for level in levels), n_classes)
    raise ModelLayoutError(
        f"outputs {_listed(shapes)} for an input of {input_wh_px[0]}×{input_wh_px[1]} match no "
        "known head; if you know it, give the layout (and strides) when adding the model"
    )


def make_head(
    layout: LayoutName,
    strides: Sequence[int],
    shapes: Shapes,
    input_wh_px: tuple[int, int],
    *,
    names: Sequence[str] = (),
    n_labels: int | None = None,
) -> Head:
    """Make the head that reads outputs of these shapes in the named layout.

    Args:
        layout: As in the manifest.
        strides: Of the grids, where the layout has any.
        shapes: One per output, in the model's order.
        input_wh_px: The model's input.
        names: Of the outputs.
        n_labels: How many labels the manifest has; a DETR's last logit may be "no object".

    Raises:
        ModelLayoutError: the shapes are not of that layout; lists them.
    """
    _refuse_absurd(shapes)
    if layout in {"gfl", "nanodet"}:
        head = _focal_head(shapes, input_wh_px, strides)
    elif layout in DETR_LAYOUTS:
        head = detr_head(layout, shapes, input_wh_px, names=names, n_labels=n_labels)
    elif len(shapes) == 1 and len(shapes[0]) == 3 and shapes[0][0] == 1:
        head = _single_output_head(layout, shapes[0], input_wh_px, strides)
    else:
        head = None
    if head is None:
        raise ModelLayoutError(
            f"outputs {_listed(shapes)} for an input of {input_wh_px[0]}×{input_wh_px[1]} are not "
            f"of layout {layout!r} with strides {list(strides)}; correct [head] in model.toml"
        )
    return head


def names_from_metadata(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Read class names as exporters write them, `{0: 'person', …}` or a list; () if none."""
    try:
        names = ast.literal_eval(metadata.get("names", ""))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(names)


def _single_output_head(
    layout: LayoutName, shape: Shape, input_wh_px: tuple[int, int], strides: Sequence[int]
) -> Head | None:
    _, rows, columns = shape
    cells = n_cells(input_wh_px, strides)
    if layout == "yolov5" and columns > 5:
        return AnchorFirstHead(columns - 5)
    if layout == "end2end" and columns == 6:
        return EndToEndHead()
    if layout == "yolox" and columns > 5 and rows == cells:
        return RawGridHead(columns - 5, input_wh_px, strides)
    if layout == "yolov8" and rows > 4 and columns == cells:
        return ClassFirstHead(rows - 4, is_rows_first=False)
    if layout == "yolov8" and columns > 4 and rows == cells:
        return ClassFirstHead(columns - 4, is_rows_first=True)
    return None


def _focal_head(
    shapes: Shapes, input_wh_px: tuple[int, int], strides: Sequence[int]
) -> Head | None:
    levels = _match_levels(shapes, input_wh_px)
    if levels is None or {level.stride for level in levels} != set(strides):
        return None
    return FocalHead(shapes[levels[0].scores_index][-1], input_wh_px, levels)


def _sniff_single(
    shape: Shape, input_wh_px: tuple[int, int], metadata: Mapping[str, str]
) -> Sniffed | None:
    _, rows, columns = shape
    n_names = len(names_from_metadata(metadata))
    says_end_to_end = metadata.get("end2end", "").lower() == "true"
    for strides in KNOWN_STRIDES:
        cells = n_cells(input_wh_px, strides)
        if columns == 6 and says_end_to_end:
            break
        if rows == ANCHORS_PER_CELL * cells and columns > 5:
            return Sniffed("yolov5", strides, columns - 5)
        if columns == cells and rows > 4:
            return Sniffed("yolov8", strides, rows - 4)
        if rows == cells and columns > 4 and (n_names == columns - 4 or columns == 5):
            return Sniffed("yolov8", strides, columns - 4)
        if rows == cells and columns > 5:
            return Sniffed("yolox", strides, columns - 5)
    if rows > MAX_END_TO_END_ROWS:
        return None
    # Two classes make an RT-DETR's rows as wide as an end-to-end head's: its names tell.
    if columns == 6 and (n_names != 2 or says_end_to_end or not says_detr(metadata)):
        return Sniffed("end2end", KNOWN_STRIDES[0], None)
    if columns > 4 and (n_names == columns - 4 or says_detr(metadata) or columns == 84):
        return Sniffed("detr_rows", KNOWN_STRIDES[0], columns - 4)
    return None


def _match_levels(shapes: Shapes, input_wh_px: tuple[int, int]) -> list[LevelOutputs] | None:
    """Pair score and side outputs by their number of rows; None where that cannot be done.

    Half of the outputs are as wide as there are classes, the other half 4 · bins.
    """
    if len(shapes) < 2 or len(shapes) % 2 or len({len(shape) for shape in shapes}) != 1:
        return None
    if any(len(shape) not in {2, 3} or shape[:-2] not in {(), (1,)} for shape in shapes):
        return None
    widths = [shape[-1] for shape in shapes]
    if len(set(widths)) != 2 or widths.count(widths[0]) * 2 != len(widths):
        return None
    sides_width = _sides_width(sorted(set(widths)))
    if sides_width is None:
        return None
    by_rows: dict[int, dict[bool, int]] = {}
    for index, shape in enumerate(shapes):
        by_rows.setdefault(shape[-2], {})[shape[-1] == sides_width] = index
    levels = []
    for rows, pair in sorted(by_rows.items(), reverse=True):
        stride = next((s for s in (4, 8, 16, 32, 64, 128) if n_cells(input_wh_px, [s]) == rows), 0)
        if len(pair) != 2 or not stride:
            return None
        levels.append(LevelOutputs(stride, pair[False], pair[True]))
    return levels


# Bins of generalised focal heads (reg_max + 1): 8 in picodet and nanodet, 16 or 17 in GFL.
_USUAL_BINS = (8, 17, 16)


def _sides_width(widths: Sequence[int]) -> int | None:
    """Say which of two widths is 4 · bins."""
    usual = [4 * bins for bins in _USUAL_BINS if 4 * bins in widths]
    if usual:
        return usual[0]
    multiples = [width for width in widths if width % 4 == 0 and width > 4]
    return multiples[0] if len(multiples) == 1 else None


def _refuse_absurd(shapes: Shapes) -> None:
    for shape in shapes:
        rows_and_columns = sorted(shape[-2:]) if len(shape) >= 2 else [0, 0]
        is_absurd = min(shape, default=0) < 1 or not 2 <= len(shape) <= 3
        if is_absurd or rows_and_columns[0] > MAX_CLASSES or rows_and_columns[1] > MAX_ROWS:
            raise ModelLayoutError(
                f"outputs {_listed(shapes)} are not those of a detector; see the layouts that "
                "`skywhistle model add --help` lists"
            )


def _listed(shapes: Shapes) -> str:
    return ", ".join(str(list(shape)) for shape in shapes) or "(none)"
