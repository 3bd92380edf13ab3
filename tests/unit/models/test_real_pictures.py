"""Pictures with a tag and no boxes are counted fairly."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.records import Detection
from models.real_pictures import EXPECTED, Seen, false_alarms_per_10, look, score_tags
from sim.score.stills import DEFAULT_TAGS

BLACK = np.zeros((40, 60, 3), np.uint8)


def _seen(tag: str, *labels: str) -> Seen:
    found = tuple(Detection(label, 0.9, (1.0, 1.0, 9.0, 9.0)) for label in labels)
    return Seen(f"{tag}.png", tag, BLACK, found)


def test_any_expected_class_finds_a_picture() -> None:
    """A building site is found by its soil or by its pit; other findings are told apart."""
    seen = [_seen("site", "open_pit", "smoke"), _seen("site", "smoke"), _seen("site")]
    score = score_tags(seen)["site"]
    assert (score.n_pictures, score.n_found, score.n_unexpected) == (3, 1, 2)


def test_a_tag_stands_for_the_same_classes_as_for_the_scorer() -> None:
    """Two tools that look at one folder must not disagree about what a find is."""
    seen = [_seen(tag, label) for tag, labels in DEFAULT_TAGS.items() for label in labels]
    assert all(one.is_found and not one.unexpected for one in seen)
    assert set(EXPECTED) == set(DEFAULT_TAGS)


def test_every_finding_in_a_negative_is_a_false_alarm() -> None:
    """Both kinds of negatives count, per ten pictures; other tags do not."""
    seen = [_seen("negative", "smoke"), _seen("hard_negative"), _seen("shed", "smoke")]
    assert false_alarms_per_10(score_tags(seen)) == pytest.approx(5.0)


def test_misses_and_false_alarms_are_what_is_shown() -> None:
    """A found violation and a quiet negative need no second look."""
    assert [_seen("smoke", "smoke").is_wrong, _seen("negative").is_wrong] == [False, False]
    assert [_seen("smoke").is_wrong, _seen("negative", "smoke").is_wrong] == [True, True]


def test_an_unknown_tag_is_named(tmp_path: Path, repo: Path) -> None:
    """A tag that says nothing about classes cannot be scored."""
    cv2.imwrite(str(tmp_path / "a.png"), BLACK)
    (tmp_path / "manifest.csv").write_text("file,tag\na.png,sunset\n", encoding="utf-8")
    with pytest.raises(ValueError, match="sunset"):
        look(repo / "models/whistle-n-int8", tmp_path)


def test_a_missing_picture_is_named(tmp_path: Path, repo: Path) -> None:
    """A manifest that promises more than is there does not score."""
    (tmp_path / "manifest.csv").write_text("file,tag\nb.png,smoke\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"b\.png"):
        look(repo / "models/whistle-n-int8", tmp_path)
