"""A gate for CI: thresholds that a result must keep, and a baseline it must not fall behind."""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.errors import ConfigError
from edge.records import CLASS_NUMBERS
from sim.score.figures import FIGURES, HIGHER, Tally, estimates
from sim.score.intervals import Estimate, fall_allowed, rise_allowed, sigmas_of
from sim.score.result import Baseline

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
# What a change of processor or of stored digits does is no news: places move by centimetres.
_ROUNDING = 1e-4
_ROUNDING_M = 0.1
_CONDITION = re.compile(r"^\s*([A-Za-z0-9_./ -]+?)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*$")
COUNTS = (
    "truths", "found", "missed", "alerts", "right", "duplicates", "false_alarms", "ellipse_hits",
    "flight_h",
)  # fmt: skip
WHOLE_ONLY = (
    "flights", "frames", "inferences", "detections", "frames_dropped", "lost_events",
    "inference_ms_median", "frame_to_outbox_p50_s", "frame_to_outbox_p99_s",
    "shown_to_alert_median_s", "shown_to_alert_p90_s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one test of the gate said."""

    name: str
    has_failed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Condition:
    """`recall<0.9`: when it holds, the gate fails.  A figure that is absent fails it too."""

    figure: str
    sign: str
    limit: float

    def judge(self, result: Mapping[str, Any]) -> Verdict:
        """Look the figure up in a result and compare."""
        name = f"{self.figure}{self.sign}{self.limit:g}"
        value = _looked_up(result, self.figure)
        if value is None:
            return Verdict(name, True, f"{self.figure} is absent: there was nothing to rate")
        has_failed = OPERATORS[self.sign](value, self.limit)
        wanted = "fails when" if has_failed else "would fail if"
        return Verdict(name, has_failed, f"{self.figure} is {value:g}; {wanted} {name}")


def read_conditions(texts: Sequence[str], known: Sequence[str]) -> list[Condition]:
    """Read `--fail-if` conditions and see that their figures exist, before anything is flown.

    Args:
        texts: Such as `recall<0.9` or `by_class.smoke.recall<0.8`.
        known: Every figure that there is (`known_figures`).

    Raises:
        ConfigError: One is no condition, or names a figure that is not there; the nearest is named.
    """
    conditions = []
    for text in texts:
        parts = _CONDITION.match(text)
        limit = _number(parts.group(3)) if parts else None
        if parts is None or limit is None:
            raise ConfigError(
                f"--fail-if {text!r}: is no condition; write a figure, one of "
                f"{' '.join(OPERATORS)} and a number, such as 'recall<0.9'"
            )
        if (figure := parts.group(1)) not in known:
            near = difflib.get_close_matches(figure, known, n=1, cutoff=0.0)
            raise ConfigError(
                f"--fail-if {text!r}: there is no figure {figure!r}; the nearest is {near[0]!r}"
            )
        conditions.append(Condition(figure, parts.group(2), limit))
    return conditions


def known_figures(
    labels: Sequence[str] | None, tags: Sequence[str], *, with_frames: bool
) -> list[str]:
    """List every figure that a condition may name.

    Args:
        labels: Violation classes of the flights' truths; None: no flight is scored.
        tags: Of the single pictures; empty: none are scored.
        with_frames: Whether the detector is scored frame by frame.
    """
    names = sorted({*(labels or ()), *CLASS_NUMBERS})
    known: list[str] = []
    if labels is not None:
        known += [*FIGURES, *COUNTS, *WHOLE_ONLY]
        known += [f"by_class.{label}.{f}" for label in names for f in (*FIGURES, *COUNTS)]
    if with_frames:
        known.append("frame_level.map50")
        known += [f"frame_level.by_class.{label}.ap50" for label in names]
    if tags:
        known += ["pictures.false_alarms_per_10", "pictures.flagged_per_10"]
        known += [
            f"pictures.by_tag.{tag}.{figure}"
            for tag in tags
            for figure in ("share_found", "share_at_min_score", "false_alarms_per_10")
        ]
    return known


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _looked_up(result: Mapping[str, Any], figure: str) -> float | None:
    value: Any = result
    for key in figure.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, (int, float)) else None


# --- against a baseline ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """What is compared with a baseline."""

    whole: Tally
    by_class: Mapping[str, Tally]


def compare(baseline: Baseline, now: Result, confidence: float) -> list[Verdict]:
    """Compare figure by figure; one that is worse by more than chance explains fails.

    Recall and precision are compared class by class too.  There the confidence is raised so that
    all classes together raise a false cry no more often than one figure does (Bonferroni).

    Args:
        baseline: The earlier result.
        now: This one.
        confidence: That a difference outside the band is none by chance, one figure at a time.
    """
    sigmas = sigmas_of(confidence)
    verdicts = [
        *_compare("", _Pair(baseline.whole, now.whole), FIGURES, sigmas),
    ]
    labels = [label for label in baseline.by_class if baseline.by_class[label].truths]
    strict = sigmas_of(1 - (1 - confidence) / max(1, 2 * len(labels)))
    for label in labels:
        pair = _Pair(baseline.by_class[label], now.by_class.get(label, Tally()))
        verdicts += _compare(f"by_class.{label}.", pair, ("recall", "precision"), strict)
    return verdicts


@dataclass(frozen=True, slots=True)
class _Pair:
    before: Tally
    now: Tally


def _compare(
    prefix: str, pair: _Pair, figures: Sequence[str] | Mapping[str, str], sigmas: float
) -> Iterator[Verdict]:
    before, now = estimates(pair.before, sigmas), estimates(pair.now, sigmas)
    for figure in figures:
        old, new = before[figure], now[figure]
        if old is not None:
            yield _judge(f"{prefix}{figure}", old, new, is_high_good=FIGURES[figure] == HIGHER)


def _judge(name: str, old: Estimate, new: Estimate | None, *, is_high_good: bool) -> Verdict:
    if new is None:
        return Verdict(name, True, f"{name} was {old.value:.3g} and is absent now")
    worse_by = old.value - new.value if is_high_good else new.value - old.value
    allowed = fall_allowed(old, new) if is_high_good else rise_allowed(old, new)
    rounding = _ROUNDING_M if name.endswith("_m") else _ROUNDING
    if worse_by <= rounding:
        change = "did not get worse"
    else:
        change = f"{'fell' if is_high_good else 'rose'} by {worse_by:.3g}"
    text = f"{name} {change} ({old.value:.3g} → {new.value:.3g}); chance allows {allowed:.3g}"
    return Verdict(name, worse_by > max(allowed, rounding), text)


def differing_flights(baseline: Baseline, truths_by_flight: Mapping[str, int]) -> str:
    """Say in what a baseline's flights are not those of now; "" when they are the same."""
    before, now = baseline.truths_by_flight, truths_by_flight
    gone, fresh = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
    changed = sorted(n for n in before.keys() & now.keys() if before[n] != now[n])
    parts = [
        f"{what} {', '.join(names)}"
        for what, names in (("without", gone), ("with", fresh), ("other truth in", changed))
        if names
    ]
    return "; ".join(parts)
