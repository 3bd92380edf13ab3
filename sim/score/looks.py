"""What a replay's detector said of each frame, beside what was truly in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import FlightError
from edge.records import Xyxy

# A box of the truth counts as seen from here on: the rule by which the simulator counts
# `seen_frames` (sim/truth.py; a test compares them).
SEEN_SHARE, SEEN_MIN_PX = 0.6, 24.0


@dataclass(frozen=True, slots=True)
class TrueBox:
    """A violation or distractor in one frame."""

    truth_id: str
    name: str  # label of a violation, cause of a distractor
    is_violation: bool
    box_xyxy_px: Xyxy
    visible: float  # share of its surface, 0 to 1

    @property
    def is_seen(self) -> bool:
        """Whether anybody could be expected to find it in this frame."""
        x0, y0, x1, y1 = self.box_xyxy_px
        return self.visible >= SEEN_SHARE and max(x1 - x0, y1 - y0) >= SEEN_MIN_PX


@dataclass(frozen=True, slots=True)
class SeenBox:
    """What the detector found in one frame."""

    label: str
    score: float
    box_xyxy_px: Xyxy


@dataclass(frozen=True, slots=True)
class LookLine:
    """One frame as the replay wrote it down."""

    frame: int
    camera_id: str
    captured_ns: int
    seen: tuple[SeenBox, ...]


@dataclass(frozen=True, slots=True)
class FlightLooks:
    """All looks of a flight, and the truth of its first camera's frames where it has one."""

    lines: tuple[LookLine, ...]
    boxes: Mapping[int, Sequence[TrueBox]]  # by frame; empty: the folder has no boxes.json
    true_times_s: Mapping[int, float]  # by frame, since the start of the flight
    sizes_px: Mapping[str, tuple[int, int]]  # of the frames, by camera
    truth_camera_id: str

    def by_frame(self) -> dict[int, LookLine]:
        """Return the looks of the camera that the truth's boxes belong to."""
        return {one.frame: one for one in self.lines if one.camera_id == self.truth_camera_id}

    def start_ns(self) -> int | None:
        """Return when the flight began on the replay's clock; None where nothing says so."""
        starts = [
            line.captured_ns - round(self.true_times_s[frame] * 1e9)
            for frame, line in self.by_frame().items()
            if frame in self.true_times_s
        ]
        return int(np.median(starts)) if starts else None


def read_looks(
    folder: Path, detections: Path, sizes_px: Mapping[str, tuple[int, int]]
) -> FlightLooks:
    """Read a replay's `detections.jsonl` beside the flight's `boxes.json` and `poses.csv`.

    Args:
        folder: Of the flight; either file may be missing.
        detections: What the replay wrote.
        sizes_px: Width and height of the frames, by camera; the first one's boxes are the truth's.

    Raises:
        FlightError: One of the flight's files is not what the recorder writes.
    """
    with detections.open(encoding="utf-8") as lines:
        looks = tuple(_line(json.loads(line)) for line in lines)
    return FlightLooks(
        lines=looks,
        boxes=read_boxes(folder / "boxes.json"),
        true_times_s=_true_times_s(folder / "poses.csv"),
        sizes_px=sizes_px,
        truth_camera_id=next(iter(sizes_px), ""),
    )


def read_boxes(path: Path) -> dict[int, list[TrueBox]]:
    """Read a flight's COCO file into boxes by frame; {} where there is none.

    Raises:
        FlightError: It is not such a file.
    """
    if not path.is_file():
        return {}
    try:
        coco = json.loads(path.read_text("utf-8"))
        kinds = {
            c["id"]: (c["name"], c["supercategory"] == "violation") for c in coco["categories"]
        }
        boxes: dict[int, list[TrueBox]] = {int(image["id"]): [] for image in coco["images"]}
        for note in coco["annotations"]:
            boxes[int(note["image_id"])].append(_true_box(note, *kinds[note["category_id"]]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FlightError(
            f"{path}: is no COCO truth of a recorded flight ({error!r}); record it again"
        ) from error
    return boxes


def _true_box(note: Mapping[str, Any], name: str, is_violation: bool) -> TrueBox:
    left, top, width, height = (float(value) for value in note["bbox"])
    box = (left, top, left + width, top + height)
    visible = float(note.get("visible", 1.0))
    return TrueBox(str(note.get("truth_id", "")), name, is_violation, box, visible)


def _line(row: Mapping[str, Any]) -> LookLine:
    seen = tuple(
        SeenBox(one["label"], float(one["score"]), tuple(one["box_xyxy_px"]))
        for one in row["detections"]
    )
    return LookLine(int(row["frame"]), row["camera"], int(row["captured_ns"]), seen)


def _true_times_s(path: Path) -> dict[int, float]:
    if not path.is_file():
        return {}
    try:
        rows = np.atleast_1d(np.genfromtxt(path, delimiter=",", names=True, usecols=(0, 1)))
        return {int(row["frame"]): float(row["time_s"]) for row in rows}
    except (OSError, ValueError, IndexError) as error:
        raise FlightError(f"{path}: needs the columns frame,time_s ({error})") from error


def iou(a: Xyxy, b: Xyxy) -> float:
    """Return how much of their union two boxes share, 0 to 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0.0 or height <= 0.0:
        return 0.0
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (areas - width * height)
