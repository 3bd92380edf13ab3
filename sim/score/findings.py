"""Each miss, false alarm and duplicate of a flight: where it is best seen, and why it may be so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median

from edge.records import Alert, Xyxy
from sim.score.looks import FlightLooks, LookLine, SeenBox, TrueBox, iou
from sim.score.matching import Match, Score, Truth, TruthThing, distance_to_outline_m

# A detection that overlaps a true box by this much is a look at it, well placed or not.
LOOKED_AT_IOU = 0.3
# An alert carries its best look's box; rounding on the way moves it by less than this.
_SAME_BOX_PX = 3.0


class FindingKind(Enum):
    """What went wrong."""

    MISS = "miss"
    FALSE_ALARM = "false alarm"
    DUPLICATE = "duplicate"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that went wrong, with the frame that shows it best.

    Attributes:
        name: Id of the missed thing, or the first digits of the incident's.
        cause: Of a false alarm; else "".
        why: What the looks say of it, one sentence each.
        frame: Index in the camera's video; None where no frame is known to show it.
        box_xyxy_px: Where in that frame.
        picture_webp: Cut from the frame; None: none, or left out.
    """

    kind: FindingKind
    label: str
    name: str
    cause: str
    why: tuple[str, ...]
    camera_id: str = ""
    frame: int | None = None
    box_xyxy_px: Xyxy | None = None
    seen: tuple[SeenBox, ...] = ()  # the detector's boxes in that frame
    true: tuple[TrueBox, ...] = ()  # the truth's
    picture_webp: bytes | None = None

    @property
    def title(self) -> str:
        """Return it in a few words."""
        if self.kind is FindingKind.FALSE_ALARM:
            return f"{self.label} on {self.cause}"
        return f"{self.label}: {self.name}"


def find_out(
    scored: Score,
    truth: Truth,
    alerts: Mapping[str, Alert],
    looks: FlightLooks,
    asked: Callable[[str], str],
) -> list[Finding]:
    """List misses, then false alarms, then duplicates.

    Args:
        scored: What was matched.
        truth: What was there.
        alerts: By incident id, hexadecimal.
        looks: What the detector said, frame by frame.
        asked: Says in a few words what a class takes to become an alert.
    """
    by_frame = looks.by_frame()
    found = [_miss(t, looks, by_frame, asked(t.label)) for t in scored.missed]
    wrong = [m for m in scored.matches if m.truth is None]
    double = [m for m in scored.matches if m.is_duplicate]
    for match in [*wrong, *double]:
        found.append(_told_wrongly(match, truth, alerts[match.alert.incident_id], looks))
    return found


def _miss(
    thing: TruthThing, looks: FlightLooks, by_frame: Mapping[int, LookLine], asked: str
) -> Finding:
    shown = [
        (box, frame)
        for frame, boxes in looks.boxes.items()
        for box in boxes
        if box.truth_id == thing.truth_id
    ]
    why = [f"shown in {thing.seen_frames} frames", *_what_was_said(thing, shown, by_frame), asked]
    best = max(shown, key=lambda pair: (pair[0].visible, _area(pair[0].box_xyxy_px)), default=None)
    if best is None:
        return Finding(FindingKind.MISS, thing.label, thing.truth_id, "", tuple(why))
    box, frame = best
    return Finding(
        FindingKind.MISS,
        thing.label,
        thing.truth_id,
        "",
        tuple(why),
        camera_id=looks.truth_camera_id,
        frame=frame,
        box_xyxy_px=box.box_xyxy_px,
        seen=by_frame[frame].seen if frame in by_frame else (),
        true=tuple(looks.boxes[frame]),
    )


def _what_was_said(
    thing: TruthThing, shown: Sequence[tuple[TrueBox, int]], by_frame: Mapping[int, LookLine]
) -> list[str]:
    """Say how often the detector saw it, as what, and how surely."""
    scores: list[float] = []
    others: Counter[str] = Counter()
    for box, frame in shown:
        seen = by_frame[frame].seen if frame in by_frame else ()
        on_it = [one for one in seen if iou(one.box_xyxy_px, box.box_xyxy_px) >= LOOKED_AT_IOU]
        right = [one.score for one in on_it if one.label == thing.label]
        scores += [max(right)] if right else []
        others.update({one.label for one in on_it if one.label != thing.label})
    if not shown:
        return ["the flight has no boxes of it"]
    said = [
        f"boxed as {thing.label} in {len(scores)} frames, scores {median(scores):.2f} in the "
        f"median, {max(scores):.2f} at best"
        if scores
        else f"never boxed as {thing.label}"
    ]
    return said + [f"taken for {label} in {n} frames" for label, n in others.most_common(2)]


def _told_wrongly(match: Match, truth: Truth, alert: Alert, looks: FlightLooks) -> Finding:
    look = _best_look(alert, looks)
    why = [f"score {alert.score:.2f} in {alert.looks} looks, rule {alert.rule}"]
    same = [t for t in truth.things if t.is_violation and t.label == alert.label]
    if match.truth is not None:
        why.append(f"{match.truth.truth_id} has an alert already")
    elif same:
        nearest_m, nearest = min(
            ((distance_to_outline_m(match.alert, thing, truth), thing) for thing in same),
            key=lambda pair: pair[0],
        )
        why.append(f"the nearest {alert.label} lies {nearest_m:.0f} m off ({nearest.truth_id})")
    else:
        why.append(f"there is no {alert.label} in this district")
    line, box = (None, None) if look is None else look
    is_of_truth = line is not None and line.camera_id == looks.truth_camera_id
    return Finding(
        FindingKind.DUPLICATE if match.is_duplicate else FindingKind.FALSE_ALARM,
        alert.label,
        match.truth.truth_id if match.truth else alert.incident_id.hex()[-8:],
        match.cause or "",
        tuple(why),
        camera_id=line.camera_id if line else "",
        frame=line.frame if line else None,
        box_xyxy_px=box,
        seen=line.seen if line else (),
        true=tuple(looks.boxes.get(line.frame, ())) if line and is_of_truth else (),
    )


def _best_look(alert: Alert, looks: FlightLooks) -> tuple[LookLine, Xyxy] | None:
    """Find the frame whose detection an alert carries: same class, same box."""
    if alert.box_xyxy is None:
        return None
    best: tuple[float, LookLine, Xyxy] | None = None
    for line in looks.lines:
        width_px, height_px = looks.sizes_px.get(line.camera_id, (0, 0))
        sides_px = (width_px, height_px, width_px, height_px)
        wanted = [f * side - 0.5 for f, side in zip(alert.box_xyxy, sides_px, strict=True)]
        for one in line.seen:
            apart_px = max(abs(a - b) for a, b in zip(one.box_xyxy_px, wanted, strict=True))
            if one.label == alert.label and apart_px <= (best[0] if best else _SAME_BOX_PX):
                best = (apart_px, line, one.box_xyxy_px)
    return None if best is None else best[1:]


def _area(box: Xyxy) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
