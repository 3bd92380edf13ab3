"""The demo flight, replayed, gives what it gave when its golden file was stored on purpose."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from edge.capture.recording import open_flight
from edge.cli.shipped import DEMO_FLIGHT, SIM_CONFIG
from edge.records import Alert, AlertKind
from edge.replay import ReplayRequest, replay, replay_settings
from sim.score.matching import newest_words

GOLDEN = Path(__file__).parent / "demo-incidents.json"
M_PER_DEG = 111_320.0
# Other processors round the network's numbers differently: places move by centimetres, and a
# look at the edge of min_score may come or go.
WITHIN_M = 1.0
LOOKS_WITHIN = 0.25


@pytest.fixture(scope="module")
def incidents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    out = tmp_path_factory.mktemp("demo")
    flight = open_flight(DEMO_FLIGHT)
    settings = replay_settings(flight, out, SIM_CONFIG)
    result = replay(ReplayRequest(flight, settings, out, backdrop=False))
    result.mailbox.close()
    assert result.stages.health.lost_events == 0
    kinds = Counter(stored.alert.kind for stored in result.stored)
    assert kinds[AlertKind.NEW] == kinds[AlertKind.END]
    return [_plain(alert) for alert in newest_words(s.alert for s in result.stored)]


def test_the_demo_flight_gives_its_golden_incidents(
    incidents: list[dict[str, Any]], update_golden: bool
) -> None:
    """Each incident of the golden file is reported again, in its place, and no other."""
    if update_golden:
        GOLDEN.write_text(json.dumps(incidents, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    left = list(incidents)
    for want in golden:
        near = [got for got in left if _same(got, want)]
        assert near, f"not reported: {want}"
        left.remove(near[0])
    assert not left, f"reported, but not in the golden file: {left}"


def _plain(alert: Alert) -> dict[str, Any]:
    return {
        "label": alert.label,
        "lat_deg": round(alert.lat_deg, 7),
        "lon_deg": round(alert.lon_deg, 7),
        "rule": alert.rule,
        "severity": alert.severity,
        "grid_cell": alert.grid_cell,
        "event_code": alert.event_code,
        "looks": alert.looks,
    }


def _same(got: dict[str, Any], want: dict[str, Any]) -> bool:
    words = ("label", "rule", "severity", "grid_cell", "event_code")
    north_m = (got["lat_deg"] - want["lat_deg"]) * M_PER_DEG
    east_m = (got["lon_deg"] - want["lon_deg"]) * M_PER_DEG
    east_m *= math.cos(math.radians(want["lat_deg"]))
    return (
        all(got[word] == want[word] for word in words)
        and math.hypot(east_m, north_m) <= WITHIN_M
        and abs(got["looks"] - want["looks"]) <= max(2.0, LOOKS_WITHIN * want["looks"])
    )
