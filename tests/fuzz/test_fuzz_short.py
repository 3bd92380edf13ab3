"""Hostile input, the short form: each fuzz target with some hundred inputs, the same every time.

The long form is coverage-guided and runs for hours: `python -m tests.fuzz`, with the extra `fuzz`.
"""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.target import Target, refused
from tests.fuzz.targets import TARGETS
from tests.fuzz.videos import make, try_all

HANG_S = 10.0  # of CPU: ten times what the long form allows, on a computer a tenth as fast


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
def test_hostile_input_is_refused_in_words(target: Target) -> None:
    """Whatever is done to a good input, it is read or refused with an error of ours, and soon."""
    rng, seeds = Random(target.name), target.seeds()
    n_refused = 0
    for number in range(target.short_cases):
        data = target.mutate(rng.choice(seeds), rng)
        if rng.random() < 0.3:  # damage on damage
            data = target.mutate(data, rng)
        start_s = time.process_time()
        n_refused += refused(target.check, data[: target.max_bytes])
        assert time.process_time() - start_s < HANG_S, (number, data[:200])
    assert n_refused < target.short_cases, "nothing but the first check is tried"


def test_damaged_recordings_play_or_are_refused(tmp_path: Path) -> None:
    """A cut or flipped video ends neither the process nor the patience of whoever reads it."""
    result = try_all(make(tmp_path, 40, seed=7), "file")
    assert result["first_bad"] == {}
    assert set(result["outcomes"]) == {"played", "refused"}
