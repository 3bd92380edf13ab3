"""From what the user named to a flight's folder: recorded, shipped, or to be recorded first."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from edge.errors import MissingExtraError, ScenarioError

SHIPPED_FLIGHTS = Path(__file__).parent / "flights"
SHIPPED_SCENARIOS = Path(__file__).parent / "scenarios"

# Records a scenario (its file, a seed or none for its own) into an empty folder.
Recorder = Callable[[Path, "int | None", Path, Callable[[str], None]], None]


def find_flight(
    scenario: str | Path,
    seed: int | None,
    cache_dir: Path | None,
    progress: Callable[[str], None],
    recorder: Recorder | None = None,
) -> Path:
    """Return the flight folder for a folder, a shipped flight's name or a scenario.

    Raises:
        MissingExtraError: The scenario has to be recorded, and the simulator is not installed.
        ScenarioError: There is no such flight or scenario.
    """
    for folder in (Path(scenario), SHIPPED_FLIGHTS / str(scenario)):
        if (folder / "flight.toml").is_file():
            return folder
    path = _scenario_file(scenario)
    kept = _cached(path, seed, cache_dir or _default_cache())
    if not (kept / "flight.toml").is_file():
        progress(f"recording {path.stem} into {kept}, once")
        _record_whole(recorder or _simulate, path, seed, kept, progress)
    return kept


def _scenario_file(scenario: str | Path) -> Path:
    for path in (Path(scenario), SHIPPED_SCENARIOS / f"{scenario}.toml"):
        if path.suffix == ".toml" and path.is_file():
            return path
    flights = sorted(path.parent.name for path in SHIPPED_FLIGHTS.glob("*/flight.toml"))
    scenarios = sorted(path.stem for path in SHIPPED_SCENARIOS.glob("*.toml"))
    raise ScenarioError(
        f"{str(scenario)!r} is neither a flight's folder (with flight.toml) nor a scenario; "
        f"shipped flights: {', '.join(flights) or 'none'}; "
        f"scenarios: {', '.join(scenarios) or 'none'}"
    )


def _default_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "skywhistle" / "flights"


def _cached(scenario: Path, seed: int | None, cache_dir: Path) -> Path:
    """Name the cache's folder by what the flight follows from: the scenario, seed, simulator."""
    digest = hashlib.sha256(scenario.read_bytes())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    seed_text = "own" if seed is None else str(seed)
    return cache_dir / f"{scenario.stem}-{seed_text}-{digest.hexdigest()[:12]}"


def _record_whole(
    recorder: Recorder,
    scenario: Path,
    seed: int | None,
    kept: Path,
    progress: Callable[[str], None],
) -> None:
    """Record beside the cache's folder and move it there whole, so that no half flight is kept."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as draft:
        out_dir = Path(draft) / "flight"
        out_dir.mkdir()
        recorder(scenario, seed, out_dir, progress)
        if kept.exists():
            shutil.rmtree(kept)
        out_dir.rename(kept)


def _simulate(
    scenario: Path, seed: int | None, out_dir: Path, progress: Callable[[str], None]
) -> None:
    try:
        from sim.record import record
    except ImportError as error:
        raise MissingExtraError(
            f"recording a scenario needs the extra `skywhistle[sim]` ({error}); a flight that is "
            f"recorded already can be served without it"
        ) from error
    record(scenario, seed, out_dir, progress)
