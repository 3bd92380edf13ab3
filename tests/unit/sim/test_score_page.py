"""The page of a score shows what went wrong, as fairly as its bound on pictures allows."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from sim.score.findings import Finding, FindingKind
from sim.score.report_page import shared_out, spread

COUNTS = st.fixed_dictionaries({kind: st.integers(0, 300) for kind in FindingKind})


@given(COUNTS, st.integers(0, 600))
def test_no_kind_of_finding_crowds_out_another(wanted: dict[FindingKind, int], most: int) -> None:
    """The bound is used up, nobody gets more than it has, and who goes short has no less room."""
    room = shared_out(wanted, most)
    assert sum(room.values()) == min(most, sum(wanted.values()))
    short = [kind for kind in wanted if room[kind] < wanted[kind]]
    assert all(room[kind] + 1 >= max(room.values()) for kind in short)
    assert all(0 <= room[kind] <= wanted[kind] for kind in wanted)


@given(st.integers(0, 80), st.integers(0, 80))
def test_the_chosen_ones_come_from_all_flights(n_pairs: int, most: int) -> None:
    """So many as asked for or as there are, each once, in their order, the gaps alike."""
    pairs = [
        (f"flight-{n}", Finding(FindingKind.MISS, "smoke", str(n), "", ())) for n in range(n_pairs)
    ]
    numbers = [int(one.name) for _, one in spread(pairs, most)]
    assert len(numbers) == min(most, n_pairs)
    assert numbers == sorted(set(numbers))
    gaps = [b - a for a, b in pairwise(numbers)]
    assert not gaps or max(gaps) - min(gaps) <= 1
