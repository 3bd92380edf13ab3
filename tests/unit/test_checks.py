"""What `skywhistle check` makes of what it was told; the parts themselves are probed elsewhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from edge.checks import (
    Grade,
    _check_keys,
    _check_nothing_flies,
    _grade_of_missing,
    check_terrain,
)
from edge.config import GroundConfig, PatrolConfig
from edge.config_delivery import (
    AcksConfig,
    CommandsConfig,
    MailboxConfig,
    PrivacyConfig,
    SigningConfig,
)
from edge.desk.authority import Authority
from edge.geo.terrain import write_tile
from edge.records import Pose
from edge.report.rolelock import RoleLock
from tests.unit.geo.test_geo_ground import AT
from tests.unit.geo.test_geo_terrain import HILLS


@pytest.mark.parametrize(
    ("name", "got_hz", "ground", "grade", "why"),
    [
        ("ATTITUDE", 0.0, "home", Grade.FAIL, "nothing can be located"),
        ("ATTITUDE", 3.0, "home", Grade.WARN, ""),
        ("EKF_STATUS_REPORT", 0.0, "home", Grade.WARN, ""),
        ("RANGEFINDER", 0.0, "home", Grade.OK, "not needed: ground.source is home"),
        ("RANGEFINDER", 0.0, "terrain_report", Grade.OK, "not needed"),
        ("RANGEFINDER", 0.0, "auto", Grade.WARN, "what there is"),
        ("RANGEFINDER", 0.0, "rangefinder", Grade.FAIL, "nothing can be located"),
        ("TERRAIN_REPORT", 0.5, "terrain_report", Grade.WARN, ""),
    ],
)
def test_a_message_that_does_not_come_is_as_bad_as_what_needs_it(
    name: str, got_hz: float, ground: str, grade: Grade, why: str
) -> None:
    """A warning about what the config does not use teaches people to overlook warnings."""
    got = _grade_of_missing(name, got_hz, ground)
    assert got[0] is grade
    assert why in got[1]


def test_a_terrain_tile_is_checked_before_it_flies(tmp_path: Path) -> None:
    """Missing, unused, not compared, agreeing and disagreeing tiles are told apart."""
    path = tmp_path / "hills.npz"
    ground = GroundConfig(terrain=path)

    def grades(ground: GroundConfig, at: Pose | None) -> list[tuple[Grade, str]]:
        return [(one.grade, one.text) for one in check_terrain(ground, at)]

    assert grades(GroundConfig(), AT) == []
    [(grade, text)] = grades(ground, AT)
    assert (grade, "there is no such file" in text) == (Grade.FAIL, True)
    write_tile(HILLS, path)
    assert grades(GroundConfig(source="home", terrain=path), AT)[0][0] is Grade.WARN
    assert [grade for grade, _ in grades(ground, None)] == [Grade.OK, Grade.WARN]
    assert [grade for grade, _ in grades(ground, AT)] == [Grade.OK, Grade.OK]
    wrong = grades(ground, replace(AT, amsl_m=AT.amsl_m + 40.0))
    assert wrong[1][0] is Grade.FAIL
    assert "above sea level" in wrong[1][1]
    homeless = grades(ground, replace(AT, home=None))
    assert "HOME_POSITION" in homeless[1][1]


def test_a_key_that_stops_the_start_fails_the_check(tmp_path: Path) -> None:
    """Every key that `flight` or `uplink` reads at its start is read, and its mode looked at."""
    keys = Authority.create(tmp_path / "keys", ["localhost"], datetime.now(timezone.utc), 30)
    drone = keys.issue_drone("patrol-01", datetime.now(timezone.utc), 30)
    patrol = PatrolConfig.model_construct(
        signing=SigningConfig(key_file=drone / "sign.key"),
        commands=CommandsConfig(keys=(drone / "command.pub",)),
        acks=AcksConfig(keys=(drone / "ack.pub",)),
        privacy=PrivacyConfig(originals_key=drone / "originals.pub"),
    )

    def failed() -> set[str]:
        return {one.part for one in _check_keys(patrol) if one.grade is Grade.FAIL}

    assert failed() == set()
    (drone / "sign.key").chmod(0o644)
    (drone / "ack.pub").write_text("no key")
    (drone / "command.pub").unlink()
    (drone / "originals.pub").write_bytes((drone / "config.pub").read_bytes())
    assert failed() == {"signing", "commands", "acks", "originals"}
    plain = PatrolConfig.model_construct()
    assert {one.grade for one in _check_keys(plain)} == {Grade.OK}


def test_a_check_beside_a_flight_says_so(tmp_path: Path) -> None:
    """What holds autopilot and camera is named before they are found to be held."""
    mailbox = MailboxConfig(path=tmp_path / "mailbox.db")
    patrol = PatrolConfig.model_construct(mailbox=mailbox)
    assert list(_check_nothing_flies(patrol)) == []
    assert list(tmp_path.iterdir()) == []
    with RoleLock(mailbox.path, "flight"):
        (found,) = _check_nothing_flies(patrol)
    assert found.grade is Grade.WARN
    assert "another flight (process" in found.text
    assert list(_check_nothing_flies(patrol)) == []
