"""Rules and models agree on what can be seen, and an alert says where its model is weak."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.build import build_stages
from edge.capture.recording import open_flight
from edge.config import PatrolConfig, RuleConfig
from edge.errors import LabelError
from edge.labels import refuse_unknown_labels, rules_that_can_fire
from edge.protocol.alert import decode_alert, encode_alert
from edge.replay import ReplayRequest, ReplayResult, replay, replay_settings
from edge.vision.manifest import read_manifest, write_manifest
from tests.painted import LABEL, Painted, paint


@pytest.fixture
def painted(tmp_path: Path) -> Painted:
    return paint(tmp_path / "flight")


def flown(painted: Painted, out: Path, **more: Any) -> ReplayResult:
    out.mkdir()
    flight = open_flight(painted.folder)
    result = replay(ReplayRequest(flight, replay_settings(flight, out, **more), out))
    result.mailbox.close()
    return result


def start(painted: Painted, out: Path) -> None:
    """Start as far as the rules are read: nothing of the flight is needed until then."""
    nothing: Any = None
    settings = replay_settings(open_flight(painted.folder), out)
    build_stages(settings, nothing, nothing, now=nothing)


def patrol_with(*labels: str) -> PatrolConfig:
    camera = {"id": "a", "source": "x", "model": "m", "calibration": "c", "mount": "m"}
    rule = {"name": "mixed", "labels": labels}
    return PatrolConfig.model_validate({"drone_id": "d", "camera": [camera], "rule": [rule]})


@pytest.mark.parametrize("advisory", [(), (LABEL,)])
def test_an_alert_on_an_advisory_label_says_so(
    painted: Painted, tmp_path: Path, advisory: tuple[str, ...]
) -> None:
    """What the manifest calls advisory reaches the desk as a flag of the alert."""
    manifest = read_manifest(painted.folder / "model")
    write_manifest(manifest.model_copy(update={"advisory": advisory}))
    result = flown(painted, tmp_path / "out")
    assert result.stored
    for stored in result.stored:
        assert decode_alert(encode_alert(stored.alert)).flags.advisory is bool(advisory)


def test_a_rule_on_a_label_that_no_model_has_stops_the_start(
    painted: Painted, tmp_path: Path
) -> None:
    """It would never fire, in silence: the message names rule, label and what there is."""
    config = painted.folder / "patrol.toml"
    config.write_text(config.read_text().replace(f'labels = ["{LABEL}"]', 'labels = ["yurt"]'))
    with pytest.raises(LabelError, match=rf"'sheds'.*'yurt'.*{LABEL}"):
        start(painted, tmp_path)


def test_every_label_of_a_rule_must_be_known_but_the_air_is_measured() -> None:
    """One unknown label among known ones is refused; gases need no model."""
    refuse_unknown_labels(patrol_with("smoke", "pm25"), [("smoke",)])
    refuse_unknown_labels(patrol_with("smoke", "car"), [("smoke",), ("car",)])
    with pytest.raises(LabelError, match="'car'"):
        refuse_unknown_labels(patrol_with("smoke", "car"), [("smoke",)])


def test_rules_narrow_to_another_model() -> None:
    """Rules written for one model keep what another one knows, and say what they lost."""
    rules = [RuleConfig(name="a", labels=("smoke", "car")), RuleConfig(name="b", labels=("yurt",))]
    kept, left_out = rules_that_can_fire(rules, ("smoke",))
    assert [(rule.name, rule.labels) for rule in kept] == [("a", ("smoke",))]
    assert left_out == ["car", "yurt"]


def test_a_replay_with_another_model_flies_the_rules_that_it_can(
    painted: Painted, tmp_path: Path
) -> None:
    """A model named on the command line narrows the config's rules instead of being refused."""
    config = painted.folder / "patrol.toml"
    text = config.read_text()
    config.write_text(text.replace(f'labels = ["{LABEL}"]', f'labels = ["{LABEL}", "yurt"]'))
    assert flown(painted, tmp_path / "out", model=painted.folder / "model").stored
