"""What `skywhistle check` makes of what it was told; the parts themselves are probed elsewhere."""

from __future__ import annotations

import pytest

from edge.checks import Grade, _grade_of_missing


@pytest.mark.parametrize(
    ("name", "got_hz", "ground", "grade", "why"),
    [
        ("ATTITUDE", 0.0, "home", Grade.FAIL, "nothing can be located"),
        ("ATTITUDE", 3.0, "home", Grade.WARN, ""),
        ("EKF_STATUS_REPORT", 0.0, "home", Grade.WARN, ""),
        ("RANGEFINDER", 0.0, "home", Grade.OK, "not needed: ground.source is home"),
        ("RANGEFINDER", 0.0, "terrain_report", Grade.OK, "not needed"),
        ("RANGEFINDER", 0.0, "auto", Grade.WARN, "what there is"),
        ("RANGEFINDER", 0.0, "rangefinder", Grade.FAIL, "nothing can be located"),
        ("TERRAIN_REPORT", 0.5, "terrain_report", Grade.WARN, ""),
    ],
)
def test_a_message_that_does_not_come_is_as_bad_as_what_needs_it(
    name: str, got_hz: float, ground: str, grade: Grade, why: str
) -> None:
    """A warning about what the config does not use teaches people to overlook warnings."""
    got = _grade_of_missing(name, got_hz, ground)
    assert got[0] is grade
    assert why in got[1]
