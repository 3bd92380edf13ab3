"""The first flight ever over a district, on a disk that is full by the time of the first fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.capture.recording import open_flight
from edge.config import DistrictConfig
from edge.district import read_inputs
from edge.errors import ConfigError
from edge.geo.plane import ORIGIN_FILE, known_origin
from edge.records import AlertKind
from edge.replay import ReplayRequest, ReplayResult, replay, replay_settings
from edge.settings import Settings
from edge.stages import Stages
from tests.painted import N_FRAMES, paint
from tests.small_disk import fill, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def on_disk(flight: Path, out: Path, disk: Path) -> tuple[ReplayRequest, Settings]:
    """Put what an aircraft keeps onto the small disk, and the replay's own results elsewhere."""
    recorded = open_flight(paint(flight).folder)
    out.mkdir()
    settings = replay_settings(recorded, out)
    patrol = settings.patrol.model_copy(
        update={
            "state_dir": disk / "state",
            "mailbox": settings.patrol.mailbox.model_copy(update={"path": disk / "mailbox.db"}),
            "evidence": settings.patrol.evidence.model_copy(update={"folder": disk / "evidence"}),
        }
    )
    settings = replace(settings, patrol=patrol)
    return ReplayRequest(recorded, settings, out), settings


def flown(request: ReplayRequest, disk: Path, prepare: Callable[[Stages], None]) -> ReplayResult:
    """Fly with the disk full from the first frame to the last."""

    def take_off(stages: Stages) -> None:
        stages.fatal = ()  # as in the air
        prepare(stages)
        fill(disk)

    result = replay(replace(request, on_built=take_off))
    result.mailbox.close()
    return result


def test_on_a_full_disk_the_first_flight_ever_alerts(tmp_path: Path, disk: Path) -> None:
    """No frame is lost for want of an origin; the reserve takes the alerts, and then the origin."""
    request, settings = on_disk(tmp_path / "flight", tmp_path / "out", disk)
    result = flown(request, disk, lambda stages: stages.mailbox.keep_ballast())
    health, district = result.stages.health, result.stages._district
    assert health.frames == health.sightings == N_FRAMES
    assert [one.alert.kind for one in result.stored][:1] == [AlertKind.NEW]
    assert district is not None
    assert known_origin(settings.patrol.state_dir, DistrictConfig()) == district.plane


def test_without_any_room_the_flight_goes_on_and_the_next_makes_the_origin(
    tmp_path: Path, disk: Path
) -> None:
    """Every frame is looked at and located, the error is told, and no half of a file is left."""
    request, settings = on_disk(tmp_path / "flight", tmp_path / "out", disk)
    health = flown(request, disk, lambda _: None).stages.health
    assert health.frames == health.sightings == N_FRAMES
    assert any("origin was not kept" in told for told in health.errors)
    assert known_origin(settings.patrol.state_dir, DistrictConfig()) is None
    (disk / "filler").unlink()
    (tmp_path / "again").mkdir()
    again = replay(replace(request, out=tmp_path / "again"))
    again.mailbox.close()
    assert again.stages.health.lost_events == 0
    assert known_origin(settings.patrol.state_dir, DistrictConfig()) is not None


def test_a_damaged_origin_stops_the_start(tmp_path: Path, disk: Path) -> None:
    """What could only cost every frame in the air is refused on the ground."""
    _, settings = on_disk(tmp_path / "flight", tmp_path / "out", disk)
    settings.patrol.state_dir.mkdir()
    (settings.patrol.state_dir / ORIGIN_FILE).write_text("")
    with pytest.raises(ConfigError, match=r"origin\.json is damaged"):
        read_inputs(settings.patrol)
