"""What `bench` tells: each figure with its target, or null and why.

The targets are those of two x86 cores with the shipped model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

CPU_RATIO_MAX = 1.15
RATE_RATIO_MIN = 0.90
OUTBOX_TO_DESK_P99_MAX_S = 0.100
ALERT_BYTES_MEDIAN_MAX = 175
ALERT_BYTES_MAX = 200
MEMORY_MAX_MB = 300.0
START_MAX_S = 3.0
KILLED_TO_DETECTING_MAX_S = 5.0
MAILBOX_PUT_P99_MAX_MS = 5.0
WRITTEN_MAX_KIB_PER_ALERT = 40.0
_ROUNDED_TO = 4  # decimals: a tenth of a millisecond


@dataclass(frozen=True, slots=True)
class LoopFigures:
    """The loop against bare decoding and bare inference, in turns of some frames each."""

    cpu_ratio: float  # median over the rounds
    cpu_ratio_worst: float
    rate_ratio: float
    rate_ratio_worst: float
    inference_ms: float  # wall, alone
    decode_ms: float  # wall, alone
    loop_cpu_ms: float  # a frame, all threads
    inference_cpu_ms: float
    decode_cpu_ms: float
    loop_rate_hz: float
    bare_rate_hz: float
    loop_rounds: int
    loop_frames_per_round: int


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """From the instant of the picture to the row in the outbox, at the camera's own pace."""

    frame_to_outbox_p99_s: float
    frame_to_outbox_median_s: float
    frame_to_outbox_limit_s: float  # one frame interval + 2 × inference of this run
    frame_to_outbox_alerts: int
    frame_rate_hz: float
    frames_dropped: int
    alert_bytes_median: float
    alert_bytes_flown_max: int


@dataclass(frozen=True, slots=True)
class DeliveryFigures:
    """From the row in the outbox to the desk's commit, over a real broker on loopback."""

    outbox_to_desk_p99_s: float
    outbox_to_desk_median_s: float
    outbox_to_desk_alerts: int


@dataclass(frozen=True, slots=True)
class StartFigures:
    """From starting the process to the end of its first inference on a picture."""

    start_s: float  # median
    start_worst_s: float
    starts: int


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """Resident memory of a `flight` process that flies on the wire."""

    memory_mb: float  # at the end; a MB is 10⁶ bytes
    memory_peak_mb: float
    memory_growth_mb_per_min: float  # slope of the last half
    memory_minutes: float
    memory_inference_rate_hz: float


@dataclass(frozen=True, slots=True)
class KilledFigures:
    """From `kill -9` of a flight that is on the wire to the next one's first inference."""

    killed_to_detecting_s: float  # median
    killed_to_detecting_worst_s: float
    kills: int


