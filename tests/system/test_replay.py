"""A whole flight through the loop, from pictures and a log to what the desk would get."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymap3d
import pytest
from typer.testing import CliRunner

from edge.capture.recording import open_flight
from edge.cli.main import app
from edge.cli.results import FlightResults, write_results
from edge.errors import ConfigError, MailboxFullError
from edge.pipeline import fly
from edge.protocol.text import decode_any
from edge.records import AlertKind, Frame, Tick
from edge.replay import ReplayRequest, ReplayResult, fresh_folder, replay, replay_settings
from edge.report.mailbox import Mailbox
from edge.stages import Stages
from sim.score.matching import newest_words
from tests.aircraft import command
from tests.painted import N_FRAMES, Painted, paint
from tests.small_disk import fill, small_disk

pytestmark = pytest.mark.system


@pytest.fixture
def painted(tmp_path: Path) -> Painted:
    return paint(tmp_path / "flight")


def flown(painted: Painted, out: Path, **request: Any) -> ReplayResult:
    flight = open_flight(painted.folder)
    out.mkdir(exist_ok=True)
    return replay(ReplayRequest(flight, replay_settings(flight, out), out, **request))


def test_one_thing_seen_in_every_frame_is_one_alert_in_its_place(
    painted: Painted, tmp_path: Path
) -> None:
    """Eight looks at one square give one `new` within half a metre of it, and one `end`."""
    result = flown(painted, tmp_path / "out")
    kinds = [stored.alert.kind for stored in result.stored]
    assert kinds == [AlertKind.NEW, AlertKind.END]
    alert = result.stored[-1].alert
    east, north, _ = pymap3d.geodetic2enu(
        alert.lat_deg, alert.lon_deg, 0.0, painted.target_lat_deg, painted.target_lon_deg, 0.0
    )
    assert abs(east) < 0.5
    assert abs(north) < 0.5
    assert alert.looks == N_FRAMES
    assert alert.extent_w_m == pytest.approx(6.25, abs=0.3)
    assert alert.department == "urban"
    assert result.stages.health.lost_events == 0
    result.mailbox.close()


def test_the_mailbox_holds_what_the_wire_carries(painted: Painted, tmp_path: Path) -> None:
    """What the outbox would send decodes, in at most 200 bytes, with the picture's hash."""
    result = flown(painted, tmp_path / "out")
    rows = result.mailbox.take_due(10, lambda _tries: 0, with_media=False)
    messages = [decode_any(row.body) for row in rows if row.kind.name == "ALERT"]
    assert len(messages) == 2
    assert all(stored.n_bytes <= 200 for stored in result.stored)
    assert result.stored[0].alert.evidence_hash
    assert len(list((tmp_path / "out" / "evidence").glob("*.webp"))) >= 1
    result.mailbox.close()


def test_a_replay_leaves_its_four_files(painted: Painted, tmp_path: Path) -> None:
    """Summary, GeoJSON, detections and map are written, and every frame has its place."""
    out = tmp_path / "out"
    result = flown(painted, out, annotate=True)
    results = FlightResults(
        recorded=open_flight(painted.folder),
        health=result.stages.health,
        log=result.log,
        stored=result.stored,
        alerts=newest_words(stored.alert for stored in result.stored),
        outbox_left=result.mailbox.queue_state().queued,
        wall_s=result.wall_s,
    )
    write_results(results, out, "painted")
    result.mailbox.close()
    summary = json.loads((out / "summary.json").read_text())
    wanted = "truth alerts_new recall precision duplicates geotag_median_m geotag_p90_m "
    wanted += "ellipse_hit_rate frame_to_outbox_p99_s frame_to_desk_p99_s alert_bytes_median "
    wanted += "alert_bytes_max frames inferences detections frames_dropped outbox_left"
    assert set(wanted.split()) <= set(summary)
    assert summary["frames"] == summary["inferences"] == N_FRAMES
    assert summary["truth"] is None
    assert len(json.loads((out / "alerts.geojson").read_text())["features"]) == 1
    lines = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    assert len(lines) == N_FRAMES
    assert all("lat_deg" in line["centre"] and len(line["footprint"]) == 4 for line in lines)
    assert (out / "map.png").stat().st_size > 10_000
    assert len(list((out / "frames").glob("*.jpg"))) == N_FRAMES


def test_a_replay_gives_the_same_result_twice(painted: Painted, tmp_path: Path) -> None:
    """Nothing of this computer's clock or speed enters the result."""
    places = []
    for name in ("a", "b"):
        result = flown(painted, tmp_path / name)
        places.append(
            [
                (s.alert.lat_deg, s.alert.lon_deg, s.alert.score, s.alert.time.utc_ns)
                for s in result.stored
            ]
        )
        result.mailbox.close()
    assert places[0] == places[1]


def test_two_cameras_that_see_one_thing_make_one_incident(tmp_path: Path) -> None:
    """The loop flies with a list of cameras; what both see is still one thing."""
    result = flown(paint(tmp_path / "flight", ("main", "thermal")), tmp_path / "out")
    assert result.stages.health.frames == 2 * N_FRAMES
    assert [stored.alert.kind for stored in result.stored] == [AlertKind.NEW, AlertKind.END]
    assert result.stored[-1].alert.looks == 2 * N_FRAMES
    result.mailbox.close()


def test_a_restart_in_the_air_repeats_no_alert(painted: Painted, tmp_path: Path) -> None:
    """A flight that died after its `new` goes on with the incident that it had."""
    first = flown(painted, tmp_path / "out")
    incident = first.stored[0].alert.incident_id
    first.mailbox.close()
    second = flown(painted, tmp_path / "out")  # the same state folder and mailbox
    assert AlertKind.NEW not in {stored.alert.kind for stored in second.stored}
    assert {stored.alert.incident_id for stored in second.stored} <= {incident}
    second.mailbox.close()


