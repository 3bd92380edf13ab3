"""Laws of the drawn district."""

from __future__ import annotations

import numpy as np
import pytest

from sim.world.distractors import DISTRACTORS
from sim.world.district import DEFAULT_COUNTS, District
from sim.world.families import FAMILIES
from sim.world.finds import Smoke
from sim.world.layout import HALF_M, plan
from sim.world.violations import VIOLATIONS


def test_a_seed_always_draws_the_same_district(district: District) -> None:
    """The same seed and family give the same triangles, ground and truth, to the last bit."""
    again = District.from_seed(11, "suburb")
    assert np.array_equal(again.triangles, district.triangles)
    assert np.array_equal(again.ground_rgba, district.ground_rgba)
    assert [f.id for f in again.finds] == [f.id for f in district.finds]
    assert again.finds[0].reference_m == district.finds[0].reference_m


def test_another_seed_draws_another_plan() -> None:
    """Seeds are not mere names: two of them give two towns."""
    first = plan(np.random.default_rng(1), FAMILIES["village"])
    assert plan(np.random.default_rng(2), FAMILIES["village"]).river != first.river


def test_every_kind_of_find_is_placed(district: District) -> None:
    """A default district holds at least one of each violation and each distractor."""
    assert {f.name for f in district.finds} == set(DEFAULT_COUNTS)
    for find in district.finds:
        names = VIOLATIONS if find.kind == "violation" else DISTRACTORS
        assert find.name in names


def test_finds_lie_inside_the_district_and_their_surface_near_their_outline(
    district: District,
) -> None:
    """Truth is a closed outline in the district, and its surface samples belong to it."""
    for find in district.finds:
        assert len(find.outline_m) >= 3
        assert np.abs(find.outline_m).max() < HALF_M
        middle = find.outline_m.mean(axis=0)
        reach = np.linalg.norm(find.outline_m - middle, axis=1).max()
        assert np.linalg.norm(find.points_m[:, :2] - middle, axis=1).max() < reach + 5.0
        assert -9.0 < find.height_m < 35.0
        assert (find.height_m < 0) == find.name.endswith("_pit"), f"{find.id}: only a pit is deep"
        assert find.from_s < find.to_s


def test_solid_finds_do_not_stand_in_each_other(district: District) -> None:
    """Two sheds are two things: places of solid violations on the ground keep apart."""
    spots = np.array(
        [f.reference_m for f in district.finds if f.name in {"structure", "waste_pile"}]
    )
    gaps = np.linalg.norm(spots[:, None] - spots[None], axis=2) + 99.0 * np.eye(len(spots))
    assert gaps.min() > 3.0


def test_smoke_drifts_downwind_as_it_rises() -> None:
    """Old puffs are higher, further downwind and wider than young ones."""
    smoke = Smoke((0.0, 0.0, 0.0), (1.0, 0.0), 2.0, 10.0, (0.8, 3.0), (1.0, 1.0, 1.0), 5)
    young, old = smoke.shape_at(np.array([0.1, 0.9]), np.zeros((2, 3)))
    assert old[0] > young[0] + 3.0
    assert old[2] > young[2] + 5.0
    assert old[3] > young[3]


def test_an_unknown_family_or_find_is_refused_by_name() -> None:
    """What cannot be drawn is said before anything is drawn."""
    with pytest.raises(ValueError, match="atlantis"):
        District.from_seed(1, "atlantis")
    with pytest.raises(ValueError, match="dragon"):
        District.from_seed(1, "village", {"dragon": 1})
