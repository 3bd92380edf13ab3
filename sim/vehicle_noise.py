"""What the instruments get wrong: every source has its own knob, and zero switches it off."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class NoiseKnobs:
    """One-sigma errors of the telemetry; all zero is a noiseless flight."""

    gnss_h_m: float = 0.0  # each horizontal axis, drifting over minutes
    gnss_white_m: float = 0.0  # from fix to fix
    gnss_velocity_mps: float = 0.0
    height_m: float = 0.0  # barometer and GNSS height, drifting over minutes
    heading_deg: float = 0.0  # compass: one bias for the flight, and a slow wander
    attitude_deg: float = 0.0  # vehicle's roll and pitch, wandering over seconds
    gimbal_deg: float = 0.0  # what the gimbal reports of roll and pitch
    gimbal_yaw_deg: float = 0.0  # what it reports of yaw against the vehicle
    gimbal_lag_s: float = 0.0  # how late the true gimbal follows a turn of the vehicle
    gimbal_sway_deg: float = 0.0  # true unsteadiness of the gimbal in gusts
    gimbal_reports_command: bool = False  # DJI-class: the report is the command, not the truth
    telemetry_delay_s: float = 0.0  # how late the estimator's state is
    clock_jitter_s: float = 0.0  # between a frame's time as logged and its mid-exposure
    wind_mps: float = 0.0  # steady wind that the vehicle leans against
    gust_mps: float = 0.0  # and its gusts


# Error budgets: "typical" is GNSS 1.5 m, height 3 m, tilt 0.7 deg, heading 2 deg, 50 ms; "good" is
# RTK, height 0.5 m, 0.2 deg, 0.5 deg, 10 ms.  "survey" lies between: a multi-band receiver with
# corrections, a calibrated compass, a true gimbal.
PRESETS = {
    "none": NoiseKnobs(),
    "typical": NoiseKnobs(
        1.5, 0.3, 0.1, 3.0, 2.0, 0.7, 0.5, 0.5, 0.12, 0.15, False, 0.03, 0.02, 4.0, 1.2
    ),
    "good": NoiseKnobs(
        0.05, 0.02, 0.03, 0.5, 0.5, 0.2, 0.15, 0.15, 0.05, 0.05, False, 0.005, 0.005, 3.0, 0.8
    ),
    "survey": NoiseKnobs(
        0.7, 0.1, 0.05, 1.0, 1.0, 0.4, 0.3, 0.25, 0.08, 0.1, False, 0.02, 0.01, 3.0, 0.8
    ),
}


def knobs(preset: str, changes: dict[str, float | bool]) -> NoiseKnobs:
    """Return a preset with some knobs turned.

    Raises:
        ValueError: The preset or a knob is not known, or a value is negative.
    """
    if preset not in PRESETS:
        raise ValueError(f"noise preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    known = {f.name for f in fields(NoiseKnobs)}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"no noise knob {name!r}; there are {', '.join(sorted(known))}")
        if value < 0:
            raise ValueError(f"noise knob {name} must not be negative, got {value}")
    return replace(PRESETS[preset], **changes)  # type: ignore[arg-type]


def wander(rng: np.random.Generator, times_s: FloatArray, sigma: float, tau_s: float) -> FloatArray:
    """Draw a Gauss-Markov drift of a standard deviation and correlation time, one a time."""
    steps = np.diff(times_s, prepend=times_s[0])
    keep = np.exp(-steps / tau_s)
    kicks = rng.standard_normal(len(times_s)) * np.sqrt(1 - keep**2)
    out = np.empty(len(times_s))
    value = float(rng.standard_normal())
    for i, (share, kick) in enumerate(zip(keep, kicks, strict=True)):
        value = value * share + kick
        out[i] = value
    return out * sigma
