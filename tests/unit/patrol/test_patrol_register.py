"""What stands with leave is no violation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_patrol_rules import Flight, rule
from worlds import sighting

from edge.errors import ConfigError
from edge.patrol.register import Register
from edge.patrol.rules import RuleBook, Rules

DAY_NS = 86_400_000_000_000
MARGIN_M = 2.0


def flat(lat_deg: float, lon_deg: float) -> tuple[float, float]:
    """Take degrees for metres: the plane's own errors are another test's."""
    return lon_deg, lat_deg


def permit(east_m: float, north_m: float, side_m: float = 4.0, **properties: Any) -> dict[str, Any]:
    half = side_m / 2
    ring = [
        [east_m + a * half, north_m + b * half]
        for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    ]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def register(folder: Path, *permits: dict[str, Any], utc_ns: int | None = None) -> Register:
    path = folder / "permitted.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(permits)}))
    return Register.read(path, flat, MARGIN_M, utc_ns)


def flown(known: Register, *seen: Any) -> int:
    """Return how many alerts a flight past these things makes."""
    flight = Flight(rule())
    flight.rules = Rules(RuleBook((rule(),), register=known))
    return len(flight.see(*seen, times=8))


@pytest.mark.parametrize(
    ("seen", "alerts"),
    [
        (sighting(10, 10), 0),
        (sighting(13.5, 10), 0),  # beyond the outline, within the margin
        (sighting(18.0, 10), 1),  # beyond both, and more than its error away
        (sighting(10, 10, size_m=9.0), 1),  # grown
    ],
)
def test_a_permit_covers_its_place_and_its_size(tmp_path: Path, seen: Any, alerts: int) -> None:
    """What stands where it may, as large as it may, alerts nobody; what has grown does."""
    assert flown(register(tmp_path, permit(10, 10, label="structure")), seen) == alerts


@pytest.mark.parametrize(("size_m", "alerts"), [(4.0, 1), (8.5, 1), (9.5, 0), (20.0, 0)])
def test_what_is_much_smaller_than_its_permit_is_something_else(
    tmp_path: Path, size_m: float, alerts: int
) -> None:
    """An addition on a permitted roof alerts; a look that shows the half of a building does not."""
    hall = permit(10, 10, side_m=20.0, label="structure")
    assert flown(register(tmp_path, hall), sighting(10, 10, size_m=size_m)) == alerts


@pytest.mark.parametrize(("bias_m", "alerts"), [(0.5, 1), (3.0, 0)])
def test_a_permit_reaches_as_far_as_a_place_may_be_off(
    tmp_path: Path, bias_m: float, alerts: int
) -> None:
    """The same place beyond the margin is covered when it is known badly, not when known well."""
    seen = sighting(15.0, 10, shared=bias_m)
    assert flown(register(tmp_path, permit(10, 10, label="structure")), seen) == alerts


def test_a_permit_is_for_one_kind_of_thing(tmp_path: Path) -> None:
    """Leave to build is no leave to dump; an entry without a label permits anything."""
    known = register(tmp_path, permit(10, 10, label="waste_pile"))
    assert flown(known, sighting(10, 10)) == 1
    assert flown(register(tmp_path, permit(10, 10)), sighting(10, 10)) == 0


@pytest.mark.parametrize(("days", "alerts"), [(19.5, 0), (20.1, 1), (None, 0)])
def test_a_permit_runs_out_after_its_last_day(
    tmp_path: Path, days: float | None, alerts: int
) -> None:
    """The last day counts whole; without a clock nothing has run out."""
    utc_ns = None if days is None else round(days * DAY_NS)
    until = permit(10, 10, label="structure", valid_until="1970-01-20")
    assert flown(register(tmp_path, until, utc_ns=utc_ns), sighting(10, 10)) == alerts


def test_an_empty_register_permits_nothing(tmp_path: Path) -> None:
    """A district without permits has a register, too."""
    known = register(tmp_path)
    assert len(known) == 0
    assert flown(known, sighting(10, 10)) == 1


@pytest.mark.parametrize(
    ("properties", "says"),
    [({"valid_until": "soon"}, "YYYY-MM-DD"), ({"label": 7}, "label is 7")],
)
def test_a_wrong_entry_is_named(tmp_path: Path, properties: dict[str, Any], says: str) -> None:
    """File, feature and what to write instead stand in the message."""
    with pytest.raises(ConfigError, match=says) as caught:
        register(tmp_path, permit(0, 0), permit(10, 10, **properties))
    assert "permitted.geojson: feature 1" in str(caught.value)
