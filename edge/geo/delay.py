"""The video's delay: by how much what the pictures show of a turn comes after the telemetry's word.

Generalised least squares on the turns between neighbouring frames.  A frame whose time jitters errs
in the turn before it one way and in the turn after it the other way: told so, the solution uses
whole turns; plain least squares would only use their flanks, and be several times worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge.geo.turning import SeenTurn
from edge.records import FloatArray

GRID_S = 0.02  # of the search; turns of a vehicle are slower than that by far
LONGEST_RUN = 80  # turns solved for together: 240 equations; longer runs are cut
MAX_PAIR_S = 0.5  # of a video's neighbours; stills may be farther apart
MIN_TURNS = 8
MIN_TURNED_RAD = np.deg2rad(40.0)  # in all, there and back both counted
# What a wrong focal length or gyro scale, and a wrong height or speed, may do to a seen turn.
SCALE_SIGMA = 0.03
BIAS_SIGMA_RADPS = np.array([0.02, 0.02, 0.005])  # about north, east, down
FLOOR_SIGMA_S = 0.001  # no delay is claimed to be known better
_NOISE_FLOOR_RAD = 2e-4
_OUTLIER_SIGMAS = 5.0
_MOST_TURN_SIGMAS = 3.0  # a seen turn is no worse than three times what its points' scatter says
_WIDEST_JITTER_S = 0.1
_STEPS = 6


class NoDelay(Enum):
    """Why the delay is not known."""

    NO_TURNS = "no_turns"  # the aircraft has not turned where its camera saw it
    NO_POSES = "no_poses"  # the telemetry has holes where it turned
    NO_PEAK = "no_peak"  # no delay in the range makes the pictures fit the telemetry
    TOO_UNSURE = "too_unsure"


@dataclass(frozen=True, slots=True)
class TurnCurve:
    """What the telemetry says: the turn since its start, shape (N, 3) NED, at even times."""

    start_ns: int
    step_s: float
    turned_rad: FloatArray  # NaN where it says nothing

    def at(self, since_s: FloatArray) -> FloatArray:
        """Interpolate at seconds since `start_ns`, shape (M,); NaN outside, and in holes."""
        place = since_s / self.step_s
        low = np.clip(np.floor(place).astype(int), 0, len(self.turned_rad) - 2)
        share = (place - low)[:, None]
        turned = self.turned_rad[low] * (1.0 - share) + self.turned_rad[low + 1] * share
        turned[(place < 0.0) | (place > len(self.turned_rad) - 1)] = np.nan
        return np.asarray(turned)

    def rates_at(self, since_s: FloatArray) -> FloatArray:
        """Differentiate over two steps; same shape as `at`."""
        ahead, behind = self.at(since_s + self.step_s), self.at(since_s - self.step_s)
        return np.asarray((ahead - behind) / (2.0 * self.step_s))


@dataclass(frozen=True, slots=True)
class Delay:
    """By how much the frames' times are late, seconds; negative: early.

    Attributes:
        grid_s: Shape (G,), the delays searched.
        likeness: Shape (G,), correlation of seen and told turns at each.
        is_used: Shape (N,), which of the turns given took part.
    """

    delay_s: float
    sigma_s: float
    jitter_s: float  # of single frames' times, one sigma, as it came out
    n_turns: int
    turned_rad: float
    grid_s: FloatArray
    likeness: FloatArray
    is_used: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Turns:
    start_s: FloatArray  # (N,), since the curve's start
    end_s: FloatArray
    seen_rad: FloatArray  # (N, 3)
    sigma_rad: FloatArray  # (N,)

    def kept(self, which: NDArray[np.bool_]) -> _Turns:
        return _Turns(
            self.start_s[which], self.end_s[which], self.seen_rad[which], self.sigma_rad[which]
        )

    def runs(self) -> list[slice]:
        """Cut into runs of neighbours, each turn beginning with the frame that ends the last."""
        breaks = np.flatnonzero(np.abs(self.start_s[1:] - self.end_s[:-1]) > 1e-6) + 1
        edges = [0, *breaks.tolist(), len(self.start_s)]
        return [
            slice(low, min(low + LONGEST_RUN, high))
            for begin, high in pairwise(edges)
            for low in range(begin, high, LONGEST_RUN)
        ]


@dataclass(frozen=True, slots=True)
class _Noise:
    """Variances: of a seen turn, of the level of either curve at a frame, of a frame's time."""

    turn: FloatArray  # (3,), rad²
    level: FloatArray  # (3,), rad²
    time: float  # s²


