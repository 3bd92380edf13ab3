"""A real flight agrees with itself: ground matched in two stills is geotagged from both alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.boresight import Wanted, solve
from calibration.ground_ties import problem_of
from calibration.verdict import findings, refuse_unconstrained
from edge.bench.geo_boresight import cuav_flight
from edge.capture.recording import open_flight
from edge.config import AccuracyConfig, GroundConfig
from edge.errors import UnconstrainedError

N_STILLS = 18
MIN_POINTS = 500
# By which the pictures' names are late against the log, found before by trying delays.
KNOWN_DELAY_S = 0.30


@pytest.mark.system
def test_the_same_ground_has_the_same_place_from_two_stills(
    shared_data: Path, tmp_path: Path, *, capsys: pytest.CaptureFixture[str]
) -> None:
    """Some 2.4 m apart as recorded, matched points agree to 1.1 m after the flight's own solve.

    It finds the known delay, and refuses the angles: all stills are on one heading.
    """
    recording = shared_data / "flights" / "cuav-2018"
    if not recording.is_dir():
        pytest.skip(f"needs the third-party flight {recording}, which is not shipped")
    flight = open_flight(cuav_flight(recording, tmp_path))
    made = problem_of(flight, None, (AccuracyConfig(), GroundConfig()))
    wanted = Wanted(time=True)
    solution = solve(made.problem, wanted)
    told = findings(solution, wanted, made.pairs)
    before, after = solution.before, solution.after
    with capsys.disabled():
        print(  # noqa: T201
            f"\ncuav-2018 points={len(after.first_m)} median={before.median_m:.2f} m before, "
            f"{after.median_m:.2f} m after; 90 %: {np.percentile(before.lengths_m, 90):.2f}, "
            f"{np.percentile(after.lengths_m, 90):.2f} m; " + "; ".join(map(str, told))
        )
    assert made.n_looks == N_STILLS
    assert len(after.first_m) >= MIN_POINTS
    assert before.median_m > 1.8
    assert after.median_m <= 1.1
    assert solution.offset_s == pytest.approx(-KNOWN_DELAY_S, abs=0.05)
    with pytest.raises(UnconstrainedError, match="from another heading"):
        refuse_unconstrained(told, "cuav-2018")
