"""All parts, one after another; what fails is null, with the reason."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from edge.bench.child import measure_memory, measure_start
from edge.bench.cost import measure_cost
from edge.bench.delivery import measure_delivery
from edge.bench.figures import Figures
from edge.bench.killed import measure_killed
from edge.bench.latency import measure_latency
from edge.bench.loop import FRAMES_PER_ROUND, measure_loop
from edge.bench.rig import Choice, Rig, open_rig
from edge.bench.sizes import worst_alert_bytes
from edge.errors import SkywhistleError
from edge.machine import machine_name, onnxruntime_version, opencv_version
from edge.records import UtcNs
from edge.vision.manifest import read_manifest

PARTS = ("loop", "latency", "delivery", "start", "memory", "killed", "cost")
_DELIVERY_MAX_S = 20.0  # 200 alerts tell a 99th percentile
Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What is measured, on what, and for how long."""

    choice: Choice
    seconds: float  # for the loop and the latency each
    memory_minutes: float
    utc_ns: Callable[[], UtcNs]
    parts: frozenset[str] = frozenset(PARTS)
    frames_per_round: int = FRAMES_PER_ROUND
    say: Callable[[str], None] = lambda _text: None


@dataclass(slots=True)
class _Attempts:
    """Runs parts; keeps why one could not be measured."""

    request: BenchRequest
    unavailable: dict[str, str] = field(default_factory=dict)

    def measure(self, part: str, rig: Rig | None, do: Callable[[Rig], Measured]) -> Measured | None:
        if part not in self.request.parts:
            self.unavailable[part] = "not asked for"
            return None
        if rig is None:
            self.unavailable[part] = self.unavailable["flight"]
            return None
        self.request.say(f"measuring: {part}")
        try:
            return do(rig)
        except SkywhistleError as error:
            self.unavailable[part] = str(error)
            self.request.say(f"not measured: {part}: {error}")
            return None

    def open_rig(self, folder: Path) -> Rig | None:
        try:
            return open_rig(self.request.choice, folder)
        except SkywhistleError as error:
            self.unavailable["flight"] = str(error)
            self.request.say(f"nothing to fly: {error}")
            return None


def run_bench(request: BenchRequest) -> Figures:
    """Measure what was asked for; the parts never run at the same time."""
    load_before = os.getloadavg()[0]
    attempts = _Attempts(request)
    delivery_s = min(request.seconds, _DELIVERY_MAX_S)
    with tempfile.TemporaryDirectory(prefix="skywhistle-bench-") as name:
        rig = attempts.open_rig(Path(name))
        loop = attempts.measure(
            "loop", rig, lambda r: measure_loop(r, request.seconds, request.frames_per_round)
        )
        latency = attempts.measure("latency", rig, lambda r: measure_latency(r, request.seconds))
        delivery = attempts.measure(
            "delivery", rig, lambda r: measure_delivery(r, delivery_s, request.utc_ns)
        )
        start = attempts.measure("start", rig, measure_start)
        memory = attempts.measure(
            "memory", rig, lambda r: measure_memory(r, request.memory_minutes)
        )
        killed = attempts.measure("killed", rig, measure_killed)
        cost = attempts.measure("cost", rig, measure_cost)
    return replace(
        _setting(rig, load_before, latency.alert_bytes_flown_max if latency else 0),
        loop=loop,
        latency=latency,
        delivery=delivery,
        start=start,
        memory=memory,
        killed=killed,
        cost=cost,
        unavailable=attempts.unavailable,
    )


def _setting(rig: Rig | None, load_before: float, alert_bytes_flown_max: int) -> Figures:
    """Say on what it was measured, and how large an alert can be."""
    worst_built = worst_alert_bytes()
    model = None if rig is None else read_manifest(rig.settings.patrol.camera[0].model)
    inference = None if rig is None else rig.settings.patrol.inference
    return Figures(
        machine=machine_name(),
        onnxruntime=onnxruntime_version(),
        opencv=opencv_version(),
        model=None if model is None else model.name,
        model_hash=None if model is None else model.model_hash.hex(),
        flight=None if rig is None else rig.recorded.spec.name,
        threads=None if inference is None else inference.threads,
        spinning=None if inference is None else inference.spinning,
        load_before=load_before,
        alert_bytes_max=max(worst_built, alert_bytes_flown_max),
        alert_bytes_worst_built=worst_built,
    )
