"""Single pictures with a tag each: whether its class is found, and nothing where nothing is.

There is neither pose nor truth box, so what counts is the picture: it is found when the detector
gives at least one box of a class that its tag stands for, at the threshold that the rules ask of an
incident.  On a picture of a tag that stands for nothing every such box is a false alarm.  How high
the camera was is not known: it is looked at in tiles where the config asks for them at any height.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from edge.config import CameraConfig, PatrolConfig
from edge.errors import ConfigError
from edge.records import CLASS_NUMBERS, Detection, ImageArray
from edge.settings import read_settings
from edge.toml_file import line_of, read_toml
from edge.vision.detector import OnnxDetector
from edge.vision.manifest import read_manifest
from edge.vision.tiles import TileGrid, detect_in_tiles
from sim.score.pictures import PICTURE_WH_PX, SEEN, Cut

# Which classes a tag stands for; any of them counts.  An empty list: nothing to report.
DEFAULT_TAGS: dict[str, tuple[str, ...]] = {
    "site": ("bare_soil", "open_pit"),
    "shed": ("structure",),
    "spoil": ("waste_pile",),
    "waste": ("waste_pile", "floating_waste"),
    "smoke": ("smoke",),
    "negative": (),
    "hard_negative": (),
}
Sees: TypeAlias = Callable[[ImageArray], list[Detection]]
PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True, slots=True)
class Still:
    """One picture of the folder."""

    path: Path
    tag: str
    labels: tuple[str, ...]  # any of them counts; (): nothing to report
    note: str = ""


@dataclass(frozen=True, slots=True)
class StillLook:
    """What the detector said of one picture.

    Attributes:
        best: Highest score by class, down to the rules' `min_score`.
        told: Boxes at or above their class's threshold, by class.
        picture_webp: The whole picture, small, boxes drawn; None where nothing is wrong.
    """

    still: Still
    best: Mapping[str, float]
    told: Counter[str]
    picture_webp: bytes | None

    @property
    def is_found(self) -> bool:
        """Whether a class that the tag stands for was found."""
        return any(self.told[label] for label in self.still.labels)

    @property
    def is_miss(self) -> bool:
        """Whether it should have been found and was not."""
        return bool(self.still.labels) and not self.is_found

    @property
    def false_alarms(self) -> int:
        """Count what was told of a picture of nothing."""
        return 0 if self.still.labels else self.told.total()


@dataclass(frozen=True, slots=True)
class StillScore:
    """How a model does on a folder of tagged pictures."""

    model_name: str
    model_hash: str
    thresholds: Mapping[str, float]  # by class; a class without a rule cannot alert
    looks: tuple[StillLook, ...]

    def by_tag(self) -> dict[str, list[StillLook]]:
        """Return the looks by tag, in the order of the tags' names."""
        tags: dict[str, list[StillLook]] = {}
        for look in sorted(self.looks, key=lambda one: one.still.tag):
            tags.setdefault(look.still.tag, []).append(look)
        return tags

    def plain(self) -> dict[str, Any]:
        """Return it as JSON."""
        blanks = [look for look in self.looks if not look.still.labels]
        return {
            "pictures": len(self.looks),
            "false_alarms_per_10": _per_10(sum(one.false_alarms for one in blanks), blanks),
            "flagged_per_10": _per_10(sum(one.false_alarms > 0 for one in blanks), blanks),
            "false_alarms_by_class": dict(_told(blanks)),
            "by_tag": {tag: _tag(looks) for tag, looks in self.by_tag().items()},
            "thresholds": dict(self.thresholds),
            "model_hash": self.model_hash,
        }


def _tag(looks: Sequence[StillLook]) -> dict[str, Any]:
    labels = looks[0].still.labels
    counts = {"pictures": len(looks), "labels": list(labels), "told": dict(_told(looks))}
    if not labels:
        n = sum(one.false_alarms for one in looks)
        return {**counts, "false_alarms": n, "false_alarms_per_10": _per_10(n, looks)}
    found = sum(one.is_found for one in looks)
    looked_at = sum(any(label in one.best for label in labels) for one in looks)
    return {
        **counts,
        "found": found,
        "share_found": round(found / len(looks), 4),
        "share_at_min_score": round(looked_at / len(looks), 4),
    }


def _told(looks: Iterable[StillLook]) -> Counter[str]:
    told: Counter[str] = Counter()
    for look in looks:
        told += look.told
    return told


def _per_10(n: int, looks: Sequence[StillLook]) -> float | None:
    return round(10 * n / len(looks), 4) if looks else None


# --- what there is --------------------------------------------------------------------------------


def read_tags(path: Path | None) -> dict[str, tuple[str, ...]]:
    """Read which classes each tag stands for; without a file, the default.

    Args:
        path: TOML with a table `[tags]`, such as `site = ["bare_soil", "open_pit"]`;
            `negative = []` is a picture of nothing.

    Raises:
        ConfigError: It is no such file.
    """
    if path is None:
        return dict(DEFAULT_TAGS)
    file = read_toml(path, ConfigError, "give a TOML file with a table [tags]")
    table = file.table.get("tags")
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: has no table [tags]; write one, such as site = ['open_pit']")
    for tag, labels in table.items():
        if not isinstance(labels, list) or not all(isinstance(one, str) for one in labels):
            line = line_of(file.text, ("tags", tag))
            raise ConfigError(
                f"{path}:{line}: tags.{tag}: wants a list of class names, got {labels!r}"
            )
    return {tag: tuple(labels) for tag, labels in table.items()}


