"""`skywhistle score`, from flight folders to figures, page, verdicts and exit codes."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edge.cli.main import app
from tests.painted import LABEL, N_FRAMES
from tests.scored import paint_scored

pytestmark = pytest.mark.system


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["score", *map(str, arguments)])


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return paint_scored(tmp_path_factory.mktemp("scored") / "flight").folder


@pytest.fixture(scope="module")
def told(flight: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One run with all that can be asked for, and what it left."""
    out = tmp_path_factory.mktemp("told")
    done = run(
        flight, "--json", "--frames", "--thresholds", "--html", out / "page.html",
        "--junit", out / "junit.xml", "--fail-if", "recall<0.9", "--fail-if", "precision<0.9",
    )  # fmt: skip
    return {
        "code": done.exit_code,
        "json": json.loads(done.stdout),
        "page": (out / "page.html").read_text("utf-8"),
        "junit": ElementTree.parse(out / "junit.xml").getroot(),
        "stderr": done.stderr,
    }


def test_the_json_has_every_figure_that_was_promised(told: dict[str, Any]) -> None:
    """One of two things is found, in its place; the figures say so, over all and in groups."""
    result = told["json"]
    wanted = "recall precision false_alarms_per_h duplicates geotag_median_m geotag_p90_m "
    wanted += "ellipse_hit_rate frames inferences by_class by_cause by_flight machine models"
    assert set(wanted.split()) <= set(result)
    assert (result["recall"], result["precision"]) == (0.5, 1.0)
    assert (result["duplicates"], result["false_alarms"], result["by_cause"]) == (0, 0, {})
    assert result["frames"] == result["inferences"] == N_FRAMES
    assert result["geotag_median_m"] < 0.5
    assert result["by_class"][LABEL]["recall"] == 1.0
    assert result["by_class"]["smoke"] | {"recall": 0.0, "missed": 1} == result["by_class"]["smoke"]
    assert result["by_flight"]["painted"]["missed_things"] == ["smoke smoke-1"]
    assert result["by_family"]["squares"]["recall"] == 0.5
    assert result["flight_h"] == pytest.approx((N_FRAMES - 1) / 3600, abs=1e-4)


def test_the_latency_is_flight_time_from_first_shown_to_stored(told: dict[str, Any]) -> None:
    """Three looks at one frame a second: the alert is stored two seconds after the first."""
    assert told["json"]["shown_to_alert_median_s"] == pytest.approx(2.0, abs=0.01)


def test_frames_are_scored_by_coco(told: dict[str, Any]) -> None:
    """The painted square is boxed in every frame; a class that the model lacks is named."""
    level = told["json"]["frame_level"]
    assert level["frames"] == N_FRAMES
    assert level["by_class"][LABEL] == {"ap50": 1.0, "boxes": N_FRAMES}
    assert level["unknown_to_the_model"] == {"smoke": N_FRAMES}


def test_other_thresholds_are_told_and_the_rules_own_agrees_with_the_score(
    told: dict[str, Any],
) -> None:
    """What is surely seen is found at each, what no look shows at none; the rule's is marked."""
    rows = [row for row in told["json"]["thresholds"] if row["label"] == LABEL]
    assert [row["recall"] for row in rows] == [1.0] * len(rows)
    assert all(row["precision"] == 1.0 and row["alerts"] == row["truths"] == 1 for row in rows)
    own = [row for row in rows if row["is_rule"]]
    assert len(own) == 1
    assert own[0]["recall"] == told["json"]["by_class"][LABEL]["recall"]
    smoke = [row for row in told["json"]["thresholds"] if row["label"] == "smoke"]
    assert [row["recall"] for row in smoke] == [0.0] * len(rows)


def test_a_failed_gate_exits_with_1_and_names_the_figure(told: dict[str, Any]) -> None:
    """Of two conditions the one that holds fails the gate, in the exit code and in JUnit."""
    assert told["code"] == 1
    assert "recall is 0.5" in told["stderr"]
    gate = told["json"]["gate"]
    assert (len(gate["failed"]), len(gate["passed"])) == (1, 1)
    suite = told["junit"].find("testsuite")
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failed = [
        case.get("name") for case in suite.iter("testcase") if case.find("failure") is not None
    ]
    assert failed == ["recall<0.9"]
    assert {p.get("name") for p in suite.iter("property")} >= {"recall", "precision", "machine"}


