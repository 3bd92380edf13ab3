"""From what the user named to a flight's folder: recorded, shipped, or to be recorded first."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import MissingExtraError, ScenarioError
from edge.extras import how_to_install
from sim.faults.timeline import Timeline

if TYPE_CHECKING:
    from sim.scenario import Scenario

SHIPPED_FLIGHTS = Path(__file__).parent / "flights"
SHIPPED_SCENARIOS = Path(__file__).parent / "scenarios"

DEFAULT_SEED = 1
_TELLS = 10  # how often a recording tells of its progress

# Records a scenario (its file, a seed) into an empty folder, telling of its progress.
Recorder = Callable[[Path, int, Path, Callable[[str], None]], None]


def find_flight(
    scenario: str | Path,
    seed: int | None,
    cache_dir: Path | None,
    progress: Callable[[str], None],
    recorder: Recorder | None = None,
) -> Path:
    """Return the flight folder for a folder, a shipped flight's name or a scenario.

    A seed asks for a scenario: a shipped flight of the same name has its own.

    Raises:
        MissingExtraError: The scenario has to be recorded, and the simulator is not installed.
        ScenarioError: There is no such flight or scenario.
    """
    shipped = [SHIPPED_FLIGHTS / str(scenario)] if seed is None else []
    for folder in (Path(scenario), *shipped):
        if (folder / "flight.toml").is_file():
            return folder
    path = _scenario_file(scenario)
    seed = DEFAULT_SEED if seed is None else seed
    kept = _cached(path, seed, cache_dir or _default_cache())
    if not (kept / "flight.toml").is_file():
        progress(f"recording {path.stem} into {kept}, once")
        _record_whole(recorder or _simulate, path, seed, kept, progress)
    return kept


def find_faults(scenario: str | Path, seed: int | None) -> Timeline:
    """Return the faults to act on the wire: a scenario's; a recorded flight has its own in it.

    Raises:
        ScenarioError: There is no such flight or scenario, or it says what cannot be.
    """
    shipped = [SHIPPED_FLIGHTS / str(scenario)] if seed is None else []
    if any((folder / "flight.toml").is_file() for folder in (Path(scenario), *shipped)):
        return Timeline()
    return faults_of(_scenario_file(scenario))


def faults_of(scenario: Path) -> Timeline:
    """Read a scenario's faults.  Raises ScenarioError, MissingExtraError."""
    return _loaded(scenario).faults()


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


def _cached(scenario: Path, seed: int, cache_dir: Path) -> Path:
    """Name the cache's folder by what the flight follows from: the scenario, seed, simulator."""
    digest = hashlib.sha256(scenario.read_bytes())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return cache_dir / f"{scenario.stem}-{seed}-{digest.hexdigest()[:12]}"


def _record_whole(
    recorder: Recorder,
    scenario: Path,
    seed: int,
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


def _simulate(scenario: Path, seed: int, out_dir: Path, progress: Callable[[str], None]) -> None:
    loaded = _loaded(scenario)
    from sim.record import record

    def tell(done: int, total: int) -> None:
        if done * _TELLS // total != (done - 1) * _TELLS // total:
            progress(f"recorded {done} of {total} frames")

    # Its faults act on the wire, where they can be seen by what they do to a live link.
    record(loaded, seed, out_dir, tell, with_faults=False)


def _loaded(scenario: Path) -> Scenario:
    try:
        import sim.record  # noqa: F401  what a recording needs
        from sim.scenario import load_scenario
    except ImportError as error:
        raise MissingExtraError(
            f"flying a scenario: {error}; {how_to_install('sim')}; a flight that is recorded "
            f"already can be served without it"
        ) from error
    return load_scenario(scenario)
