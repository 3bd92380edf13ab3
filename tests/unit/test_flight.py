"""The flight's own decisions, beside the loop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer

from edge.build import build_stages
from edge.capture.link import MavlinkLink
from edge.capture.telemetry import Telemetry
from edge.cli.signals import whole_or_not_at_all
from edge.flight import Watch, trusted_utc_ns
from edge.geo.delay_watch import DelayTold
from edge.health import Health
from edge.records import Frame, MonoNs, Tick, TimeQuality, UtcNs, UtcTime
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.report.status import UplinkHealth, uplink_health_bytes
from edge.settings import read_settings
from edge.vision.detector import Dropped
from edge.vision.manifest import HeadTable, InputTable
from tests.painted import paint
from tests.unit.vision.tiny_models import cell_model, write_model


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """A flight of two cameras with two models, before its first event; no wire is opened."""
    folder = paint(tmp_path / "flight").folder
    _second_model(folder)
    settings = read_settings(folder / "patrol.toml")
    patrol, telemetry = settings.patrol, Telemetry(settings.patrol.autopilot)
    with Mailbox(patrol.mailbox, Clocks(mono_ns=lambda: 1)) as mailbox:
        stages = build_stages(settings, telemetry, mailbox, now=lambda: MonoNs(1))
        link = MavlinkLink(patrol.autopilot, telemetry)
        yield Watch(settings, stages, link, (), mailbox, threading.Event())


def _second_model(folder: Path) -> None:
    """Give a second camera the same detector in other bytes, and so another hash."""
    main = folder / "patrol.toml"
    model = onnx.load_model_from_string(cell_model())
    model.doc_string = "the second"
    write_model(
        folder / "second",
        model.SerializeToString(),
        labels=("structure",),
        input=InputTable(width_px=64, height_px=64, resize="stretch"),
        head=HeadTable(layout="yolov8", strides=(8,)),
    )
    main.write_text(
        main.read_text()
        + '[[camera]]\nid = "thermal"\nsource = "replayed"\nmodel = "second"\n'
        + 'calibration = "camera.toml"\nmount = "mount.toml"\n'
    )


def test_a_message_grows_old_by_gnss_time_only() -> None:
    """A computer that slept without power must not let what it stored expire."""
    known = UtcNs(1_800_000_000_000_000_000)
    assert trusted_utc_ns(UtcTime(known, TimeQuality.GNSS)) == known
    assert trusted_utc_ns(UtcTime(known, TimeQuality.GNSS_SYNCED)) == known
    assert trusted_utc_ns(UtcTime(known, TimeQuality.OS_CLOCK)) is None


def test_a_thread_that_dies_ends_the_program() -> None:
    """Nothing dies in silence: the program stops, and says so by its exit code."""
    stop = threading.Event()
    before = threading.excepthook

    def die() -> None:
        raise RuntimeError("nobody foresaw this")

    with pytest.raises(typer.Exit) as ended, whole_or_not_at_all(stop):
        dying = threading.Thread(target=die)
        dying.start()
        assert stop.wait(10.0)
        dying.join()
    assert ended.value.exit_code == 1
    assert threading.excepthook is before


def test_a_program_whose_threads_live_ends_well() -> None:
    """Without a death the exit code is left alone."""
    stop = threading.Event()
    with whole_or_not_at_all(stop):
        quiet = threading.Thread(target=stop.is_set)
        quiet.start()
        quiet.join()
    assert not stop.is_set()


def test_a_status_names_every_model_that_flies_once(watch: Watch) -> None:
    """With two cameras of two models the desk learns of both; with one model, of one."""
    main, thermal = (d.model_hash for d in watch.stages.detectors.values())
    status = watch.status(MonoNs(1))
    assert (status.model_hash, status.other_models) == (main, (thermal,))
    assert main != thermal
    watch.stages.detectors = {"a": watch.stages.detectors["main"]} | {
        "b": watch.stages.detectors["main"]
    }
    assert watch.status(MonoNs(1)).other_models == ()


def test_the_status_tells_each_cameras_delay_or_why_not(watch: Watch) -> None:
    """Unknown until a camera has turned in view; one that is off widens its frames' times."""
    stages = watch.stages
    stages.watch_delay(Tick(MonoNs(1)))
    told = {one.camera_id: one for one in watch.status(MonoNs(1)).video_delays}
    assert set(told) == {"main", "thermal"}
    assert {(one.video_delay_ms, one.reason) for one in told.values()} == {(None, "no_turns")}
    stages.delays["main"].told = DelayTold(0.3, 0.005, None, excess_s=0.18)
    stages.watch_delay(Tick(MonoNs(2)))
    status = watch.status(MonoNs(2))
    main = next(one for one in status.video_delays if one.camera_id == "main")
    assert (main.video_delay_ms, main.video_delay_sigma_ms, main.is_off) == (300, 5, True)
    for camera_id, sigma_s in (("main", 0.18), ("thermal", 0.0)):
        frame = Frame(np.zeros((9, 16, 3), np.uint8), MonoNs(3), camera_id, 0)
        assert stages.timed(frame).captured_sigma_s == pytest.approx(sigma_s)