def solve_delay(
    seen: Sequence[SeenTurn],
    curve: TurnCurve,
    max_delay_s: float = 0.6,
    max_pair_s: float = MAX_PAIR_S,
) -> Delay | NoDelay:
    """Find the delay at which what was seen fits what was told.

    Args:
        seen: In the order of their time.
        curve: Over their time and `max_delay_s` to either side.
        max_delay_s: Of the search, both ways.
        max_pair_s: Frames farther apart are no neighbours.
    """
    turns = _Turns(
        start_s=np.array([(turn.start_ns - curve.start_ns) * 1e-9 for turn in seen]),
        end_s=np.array([(turn.end_ns - curve.start_ns) * 1e-9 for turn in seen]),
        seen_rad=np.array([turn.turn_ned_rad for turn in seen]).reshape(-1, 3),
        sigma_rad=np.array([turn.sigma_rad for turn in seen]),
    )
    is_used = _is_covered(turns, curve, max_delay_s, max_pair_s)
    if int(is_used.sum()) < MIN_TURNS:
        return NoDelay.NO_POSES if len(seen) >= MIN_TURNS else NoDelay.NO_TURNS
    turned_rad = float(np.linalg.norm(turns.seen_rad[is_used], axis=1).sum())
    if turned_rad < MIN_TURNED_RAD:
        return NoDelay.NO_TURNS
    grid_s, likeness = _search(turns.kept(is_used), curve, max_delay_s)
    best = int(np.argmax(likeness))
    if not 0 < best < len(grid_s) - 1 or not likeness[best] > 0.5:
        return NoDelay.NO_PEAK
    delay_s, noise = float(grid_s[best]), None
    for _ in range(3):  # a bad turn shows once the others agree
        delay_s, sigma_s, noise, good = _refine(turns.kept(is_used), curve, delay_s)
        if good.all():
            break
        is_used[np.flatnonzero(is_used)[~good]] = False
        if int(is_used.sum()) < MIN_TURNS:
            return NoDelay.NO_PEAK
    if not abs(delay_s) < max_delay_s or not np.isfinite(sigma_s):
        return NoDelay.NO_PEAK
    jitter_s = float(np.sqrt(noise.time)) if noise is not None else 0.0
    return Delay(
        delay_s, sigma_s, jitter_s, int(is_used.sum()), turned_rad, grid_s, likeness, is_used
    )


def _is_covered(
    turns: _Turns, curve: TurnCurve, max_delay_s: float, max_pair_s: float
) -> NDArray[np.bool_]:
    """Tell which turns are of neighbours and have telemetry all around."""
    unknown = np.concatenate([[0], np.cumsum(np.isnan(curve.turned_rad[:, 0]))])
    reach_s = max_delay_s + 3.0 * curve.step_s
    low = np.floor((turns.start_s - reach_s) / curve.step_s).astype(int)
    high = np.ceil((turns.end_s + reach_s) / curve.step_s).astype(int)
    inside = (low >= 0) & (high < len(curve.turned_rad))
    low, high = np.clip([low, high], 0, len(curve.turned_rad) - 1)
    length_s = turns.end_s - turns.start_s
    return np.asarray(
        inside
        & (unknown[high + 1] == unknown[low])
        & (np.abs(length_s) <= max_pair_s)
        & np.isfinite(turns.seen_rad).all(axis=1)
    )


