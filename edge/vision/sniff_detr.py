"""Tells the outputs of DETRs apart, by name where the exporter gave one, else by shape."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from edge.vision.heads_detr import QueryHead, TripleHead

Shapes = Sequence[tuple[int, ...]]

MAX_QUERIES = 1000  # 100 to 500 in use
_BOX_WORDS = ("box", "det")
_CLASS_WORDS = ("logit", "label", "class")


def detr_head(
    layout: str,
    shapes: Shapes,
    input_wh_px: tuple[int, int],
    *,
    names: Sequence[str],
    n_labels: int | None,
) -> TripleHead | QueryHead | None:
    """Make the head of a `detr_…` layout; None where the shapes are not its."""
    if layout == "detr_triple":
        found = triple_outputs(shapes, names)
        return None if found is None else TripleHead(*found)
    pair: tuple[int, int] | None = None
    if layout == "detr_rows":
        columns = shapes[0][-1] - 4 if len(shapes) == 1 and len(shapes[0]) == 3 else 0
    else:
        pair = logits_outputs(shapes, names)
        columns = 0 if pair is None else shapes[pair[1]][-1]
    if columns < 1:
        return None
    has_no_object = pair is not None and n_labels == columns - 1
    return QueryHead(columns - has_no_object, input_wh_px, pair)


def triple_outputs(shapes: Shapes, names: Sequence[str] = ()) -> tuple[int, int, int] | None:
    """Say which output is labels, boxes, scores; None where they are not such three."""
    if len(shapes) != 3:
        return None
    boxes = [i for i, shape in enumerate(shapes) if len(shape) == 3 and shape[-1] == 4]
    flat = [i for i, shape in enumerate(shapes) if len(shape) == 2 and shape[0] == 1]
    if len(boxes) != 1 or len(flat) != 2 or len({shapes[i][1] for i in (*boxes, *flat)}) != 1:
        return None
    labels, scores = flat  # their order in every exporter
    if names and "score" in names[labels].lower():
        labels, scores = scores, labels
    return labels, boxes[0], scores


def logits_outputs(shapes: Shapes, names: Sequence[str] = ()) -> tuple[int, int] | None:
    """Say which output is boxes and which logits; None where they are not such two.

    With four columns of logits only the names can tell them from boxes.
    """
    if len(shapes) != 2 or any(len(shape) != 3 or shape[0] != 1 for shape in shapes):
        return None
    if shapes[0][1] != shapes[1][1] or shapes[0][1] > MAX_QUERIES:
        return None
    wide = [shape[-1] == 4 for shape in shapes]
    if not any(wide):
        return None
    if all(wide):
        is_swapped = bool(names) and _says(names[0], _CLASS_WORDS) and _says(names[1], _BOX_WORDS)
        return (1, 0) if is_swapped else (0, 1)
    return (0, 1) if wide[0] else (1, 0)


def says_detr(metadata: Mapping[str, str]) -> bool:
    """Whether the exporter's description calls the model a DETR."""
    return re.search(r"detr(?![a-z])", metadata.get("description", ""), re.IGNORECASE) is not None


def _says(name: str, words: Sequence[str]) -> bool:
    return any(word in name.lower() for word in words)
