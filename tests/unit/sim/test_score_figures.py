"""Counts, figures, their noise, and the gate that is made of them."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from sim.score.figures import FIGURES, Tally, estimates, plain, tally_from_plain, total
from sim.score.gate import Condition, Result, Verdict, compare, known_figures, read_conditions
from sim.score.intervals import (
    Estimate,
    fall_allowed,
    quantile,
    rate,
    rise_allowed,
    share,
    sigmas_of,
)
from sim.score.junit import write_junit
from sim.score.result import Baseline, read_baseline

SIGMAS = sigmas_of(0.95)
COUNTS = st.integers(0, 60)


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    truths, right, duplicates, false = (draw(COUNTS) for _ in range(4))
    return Tally(
        truths=truths,
        found=draw(st.integers(0, truths)),
        alerts=right + duplicates + false,
        right=right,
        duplicates=duplicates,
        false_alarms=false,
        ellipse_hits=draw(st.integers(0, right)),
        errors_m=tuple(draw(st.lists(st.floats(0, 30), min_size=right, max_size=right))),
        flight_h=draw(st.floats(0.01, 3.0)),
        causes=Counter({"pool": false}) if false else Counter(),
    )


@given(tallies(), tallies(), tallies())
def test_tallies_add_up_in_any_order(a: Tally, b: Tally, c: Tally) -> None:
    """Pooling flights is adding counts: what is added first does not matter."""
    one, other = total([a, b, c]), total([c, a, b])
    assert plain(one)["geotag_errors_m"] == plain(other)["geotag_errors_m"]
    for name in ("truths", "found", "alerts", "right", "duplicates", "false_alarms", "by_cause"):
        assert plain(one)[name] == plain(other)[name]
    assert one.missed == a.missed + b.missed + c.missed


@given(tallies())
def test_a_stored_tally_is_read_back(counted: Tally) -> None:
    """A baseline gives the counts that it was written from."""
    again = tally_from_plain(json.loads(json.dumps(plain(counted))))
    for name in ("truths", "found", "alerts", "right", "duplicates", "false_alarms", "causes"):
        assert getattr(again, name) == getattr(counted, name)


@pytest.mark.parametrize(
    "wrong", [{"alerts": 3, "right": 1}, {"truths": 1, "found": 2}, {"found": -1}]
)
def test_counts_that_do_not_add_up_are_refused(wrong: dict[str, int]) -> None:
    """Truths are found or missed, alerts are right, double or false: nothing else is a tally."""
    with pytest.raises(ValueError, match="do not add up"):
        Tally(**wrong)


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.5, 3.5))
def test_an_interval_holds_its_figure_and_shrinks_with_more_of_it(
    hits: int, misses: int, sigmas: float
) -> None:
    """A share lies in its interval, inside 0 to 1; ten times the counts leave less to chance."""
    estimate = share(hits, hits + misses, sigmas)
    if hits + misses == 0:
        assert estimate is None
        return
    more = share(10 * hits, 10 * (hits + misses), sigmas)
    assert estimate is not None
    assert more is not None
    assert 0.0 <= estimate.lower <= estimate.value <= estimate.upper <= 1.0
    assert more.upper - more.lower < estimate.upper - estimate.lower


def test_the_intervals_are_those_of_the_tables() -> None:
    """Wilson's of 22 of 22 and of 7 of 22, Byar's of 0 and of 10: known to two digits."""
    two_sided = sigmas_of(0.975)
    all_found, some = share(22, 22, two_sided), share(7, 22, two_sided)
    none, ten = rate(0, 1.0, two_sided), rate(10, 1.0, two_sided)
    assert all_found is not None and some is not None and none is not None and ten is not None
    assert (all_found.lower, all_found.upper) == (pytest.approx(0.851, abs=1e-3), 1.0)
    assert (some.lower, some.upper) == (
        pytest.approx(0.164, abs=1e-3),
        pytest.approx(0.527, abs=1e-3),
    )
    assert none.upper == pytest.approx(3.69, abs=0.1)  # exact (Garwood): 3.69
    assert (ten.lower, ten.upper) == (pytest.approx(4.80, abs=0.1), pytest.approx(18.4, abs=0.1))


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.sampled_from([0.5, 0.9]))
def test_a_quantile_lies_between_two_of_its_values(values: list[float], q: float) -> None:
    """The interval of a quantile is made of measured values, the figure between them."""
    estimate = quantile(values, q, SIGMAS)
    assert estimate is not None
    assert min(values) <= estimate.lower <= estimate.value <= estimate.upper <= max(values)


@given(tallies())
def test_a_result_never_falls_behind_itself(counted: Tally) -> None:
    """Whatever the counts, comparing a result with itself fails nothing."""
    baseline = Baseline(Path("b"), counted, {"smoke": counted}, {})
    now = Result(counted, {"smoke": counted})
    assert not [one for one in compare(baseline, now, 0.95) if one.has_failed]


@given(st.integers(1, 200), st.data())
def test_a_fall_beyond_chance_is_named_and_one_within_is_not(n: int, data: st.DataObject) -> None:
    """Recall fails exactly when it falls by more than both intervals allow together."""
    before, after = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    old, new = share(before, n, SIGMAS), share(after, n, SIGMAS)
    assert old is not None and new is not None
    verdicts = {
        one.name: one
        for one in compare(
            Baseline(Path("b"), Tally(truths=n, found=before), {}, {}),
            Result(Tally(truths=n, found=after), {}),
            0.95,
        )
    }
    fell = old.value - new.value
    assert verdicts["recall"].has_failed == (fell > max(1e-4, fall_allowed(old, new)))
    assert ("fell by" in verdicts["recall"].text) == (fell > 1e-4)


def test_false_cries_of_an_unchanged_detector_are_as_rare_as_stated() -> None:
    """With 60 truths at a recall of 0.9, one figure cries at most 8 times in 100 by chance."""
    p, n = 0.9, 60
    weight = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    found = [share(k, n, SIGMAS) for k in range(n + 1)]
    cries = 0.0
    for old, w_old in zip(found, weight, strict=True):
        for new, w_new in zip(found, weight, strict=True):
            assert old is not None and new is not None
            cries += w_old * w_new * (old.value - new.value > fall_allowed(old, new))
    assert 0.01 < cries < 0.08


def test_a_rise_is_judged_by_the_other_ends() -> None:
    """What may rise by chance is the old figure's upper reach and the new one's lower."""
    old, new = Estimate(1.0, 0.5, 4.0), Estimate(6.0, 2.0, 7.0)
    assert rise_allowed(old, new) == pytest.approx(5.0)
    assert fall_allowed(new, old) == pytest.approx(5.0)


def test_a_figure_that_is_gone_fails() -> None:
    """A class that was told before and of which nothing can be rated now is a fall."""
    some = Tally(truths=4, found=4, alerts=4, right=4, errors_m=(1.0,) * 4, flight_h=1.0)
    gone = Tally(truths=4, flight_h=1.0)
    failed = {
        v.name for v in compare(Baseline(Path("b"), some, {}, {}), Result(gone, {}), 0.95)
        if v.has_failed
    }  # fmt: skip
    assert {"recall", "precision", "geotag_median_m"} <= failed


RESULT = {"recall": 0.86, "duplicates": 0, "precision": None, "by_class": {"smoke": {"recall": 1}}}


@pytest.mark.parametrize(
    ("text", "has_failed"),
    [
        ("recall<0.9", True),
        ("recall < 0.86", False),
        ("recall<=0.86", True),
        ("duplicates>0", False),
        ("duplicates!=0", False),
        ("by_class.smoke.recall<0.9", False),
        ("precision<0.1", True),  # absent: nothing was told at all
    ],
)
def test_a_condition_that_holds_fails_the_gate(text: str, has_failed: bool) -> None:
    """The condition is what must not be; a figure that is absent is no success."""
    known = known_figures(["smoke"], [], with_frames=False)
    (condition,) = read_conditions([text], known)
    assert condition.judge(RESULT).has_failed == has_failed


@pytest.mark.parametrize("text", ["recall", "recall<", "recall<high", "<0.9", "recall=0.9", ""])
def test_what_is_no_condition_is_refused(text: str) -> None:
    """A slip in a CI file stops the run at once and says what a condition looks like."""
    with pytest.raises(ConfigError, match=r"recall<0\.9"):
        read_conditions([text], ["recall"])


def test_figures_that_are_not_scored_are_not_known() -> None:
    """A condition on pictures or frames is refused unless they are asked for."""
    flights = known_figures(["smoke"], [], with_frames=False)
    assert set(FIGURES) <= set(flights)
    assert not [name for name in flights if name.startswith(("pictures", "frame_level"))]
    every = known_figures(["smoke"], ["site"], with_frames=True)
    assert {"frame_level.map50", "pictures.by_tag.site.share_found"} <= set(every)


def test_every_known_figure_has_a_number_in_the_result() -> None:
    """What a condition may name of a tally is there when the result is looked up."""
    some = Tally(truths=4, found=4, alerts=4, right=4, errors_m=(1.0,) * 4, flight_h=1.0)
    table = {"by_class": {"smoke": plain(some)}}
    for figure in known_figures(["smoke"], [], with_frames=False):
        if figure.startswith("by_class.smoke."):
            assert "absent" not in Condition(figure, "<", 0.0).judge(table).text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "truths": "x"}'])
def test_a_baseline_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """A broken or foreign file is told by name."""
    path = tmp_path / "stored.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"stored\.json"):
        read_baseline(path)


def test_the_estimates_of_nothing_are_absent() -> None:
    """No truth, no alert, no hour: no figure."""
    assert set(estimates(Tally(), SIGMAS).values()) == {None}


def test_a_run_without_a_gate_is_one_passed_case(tmp_path: Path) -> None:
    """CI servers call a report without cases an error; what was scored is one."""
    path = tmp_path / "sub" / "junit.xml"
    write_junit(path, {"fail-if": [], "baseline": []}, {"flights": 2, "recall": 1.0})
    text = path.read_text("utf-8")
    assert 'tests="1" failures="0"' in text
    assert Verdict("scored", False, "").name in text