def read_stills(folder: Path, tags: Mapping[str, tuple[str, ...]]) -> list[Still]:
    """List the pictures: those of `manifest.csv` (columns file, tag, note), else by subfolder.

    Raises:
        ConfigError: There are none, one is not there, or a tag stands for nothing known.
    """
    manifest = folder / "manifest.csv"
    rows = _manifest_rows(manifest) if manifest.is_file() else _subfolder_rows(folder)
    stills = []
    for name, tag, note in rows:
        if not (folder / name).is_file():
            raise ConfigError(f"{manifest}: names {name}, which is not in {folder}")
        if tag not in tags and tag not in CLASS_NUMBERS:
            raise ConfigError(
                f"{folder}: {name} has the tag {tag!r}, which stands for no class; known are "
                f"{', '.join(sorted(tags))}; say what it stands for with --tags"
            )
        stills.append(Still(folder / name, tag, tags.get(tag, (tag,)), note))
    if not stills:
        raise ConfigError(f"{folder}: holds neither manifest.csv nor pictures in folders by tag")
    return stills


def _manifest_rows(path: Path) -> list[tuple[str, str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [(r["file"], r["tag"], r.get("note") or "") for r in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: needs the columns file,tag ({error!r})") from error


def _subfolder_rows(folder: Path) -> list[tuple[str, str, str]]:
    if not folder.is_dir():
        raise ConfigError(f"{folder}: is no folder of pictures")
    return [
        (str(path.relative_to(folder)), path.parent.name, "")
        for path in sorted(folder.glob("*/*"))
        if path.suffix.lower() in PICTURE_SUFFIXES
    ]


# --- looking --------------------------------------------------------------------------------------


def score_stills(
    stills: Sequence[Still],
    config: Path,
    model: Path | None,
    on_picture: Callable[[], None] = lambda: None,
) -> StillScore:
    """Run the shipped detector over single pictures, at the thresholds of the rules.

    Args:
        stills: Of `read_stills`.
        config: A patrol.toml: its rules' thresholds, its first camera's model.
        model: Replaces that model.
        on_picture: Called after each picture.

    Raises:
        ConfigError: The config is not usable, or no rule names a class of the model; a picture
            cannot be read.
        ModelError: The model does not load.
    """
    patrol = read_settings(config).patrol
    detector = OnnxDetector(read_manifest(model or patrol.camera[0].model), patrol.inference)
    thresholds = _thresholds(patrol, detector.labels)
    if not thresholds:
        raise ConfigError(
            f"{config}: no rule names a class of {detector.manifest.name} "
            f"({', '.join(detector.labels)}); give another --config"
        )
    rules = [rule for rule in patrol.rule if not thresholds.keys().isdisjoint(rule.labels)]
    detector.min_score = min(rule.min_score for rule in rules)
    sees = _sees(detector, patrol.camera[0])
    looks = []
    for still in stills:
        image = cv2.imread(str(still.path), cv2.IMREAD_COLOR)
        if image is None:
            raise ConfigError(f"{still.path}: is no picture that can be read; take it out")
        looks.append(_look(still, image.astype(np.uint8), sees, thresholds))
        on_picture()
    return StillScore(detector.manifest.name, detector.model_hash.hex(), thresholds, tuple(looks))


def _sees(detector: OnnxDetector, camera: CameraConfig) -> Sees:
    """Return how the config looks at a frame of a height that is not known."""
    tiles = camera.tiles
    if tiles is None or tiles.from_agl_m > 0.0:
        return detector.detect
    grid = TileGrid(tiles.columns, tiles.rows, tiles.overlap, tiles.and_whole)
    return lambda image_bgr: detect_in_tiles(detector, image_bgr, grid).detections


def _thresholds(patrol: PatrolConfig, labels: Sequence[str]) -> dict[str, float]:
    """Return by class what the most willing rule on it asks of an incident."""
    return {
        label: min(rule.threshold for rule in patrol.rule if label in rule.labels)
        for label in labels
        if any(label in rule.labels for rule in patrol.rule)
    }


def _look(
    still: Still, image_bgr: ImageArray, sees: Sees, thresholds: Mapping[str, float]
) -> StillLook:
    seen = [one for one in sees(image_bgr) if one.label in thresholds]
    best: dict[str, float] = {}
    for one in seen:
        best[one.label] = max(one.score, best.get(one.label, 0.0))
    told = Counter(one.label for one in seen if one.score >= thresholds[one.label])
    look = StillLook(still, best, told, None)
    if not look.is_miss and not look.false_alarms:
        return look
    return StillLook(still, best, told, _drawn(image_bgr, seen))


def _drawn(image_bgr: ImageArray, seen: Sequence[Detection]) -> bytes:
    """Return the whole picture, as wide as the page's pictures are, with all boxes."""
    scale = PICTURE_WH_PX[0] / image_bgr.shape[1]
    size = (PICTURE_WH_PX[0], max(1, round(image_bgr.shape[0] * scale)))
    cut = Cut.whole(cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA).astype(np.uint8))
    for one in seen:
        x0, y0, x1, y1 = (value * scale for value in one.box_xyxy_px)
        cut.draw((x0, y0, x1, y1), SEEN, f"{one.label} {one.score:.2f}")
    return cut.webp()
