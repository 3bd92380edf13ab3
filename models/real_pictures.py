"""Scores a detector on real pictures that have no boxes, only a tag each.

Run: python -m models.real_pictures --model models/NAME --pictures DIR --misses DIR
DIR holds manifest.csv with the columns file and tag.  A tag says which classes must be found
somewhere in the picture; in pictures whose tag says none, every finding is a false alarm.
"""

from __future__ import annotations

import argparse
import csv
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.config import InferenceConfig
from edge.records import Detection
from edge.vision.detector import OnnxDetector
from edge.vision.manifest import ModelManifest, read_manifest
from models.data import ImageArray
from sim.score.stills import DEFAULT_TAGS

# Which classes count as finding what a tag says: the same as for `skywhistle score --pictures`.
EXPECTED: Mapping[str, tuple[str, ...]] = DEFAULT_TAGS
_SHOWN_WH = (960, 540)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TagScore:
    """What a detector makes of the pictures of one tag.

    Attributes:
        n_pictures: How many there are.
        n_found: In how many something expected was found.
        n_unexpected: Findings of classes that the tag does not expect.
    """

    n_pictures: int
    n_found: int
    n_unexpected: int


@dataclass(frozen=True)
class Seen:
    """One picture and what was found above the thresholds."""

    file: str
    tag: str
    image_bgr: ImageArray
    found: tuple[Detection, ...]

    @property
    def is_found(self) -> bool:
        """Whether something that the tag expects was found."""
        return any(d.label in EXPECTED[self.tag] for d in self.found)

    @property
    def unexpected(self) -> int:
        """How many findings the tag does not expect."""
        return sum(d.label not in EXPECTED[self.tag] for d in self.found)

    @property
    def is_wrong(self) -> bool:
        """Whether it is a miss, or a false alarm where nothing is expected."""
        return not self.is_found if EXPECTED[self.tag] else bool(self.found)


def thresholds_of(manifest: ModelManifest) -> dict[str, float]:
    """Return each label's threshold as the manifest's scores state it."""
    least = manifest.thresholds.min_score
    return {
        label: float(manifest.scores.get(label, {}).get("threshold", least))
        for label in manifest.labels
    }


def look(model: Path, pictures: Path) -> list[Seen]:
    """Run a model over every picture of a folder's manifest.csv.

    Raises:
        ValueError: A tag that is not known, or a picture that cannot be read.
    """
    manifest = read_manifest(model)
    thresholds = thresholds_of(manifest)
    detector = OnnxDetector(manifest, InferenceConfig(), min_score=min(thresholds.values()))
    out = []
    rows = (pictures / "manifest.csv").read_text(encoding="utf-8").splitlines()
    for row in csv.DictReader(rows):
        if row["tag"] not in EXPECTED:
            raise ValueError(f"tag {row['tag']!r} is none of {', '.join(EXPECTED)}")
        image = cv2.imread(str(pictures / row["file"]), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f"{pictures / row['file']} cannot be read as a picture")
        picture = np.asarray(image, np.uint8)
        found = tuple(d for d in detector.detect(picture) if d.score >= thresholds[d.label])
        out.append(Seen(row["file"], row["tag"], picture, found))
    return out


def score_tags(seen: list[Seen]) -> dict[str, TagScore]:
    """Count by tag."""
    out = {}
    for tag in sorted({one.tag for one in seen}):
        mine = [one for one in seen if one.tag == tag]
        found = sum(one.is_found for one in mine)
        out[tag] = TagScore(len(mine), found, sum(one.unexpected for one in mine))
    return out


def false_alarms_per_10(scores: Mapping[str, TagScore]) -> float:
    """Return findings per ten pictures of the tags that expect nothing."""
    empty = [score for tag, score in scores.items() if not EXPECTED[tag]]
    return 10 * sum(s.n_unexpected for s in empty) / max(sum(s.n_pictures for s in empty), 1)


def table(scores: Mapping[str, TagScore]) -> str:
    """Write the card's table."""
    lines = ["| tag | pictures | found | other findings |", "| --- | --- | --- | --- |"]
    for tag, score in scores.items():
        share = f"{score.n_found / score.n_pictures:.2f}" if EXPECTED[tag] else "-"
        lines.append(f"| `{tag}` | {score.n_pictures} | {share} | {score.n_unexpected} |")
    lines.append(f"\nfalse alarms per 10 pictures: {false_alarms_per_10(scores):.1f}")
    return "\n".join(lines)


def draw(one: Seen) -> ImageArray:
    """Draw what was found into a small copy of a picture."""
    height, width = one.image_bgr.shape[:2]
    scale = min(_SHOWN_WH[0] / width, _SHOWN_WH[1] / height)
    shown = cv2.resize(one.image_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    for found in one.found:
        left, top, right, bottom = (round(v * scale) for v in found.box_xyxy_px)
        cv2.rectangle(shown, (left, top), (right, bottom), (0, 0, 255), 2)
        text = f"{found.label} {found.score:.2f}"
        at = (left + 2, max(top, 12) + 10)
        cv2.putText(shown, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 255, 255), 1)
    return np.asarray(shown, np.uint8)


def main() -> None:
    """Score, print the table, write the pictures of misses and false alarms."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--misses", type=Path, help="folder for pictures; outside the repository")
    args = parser.parse_args()
    seen = look(args.model, args.pictures)
    log.info("%s", table(score_tags(seen)))
    if args.misses:
        args.misses.mkdir(parents=True, exist_ok=True)
        for one in seen:
            if one.is_wrong:
                name = f"{one.tag}-{Path(one.file).stem}.png"
                cv2.imwrite(str(args.misses / name), draw(one))


if __name__ == "__main__":
    main()