def _told(turns: _Turns, curve: TurnCurve, delay_s: float) -> FloatArray:
    return np.asarray(curve.at(turns.end_s - delay_s) - curve.at(turns.start_s - delay_s))


def _search(turns: _Turns, curve: TurnCurve, max_delay_s: float) -> tuple[FloatArray, FloatArray]:
    """Correlate the turns at every delay of a grid."""
    n = int(max_delay_s / GRID_S)
    grid_s: FloatArray = np.arange(-n, n + 1, dtype=np.float64) * GRID_S
    # A mistake must not be taken for a great turn.
    most = np.abs(_told(turns, curve, 0.0)).max() + np.median(np.abs(turns.seen_rad))
    seen = np.clip(turns.seen_rad, -most, most)
    likeness = np.zeros(len(grid_s))
    for i, delay_s in enumerate(grid_s.tolist()):
        told = _told(turns, curve, delay_s)
        norm = float(np.sqrt((seen * seen).sum() * (told * told).sum()))
        likeness[i] = float((seen * told).sum()) / norm if norm > 0.0 else 0.0
    return grid_s, likeness


def _refine(
    turns: _Turns, curve: TurnCurve, delay_s: float
) -> tuple[float, float, _Noise, NDArray[np.bool_]]:
    """Step to the best delay; return it, its sigma, the noise, and which turns fit (N,)."""
    noise = _Noise(np.full(3, 1e-5), np.full(3, 1e-5), 1e-4)
    runs = turns.runs()
    scales, biases = np.zeros(3), np.zeros(3)
    for step_no in range(_STEPS):
        told = _told(turns, curve, delay_s)
        starts = curve.rates_at(turns.start_s - delay_s)
        ends = curve.rates_at(turns.end_s - delay_s)
        length_s = turns.end_s - turns.start_s
        miss = turns.seen_rad - told * (1.0 + scales) - biases * length_s[:, None]
        if step_no:
            most = (_MOST_TURN_SIGMAS * float(np.median(turns.sigma_rad)) + _NOISE_FLOOR_RAD) ** 2
            noise = _noise_of(miss, (starts, ends), runs, most)
        # Columns: delay; scale and bias of three axes.
        rows = np.zeros((len(told), 3, 7))
        rows[:, :, 0] = starts - ends
        for axis in range(3):
            rows[:, axis, 1 + axis] = told[:, axis]
            rows[:, axis, 4 + axis] = length_s
        normal, right, scores = _sums(rows, miss, (starts, ends), noise, runs)
        prior = np.concatenate([[0.0], np.full(3, SCALE_SIGMA), BIAS_SIGMA_RADPS])
        tight = np.divide(1.0, prior**2, out=np.zeros(7), where=prior > 0.0)
        right -= tight * np.concatenate([[0.0], scales, biases])
        covariance = np.asarray(np.linalg.inv(normal + np.diag(tight)), np.float64)
        change = covariance @ right
        delay_s += float(np.clip(change[0], -GRID_S, GRID_S))
        scales, biases = scales + change[1:4], biases + change[4:]
    sigma_s = _sigma_s(covariance, scores)
    spread = np.sqrt(noise.turn + 2.0 * noise.level + noise.time * (starts**2 + ends**2))
    good = np.asarray((np.abs(miss) < _OUTLIER_SIGMAS * spread).all(axis=1), np.bool_)
    return delay_s, sigma_s, noise, good


