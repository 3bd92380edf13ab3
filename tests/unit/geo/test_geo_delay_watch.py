"""The watch over the video's delay in flight: what it tells, and what it leaves alone."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edge.bench.geo_latency import MadeFlight, make_flight
from edge.capture.clock import utc_by_record_time
from edge.capture.recording import RecordedFlight, open_flight
from edge.capture.telemetry import Telemetry
from edge.geo.camera import read_intrinsics
from edge.geo.delay_watch import DelayTold, DelayWatch, WatchedCamera
from edge.geo.mount import read_mount
from edge.health import video_delay
from edge.records import Frame, MonoNs, Tick

CHANGED_S, FIRST_S, THEN_S = 45.0, 0.12, 0.30
MADE = MadeFlight(rate_hz=5.0, lanes=8, lane_m=25.0, seed=4, said_latency_s=FIRST_S)


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> RecordedFlight:
    """A flight whose video comes 180 ms later from the middle on."""
    made = replace(MADE, late_s=lambda time_s: FIRST_S if time_s < CHANGED_S else THEN_S)
    return open_flight(make_flight(made, tmp_path_factory.mktemp("changed")))


def fly(
    flight: RecordedFlight,
    at: Callable[[float, DelayWatch], None] = lambda _s, _watch: None,
    spoil: Callable[[Frame], Frame] = lambda frame: frame,
) -> DelayWatch:
    """Show a flight to a watch; `at` is called after each event with the time since the start."""
    camera, telemetry = flight.spec.camera[0], Telemetry(flight.spec.telemetry, utc_by_record_time)
    watch = DelayWatch(
        WatchedCamera(
            camera.id,
            read_intrinsics(flight.path(camera.calibration)),
            read_mount(flight.path(camera.mount)),
            camera.latency_s,
            camera.latency_sigma_s,
        ),
        telemetry.at,
    )
    start_ns = 0
    for event in flight.events(telemetry.feed):
        now_ns = event.captured_mono_ns if isinstance(event, Frame) else event.mono_ns
        start_ns = start_ns or now_ns
        watch.see(spoil(event) if isinstance(event, Frame) else event)
        at((now_ns - start_ns) * 1e-9, watch)
    for _ in range(50):  # the flight is over: what is left to do is done at ticks
        now_ns += 100_000_000
        watch.see(Tick(MonoNs(now_ns)))
    return watch


def test_a_change_of_latency_is_told_once_and_widens_the_budget(
    changed: RecordedFlight, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the change the watch agrees; after it the new delay is told, logged, budgeted."""
    before: list[DelayTold] = []

    def at(time_s: float, watch: DelayWatch) -> None:
        if time_s < CHANGED_S:
            before.append(watch.told)

    caplog.set_level(logging.INFO, "edge.geo.delay_watch")
    watch = fly(changed, at)
    agreed = before[-1]
    assert agreed.delay_s is not None
    assert agreed.sigma_s is not None
    assert abs(agreed.delay_s - FIRST_S) < 0.03
    assert agreed.excess_s == 0.0
    told = watch.told
    assert told.delay_s is not None
    assert abs(told.delay_s - THEN_S) < 0.03
    assert Counter(record.message.split()[0] for record in caplog.records) == {"video_delay_off": 1}
    status = video_delay("main", told)
    assert status.is_off
    assert status.video_delay_ms == round(told.delay_s * 1e3)
    frame = Frame(np.zeros((9, 16, 3), np.uint8), MonoNs(0), "main", 0, captured_sigma_s=0.02)
    assert watch.timed(frame).captured_sigma_s >= abs(told.delay_s - FIRST_S)
    assert watch.timed(frame).captured_mono_ns == frame.captured_mono_ns


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: replace(f, image_bgr=np.zeros_like(f.image_bgr)), "dark"),
        (lambda f: replace(f, image_bgr=f.image_bgr[:, :200]), "frame_size"),
        (lambda f: replace(f, captured_mono_ns=MonoNs(f.captured_mono_ns - 10**13)), "no_turns"),
        (lambda f: replace(f, camera_id="other"), "no_turns"),
    ],
    ids=["black", "cropped", "another clock", "another camera"],
)
def test_what_shows_nothing_leaves_the_delay_unknown(
    changed: RecordedFlight, spoil: Callable[[Frame], Frame], reason: str
) -> None:
    """Black pictures, a wrong size, a clock that jumped: no figure, a reason, nothing widened."""
    watch = fly(changed, spoil=spoil)
    assert watch.told == DelayTold(None, None, reason)
    assert video_delay("main", watch.told).video_delay_ms is None
    frame = Frame(np.zeros((9, 16, 3), np.uint8), MonoNs(0), "main", 0, captured_sigma_s=0.02)
    assert watch.timed(frame) is frame


def test_a_clock_that_jumps_midway_ends_nothing(changed: RecordedFlight) -> None:
    """Frames from the past in the middle of the flight are passed over, and the watch goes on."""
    count = 0

    def spoil(frame: Frame) -> Frame:
        nonlocal count
        count += 1
        late_ns = 5_000_000_000 if count % 40 == 0 else 0
        return replace(frame, captured_mono_ns=MonoNs(frame.captured_mono_ns - late_ns))

    watch = fly(changed, spoil=spoil)
    assert watch.told.delay_s is not None
    assert abs(watch.told.delay_s - THEN_S) < 0.04
