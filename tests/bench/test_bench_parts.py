"""Each part of the bench, short: it measures the real thing, and its figures make sense.

No time is asserted: only ratios within one run, generously, and what must hold on any machine.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import pytest

from edge.bench.child import measure_memory, measure_start
from edge.bench.cost import measure_cost
from edge.bench.delivery import measure_delivery
from edge.bench.figures import WRITTEN_MAX_KIB_PER_ALERT
from edge.bench.killed import measure_killed
from edge.bench.latency import measure_latency
from edge.bench.loop import measure_loop
from edge.bench.rig import Choice, Rig, open_rig
from edge.bench.run import BenchRequest, run_bench
from edge.capture import gstreamer
from edge.cli.signals import os_utc_ns
from edge.errors import BenchError
from tests.bench.made_flight import MadeBench

# Six sightings in every frame of a small model: more work beside the inference than any patrol has.
GENEROUS_CPU_RATIO = 2.0


@pytest.fixture
def rig(made: MadeBench, tmp_path: Path) -> Rig:
    """The made flight, ready to be measured."""
    return open_rig(Choice(made.flight), tmp_path)


def is_sound(figures: object) -> bool:
    """Whether every figure is a number that can be one."""
    return all(math.isfinite(value) for value in asdict(figures).values())


def test_the_loop_costs_at_least_what_it_is_made_of(rig: Rig) -> None:
    """Within one run the loop takes no less CPU than decoding and inference, and not far more."""
    figures = measure_loop(rig, seconds=1.0, n_frames=15)
    assert is_sound(figures)
    assert 0.9 < figures.cpu_ratio < GENEROUS_CPU_RATIO
    assert 0.0 < figures.rate_ratio < 1.5
    assert figures.loop_rounds >= 2  # as many as the time allows, after the one that warms up


def test_a_flight_too_short_for_two_rounds_is_refused(rig: Rig) -> None:
    """A first round only warms up: without a second there is no figure, and the error says so."""
    with pytest.raises(BenchError, match="too short"):
        measure_loop(rig, seconds=1.0, n_frames=74)


def test_frames_at_their_own_pace_give_alerts_in_time_order(rig: Rig) -> None:
    """Every alert of a paced flight has a positive latency, and the limit is above the interval."""
    figures = measure_latency(rig, seconds=10.0)
    assert is_sound(figures)
    assert figures.frame_to_outbox_alerts >= 6
    assert figures.frame_to_outbox_p99_s >= figures.frame_to_outbox_median_s > 0.0
    assert figures.frame_to_outbox_limit_s > 1.0 / figures.frame_rate_hz
    assert 0 < figures.alert_bytes_median <= figures.alert_bytes_flown_max <= 200


def test_every_alert_that_is_put_is_timed_to_the_desk(rig: Rig) -> None:
    """Over a real broker, with a real uplink, all alerts arrive and each has its time."""
    figures = measure_delivery(rig, 1.0, os_utc_ns)
    assert is_sound(figures)
    assert figures.outbox_to_desk_alerts == 10
    assert figures.outbox_to_desk_p99_s >= figures.outbox_to_desk_median_s > 0.0


def test_flight_starts_and_says_when_it_has_seen(rig: Rig) -> None:
    """A real `flight` process logs its first inference, and that is what is timed."""
    figures = measure_start(rig, starts=1)
    assert is_sound(figures)
    assert figures.start_s > 0.0


def test_flight_on_the_wire_tells_its_memory(rig: Rig) -> None:
    """Fed by the simulator over MAVLink and RTP, `flight` infers, and its memory is read."""
    if not gstreamer.is_available():
        pytest.skip("needs GStreamer")
    figures = measure_memory(rig, minutes=0.1)
    assert is_sound(figures)
    assert figures.memory_inference_rate_hz > 0.0
    assert 10.0 < figures.memory_mb <= figures.memory_peak_mb


def test_a_killed_flight_comes_back_and_sees(rig: Rig) -> None:
    """Under `skywhistle run` a killed flight is started anew, and its first sight is timed."""
    if not gstreamer.is_available():
        pytest.skip("needs GStreamer")
    figures = measure_killed(rig, kills=1)
    assert is_sound(figures)
    assert figures.killed_to_detecting_s > 0.0


def test_an_alert_costs_the_disk_no_more_than_promised(rig: Rig) -> None:
    """Put, sent and acked alone it writes at most 40 KiB, and many together less than one alone."""
    figures = measure_cost(rig, puts=200)
    assert figures.mailbox_put_p99_ms >= figures.mailbox_put_median_ms > 0.0
    if figures.written_kib_per_alert is None or figures.written_kib_per_alert_drained is None:
        pytest.skip("the temporary folder lies on a memory disk: nothing is written")
    assert 1.0 < figures.written_kib_per_alert_drained < figures.written_kib_per_alert
    assert figures.written_kib_per_alert <= WRITTEN_MAX_KIB_PER_ALERT


def test_a_flight_that_is_not_there_makes_nulls_with_reasons(tmp_path: Path) -> None:
    """What cannot be measured is absent and says why; the worst alert needs no flight."""
    request = BenchRequest(
        choice=Choice(tmp_path / "none"), seconds=1.0, memory_minutes=0.1, utc_ns=os_utc_ns
    )
    figures = run_bench(request)
    assert figures.loop is figures.latency is figures.delivery is figures.memory is None
    assert all("no such flight" in why for why in figures.unavailable.values())
    assert 150 < figures.alert_bytes_max <= 200
