"""`skywhistle replay` says whether the mount is what the flight's files say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.aircraft import command
from tests.patrol_flight import Patrol, write_patrol_flight

pytestmark = pytest.mark.system


@pytest.mark.parametrize(
    ("said", "agreement"), [("stabilised", "disagrees"), ("servo", "agrees"), ("mount", "extra")]
)
def test_a_replay_names_a_mount_of_another_kind(tmp_path: Path, said: str, agreement: str) -> None:
    """A servo mount under a rocking vehicle: the summary says what it is, a sentence what to do."""
    flight = write_patrol_flight(tmp_path / "flight", Patrol(seconds=12.0, gimbal="servo"))
    spec = flight / "flight.toml"
    spec.write_text(spec.read_text().replace("mount.toml", f"{said}.toml"))
    out = tmp_path / "out"
    done = command("replay", str(flight), "--model", str(flight / "model"), "--out", str(out))
    assert done.returncode == 0, done.stderr
    mount = json.loads((out / "summary.json").read_text())["mounts"]["main"]
    assert (mount["shown"], mount["agreement"]) == ("servo", agreement)
    told = " ".join(done.stderr.split())
    assert ("mount of main:" in told) == (agreement != "agrees")
    assert ("but it moves like a servo one" in told) == (agreement == "disagrees")
