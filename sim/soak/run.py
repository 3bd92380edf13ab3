"""One soak: flight on the wire, driver, uplink, broker and desk, watched until the time is over."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.machine import machine_name
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from sim.chaos.broker import KillableBroker
from sim.chaos.flying import flown
from sim.chaos.judge import Account, account_of
from sim.chaos.ledger import put_times_s
from sim.chaos.place import Place, free_port
from sim.chaos.world import World
from sim.soak.plot import plot_soak
from sim.soak.samples import Sample, SampleFile, growth, read_sample

_TURN_S: Final = 0.05
_SAMPLE_S: Final = 10.0
_SAMPLES_MIN: Final = 40  # of a short soak
_WARM_UP_SHARE: Final = 0.25
_WARM_UP_MAX_S: Final = 1200.0  # caches, pools and arenas have filled by then
_REPORT_EVERY_S: Final = 600.0
_DRAIN_MAX_S: Final = 60.0
_MAILBOX_MB: Final = 64.0
_STATUS_S: Final = 10.0  # as on an aircraft
_MEMORY_SLOPE_MAX_MB_PER_H: Final = 1.0
_HANDLES_GROWN_MAX: Final = 1.0  # over the whole soak: one that comes and goes is no leak


@dataclass(frozen=True, slots=True)
class SoakRequest:
    """How long, how busy, where to."""

    hours: float
    alerts_per_s: float = 2.0
    fly: bool = True
    out: Path | None = None  # gets samples.csv, soak.json, soak.png
    progress: Callable[[str, float], None] = lambda _text, _share: None

    @property
    def warm_up_s(self) -> float:
        return min(_WARM_UP_SHARE * self.hours * 3600.0, _WARM_UP_MAX_S)


@dataclass(slots=True)
class SoakFigures:
    """What grew, and what did not."""

    hours: float
    warm_up_s: float
    samples: list[Sample]
    latencies: list[tuple[float, float]]
    put_times_s: list[float]
    ended_by_itself: dict[str, int] = field(default_factory=dict)
    account: Account | None = None  # None: the soak still runs

    def as_dict(self) -> dict[str, Any]:
        """Lay it out for JSON."""
        roles = sorted({sample.role for sample in self.samples})
        of_role = {role: [s for s in self.samples if s.role == role] for role in roles}
        grown = {role: growth(own, self.warm_up_s) for role, own in of_role.items()}
        took_ms = [took_s * 1e3 for t_s, took_s in self.latencies if t_s >= self.warm_up_s]
        return {
            "hours": round(self.hours, 4),
            "warm_up_s": self.warm_up_s,
            "is_steady": self._is_steady(),
            "processes": {role: g and asdict(g) for role, g in grown.items()},
            "queue_max": max((s.queued for s in self.samples), default=0),
            "put_to_desk_ms": _percentiles(took_ms),
            "put_ms": _percentiles([took_s * 1e3 for took_s in self.put_times_s]),
            "written_bytes_per_put": self._written_per_put(of_role),
            "ended_by_itself": self.ended_by_itself,
            "account": None if self.account is None else asdict(self.account),
            "holds": None if self.account is None else self.account.holds,
            "machine": machine_name(),
        }

    def _is_steady(self) -> bool:
        """Tell whether nothing leaks: slopes after the warm-up, and nobody was started again."""
        fits = [
            growth([s for s in self.samples if s.role == role], self.warm_up_s)
            for role in {sample.role for sample in self.samples}
        ]
        late_h = self.hours - self.warm_up_s / 3600.0
        return all(
            fit is not None
            and fit.memory_slope_mb_per_h < _MEMORY_SLOPE_MAX_MB_PER_H
            and fit.handles_slope_per_h * late_h < _HANDLES_GROWN_MAX
            and fit.n_processes == 1
            for fit in fits
        )

    def _written_per_put(self, of_role: dict[str, list[Sample]]) -> float | None:
        """Return what driver and uplink hand to the disk for each put; None on a memory disk."""
        total = sum(of_role[r][-1].written_bytes for r in ("driver", "uplink") if of_role.get(r))
        return round(total / len(self.put_times_s), 1) if total and self.put_times_s else None


def run_soak(request: SoakRequest) -> SoakFigures:
    """Run it.

    Raises:
        BrokerError: mosquitto is missing or does not start.
        ScenarioError, MissingExtraError: The simulated flight cannot be served.
    """
    with ExitStack() as stack:
        folder = request.out or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="skywhistle-soak-"))
        )
        disk = folder / "disk"
        disk.mkdir(parents=True, exist_ok=True)
        place = Place(
            folder=str(folder),
            disk=str(disk),
            broker_port=free_port(),
            link_port=free_port(),
            alerts_per_s=request.alerts_per_s,
            mailbox_mb=_MAILBOX_MB,
            status_s=_STATUS_S,
            is_chaotic=False,
        )
        place.write(folder / "place.json")
        if request.fly:
            stack.enter_context(flown(place))
        roles = ("desk", "uplink", "driver", *(("flight",) if request.fly else ()))
        broker = KillableBroker(folder / "broker", place.broker_port)
        world = World(place, folder / "place.json", random.Random(0), broker, roles)
        stack.callback(world.close)
        world.open()
        file = SampleFile(folder / "samples.csv")
        stack.callback(file.close)
        return _watch(world, request, file, folder)


def _watch(world: World, request: SoakRequest, file: SampleFile, folder: Path) -> SoakFigures:
    length_s = request.hours * 3600.0
    every_s = min(_SAMPLE_S, length_s / _SAMPLES_MIN)
    start_s, samples = time.monotonic(), []
    sample_due_s, report_due_s = every_s, _REPORT_EVERY_S
    with Mailbox(world.place.mailbox, Clocks()) as mailbox:
        while (elapsed_s := time.monotonic() - start_s) < length_s:
            world.turn()
            if elapsed_s >= sample_due_s:
                sample_due_s += every_s
                queued = mailbox.queue_state().queued
                for sample in _sample(world, elapsed_s, queued):
                    samples.append(sample)
                    file.add(sample)
                request.progress(f"{queued} queued", elapsed_s / length_s)
            if elapsed_s >= report_due_s:
                report_due_s += _REPORT_EVERY_S
                _write(_figures(world, request, samples, start_s), folder)
            time.sleep(_TURN_S)
        figures = _figures(world, request, samples, start_s)
        world.stop("driver", "flight")
        while mailbox.queue_state().queued and time.monotonic() - start_s < length_s + _DRAIN_MAX_S:
            time.sleep(_TURN_S)
    world.stop("uplink", "desk")
    figures.account = account_of(world.place)
    _write(figures, folder)
    return figures


def _sample(world: World, elapsed_s: float, queued: int) -> list[Sample]:
    found = [
        read_sample(elapsed_s, role, player.process.pid, queued)
        for role, player in world.players.items()
        if player.process is not None
    ]
    return [sample for sample in found if sample is not None]


def _figures(
    world: World, request: SoakRequest, samples: list[Sample], start_s: float
) -> SoakFigures:
    latencies = [(t_s - start_s, took_s) for t_s, took_s in world.place.read_commits()]
    return SoakFigures(
        hours=(time.monotonic() - start_s) / 3600.0,
        warm_up_s=request.warm_up_s,
        samples=samples,
        latencies=latencies,
        put_times_s=put_times_s(world.place.ledgers, "driver"),
        ended_by_itself={role: p.ended_by_itself for role, p in world.players.items()},
    )


def _write(figures: SoakFigures, folder: Path) -> None:
    text = json.dumps(figures.as_dict(), indent=2) + "\n"
    (folder / "soak.json").write_text(text, encoding="utf-8")
    plot_soak(figures.samples, figures.latencies, figures.warm_up_s, folder / "soak.png")


def _percentiles(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    p50, p95, p99 = np.percentile(values, [50, 95, 99])
    most = max(values)
    return {
        "p50": round(float(p50), 3),
        "p95": round(float(p95), 3),
        "p99": round(float(p99), 3),
        "max": round(most, 3),
        "n": len(values),
    }