class FullMailbox(Mailbox):
    """A real mailbox whose disk is full for a while."""

    refusals = 3

    def put_all(self, messages: Any) -> list[int]:
        if self.refusals:
            self.refusals -= 1
            raise MailboxFullError("no space left on device; free some")
        return super().put_all(messages)


def survive_all(stages: Stages) -> None:
    """Let a replay survive what a flight survives."""
    stages.fatal = ()


def test_a_replay_that_cannot_keep_its_results_ends(painted: Painted, tmp_path: Path) -> None:
    """On a full disk it stops with a sentence: no traceback for each frame, no half result."""
    with small_disk(tmp_path / "disk", size_mb=1) as disk:
        fill(disk, leave_bytes=150_000)
        config = ("--config", str(painted.folder / "patrol.toml"))
        done = command("replay", str(painted.folder), *config, "--frames", "--out", f"{disk}/o")
    assert done.returncode == 1
    assert "free " in done.stderr.splitlines()[-1]
    assert str(disk) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_delays_an_alert_and_loses_none(
    painted: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the mailbox refuses is due again later; a flight goes on meanwhile."""
    monkeypatch.setattr("edge.replay.Mailbox", FullMailbox)
    monkeypatch.setattr("edge.patrol.rules.RETRY_NS", 500_000_000)
    result = flown(painted, tmp_path / "out", on_built=survive_all)
    health = result.stages.health
    assert health.lost_events == FullMailbox.refusals
    assert health.frames == N_FRAMES
    assert [stored.alert.kind for stored in result.stored] == [AlertKind.NEW, AlertKind.END]
    result.mailbox.close()


def test_a_frame_that_breaks_a_step_is_lost_alone(painted: Painted, tmp_path: Path) -> None:
    """The guard loses one frame, counts it, and the flight goes on to its alert."""
    out = tmp_path / "out"
    result = flown(painted, out)
    stages = result.stages
    result.mailbox.close()
    broken = Frame.__new__(Frame)  # a frame without any field: every step that touches it fails
    before = stages.health.lost_events

    def events() -> Iterator[Frame | Tick]:
        yield broken

    fly(events(), replace_log(stages))
    assert stages.health.lost_events > before


def replace_log(stages: Stages) -> Stages:
    stages.log = None
    return stages


def test_rules_reload_all_or_nothing_while_flying(painted: Painted, tmp_path: Path) -> None:
    """A good file takes over thresholds in the air; a bad one changes nothing."""
    config = painted.folder / "patrol.toml"
    good = config.read_text()
    result_settings: list[float] = []

    def reloading(text: str) -> ReplayResult:
        config.write_text(good)
        seen = 0

        def on_event(event: Frame | Tick) -> None:
            nonlocal seen
            seen += isinstance(event, Frame)
            if seen == 1 and isinstance(event, Frame):
                config.write_text(text)
                stages_box[0].reload()

        flight = open_flight(painted.folder)
        out = tmp_path / f"out{len(result_settings)}"
        out.mkdir()
        stages_box: list[Stages] = []
        request = ReplayRequest(flight, replay_settings(flight, out), out, on_event=on_event)
        result = replay(replace(request, on_built=stages_box.append))
        result_settings.append(0.0)
        result.mailbox.close()
        return result

    strict = reloading(good.replace("min_looks = 3", "min_looks = 300"))
    assert strict.stored == ()
    broken = reloading(good.replace("min_looks = 3", "min_loks = 300"))
    assert [stored.alert.kind for stored in broken.stored] == [AlertKind.NEW, AlertKind.END]


def test_results_never_replace_what_is_not_theirs(tmp_path: Path) -> None:
    """A folder with a stranger's file in it is refused, untouched."""
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match=r"thesis\.txt"):
        fresh_folder(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_replay_needs_a_config_or_a_model(painted: Painted, tmp_path: Path) -> None:
    """Without either there is nothing to look for, and the message says so."""
    text = (painted.folder / "flight.toml").read_text()
    (painted.folder / "flight.toml").write_text(
        text.replace('[patrol]\nconfig = "patrol.toml"', "")
    )
    flight = open_flight(painted.folder)
    with pytest.raises(ConfigError, match="--config"):
        replay_settings(flight, tmp_path)
    assert replay_settings(flight, tmp_path, model=painted.folder / "model").patrol.rule
    shutil.rmtree(painted.folder)


def test_a_replay_that_cannot_fly_leaves_earlier_results(painted: Painted, tmp_path: Path) -> None:
    """A model whose labels no rule fits is refused before the folder is emptied."""
    out = tmp_path / "out"
    assert command("replay", str(painted.folder), "--out", str(out)).returncode == 0
    before = sorted(path.name for path in out.iterdir())
    model = tmp_path / "other"
    shutil.copytree(open_flight(painted.folder).path(Path("model")), model)
    text = (model / "model.toml").read_text()
    (model / "model.toml").write_text(re.sub(r"labels = .*", 'labels = ["other"]', text))
    done = command("replay", str(painted.folder), "--out", str(out), "--model", str(model))
    assert done.returncode == 2, done.stderr
    assert sorted(path.name for path in out.iterdir()) == before


def test_without_matplotlib_the_map_alone_is_missing(
    painted: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flight that was flown keeps its results, and how to get the map is said."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = CliRunner().invoke(app, ["replay", str(painted.folder), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "no map: " in done.output
    assert (tmp_path / "out" / "summary.json").is_file()
    assert not (tmp_path / "out" / "map.png").exists()
