"""The detectors in the repository are what their manifests and cards say."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from edge.vision.manifest import ModelManifest, read_manifest
from models.report import advisory_of
from models.split import LABELS

MOST_BYTES = 8_000_000
SHIPPED = ("whistle-n", "whistle-n-int8")


def _by_label(manifest: ModelManifest) -> Iterator[tuple[str, Any]]:
    return ((name, manifest.scores[name]) for name in LABELS)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_file_is_its_manifests_and_small(repo: Path, name: str) -> None:
    """The hash agrees, the file suits a slow link, and a card tells of it."""
    manifest = read_manifest(repo / "models" / name)
    data = manifest.model_path.read_bytes()
    assert sha256(data).hexdigest() == manifest.sha256
    assert len(data) <= MOST_BYTES
    assert manifest.name == name
    assert (repo / "models" / name / "card.md").read_text(encoding="utf-8").startswith(f"# {name}")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_class_found_too_seldom_ships_as_advisory(repo: Path, name: str) -> None:
    """What the exam measured decides: its flights where they were flown, else its frames."""
    manifest = read_manifest(repo / "models" / name)
    assert manifest.labels == LABELS
    found = {name: one.get("flown_recall", one["recall"]) for name, one in _by_label(manifest)}
    assert manifest.advisory == advisory_of(found)


def test_the_card_holds_the_manifests_figures(repo: Path) -> None:
    """The card's table and the file's scores come from one run."""
    card = (repo / "models/whistle-n/card.md").read_text(encoding="utf-8")
    for name in SHIPPED:
        scores = read_manifest(repo / "models" / name).scores
        assert f"{scores['map50_flight']:.3f}" in card
        assert f"{scores['map50_exam']:.3f}" in card
        assert f"{scores['map50_held_out']:.3f}" in card
