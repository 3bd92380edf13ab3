"""The result of a scoring: what `score --json` prints, a baseline stores and the page shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge import __version__
from edge.errors import ConfigError
from edge.machine import machine_name, onnxruntime_version, opencv_version
from sim.score.figures import ELLIPSE_PROBABILITY, Tally, plain, tally, tally_from_plain, total
from sim.score.flight import FlightScore
from sim.score.frames import FrameScore
from sim.score.matching import MATCH_WITHIN_M, MIN_SEEN_FRAMES
from sim.score.stills import StillScore

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """All that was measured, counted up.

    Attributes:
        flights: By name.
        by_class: Every violation class of the truths, and every class that was told.
        by_family: By the texture family that flight.toml names.
        pictures: Of `--pictures`; None: not asked for.
    """

    flights: Mapping[str, FlightScore]
    labels: Sequence[str]
    frame_level: FrameScore | None = None
    pictures: StillScore | None = None
    by_class: Mapping[str, Tally] = field(init=False)
    by_flight: Mapping[str, Tally] = field(init=False)
    by_family: Mapping[str, Tally] = field(init=False)
    whole: Tally = field(init=False)

    def __post_init__(self) -> None:
        by_flight = {name: tally(one.score, hours(one)) for name, one in self.flights.items()}
        told = {match.alert.label for one in self.flights.values() for match in one.score.matches}
        families: dict[str, Tally] = {}
        for name, one in self.flights.items():
            family = str(one.origin.get("family", "unknown"))
            families[family] = families.get(family, Tally()) + by_flight[name]
        by_class = {
            label: total(tally(one.score, hours(one), label) for one in self.flights.values())
            for label in sorted({*self.labels, *told})
        }
        object.__setattr__(self, "by_flight", by_flight)
        object.__setattr__(self, "by_family", families)
        object.__setattr__(self, "by_class", by_class)
        object.__setattr__(self, "whole", total(by_flight.values()))

    def causes_by_class(self) -> dict[str, Counter[str]]:
        """Return false alarms by cause, then by the class that was told."""
        causes: dict[str, Counter[str]] = {}
        for label, counted in self.by_class.items():
            for cause, n in counted.causes.items():
                causes.setdefault(cause, Counter())[label] += n
        return dict(sorted(causes.items(), key=lambda pair: -pair[1].total()))

    def plain(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "format": FORMAT,
            "skywhistle": __version__,
            **machine(),
            **self._flown(),
            **plain(self.whole),
            **self._speed(),
            "by_class": {label: plain(one) for label, one in self.by_class.items()},
            "by_cause_and_class": {c: dict(n) for c, n in self.causes_by_class().items()},
            "by_family": {name: plain(one) for name, one in self.by_family.items()},
            "by_flight": {name: self._flight(name) for name in self.flights},
            "frame_level": None if self.frame_level is None else self.frame_level.plain(),
            "pictures": None if self.pictures is None else self.pictures.plain(),
            "rules": {
                "match_within_m": MATCH_WITHIN_M,
                "min_seen_frames": MIN_SEEN_FRAMES,
                "ellipse_probability": ELLIPSE_PROBABILITY,
            },
        }

    def _flown(self) -> dict[str, Any]:
        models = {(one.model.name, one.model.hash) for one in self.flights.values()}
        if self.pictures is not None:
            models.add((self.pictures.model_name, self.pictures.model_hash))
        configs = {one.config_hash for one in self.flights.values()}
        return {
            "models": [{"name": name, "hash": value} for name, value in sorted(models)],
            "config_hashes": sorted(configs),
        }

    def _speed(self) -> dict[str, Any]:
        flights = list(self.flights.values())
        inference_ms = [1e3 * s for one in flights for s in one.inference_s]
        outbox_s = [s for one in flights for s in one.frame_to_outbox_s]
        waits_s = [s for one in flights for s in one.to_alert_s]
        return {
            "flights": len(flights),
            "frames": sum(one.frames for one in flights),
            "inferences": sum(one.inferences for one in flights),
            "detections": sum(one.detections for one in flights),
            "frames_dropped": sum(one.frames_dropped for one in flights),
            "lost_events": sum(one.lost_events for one in flights),
            "inference_ms_median": percentile(inference_ms, 50),
            "frame_to_outbox_p50_s": percentile(outbox_s, 50),
            "frame_to_outbox_p99_s": percentile(outbox_s, 99),
            "shown_to_alert_median_s": percentile(waits_s, 50),
            "shown_to_alert_p90_s": percentile(waits_s, 90),
        }

    def _flight(self, name: str) -> dict[str, Any]:
        one = self.flights[name]
        return {
            **plain(self.by_flight[name]),
            "origin": dict(one.origin),
            "model_hash": one.model.hash,
            "config": one.config,
            "config_hash": one.config_hash,
            "flight_s": round(one.flight_s, 2),
            "wall_s": round(one.wall_s, 2),
            "frames": one.frames,
            "inferences": one.inferences,
            "lost_events": one.lost_events,
            "without_a_place": dict(one.unplaced),
            "shown_to_alert_median_s": percentile(one.to_alert_s, 50),
            "missed_things": [f"{t.label} {t.truth_id}" for t in one.score.missed],
        }


def machine() -> dict[str, str]:
    """Return what the figures were measured on and with."""
    return {
        "machine": machine_name(),
        "onnxruntime": onnxruntime_version(),
        "opencv": opencv_version(),
    }


def hours(flight: FlightScore) -> float:
    """Return how long a flight was."""
    return flight.flight_s / 3600.0


def percentile(values: Sequence[float], q: float) -> float | None:
    """Return the q-th percentile; None of nothing."""
    # Plus zero: -0.0 is no figure to show.
    return round(float(np.percentile(values, q)), 4) + 0.0 if len(values) else None


@dataclass(frozen=True, slots=True)
class Baseline:
    """An earlier result, as far as it is compared."""

    path: Path
    whole: Tally
    by_class: Mapping[str, Tally]
    truths_by_flight: Mapping[str, int]


def read_baseline(path: Path) -> Baseline:
    """Read what an earlier `score --json` printed.

    Raises:
        ConfigError: It is no such file, or of another format.
    """
    try:
        table = json.loads(path.read_text("utf-8"))
        if table["format"] != FORMAT:
            raise ConfigError(
                f"{path}: format is {table['format']!r}, this version reads {FORMAT}; "
                "make the baseline again with `skywhistle score --json`"
            )
        return Baseline(
            path,
            tally_from_plain(table),
            {label: tally_from_plain(one) for label, one in table["by_class"].items()},
            {name: int(one["truths"]) for name, one in table["by_flight"].items()},
        )
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: is no result of `skywhistle score --json` ({error!r}); make one with it"
        ) from error