def _sums(
    rows: FloatArray,
    miss: FloatArray,
    rates: tuple[FloatArray, FloatArray],
    noise: _Noise,
    runs: Sequence[slice],
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return normal matrix (7, 7), right side (7,), and each run's part of the latter (R, 7)."""
    normal, scores = np.zeros((7, 7)), np.zeros((len(runs), 7))
    starts, ends = rates
    for number, run in enumerate(runs):
        n = len(miss[run])
        step = np.eye(n, n + 1, 1) - np.eye(n, n + 1)  # a turn is one level less another
        for axis in range(3):
            at_frames = np.concatenate([starts[run, axis], ends[run, axis][-1:]])
            levels = noise.level[axis] + at_frames**2 * noise.time
            matrix = (step * levels) @ step.T + np.eye(n) * noise.turn[axis]
            weighted = np.linalg.solve(matrix, rows[run, axis])
            normal += weighted.T @ rows[run, axis]
            scores[number] += weighted.T @ miss[run, axis]
    return normal, scores.sum(axis=0), scores


def _noise_of(
    miss: FloatArray, rates: tuple[FloatArray, FloatArray], runs: Sequence[slice], most: float
) -> _Noise:
    """Fit the variances to the squares of what is left, and to neighbours' products.

    A turn's own error is independent of its neighbours'; a level's or a time's error enters two
    neighbours with opposite signs.  Where the rates hardly change the two are hard to tell apart:
    a turn's own variance is held to at most `most`.
    """
    starts, ends = rates
    # What a single great mistake adds is bounded; a frame's time may well be off by tens of ms.
    by_time = _WIDEST_JITTER_S * np.hypot(starts, ends)
    bound = 4.0 * 1.4826 * np.median(np.abs(miss), axis=0) + _NOISE_FLOOR_RAD + by_time
    left = np.clip(miss, -bound, bound)
    follows = np.ones(len(miss), dtype=bool)
    follows[[run.start for run in runs]] = False
    second = np.flatnonzero(follows)
    rows, values = [], []
    for axis in range(3):
        scale = float(np.mean(left[:, axis] ** 2)) + _NOISE_FLOOR_RAD**2
        squares = np.zeros((len(left), 7))
        squares[:, axis], squares[:, 3 + axis] = 1.0, 2.0
        squares[:, 6] = starts[:, axis] ** 2 + ends[:, axis] ** 2
        products = np.zeros((len(second), 7))
        products[:, 3 + axis], products[:, 6] = -1.0, -(starts[second, axis] ** 2)
        rows += [squares / scale, products / scale]
        values += [left[:, axis] ** 2 / scale, left[second, axis] * left[second - 1, axis] / scale]
    all_rows, all_values = np.concatenate(rows), np.concatenate(values)
    found = _not_negative(all_rows, all_values)
    over = np.flatnonzero(found[:3] > most)
    if over.size:
        all_values = all_values - most * all_rows[:, over].sum(axis=1)
        all_rows[:, over] = 0.0
        found = _not_negative(all_rows, all_values)
        found[over] = most
    return _Noise(
        np.maximum(found[:3], _NOISE_FLOOR_RAD**2), np.maximum(found[3:6], 0.0), float(found[6])
    )


def _not_negative(rows: FloatArray, values: FloatArray) -> FloatArray:
    """Least squares with no negative unknown: those that want to be are taken out, worst first."""
    free = np.ones(rows.shape[1], dtype=bool)
    found = np.zeros(rows.shape[1])
    while free.any():
        found[:] = 0.0
        found[free] = np.linalg.lstsq(rows[:, free], values, rcond=None)[0]
        if not found.min() < 0.0:
            break
        free[int(np.argmin(found))] = False
    return np.maximum(found, 0.0)


def _sigma_s(covariance: FloatArray, scores: FloatArray) -> float:
    """Take the larger of what the noise model says and what the runs' disagreement says."""
    by_model = float(np.sqrt(covariance[0, 0]))
    n = len(scores)
    if n < 8:  # too few runs to tell anything by
        return max(by_model, FLOOR_SIGMA_S)
    spread = covariance @ (scores.T @ scores) @ covariance * (n / (n - 1))
    return max(by_model, float(np.sqrt(spread[0, 0])), FLOOR_SIGMA_S)
