"""`skywhistle bench geo`: how right places are, part by part; what cannot be had is null, with why.

Recorded data of others (real flights, logs, chessboards) is no part of the project: the parts that
need it say so where it is not there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

from edge.bench.figures import Row
from edge.errors import SkywhistleError

Numbers: TypeAlias = dict[str, "float | int | dict[str, float]"]
_ROUNDED_TO = 4


@dataclass(frozen=True, slots=True)
class GeoRequest:
    """What is measured, and with which recordings."""

    recordings: Path  # flights/cuav-2018, logs/*.tlog, calibration/left*.jpg
    flights: int  # of geometry, for each noise preset
    parts: frozenset[str]
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class GeoFigures:
    """All of it: what was measured, and why the rest is missing."""

    machine: str
    numbers: Numbers
    unavailable: dict[str, str]  # part: why


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that is promised."""

    title: str
    low: float
    high: float
    form: str = "{:.2f}"

    def is_met(self, value: float) -> bool:
        return self.low <= value <= self.high

    def text(self) -> str:
        if self.low == -math.inf:
            return f"≤ {self.form.format(self.high)}"
        return f"{self.form.format(self.low)} to {self.form.format(self.high)}"


def _most(title: str, high: float, form: str = "{:.2f}") -> Target:
    return Target(title, -math.inf, high, form)


# Every key that the JSON promises, in the order of the table.
TARGETS: Mapping[str, Target] = {
    "noiseless_median_m": _most("noiseless flight over hills, median, m", 0.10, "{:.3f}"),
    "noiseless_max_m": _most("the same, largest, m", 0.5, "{:.3f}"),
    "cep_ratio": _most("one look, CEP ÷ that of the sources, worst cell", 1.10),
    "typical_median_m": _most("whole flights at 60 m, −60°, median, m", 3.0),
    "typical_p90_m": _most("the same, 90 %, m", 6.0),
    "ellipse_hit_rate": Target("truths in the 90 % ellipse, typical", 0.87, 0.93, "{:.3f}"),
    "ellipse_hit_rate_good": Target("the same, good", 0.87, 0.93, "{:.3f}"),
    "boresight_left_deg": _most(
        "boresight left by one flight, worst angle, good, median flight, °", 0.15, "{:.3f}"
    ),
    "boresight_left_worst_flight_deg": _most("the same, worst flight of 12", 0.15, "{:.3f}"),
    "boresight_left_typical_deg": _most("the same, typical, median flight", 0.15, "{:.3f}"),
    "latency_error_ms": _most("video delay, error of the estimate, ms", 8.0, "{:.1f}"),
    "sitl_position_p95_m": _most("pose against ArduPilot's truth, 95 %, m", 0.3, "{:.3f}"),
    "sitl_attitude_p95_deg": _most("the same, attitude, °", 0.3, "{:.3f}"),
    "chessboard_fx": Target("chessboards, focal length, px", 534.0, 538.0, "{:.1f}"),
    "chessboard_rms_px": _most("the same, RMS, px", 0.45, "{:.3f}"),
    "cuav_disagreement_m": _most("real stills against each other, median, m", 1.1),
    "geotag_ms": _most("one geotag with covariance on terrain, ms of CPU", 0.5),
}
GOOD_FLIGHTS, TYPICAL_FLIGHTS = 12, 6  # that calibrate a boresight, each alone
METHOD = {
    "noiseless": "simulated telemetry without noise over a hilly tile, oblique camera with strong "
    "distortion; truth by the simulator's own projection and its own ray search",
    "cep_ratio": "CEP50 of the chain's places ÷ CEP50 of the same draws by trigonometry, in the "
    "worst of five views; cep_predicted_ratio: the covariance's own CEP50 ÷ the same",
    "typical": "flights of geometry with drawn boxes, the noise of a usual receiver and gimbal, "
    "all mounts and heights for the ellipse; 60 m and −60° for the errors",
    "boresight": "2°, 1.5° and 1° put in; the worst angle left by each flight of geometry alone; "
    "12 flights of the preset good, 6 of typical, seeds in order",
    "latency_error_ms": "120 ms put in, worst of three made flights with typical noise",
    "sitl": "two ArduPilot logs, interpolated pose at each SIM_STATE; sitl_quick_p95_deg is the "
    "attitude less the estimator's own slow heading error, which no interpolation can take away",
    "chessboard": "OpenCV's chessboards with corners refined in its tutorial's window, as the "
    "reference figure was made; chessboard_own_*: what `calibrate lens` makes of the same pictures",
    "cuav_disagreement_m": "ground matched in two stills of a real flight, after solving its own "
    "boresight and delay",
    "geotag_ms": "thread CPU time for a detection, six to a frame",
}


def measure_geo(request: GeoRequest) -> GeoFigures:
    """Measure the parts that are asked for."""
    from edge.machine import machine_name

    numbers: Numbers = {}
    unavailable: dict[str, str] = {}
    for name, measure in PARTS.items():
        if name not in request.parts:
            continue
        request.say(f"{name} ...")
        try:
            numbers |= measure(request)
        except SkywhistleError as error:
            unavailable[name] = str(error)
    return GeoFigures(machine_name(), numbers, unavailable)


