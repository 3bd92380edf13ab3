"""Scores an exported detector and writes the scores into its manifest.

Run: python -m models.report --model models/NAME --set DIR
Prints the card's table.  Each class's threshold is chosen on held-out districts of trained
families, so that the exam's families stay unseen in that too.  With `--exam FILE`, what `skywhistle
score --json` printed of the exam's flights, those say which classes are advisory; else the frames.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.vision.manifest import read_manifest, write_manifest
from models.data import ShardSet
from models.evaluate import Judged, LabelScore, Scores, flying, judge_all
from models.split import LABELS

ADVISORY_RECALL = 0.7  # a class found less often than this on the exam is marked
log = logging.getLogger(__name__)
_NONE = LabelScore(0.0, 0.0, 0.0, 0)


@dataclass(frozen=True)
class Report:
    """What a detector is worth, class by class.

    Attributes:
        thresholds: Of each label, chosen on `held`.
        held: On unseen districts of trained families.
        exam: On families that training never saw, at any height and angle.
        flight: On such families too, in whole frames as the exam's flights see them.
    """

    thresholds: tuple[float, ...]
    held: Scores
    exam: Scores
    flight: Scores

    @property
    def advisory(self) -> tuple[str, ...]:
        """Labels that are found too seldom in the exam's frames, or were never examined."""
        return advisory_of({name: one.recall for name, one in self.flight.by_label.items()})

    def table(self) -> str:
        """Write the card's table."""
        lines = [
            "| class | threshold | held-out AP50 | recall | precision | boxes "
            "| unseen families AP50 | recall | precision | boxes | drop of AP50 "
            "| their flights AP50 | recall | precision | boxes |",
            "|" + " --- |" * 15,
        ]
        for i, name in enumerate(LABELS):
            held, exam, flight = (
                s.by_label.get(name, _NONE) for s in (self.held, self.exam, self.flight)
            )
            cells = [f"`{name}`", f"{self.thresholds[i]:.2f}", *_cells(held), *_cells(exam)]
            cells += [f"{held.ap50 - exam.ap50:.2f}", *_cells(flight)]
            lines.append("| " + " | ".join(cells) + " |")
        held_map, exam_map = self.held.map50, self.exam.map50
        lines.append(
            f"| mean | | {held_map:.3f} | | | | {exam_map:.3f} | | | | {held_map - exam_map:.3f} "
            f"| {self.flight.map50:.3f} | | | |"
        )
        return "\n".join(lines)

    def manifest_scores(self, flown: Mapping[str, float]) -> dict[str, Any]:
        """Return the manifest's [scores]; `flown`: each class's recall in the exam's flights."""
        scores: dict[str, Any] = {
            "map50_flight": round(self.flight.map50, 3),
            "map50_exam": round(self.exam.map50, 3),
            "map50_held_out": round(self.held.map50, 3),
        }
        for i, name in enumerate(LABELS):
            flight = self.flight.by_label.get(name, _NONE)
            scores[name] = {
                "threshold": round(self.thresholds[i], 2),
                "ap50": round(flight.ap50, 3),
                "recall": round(flight.recall, 3),
                "precision": round(flight.precision, 3),
            }
            if name in flown:
                scores[name]["flown_recall"] = round(flown[name], 3)
        return scores


def advisory_of(recall: Mapping[str, float]) -> tuple[str, ...]:
    """Return the labels that are found too seldom, or were never looked for."""
    return tuple(name for name in LABELS if recall.get(name, 0.0) < ADVISORY_RECALL)


def flown_recall(path: Path) -> dict[str, float]:
    """Read each class's recall from what `skywhistle score --json` printed."""
    by_class = json.loads(path.read_text("utf-8"))["by_class"]
    return {name: one["recall"] for name, one in by_class.items() if one["recall"] is not None}


def _cells(one: LabelScore) -> list[str]:
    return [f"{one.ap50:.2f}", f"{one.recall:.2f}", f"{one.precision:.2f}", str(one.n_true)]


def report_on(
    held: Judged, exam: Judged, flight: Judged, thresholds: tuple[float, ...] | None = None
) -> Report:
    """Choose the thresholds on held-out pictures, unless they are given, and score all parts."""
    chosen = held.thresholds() if thresholds is None else thresholds
    return Report(chosen, held.scores(chosen), exam.scores(chosen), flight.scores(chosen))


def judged_set(model: Path, folder: Path, part: str) -> Judged:
    """Run a model's folder over one part of a rendered set."""
    pictures = ShardSet(folder, part)
    pictures.refresh()
    if not pictures.images:
        raise SystemExit(f"{folder} holds no {part}-*.npz; make them with models.render_set")
    return judge_all(flying(model), pictures)


def main() -> None:
    """Score, write the manifest, print the card's table."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument(
        "--thresholds-of", type=Path, help="model folder whose thresholds are kept, for variants"
    )
    parser.add_argument("--exam", type=Path, help="the exam's flights, by `score --json`")
    args = parser.parse_args()
    given = None
    if args.thresholds_of:
        kept = read_manifest(args.thresholds_of).scores
        given = tuple(float(kept[name]["threshold"]) for name in LABELS)
    parts = [judged_set(args.model, args.set, part) for part in ("held", "exam", "flight")]
    report = report_on(parts[0], parts[1], parts[2], given)
    flown = flown_recall(args.exam) if args.exam else {}
    advisory = advisory_of(flown) if flown else report.advisory
    update = {"scores": report.manifest_scores(flown), "advisory": advisory}
    write_manifest(read_manifest(args.model).model_copy(update=update))
    log.info("%s\nadvisory: %s", report.table(), ", ".join(advisory) or "none")


if __name__ == "__main__":
    main()
