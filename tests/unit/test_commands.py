"""What the commands do with their arguments, and the config with its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from edge.cli.main import app
from edge.cli.shipped import DEMO_FLIGHT, flight_folder
from edge.config import PatrolConfig
from edge.district import rule_book
from edge.errors import SkywhistleError
from edge.protocol.alert import encode_alert
from edge.protocol.messages import MessageKind, Stamp, seal
from tests.unit.protocol.alerts import typical_alert


def test_an_alert_decodes_from_the_command_line() -> None:
    """Hex digits that are too many for a file's name are still hex digits."""
    payload = seal(MessageKind.ALERT, Stamp(1, 1), encode_alert(typical_alert()))
    assert len(payload.hex()) > 255
    done = CliRunner().invoke(app, ["decode", "--json", payload.hex()])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)


def test_a_shipped_flight_has_a_name_and_a_folder_of_that_name_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`replay demo` is what `sim serve demo` flies; what a user has recorded comes first."""
    monkeypatch.chdir(tmp_path)
    demo = Path("demo")
    assert flight_folder(demo) == DEMO_FLIGHT
    assert flight_folder(Path("moon")) == Path("moon")
    demo.mkdir()
    (demo / "flight.toml").touch()
    assert flight_folder(demo) == demo


def test_a_zone_anywhere_on_earth_can_be_checked_before_the_first_fix(tmp_path: Path) -> None:
    """A zone across the meridian of 90° east is as good as any other."""
    ring = [[89.99, 24.0], [90.01, 24.0], [90.01, 24.02], [89.99, 24.02], [89.99, 24.0]]
    zone = tmp_path / "zone.geojson"
    zone.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    camera = {"id": "main", "source": "x", "model": "m", "calibration": "c", "mount": "m"}
    rule = {"name": "sheds", "labels": ["structure"], "inside": ["river"]}
    patrol = PatrolConfig.model_validate(
        {
            "drone_id": "d1",
            "camera": [camera],
            "rule": [rule],
            "zone": [{"name": "river", "file": str(zone)}],
        }
    )
    assert rule_book(patrol, None).zones.names == {"river"}


def test_a_drone_called_desk_is_refused_before_the_start() -> None:
    """Its topics would be the command centre's."""
    camera = {"id": "main", "source": "x", "model": "m", "calibration": "c", "mount": "m"}
    rule = {"name": "sheds", "labels": ["structure"]}
    with pytest.raises(ValidationError, match="the command centre's own name"):
        PatrolConfig.model_validate({"drone_id": "desk", "camera": [camera], "rule": [rule]})


@pytest.mark.parametrize(
    "words",
    [
        ("release", "--incident", "0" * 32),
        ("release", "--case", "2026-1"),
        ("release",),
        ("release", "--incident", "0123", "--case", "2026-1"),
    ],
)
def test_a_release_that_names_too_little_is_refused_by_its_options(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Nothing is sent, the options are named, and the exit code is that of unusable input."""
    done = CliRunner().invoke(
        app, ["tell", "desk.toml", "patrol-01", *words, "--key", str(tmp_path / "command.key")]
    )
    told = done.output + str(done.exception)
    assert "--incident" in told
    error = done.exception
    code = error.exit_code if isinstance(error, SkywhistleError) else done.exit_code
    assert code == 2
