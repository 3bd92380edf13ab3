"""The scorer's parts: true boxes, frames, single pictures, pictures of what went wrong."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cli.main import app
from edge.errors import ConfigError, FlightError
from edge.records import CLASS_NUMBERS
from sim.score.findings import Finding, FindingKind
from sim.score.frames import FrameBoxes, score_frames
from sim.score.gate import known_figures, read_conditions
from sim.score.looks import SEEN_MIN_PX, SEEN_SHARE, TrueBox, iou, read_boxes
from sim.score.pictures import MAX_PICTURE_BYTES, PICTURE_WH_PX, picture_of
from sim.score.stills import DEFAULT_TAGS, read_stills, read_tags

REPO = Path(__file__).resolve().parents[3]


def test_a_box_counts_as_seen_by_the_simulators_own_rule() -> None:
    """Recall's `seen_frames` and the boxes of the report go by one rule."""
    truth = pytest.importorskip("sim.truth", exc_type=ImportError)
    assert (SEEN_SHARE, SEEN_MIN_PX) == (truth.SEEN_SHARE, truth.SEEN_MIN_PX)


def test_a_coco_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """A broken boxes.json is told by name; without one there is nothing to read."""
    path = tmp_path / "boxes.json"
    assert read_boxes(path) == {}
    path.write_text(json.dumps({"images": [], "categories": [], "annotations": [{"id": 1}]}))
    with pytest.raises(FlightError, match=r"boxes\.json"):
        read_boxes(path)


BOX = st.tuples(*[st.floats(0, 50)] * 2, *[st.floats(51, 100)] * 2)


@given(BOX, BOX)
def test_overlap_is_even_handed(
    a: tuple[float, float, float, float], b: tuple[float, float, float, float]
) -> None:
    """IoU is between 0 and 1, the same both ways, and 1 with itself."""
    assert 0.0 <= iou(a, b) <= 1.0
    assert iou(a, b) == pytest.approx(iou(b, a))
    assert iou(a, a) == pytest.approx(1.0)
    assert iou(a, (a[2] + 1, a[3] + 1, a[2] + 9, a[3] + 9)) == 0.0


# --- frames -------------------------------------------------------------------------------------


def frame_boxes(
    detections: list[tuple[float, ...]], truths: list[tuple[float, ...]], **more: Any
) -> FrameBoxes:
    rows = [np.array(r, float).reshape(-1, 7) for r in (detections, truths)]
    return FrameBoxes(**{"n_frames": 4, "labels": ("a", "b"), "unknown": {}} | more,
                      detections=rows[0], truths=rows[1])  # fmt: skip


HIT, ELSEWHERE = (10.0, 10.0, 60.0, 60.0), (200.0, 200.0, 260.0, 260.0)


def test_average_precision_of_the_simple_cases() -> None:
    """All found first: 1.  A wrong box above the right one: a half.  None: 0.  No truth: absent."""
    truth = [(0, 0, 0, *HIT)]
    assert score_frames([frame_boxes([(0, 0, 0.9, *HIT)], truth)]).map50 == pytest.approx(1.0)
    wrong_first = [(0, 0, 0.9, *ELSEWHERE), (0, 0, 0.5, *HIT)]
    assert score_frames([frame_boxes(wrong_first, truth)]).map50 == pytest.approx(0.5, abs=0.01)
    assert score_frames([frame_boxes([], truth)]).map50 == 0.0
    nothing = score_frames([frame_boxes([], [])])
    assert (nothing.map50, nothing.by_class["a"]) == (None, None)


def test_the_right_place_with_the_wrong_class_is_wrong_twice() -> None:
    """It is a miss of one class and a false box of the other."""
    score = score_frames(
        [frame_boxes([(0, 1, 0.9, *HIT), (1, 1, 0.5, *HIT)], [(0, 0, 0, *HIT), (1, 1, 0, *HIT)])]
    )
    assert score.by_class["a"] == 0.0
    assert score.by_class["b"] == pytest.approx(0.5, abs=0.01)


def test_what_nobody_could_see_is_neither_right_nor_wrong() -> None:
    """A box on an ignored truth costs nothing, and missing it costs nothing."""
    truths = [(0, 0, 0, *HIT), (0, 0, 1, *ELSEWHERE)]
    without = score_frames([frame_boxes([(0, 0, 0.5, *HIT)], truths)])
    on_it = score_frames([frame_boxes([(0, 0, 0.9, *ELSEWHERE), (0, 0, 0.5, *HIT)], truths)])
    assert without.map50 == on_it.map50 == pytest.approx(1.0)
    assert without.n_true["a"] == 1


