"""Files that come with Skywhistle and that commands use when nothing else is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.capture.recording import RecordedFlight

_ROOT = Path(__file__).resolve().parents[2]  # of the checkout, or of site-packages
DEMO_FLIGHT = _ROOT / "sim" / "flights" / "demo"
SIM_CONFIG = _ROOT / "sim" / "patrol.toml"


def config_for(recorded: RecordedFlight) -> Path | None:
    """Return the simulator's own config for a flight that it recorded; None for any other."""
    return SIM_CONFIG if recorded.spec.sim and recorded.spec.patrol is None else None