class Page(HTMLParser):
    """Collects what a page would load, and sees that its tags close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.scripts += tag == "script"
        self.sources += [value or "" for key, value in named.items() if key in {"src", "href"}]
        if tag not in {"meta", "img", "br", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_but_itself(told: dict[str, Any]) -> None:
    """Every picture is inlined and can be decoded; no script, no address, every tag closed."""
    page = Page(told["page"])
    assert not page.open
    assert page.scripts == 0
    assert all(source.startswith("data:image/") for source in page.sources)
    assert "http" not in re.sub(r"data:image/[^\"]+", "", told["page"]).replace("http-equiv", "")
    webp = [s for s in page.sources if s.startswith("data:image/webp;base64,")]
    for source in webp:
        data = np.frombuffer(base64.b64decode(source.split(",", 1)[1]), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_COLOR) is not None
    svg = [s for s in page.sources if s.startswith("data:image/svg+xml;base64,")]
    for source in svg:
        root = ElementTree.fromstring(base64.b64decode(source.split(",", 1)[1]))
        assert root.tag.endswith("svg")
    assert len(webp) == 2  # the miss, and the map
    assert len(svg) >= 4


def test_the_page_shows_the_miss_and_says_why(told: dict[str, Any]) -> None:
    """A miss has its picture, how often it was shown, and what stands in its way."""
    text = re.sub(r"data:image/[^\"]+", "", told["page"])
    assert "Missed: 1" in text
    assert f"shown in {N_FRAMES} frames; never boxed as smoke; the model has no such class" in text
    assert "The gate failed: 1 of 2" in text


def test_a_result_is_its_own_baseline(flight: Path, tmp_path: Path) -> None:
    """The same flights again are inside the band; a stored result that was better is not."""
    stored = tmp_path / "baseline.json"
    assert run(flight, "--out", stored).exit_code == 0
    assert run(flight, "--baseline", stored).exit_code == 0
    better = json.loads(stored.read_text())
    for table in (better, better["by_class"]["smoke"]):
        table.update({"truths": 400, "found": 400, "recall": 1.0})
    stored.write_text(json.dumps(better))
    worse = run(flight, "--baseline", stored)
    assert worse.exit_code == 1
    assert "recall fell by 0.5" in worse.stderr
    assert "by_class.smoke.recall fell by 1" in worse.stderr


def test_flights_side_by_side_give_what_they_give_in_turn(tmp_path: Path) -> None:
    """Jobs change no figure, and the flights keep their order."""
    folders = [paint_scored(tmp_path / name, name).folder for name in ("b", "a")]
    results = [json.loads(run(*folders, "--json", "--jobs", n).stdout) for n in (1, 2)]
    for result in results:
        assert list(result["by_flight"]) == ["b", "a"]
    for key in ("recall", "precision", "geotag_errors_m", "by_class", "truths", "alerts"):
        assert results[0][key] == results[1][key]


def test_bad_input_exits_with_2_before_anything_is_flown(flight: Path, tmp_path: Path) -> None:
    """What cannot be scored is named, with what to do; it is no verdict of the gate."""
    (tmp_path / "bad.json").write_text('{"format": 1}')
    cases: list[tuple[list[str | Path], str]] = [
        ([], "at least one flight"),
        ([tmp_path / "nowhere"], "cannot be read"),
        ([flight, flight], "given twice"),
        ([flight, "--fail-if", "recal<0.9"], "the nearest is 'recall'"),
        ([flight, "--fail-if", "by_class.smok.recall<0.9"], "by_class.smoke.recall"),
        ([flight, "--fail-if", "recall is low"], "no condition"),
        ([flight, "--baseline", tmp_path / "bad.json"], "no result of `skywhistle score --json`"),
        ([flight, "--html", tmp_path], "is a folder"),
        (["--pictures", tmp_path / "nowhere"], "no folder of pictures"),
        ([flight, "--model", tmp_path], "model.toml"),
    ]
    for arguments, words in cases:
        done = run(*arguments)
        assert done.exit_code == 2, (arguments, done.output)
        assert words in done.stderr.replace("\n", " "), (arguments, done.stderr)


def test_a_flight_without_truth_is_refused(flight: Path, tmp_path: Path) -> None:
    """There is nothing to score against, and the message names the command that helps."""
    text = (flight / "flight.toml").read_text().replace('[truth]\nfile = "truth.geojson"\n', "")
    folder = paint_scored(tmp_path / "flight").folder
    (folder / "flight.toml").write_text(text)
    done = run(folder)
    assert done.exit_code == 2
    assert "skywhistle replay" in done.stderr


def test_single_pictures_are_scored_at_the_thresholds_of_the_rules(
    flight: Path, tmp_path: Path
) -> None:
    """A red cell is a shed to the painted model: found where it should be, false where not."""
    red, black = np.zeros((640, 640, 3), np.uint8), np.zeros((640, 640, 3), np.uint8)
    red[80:160, 80:160] = (0, 0, 255)
    folder = tmp_path / "pictures"
    for tag, image in (("shed", red), ("shed", black), ("negative", black), ("quiet", red)):
        (folder / tag).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / tag / f"{int(image.max())}.png"), image)
    (tmp_path / "tags.toml").write_text(f'[tags]\nshed = ["{LABEL}"]\nnegative = []\nquiet = []\n')
    page = tmp_path / "page.html"
    done = run(
        "--pictures", folder, "--tags", tmp_path / "tags.toml", "--config", flight / "patrol.toml",
        "--json", "--html", page, "--fail-if", "pictures.by_tag.shed.share_found<0.5",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)["pictures"]
    assert told["by_tag"]["shed"]["share_found"] == 0.5
    assert told["by_tag"]["negative"]["false_alarms"] == 0
    assert told["by_tag"]["quiet"]["false_alarms"] == 1
    assert told["false_alarms_per_10"] == 5.0
    assert len([s for s in Page(page.read_text("utf-8")).sources if "webp" in s]) == 2