def test_frames_of_two_flights_do_not_mix() -> None:
    """Frame 0 of one flight is not frame 0 of another: a box there does not find it."""
    one = frame_boxes([(0, 0, 0.9, *HIT)], [(0, 0, 0, *HIT)])
    other = frame_boxes([], [(0, 0, 0, *HIT)], labels=("a",), unknown={"smoke": 3})
    score = score_frames([one, other, other])
    assert score.by_class["a"] == pytest.approx(1 / 3, abs=0.02)
    assert (score.n_frames, score.unknown) == (12, {"smoke": 6})


# --- single pictures ----------------------------------------------------------------------------


def test_tags_stand_for_classes_that_there_are() -> None:
    """The default names no class that the project does not know."""
    assert {label for labels in DEFAULT_TAGS.values() for label in labels} <= set(CLASS_NUMBERS)
    assert DEFAULT_TAGS["negative"] == DEFAULT_TAGS["hard_negative"] == ()


def test_a_manifest_names_the_pictures_and_their_tags(tmp_path: Path) -> None:
    """Rows of file, tag and note are read; a class is its own tag."""
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "manifest.csv").write_text("file,tag,note\na.jpg,site,a pit\nb.jpg,smoke,\n")
    first, second = read_stills(tmp_path, read_tags(None))
    assert (first.labels, first.note) == (("bare_soil", "open_pit"), "a pit")
    assert second.labels == ("smoke",)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("file,tag\nnone.jpg,site\n", "names none.jpg"),
        ("file,tag\na.jpg,volcano\n", "'volcano'"),
        ("picture,what\na.jpg,site\n", "columns file,tag"),
        ("file,tag\n", "neither manifest.csv nor pictures"),
    ],
)
def test_a_folder_of_pictures_that_is_none_is_refused(
    tmp_path: Path, manifest: str, words: str
) -> None:
    """A missing picture, an unknown tag or a wrong column is told, with what to do."""
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "manifest.csv").write_text(manifest)
    with pytest.raises(ConfigError, match=words):
        read_stills(tmp_path, read_tags(None))


@pytest.mark.parametrize("text", ["tags = 3", "[tags]\nsite = 'x'", "[tag]\n", "[tags"])
def test_tags_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    """A tags file says lists of class names under [tags], or stops the start."""
    path = tmp_path / "tags.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"tags\.toml"):
        read_tags(path)


# --- pictures of what went wrong ----------------------------------------------------------------


@given(
    st.tuples(st.integers(40, 900), st.integers(40, 900)),
    st.tuples(*[st.floats(0, 0.9)] * 2, *[st.floats(0.01, 0.6)] * 2),
)
@settings(max_examples=12)
def test_a_picture_is_small_whatever_it_shows(
    size_px: tuple[int, int], part: tuple[float, float, float, float]
) -> None:
    """A box at any edge of a frame of any size gives a picture within the page's bounds."""
    width, height = size_px
    rng = np.random.default_rng(width * height)
    image = rng.integers(0, 255, (height, width, 3), np.uint8)  # noise: the hardest to compress
    x0, y0 = part[0] * width, part[1] * height
    box = (x0, y0, min(x0 + part[2] * width, width - 1), min(y0 + part[3] * height, height - 1))
    true = TrueBox("t", "pool", False, box, 1.0)
    finding = Finding(FindingKind.MISS, "smoke", "t", "", (), "main", 0, box, (), (true,))
    data = picture_of(image, finding)
    assert data is not None
    shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert PICTURE_WH_PX[0] / 4 <= shown.shape[1] <= PICTURE_WH_PX[0]
    assert len(data) <= MAX_PICTURE_BYTES


# --- the workflow -------------------------------------------------------------------------------


def workflow_script() -> str:
    """Return the shell of the workflow's step that scores."""
    text = (REPO / "docs" / "ci-score.yml").read_text("utf-8")
    step = text.split("- name: Score\n", 1)[1].split("- name:", 1)[0]
    return re.sub(r"^ {10}", "", step.split("run: |\n", 1)[1], flags=re.MULTILINE)


def test_the_workflow_uses_options_and_figures_that_there_are() -> None:
    """The ready-made workflow is shell that parses, with options that the command has."""
    script = workflow_script()
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    command = typer.main.get_command(app).commands["score"]  # type: ignore[attr-defined]
    known = {name for option in command.params for name in option.opts}
    words = shlex.split(script, comments=True)
    used = {word for word in words if word.startswith("--")} - {"--"}
    assert {"--jobs", "--html", "--junit", "--baseline"} <= used <= known
    conditions = [words[n + 1] for n, word in enumerate(words) if word == "--fail-if"]
    assert len(read_conditions(conditions, known_figures([], [], with_frames=False))) == 3