@dataclass(frozen=True, slots=True)
class CostFigures:
    """What an alert costs the mailbox and its disk."""

    mailbox_put_p99_ms: float
    mailbox_put_median_ms: float
    mailbox_put_max_ms: float  # a put under which the file grows waits for some syncs more
    mailbox_puts: int
    written_kib_per_alert: float | None  # put, sent and acked one by one; None: a memory disk
    written_kib_per_alert_drained: float | None  # sent and acked fifty at a time


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it."""

    machine: str
    onnxruntime: str
    opencv: str
    model: str | None
    model_hash: str | None
    flight: str | None
    threads: int | None
    spinning: bool | None
    load_before: float  # mean number of runnable tasks in the minute before: other people's work
    alert_bytes_max: int  # of the worst alert that can be sent, or of those flown
    alert_bytes_worst_built: int
    loop: LoopFigures | None = None
    latency: LatencyFigures | None = None
    delivery: DeliveryFigures | None = None
    start: StartFigures | None = None
    memory: MemoryFigures | None = None
    killed: KilledFigures | None = None
    cost: CostFigures | None = None
    unavailable: dict[str, str] = field(default_factory=dict)  # part: why


# What stands in the JSON even where it is null.
PROMISED = (
    "cpu_ratio",
    "rate_ratio",
    "inference_ms",
    "decode_ms",
    "frame_to_outbox_p99_s",
    "frame_to_outbox_limit_s",
    "outbox_to_desk_p99_s",
    "alert_bytes_median",
    "alert_bytes_max",
    "memory_mb",
    "memory_growth_mb_per_min",
    "start_s",
    "killed_to_detecting_s",
    "mailbox_put_p99_ms",
    "written_kib_per_alert",
    "machine",
)
_PARTS = frozenset({"loop", "latency", "delivery", "start", "memory", "killed", "cost"})
METHOD = {
    "cpu_ratio": "process CPU of all threads, by turns in one process: flight's own loop (file "
    "source, pose, geotag, association, rules, mailbox, evidence, status, MAVLink parsing) ÷ "
    "(decoding the same frames + as many session.run on the filled tensor); median of the turns",
    "rate_ratio": "frames a second of that loop ÷ those of threaded decoding + session.run",
    "frame_to_outbox_p99_s": "the recorded video at its own pace into the live slot, decoded when "
    "it is due; limit: one frame interval + 2 × median inference of this run",
    "outbox_to_desk_p99_s": "paced alerts; broker and `skywhistle uplink` as processes, desk in a "
    "thread; from the return of put to the desk's commit",
    "alert_bytes_max": "whole MQTT payload; of the largest alert that the codec lets through",
    "memory_mb": "VmRSS of a `skywhistle flight` process fed by the simulator over UDP and RTP",
    "killed_to_detecting_s": "kill -9 of the flight of a running `skywhistle run`, fed as for "
    "memory_mb, to the log line after the next flight's first inference",
    "mailbox_put_p99_ms": "one alert a transaction, on the disk of the temporary folder",
    "written_kib_per_alert": "write_bytes of /proc/self/io: put, taken, acked, one at a time",
    "start_s": "from spawning `skywhistle flight` to its log line after the first inference",
}


def flat_figures(figures: Figures) -> dict[str, object]:
    """Return everything by its name in the JSON; what was not measured is None."""
    flat: dict[str, object] = dict.fromkeys(PROMISED)
    for name, value in asdict(figures).items():
        if name in _PARTS:
            flat |= value or {}
        else:
            flat[name] = value
    return flat


def as_json(figures: Figures) -> str:
    """Return one flat JSON object; what was not measured is null."""
    flat = {name: _rounded(value) for name, value in flat_figures(figures).items()}
    flat["method"] = METHOD
    return json.dumps(flat, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def percentile(values: Sequence[float], q: float) -> float:
    """Return the q-th percentile of at least one value."""
    return float(np.percentile(values, q))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    name: str
    value: str
    target: str
    is_met: bool | None  # None: no target, or nothing measured


def rows(figures: Figures) -> Iterable[Row]:
    """Compare what was measured with what is promised."""
    flat = flat_figures(figures)

    def number(name: str) -> float | None:
        value = flat[name]
        return float(value) if isinstance(value, (int, float)) else None

    def at_most(title: str, name: str, limit: float | None, form: str) -> Row:
        value = number(name)
        is_met = None if value is None or limit is None else value <= limit
        return Row(title, _text(value, form), f"≤ {_text(limit, form)}", is_met)

    def plain(title: str, name: str, form: str) -> Row:
        return Row(title, _text(number(name), form), "", None)

    yield at_most("CPU ÷ (decode + inference)", "cpu_ratio", CPU_RATIO_MAX, "{:.3f}")
    rate = number("rate_ratio")
    is_met = None if rate is None else rate >= RATE_RATIO_MIN
    yield Row("frames/s ÷ bare loop", _text(rate, "{:.3f}"), f"≥ {RATE_RATIO_MIN:.3f}", is_met)
    yield plain("inference alone", "inference_ms", "{:.1f} ms")
    yield plain("decode alone", "decode_ms", "{:.1f} ms")
    limit_s = number("frame_to_outbox_limit_s")
    yield at_most("frame → outbox, p99", "frame_to_outbox_p99_s", limit_s, "{:.3f} s")
    limit_s = OUTBOX_TO_DESK_P99_MAX_S
    yield at_most("outbox → desk, p99", "outbox_to_desk_p99_s", limit_s, "{:.3f} s")
    yield at_most("alert, median bytes", "alert_bytes_median", ALERT_BYTES_MEDIAN_MAX, "{:.0f}")
    yield at_most("alert, largest bytes", "alert_bytes_max", ALERT_BYTES_MAX, "{:.0f}")
    yield at_most("memory of flight", "memory_mb", MEMORY_MAX_MB, "{:.0f} MB")
    yield plain("its growth", "memory_growth_mb_per_min", "{:+.2f} MB/min")
    yield at_most("start to first inference", "start_s", START_MAX_S, "{:.2f} s")
    limit_s = KILLED_TO_DETECTING_MAX_S
    yield at_most("kill -9 to detecting again", "killed_to_detecting_s", limit_s, "{:.2f} s")
    yield at_most("mailbox put, p99", "mailbox_put_p99_ms", MAILBOX_PUT_P99_MAX_MS, "{:.1f} ms")
    limit_kib = WRITTEN_MAX_KIB_PER_ALERT
    yield at_most("written for an alert", "written_kib_per_alert", limit_kib, "{:.1f} KiB")


def _text(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, _ROUNDED_TO) if math.isfinite(value) else None
    return value