def as_json(figures: GeoFigures) -> str:
    """Return one flat JSON object; what was not measured is null."""
    flat: dict[str, object] = dict.fromkeys(TARGETS)
    flat |= {name: _rounded(value) for name, value in figures.numbers.items()}
    flat["machine"] = figures.machine
    flat["unavailable"] = figures.unavailable
    flat["method"] = METHOD
    return json.dumps(flat, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def rows(figures: GeoFigures) -> Iterable[Row]:
    """Compare what was measured with what is promised."""
    for name, target in TARGETS.items():
        value = figures.numbers.get(name)
        if not isinstance(value, (int, float)):
            yield Row(target.title, "–", target.text(), None)
            continue
        yield Row(
            target.title, target.form.format(value), target.text(), target.is_met(float(value))
        )


def _noiseless(_request: GeoRequest) -> Numbers:
    from edge.bench.geo_terrain import measure_noiseless

    found = measure_noiseless()
    return {"noiseless_median_m": found.median_m, "noiseless_max_m": found.max_m}


def _cost(_request: GeoRequest) -> Numbers:
    from edge.bench.geo_terrain import measure_cost

    return {"geotag_ms": measure_cost()}


def _cells(_request: GeoRequest) -> Numbers:
    from edge.bench.geo_cells import cells, cep_ratio

    measured = cells()
    named = {f"{one.height_m:.0f} m, {one.depression_deg:.0f}°": one for one in measured}
    ratios = [one.predicted_cep_m / one.sampled_cep_m for one in measured]
    return {
        "cep_ratio": cep_ratio(measured),
        "cep_predicted_ratio_least": min(ratios),
        "cep_predicted_ratio_most": max(ratios),
        "cep_m": {name: round(one.chain_cep_m, 2) for name, one in named.items()},
    }


def _flights(request: GeoRequest) -> Numbers:
    from edge.bench.geo_figures import ellipse_figures

    typical = ellipse_figures("typical", request.flights)
    good = ellipse_figures("good", request.flights)
    return {
        "typical_median_m": typical.usual_median_m,
        "typical_p90_m": typical.usual_p90_m,
        "ellipse_hit_rate": typical.ellipse_hit_rate,
        "ellipse_hit_rate_good": good.ellipse_hit_rate,
        "ellipse_incidents": typical.incidents,
        "ellipse_incidents_good": good.incidents,
        "ellipse_flights": typical.flights,
        "ellipse_hit_rate_by_view": {
            name: round(share.rate, 3) for name, share in typical.by_cell.items()
        },
    }


def _boresight(_request: GeoRequest) -> Numbers:
    from edge.bench.geo_boresight import measure_boresight

    good = measure_boresight("good", GOOD_FLIGHTS)
    typical = measure_boresight("typical", TYPICAL_FLIGHTS)
    return {
        "boresight_left_deg": median(good.tolist()),
        "boresight_left_worst_flight_deg": float(good.max()),
        "boresight_left_typical_deg": median(typical.tolist()),
        "boresight_left_typical_worst_flight_deg": float(typical.max()),
    }


def _latency(_request: GeoRequest) -> Numbers:
    from edge.bench.geo_latency import measure_latency_error

    return {"latency_error_ms": measure_latency_error()}


def _sitl(request: GeoRequest) -> Numbers:
    from edge.bench.geo_pose import measure_sitl_pose

    found = measure_sitl_pose(request.recordings / "logs")
    return {
        "sitl_position_p95_m": found.position_p95_m,
        "sitl_attitude_p95_deg": found.attitude_p95_deg,
        "sitl_tilt_p95_deg": found.tilt_p95_deg,
        "sitl_quick_p95_deg": found.quick_p95_deg,
    }


def _chessboard(request: GeoRequest) -> Numbers:
    from edge.bench.geo_lens import measure_chessboard

    found = measure_chessboard(request.recordings / "calibration")
    return {
        "chessboard_fx": found.tutorial_fx_px,
        "chessboard_rms_px": found.tutorial_rms_px,
        "chessboard_own_fx": found.fx_px,
        "chessboard_own_rms_px": found.rms_px,
    }


def _cuav(request: GeoRequest) -> Numbers:
    from edge.bench.geo_boresight import measure_cuav

    before_m, after_m = measure_cuav(request.recordings / "flights" / "cuav-2018")
    return {"cuav_disagreement_m": after_m, "cuav_disagreement_before_m": before_m}


PARTS: Mapping[str, Callable[[GeoRequest], Numbers]] = {
    "noiseless": _noiseless,
    "cost": _cost,
    "cells": _cells,
    "flights": _flights,
    "boresight": _boresight,
    "latency": _latency,
    "sitl": _sitl,
    "chessboard": _chessboard,
    "cuav": _cuav,
}


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, _ROUNDED_TO) if math.isfinite(value) else None
    return value