def test_what_was_dropped_on_board_reaches_the_desk(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """Candidates, crops and pictures that made way are in the status, and by reason in the log."""
    main, thermal = watch.stages.detectors.values()
    main.dropped.update({Dropped.NOT_A_SCORE: 2, Dropped.TOO_MANY: 1})
    thermal.dropped[Dropped.NOT_A_SCORE] += 4
    watch.stages.evidence.crops_dropped += 8
    watch.stages.evidence.files_dropped += 16
    status = watch.status(MonoNs(1))
    assert (status.candidates_dropped, status.pictures_dropped) == (7, 24)
    with caplog.at_level(logging.INFO):
        watch.stages.finish(MonoNs(1))
    assert "candidates={'not_a_score': 6, 'too_many': 1} crops=8 evidence_files=16" in caplog.text


def test_flight_tells_when_the_uplink_changes_and_not_each_time(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether somebody delivers is in the log of the flight: absent, up, down with the reason."""

    def health(is_up: bool, reason: str) -> bytes:
        queue = watch.mailbox.queue_state()
        return uplink_health_bytes(
            UplinkHealth(
                is_up,
                reason,
                1,
                0,
                0,
                0,
                0,
                0,
                0,
                events_dropped=0,
                publishes_refused=0,
                queue=queue,
            )
        )

    with caplog.at_level(logging.INFO, logger="edge.flight"):
        watch.look_around(MonoNs(1))
        for n, body in enumerate([health(True, ""), health(True, ""), health(False, "cut")]):
            watch.mailbox.set_uplink_health(body)
            watch.look_around(MonoNs((n + 1) * 60_000_000_000))
    told = [r.getMessage() for r in caplog.records if "uplink_changed" in r.getMessage()]
    assert told == [
        "uplink_changed runs=False up=False reason= queued=0",
        "uplink_changed runs=True up=True reason= queued=0",
        "uplink_changed runs=True up=False reason=cut queued=0",
    ]


def test_an_error_is_told_once_and_then_counted(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two that take turns fill no log: a traceback each, and a count each time it doubled."""
    stages = watch.stages
    for turn in range(100):
        with stages.guard(None):
            raise ValueError("odd") if turn % 2 else KeyError("even")
        if turn % 10 == 9:
            watch._look_at_errors()
    assert caplog.text.count("Traceback") == 2
    assert caplog.text.count("events_lost counts") <= 5
    stages.finish(MonoNs(0))
    assert "\"KeyError: 'even'\": 50, 'ValueError: odd': 50" in caplog.text


def test_what_is_remembered_of_errors_is_bounded() -> None:
    """Messages with a number in them are told up to a bound, then once for each kind."""
    health = Health()
    told = sum(health.lose(ValueError(f"frame {n}")) for n in range(5000))
    assert health.lost_events == health.errors.total() == 5000
    assert told == len(health.errors) < 100
    assert health.lose(KeyError("new"))
    assert not health.lose(KeyError("newer"))
