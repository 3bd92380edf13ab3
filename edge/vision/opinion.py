"""How sure the reading of somebody's file is: what speaks for it, and what one picture says of it.

A wrong reading seldom fails, it finds nonsense or nothing.  So the model is shown a picture as its
manifest says; if it finds nothing there, again with the mistake that is made most, 0 to 255 for 0
to 1.  That is a hint, no proof: fed a hundredfold, nets see things in noise too.  (Swapped colours
change too little to be told from one picture: a third-party net found more with the wrong ones.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from edge.config import InferenceConfig
from edge.records import Detection, ImageArray
from edge.vision.detector import Dropped, OnnxDetector
from edge.vision.manifest import InputTable, ModelManifest, read_checked_model
from edge.vision.runtime import open_session
from edge.vision.sniff import DETR_LAYOUTS, n_cells, names_from_metadata
from edge.vision.sniff_detr import says_detr

FAINT_SCORE = 0.05  # boxes from here on are looked at for nonsense
FLOOD = 150  # no picture of a city block holds so many findings of one model
_NAMES_OF_DETR = frozenset(
    {
        frozenset({"labels", "boxes", "scores"}),
        frozenset({"dets", "labels"}),
        frozenset({"logits", "pred_boxes"}),
    }
)
_NONSENSE = {
    Dropped.NOT_FINITE: "are no numbers",
    Dropped.NOT_A_SCORE: "score above 1, so they are no scores",
    Dropped.UNKNOWN_CLASS: "are of classes that no label names",
}


class Sureness(Enum):
    """How sure the reading is."""

    CERTAIN = "certain"  # the file says it itself, and the picture does not contradict
    LIKELY = "likely"  # the shapes fit this layout and no other
    GUESS = "a guess"  # nothing but the number of columns, or the picture contradicts


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a file is taken for."""

    sureness: Sureness
    because: tuple[str, ...]  # what speaks for the reading
    doubts: tuple[str, ...]  # what speaks against it, and what to do
    hints: tuple[str, ...]  # what to try where nothing was found
    detections: tuple[Detection, ...]  # in the picture, at the manifest's threshold


def judge(manifest: ModelManifest, picture: ImageArray) -> Opinion:
    """Look at an adopted model's file again, and at what it finds in a picture.

    Args:
        manifest: As adopted.
        picture: Shape (H, W, 3), uint8 BGR; one with things in it that the model knows tells most.

    Raises:
        ModelError: It does not load or run.
    """
    data = read_checked_model(manifest)
    session = open_session(data, manifest.model_path, InferenceConfig()).session
    metadata = dict(session.get_modelmeta().custom_metadata_map)
    outputs = {output.name: tuple(output.shape) for output in session.get_outputs()}
    element_type = next(one.type for one in session.get_inputs() if len(one.shape) == 4)
    stated = list(_stated(manifest, metadata, outputs))
    fitting = list(_fitting(manifest, metadata, outputs))
    detector = OnnxDetector(manifest, InferenceConfig())
    detections = tuple(detector.detect(picture))
    doubts = [*_nonsense(detector, picture), *_flood(detections)]
    hints = () if detections else tuple(_otherwise(manifest, element_type, picture))
    if doubts or not (stated or fitting):
        sureness = Sureness.GUESS
    else:
        sureness = Sureness.CERTAIN if stated else Sureness.LIKELY
    return Opinion(sureness, (*stated, *fitting), tuple(doubts), hints, detections)


def _stated(
    manifest: ModelManifest, metadata: Mapping[str, str], outputs: Mapping[str, object]
) -> Iterator[str]:
    """Say what the file itself says for the layout."""
    layout = manifest.head.layout
    if layout == "end2end" and metadata.get("end2end", "").lower() == "true":
        yield "its metadata says end2end"
    if layout == "detr_rows" and says_detr(metadata):
        yield "its description says DETR"
    if layout in DETR_LAYOUTS and frozenset(outputs) in _NAMES_OF_DETR:
        yield f"its outputs are called {', '.join(outputs)}"
    if layout == "yolov8" and names_from_metadata(metadata) == manifest.labels:
        yield f"it names {len(manifest.labels)} classes, as many as it has columns for"


def _fitting(
    manifest: ModelManifest,
    metadata: Mapping[str, str],
    outputs: Mapping[str, tuple[int | str, ...]],
) -> Iterator[str]:
    """Say where the shapes fit the grid that the layout has."""
    if manifest.head.layout == "end2end" and names_from_metadata(metadata):
        yield "it names its classes and has six columns"
    if manifest.head.layout in DETR_LAYOUTS | {"end2end"}:
        return
    strides = manifest.head.strides
    wh_px = (manifest.input.width_px, manifest.input.height_px)
    total = n_cells(wh_px, strides)
    sides = {side for shape in outputs.values() for side in shape}
    each = {n_cells(wh_px, (stride,)) for stride in strides}
    if {total, 3 * total} & sides or each <= sides:
        listed = ", ".join(map(str, strides))
        yield f"its rows are the {total} cells of strides {listed} on {wh_px[0]}×{wh_px[1]}"


def _nonsense(detector: OnnxDetector, picture: ImageArray) -> Iterator[str]:
    """Say what cannot be about the faintest boxes."""
    usual, before = detector.min_score, detector.dropped.copy()
    detector.min_score = FAINT_SCORE
    faint = detector.detect(picture)
    detector.min_score = usual
    dropped = detector.dropped - before
    for reason, text in _NONSENSE.items():
        if n_bad := dropped[reason]:
            yield f"{n_bad} of its boxes {text}: give another --layout, or the right --labels"
    n_thin = dropped[Dropped.DEGENERATE]
    if n_thin > max(3, len(faint)):
        yield f"{n_thin} of its boxes have no size or lie outside: give another --layout"


def _flood(detections: tuple[Detection, ...]) -> Iterator[str]:
    if len(detections) > FLOOD:
        yield (
            f"{len(detections)} boxes in one picture: the wrong --layout, or --min-score is too low"
        )


def _otherwise(manifest: ModelManifest, element_type: str, picture: ImageArray) -> Iterator[str]:
    """Say which other way of feeding it finds something in this picture."""
    for what, table in _other_inputs(manifest.input, element_type):
        other = manifest.model_copy(update={"input": table})
        if n_found := len(OnnxDetector(other, InferenceConfig()).detect(picture)):
            yield f"{what} it finds {n_found}: look whether those are things"


def _other_inputs(table: InputTable, element_type: str) -> Iterator[tuple[str, InputTable]]:
    if element_type == "tensor(uint8)":  # such models scale inside
        return
    plain = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
    if table.scale == 1.0:
        unit = {"scale": 1.0 / 255.0, **plain}
        yield "with scale = 1/255 and no mean in model.toml", table.model_copy(update=unit)
    else:
        yield "with scale = 1 in model.toml", table.model_copy(update={"scale": 1.0, **plain})
