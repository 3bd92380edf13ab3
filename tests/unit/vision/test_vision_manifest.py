"""`model.toml`, there and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.errors import ModelError, ModelManifestError
from edge.vision import manifest as manifest_module
from edge.vision.manifest import (
    HeadTable,
    InputTable,
    ModelManifest,
    ThresholdsTable,
    read_manifest,
    read_model_bytes,
    write_manifest,
)
from tests.unit.vision.tiny_models import cell_model, write_model

PLAIN = """
format = 1
name = "some-eye"
file = "detector.onnx"
sha256 = "{sha}"
licence = "Apache-2.0"
labels = ["structure", "smoke"]

[input]
width_px = 640
height_px = 384

[head]
layout = "yolox"

[scores]
recall = 0.91
"""
SHA = "ab" * 32


def folder_with(folder: Path, text: str) -> Path:
    (folder / "model.toml").write_text(text, encoding="utf-8")
    return folder


def test_what_is_not_said_has_a_default(tmp_path: Path) -> None:
    """Colour, scale, padding, strides and thresholds need not be written."""
    manifest = read_manifest(folder_with(tmp_path, PLAIN.format(sha=SHA)))
    assert manifest.labels == ("structure", "smoke")
    assert manifest.input == InputTable(width_px=640, height_px=384)
    assert (manifest.input.colour, manifest.input.resize) == ("rgb", "letterbox_centre")
    assert manifest.head.strides == (8, 16, 32)
    assert manifest.thresholds == ThresholdsTable(min_score=0.25, nms_iou=0.5)
    assert manifest.model_path == tmp_path / "detector.onnx"
    assert manifest.model_hash == bytes.fromhex(SHA)[:8]
    assert manifest.scores == {"recall": 0.91}


words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    labels=st.lists(words, min_size=1, max_size=5, unique=True),
    licence=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    scale=st.floats(1e-6, 10),
    mean=st.tuples(*[st.floats(-255, 255)] * 3),
    score=st.floats(0, 1),
    scores=st.dictionaries(words, st.floats(0, 1) | words | st.lists(st.integers(0, 9))),
)
def test_every_manifest_is_read_as_it_was_written(
    *,
    tmp_path: Path,
    labels: list,
    licence: str,
    scale: float,
    mean: tuple,
    score: float,
    scores: dict,
) -> None:
    """Any label, any number, any note: writing and reading gives the same manifest."""
    manifest = ModelManifest(
        folder=tmp_path,
        format=1,
        name="any",
        sha256=SHA,
        licence=licence,
        labels=tuple(labels),
        input=InputTable(width_px=64, height_px=32, scale=scale, mean=mean, colour="bgr"),
        head=HeadTable(layout="gfl", strides=(8, 16, 32, 64)),
        thresholds=ThresholdsTable(min_score=score),
        scores=scores,
    )
    write_manifest(manifest)
    assert read_manifest(tmp_path) == manifest


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'licence = "A',
            'license = "A',
            r":6: license: unknown key \(value 'Apache-2\.0'\); did you mean `licence`",
        ),
        (
            "width_px",
            "widht_px",
            r":10: input\.widht_px: unknown key \(value 640\); did you mean `width_px`",
        ),
        ("format = 1", "format = 2", r":2: format = 2: "),
        ("= 640", "= 64000", r":10: input\.width_px = 64000: .*4096"),
        ('"yolox"', '"yolo99"', r":14: head\.layout = 'yolo99': .*'yolov5'"),
        ('"detector.onnx"', '"../x.onnx"', r":4: file = '\.\./x\.onnx': .*bare file name"),
        (SHA, "abc", r":5: sha256 = 'abc'"),
        ('name = "some-eye"\n', "", r":1: name: is missing"),
        ('"smoke"', '"structure"', r":7: labels = .*unique"),
        ("format = 1", "folder = '/'\nformat = 1", r":2: folder: unknown key"),
        ("labels = [", "labels = [[", r"not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_line_key_and_value(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    """A typing mistake costs one look: file, line, key, value, nearest key."""
    text = PLAIN.format(sha=SHA)
    assert old in text
    with pytest.raises(ModelManifestError, match=rf"model\.toml(?s:.*){said}"):
        read_manifest(folder_with(tmp_path, text.replace(old, new, 1)))


def test_a_std_of_zero_is_refused(tmp_path: Path) -> None:
    """Nothing is divided by zero in flight."""
    text = PLAIN.format(sha=SHA).replace("[head]", "std = [1, 0, 1]\n[head]")
    with pytest.raises(ModelManifestError, match=r"input\.std.*positive"):
        read_manifest(folder_with(tmp_path, text))


def test_a_folder_without_a_manifest_says_how_to_make_one(tmp_path: Path) -> None:
    """The message names the file that is missing and the command that writes it."""
    with pytest.raises(ModelManifestError, match=r"model\.toml.*skywhistle model add"):
        read_manifest(tmp_path / "nothing")


def test_a_file_beyond_the_cap_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Size is judged before reading, so that a huge file cannot take the memory."""
    monkeypatch.setattr(manifest_module, "MAX_MODEL_BYTES", 10)
    (tmp_path / "big.onnx").write_bytes(bytes(11))
    with pytest.raises(ModelError, match=r"big\.onnx has .* MB, more than"):
        read_model_bytes(tmp_path / "big.onnx")
    with pytest.raises(ModelError, match=r"none\.onnx cannot be read"):
        read_model_bytes(tmp_path / "none.onnx")


def test_advisory_labels_are_labels_and_survive_a_round_trip(tmp_path: Path) -> None:
    """A manifest may call some of its own labels advisory, and no others."""
    manifest = write_model(tmp_path, cell_model(), labels=("shed", "smoke"))
    path = write_manifest(manifest.model_copy(update={"advisory": ("smoke",)}))
    assert read_manifest(tmp_path).advisory == ("smoke",)
    path.write_text(path.read_text().replace('advisory = ["smoke"]', 'advisory = ["yurt"]'))
    with pytest.raises(ModelManifestError, match="'yurt' is none of the labels shed, smoke"):
        read_manifest(tmp_path)
