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
    baro_drift_m_per_min: float = 0.0  # the day's pressure drifts on: one rate for the flight
    sway_m: float = 0.0  # how far gusts truly push the vehicle off its line, each axis
    mount_deg: float = 0.0  # how the camera truly sits askew on its mount, unknown to everyone


# Error budgets: "typical" is GNSS 1.5 m, height 3 m, tilt 0.7 deg, heading 2 deg, 50 ms; "good" is
# RTK, height 0.5 m, 0.2 deg, 0.5 deg, 10 ms.  "survey" lies between: a multi-band receiver with
# corrections, a calibrated compass, a true gimbal.
PRESETS = {
    "none": NoiseKnobs(),
    "typical": NoiseKnobs(
        gnss_h_m=1.5,
        gnss_white_m=0.3,
        gnss_velocity_mps=0.1,
        height_m=2.8,
        heading_deg=2.0,
        attitude_deg=0.7,
        gimbal_deg=0.5,
        gimbal_yaw_deg=0.5,
        gimbal_lag_s=0.12,
        gimbal_sway_deg=0.15,
        telemetry_delay_s=0.03,
        clock_jitter_s=0.02,
        wind_mps=4.0,
        gust_mps=1.2,
        baro_drift_m_per_min=0.15,
        sway_m=0.3,
        mount_deg=0.3,
    ),
    "good": NoiseKnobs(
        gnss_h_m=0.05,
        gnss_white_m=0.02,
        gnss_velocity_mps=0.03,
        height_m=0.5,
        heading_deg=0.5,
        attitude_deg=0.2,
        gimbal_deg=0.15,
        gimbal_yaw_deg=0.15,
        gimbal_lag_s=0.05,
        gimbal_sway_deg=0.05,
        telemetry_delay_s=0.005,
        clock_jitter_s=0.005,
        wind_mps=3.0,
        gust_mps=0.8,
        baro_drift_m_per_min=0.02,
        sway_m=0.15,
        mount_deg=0.1,
    ),
    "survey": NoiseKnobs(
        gnss_h_m=0.7,
        gnss_white_m=0.1,
        gnss_velocity_mps=0.05,
        height_m=1.0,
        heading_deg=1.0,
        attitude_deg=0.4,
        gimbal_deg=0.3,
        gimbal_yaw_deg=0.25,
        gimbal_lag_s=0.08,
        gimbal_sway_deg=0.1,
        telemetry_delay_s=0.02,
        clock_jitter_s=0.01,
        wind_mps=3.0,
        gust_mps=0.8,
    ),
}


def knobs(preset: str, changes: dict[str, float | bool]) -> NoiseKnobs:
    """Return a preset with some knobs turned.

    Raises:
        ValueError: The preset or a knob is not known, or a value is no number or negative.
    """
    if preset not in PRESETS:
        raise ValueError(f"noise preset must be one of {', '.join(PRESETS)}, got {preset!r}")
    known = {f.name for f in fields(NoiseKnobs)}
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"no noise knob {name!r}; there are {', '.join(sorted(known))}")
        if isinstance(value, str) or not value >= 0:  # NaN is refused, too
            raise ValueError(f"noise knob {name} must be a number and not negative, got {value!r}")
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


def sway(rng: np.random.Generator, times_s: FloatArray, sigma: float, tau_s: float) -> FloatArray:
    """Draw a drift that has a speed: a wander smoothed once more, of a standard deviation."""
    raw, keep = wander(rng, times_s, 1.0, tau_s), np.exp(-np.diff(times_s, prepend=0.0) / tau_s)
    out, value = np.empty(len(times_s)), 0.0
    for i, (share, pull) in enumerate(zip(keep, raw, strict=True)):
        value = value * share + pull * (1 - share)
        out[i] = value
    # Two poles of the same time constant in a row leave half of the variance.
    return np.asarray(out * sigma * np.sqrt(2.0))
