"""Which point of a box is the place of what it shows, and how high that thing stands.

A box's bottom edge touches the ground; its top edge may be a roof's.  The ray through the centre
of a box around a thing of height h meets the middle of the thing at h/2, so it is cut there: seen
obliquely, that is nearer to the middle of the plan than the bottom edge (the near wall), and what
is not known of the height enters the error along the line of sight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.config import RuleConfig
from edge.records import Detection, FloatArray

Place: TypeAlias = Literal["auto", "base", "centre"]

# Steeper than this a picture shows no base: what stands is seen from above.
BASE_MAX_DEPRESSION_DEG = 60.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a class of things stands on the ground."""

    height_m: float  # usual height; a box's centre shows half of it
    height_sigma_m: float  # of the point shown, when the centre is used
    base_sigma_m: float  # of the bottom edge, when the base is used
    rises_from_base: bool = False  # says nothing of the ground beyond its base
    lean: float = 0.0  # where the source lies, one sigma, as a share of the box
    ragged: float = 0.0  # how its box differs from look to look, one sigma, as a share of it


STANDING: Mapping[str, Standing] = {
    # Sheds of one storey; the sigma covers two storeys and low rooftops, not high-rises.
    "structure": Standing(3.0, 2.0, 0.5),
    # Water is level, but its surface lies below its banks, which is where heights are known.
    # A plume fades out: where a box ends is another guess in every look.
    "discharge": Standing(0.0, 0.5, 0.5, ragged=0.1),
    "floating_waste": Standing(0.0, 0.5, 0.5),
    # A plume leans with the wind: its source lies anywhere along the box's lower side.
    "smoke": Standing(0.0, 1.5, 1.0, rises_from_base=True, lean=0.2, ragged=0.3),
    "waste_pile": Standing(1.0, 0.7, 0.3),
    "bare_soil": Standing(0.0, 0.5, 0.3),
    # The rim is level with the ground; a pit's visible floor is not.
    "open_pit": Standing(0.0, 1.0, 0.5),
}
UNKNOWN_THING = Standing(0.0, 1.0, 0.5)  # another model's label: cars, people, signs


@dataclass(frozen=True, slots=True)
class Anchors:
    """For each of N detections, which pixel is its place and at which height it is cut."""

    is_base: NDArray[np.bool_]
    top_m: FloatArray  # of the box's far side above the ground
    height_sigma_m: FloatArray
    lean: FloatArray
    ragged: FloatArray


def anchors_of(
    labels: Sequence[str], wanted: Mapping[str, Place], depressions_deg: FloatArray
) -> Anchors:
    """Choose by label, by what the rules want of it, and by how steeply it is seen.

    Args:
        labels: Of N detections.
        wanted: Place by label; a label that is missing is `auto`.
        depressions_deg: Shape (N,), of the boxes' centres.
    """
    rows = [
        _anchor(STANDING.get(label, UNKNOWN_THING), wanted.get(label, "auto"), depression_deg)
        for label, depression_deg in zip(labels, depressions_deg.tolist(), strict=True)
    ]
    is_base, top_m, height_sigma_m, lean, ragged = np.array(rows).T
    return Anchors(is_base != 0.0, top_m, height_sigma_m, lean, ragged)


def upper_parts(detections: Sequence[Detection], is_base: Sequence[bool]) -> list[bool]:
    """Say of each box whether it shows the upper part of a column whose foot another box shows.

    Smoke is often found in two boxes, one above the other.  The upper one's lower side lies in the
    air, within the lower box; taken for a foot it is metres behind the source.

    Args:
        detections: Of one frame.
        is_base: Whether the lower side is the place of each.
    """
    columns = [
        STANDING.get(detection.label, UNKNOWN_THING).rises_from_base and base
        for detection, base in zip(detections, is_base, strict=True)
    ]
    if sum(columns) < 2:  # mostly
        return [False] * len(detections)
    return [
        rises
        and any(
            one is not other and one.label == other.label and _stands_in(one, other)
            for other in detections
        )
        for one, rises in zip(detections, columns, strict=True)
    ]


def _stands_in(upper: Detection, lower: Detection) -> bool:
    x0, _, x1, bottom = upper.box_xyxy_px
    left, top, right, foot = lower.box_xyxy_px
    return left <= (x0 + x1) / 2 <= right and top <= bottom < foot


def places_of_labels(rules: Sequence[RuleConfig]) -> dict[str, Place]:
    """Gather the rules' `place` by label; where two rules differ, the first that says so wins."""
    wanted: dict[str, Place] = {}
    for rule in rules:
        if rule.place != "auto":
            for label in rule.labels:
                wanted.setdefault(label, rule.place)
    return wanted


def _anchor(
    thing: Standing, place: Place, depression_deg: float
) -> tuple[bool, float, float, float, float]:
    """Return one row of `Anchors`."""
    is_base = _is_base(place, thing, depression_deg)
    height_sigma_m = thing.base_sigma_m if is_base else thing.height_sigma_m
    return is_base, thing.height_m, height_sigma_m, thing.lean, thing.ragged


def _is_base(place: Place, thing: Standing, depression_deg: float) -> bool:
    if place == "auto":
        return thing.rises_from_base and depression_deg < BASE_MAX_DEPRESSION_DEG
    return place == "base"
