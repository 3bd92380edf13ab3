"""Files that come with Skywhistle and that commands use when nothing else is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.capture.recording import RecordedFlight

_ROOT = Path(__file__).resolve().parents[2]  # of the checkout, or of site-packages
_FLIGHTS = _ROOT / "sim" / "flights"
DEMO_FLIGHT = _FLIGHTS / "demo"
FLYING_MODEL = _ROOT / "models" / "whistle-n-int8"
# Of a camera that tells its own attitude from north and the horizon.
GIMBAL_MOUNT = _ROOT / "calibration" / "mounts" / "stabilised-gimbal.toml"
SIM_CONFIG = _ROOT / "sim" / "patrol.toml"
# By the noise preset that a flight was recorded with: its error budget must be the flight's.
_SIM_CONFIGS = {"typical": _ROOT / "sim" / "patrol-typical.toml"}


def flight_folder(named: Path) -> Path:
    """Return a flight's folder: as it is named, else the one of that name that is shipped."""
    shipped = _FLIGHTS / named
    is_there = (named / "flight.toml").is_file()
    return shipped if not is_there and (shipped / "flight.toml").is_file() else named


def config_for(recorded: RecordedFlight) -> Path | None:
    """Return the simulator's own config for a flight that it recorded; None for any other."""
    sim = recorded.spec.sim
    if not sim or recorded.spec.patrol is not None:
        return None
    return _SIM_CONFIGS.get(str(sim.get("noise")), SIM_CONFIG)
