"""Files that come with Skywhistle and that commands use when nothing else is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.capture.recording import RecordedFlight

_ROOT = Path(__file__).resolve().parents[2]  # of the checkout, or of site-packages
DEMO_FLIGHT = _ROOT / "sim" / "flights" / "demo"
SIM_CONFIG = _ROOT / "sim" / "patrol.toml"
# By the noise preset that a flight was recorded with: its error budget must be the flight's.
_SIM_CONFIGS = {"typical": _ROOT / "sim" / "patrol-typical.toml"}


def config_for(recorded: RecordedFlight) -> Path | None:
    """Return the simulator's own config for a flight that it recorded; None for any other."""
    sim = recorded.spec.sim
    if not sim or recorded.spec.patrol is not None:
        return None
    return _SIM_CONFIGS.get(str(sim.get("noise")), SIM_CONFIG)
