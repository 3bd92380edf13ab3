"""A recorded flight as the wire needs it: its log, its videos, when each frame was taken."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import ScenarioError
from edge.toml_file import read_toml

FORMAT = 1


@dataclass(frozen=True)
class WireCamera:
    """One camera of a flight."""

    camera_id: str
    video: Path
    captured_us: tuple[int, ...]  # of each frame, on the log's record time axis
    latency_s: float = 0.0  # of the video as it was flown; off the frame list's times already

    @property
    def rate_hz(self) -> float:
        """Return the mean rate; single frame times may jitter."""
        span_us = self.captured_us[-1] - self.captured_us[0]
        return (len(self.captured_us) - 1) * 1e6 / span_us if span_us else 1.0


@dataclass(frozen=True)
class WireFlight:
    """A flight folder."""

    name: str
    log: Path
    system_id: int
    cameras: tuple[WireCamera, ...]


def read_wire_flight(folder: Path) -> WireFlight:
    """Read a flight folder's `flight.toml` and frame times.

    Raises:
        ScenarioError: Something is missing or is not what the format says.
    """
    path = folder / "flight.toml"
    data = read_toml(path, ScenarioError, "a flight is a folder with flight.toml").table
    if data.get("format") != FORMAT:
        raise ScenarioError(
            f"{path}: format = {data.get('format')!r}, but only format {FORMAT} is understood"
        )
    telemetry = _table(data, "telemetry", path)
    return WireFlight(
        name=str(data.get("name", folder.name)),
        log=_file(folder, telemetry, "log", path),
        system_id=int(telemetry.get("system_id", 1)),
        cameras=tuple(_camera(folder, camera, path) for camera in data.get("camera", [])),
    )


def _table(data: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    table = data.get(name)
    if not isinstance(table, dict):
        raise ScenarioError(f"{path} has no [{name}]: the simulator on the wire needs it")
    return table


def _file(folder: Path, table: dict[str, Any], key: str, path: Path) -> Path:
    name = table.get(key)
    if not isinstance(name, str):
        raise ScenarioError(f"{path}: {key!r} is missing; it names a file in the flight's folder")
    if not (folder / name).is_file():
        raise ScenarioError(f"{path}: {key} = {name!r}, but there is no such file in {folder}")
    return folder / name


def _camera(folder: Path, table: dict[str, Any], path: Path) -> WireCamera:
    if "video" not in table:
        raise ScenarioError(
            f"{path}: camera {table.get('id')!r} has no video; stills cannot be served"
        )
    late_s = table.get("latency_s", 0.0)
    if not isinstance(late_s, int | float):
        raise ScenarioError(f"{path}: latency_s must be a number of seconds, got {late_s!r}")
    times_us = _frame_times(_file(folder, table, "frames", path))
    return WireCamera(
        camera_id=str(table.get("id", "main")),
        video=_file(folder, table, "video", path),
        captured_us=tuple(time_us - round(late_s * 1e6) for time_us in times_us),
        latency_s=float(late_s),
    )


def _frame_times(path: Path) -> tuple[int, ...]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            times = tuple(int(row["utc_us"]) for row in csv.DictReader(file))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ScenarioError(f"{path}: need a column utc_us of whole µs in every row") from error
    if not times or max(times) != times[-1] or min(times) != times[0]:
        raise ScenarioError(f"{path}: frame times must be there and go from the first to the last")
    return times
