"""A recorded flight as a boresight problem: its pictures, tied by features or surveyed points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from calibration.looks import Looks, camera_of
from calibration.matching import Features, features_of, match
from calibration.overlap import Pair, Seen, pairs_of, seen_of
from calibration.tied import Problem, Tie
from edge.capture.gimbal import GimbalKind
from edge.capture.recording import RecordedFlight
from edge.capture.recording_spec import FlightCamera
from edge.config import AccuracyConfig, GroundConfig
from edge.csv_file import Columns, read_rows
from edge.errors import TableError
from edge.geo.camera import Intrinsics, read_intrinsics
from edge.geo.mount import Mount, read_mount
from edge.geo.plane import LocalPlane
from edge.geo.view import Rig
from edge.records import FloatArray, Frame, NoGeotag, Pose

_SURVEY_COLUMNS = Columns(
    text=("image",), number=("u_px", "v_px", "lat_deg", "lon_deg", "height_m")
)


def _ignore(_: object) -> None:
    """Show nobody anything."""


@dataclass(frozen=True)
class Watching:
    """Who is told of progress."""

    on_frame: Callable[[Frame], None] = field(default=_ignore)
    on_pair: Callable[[int], None] = field(default=_ignore)  # pairs in all; once a pair


@dataclass(frozen=True)
class FlightProblem:
    """A flight's problem and what its ties are made of."""

    problem: Problem
    camera: FlightCamera
    mount: Mount
    n_looks: int
    gimbal_kind: GimbalKind  # to be compared with the mount's
    pairs: tuple[Pair, ...]  # those that were tied; of surveyed points none


class _Pictures:
    """Draws features out of pictures as they come; their places share one plane."""

    def __init__(self, camera: Intrinsics, mount: Mount, ground: GroundConfig) -> None:
        self._camera, self._mount, self._ground = camera, mount, ground
        self._rig: Rig | None = None

    def features(self, frame: Frame, pose: Pose) -> tuple[Features, Seen] | None:
        """Return a picture's features; None where it shows no ground."""
        camera = self._camera.scaled_to(frame.width_px, frame.height_px)
        if self._rig is None:
            plane = LocalPlane(pose.lat_deg, pose.lon_deg)
            accuracy = AccuracyConfig(max_slant_m=400.0)
            self._rig = Rig(camera, self._mount, plane, self._ground, accuracy)
        view, seen = self._rig.view(camera, pose), seen_of(self._rig, camera, pose)
        if isinstance(view, NoGeotag) or seen is None:
            return None
        return features_of(frame.image_bgr, view, seen), seen


def problem_of(
    flight: RecordedFlight,
    camera_id: str | None,
    told: tuple[AccuracyConfig, GroundConfig],
    survey: Path | None = None,
    watching: Watching = Watching(),
) -> FlightProblem:
    """Read a flight once and tie its pictures.

    Args:
        flight: Opened.
        camera_id: None: its first camera.
        told: How good its instruments are, and which ground is cut.
        survey: `gcp.csv`; None: features.
        watching: Told of progress.

    Raises:
        FlightError: It has no such camera, or no picture with a pose.
        TableError: The survey is not usable, or names no picture of the flight.
    """
    camera = camera_of(flight, camera_id)
    mount = read_mount(flight.path(camera.mount))
    intrinsics = read_intrinsics(flight.path(camera.calibration))
    accuracy, ground = told
    looks = Looks(flight, camera, mount)
    pairs: list[Pair] = []
    if survey is None:
        pictures = _Pictures(intrinsics, mount, ground)
        made = looks.choose(watching.on_frame, pictures.features)
        pairs, ties = _matched(made, watching)
    else:
        rows = _surveyed(survey, flight, camera)
        looks.choose(watching.on_frame, lambda _frame, _pose: None, only=set(rows))
        at = {look.index: n for n, look in enumerate(looks.looks)}
        ties = [Tie(at[i], p[:, :2], None, surveyed=p[:, 2:]) for i, p in rows.items() if i in at]
    problem = Problem(
        intrinsics.scaled_to(*looks.size_px),
        mount,
        looks.poses_at,
        ties,
        accuracy,
        ground,
        jitter_s=camera.latency_sigma_s / 2.0,
        offset_sigma_s=camera.latency_sigma_s,
    )
    return FlightProblem(problem, camera, mount, len(looks.looks), looks.gimbal_kind, tuple(pairs))


def _matched(
    made: list[tuple[Features, Seen] | None], watching: Watching
) -> tuple[list[Pair], list[Tie]]:
    """Match the pictures that overlap."""
    chosen = pairs_of([None if one is None else one[1] for one in made])
    pairs, ties = [], []
    for pair in chosen:
        watching.on_pair(len(chosen))
        one, two = made[pair.first], made[pair.second]
        if one is None or two is None:  # then they were not paired
            continue
        tie = match(pair, one[0], two[0], (one[1], two[1]))
        if tie is not None:
            pairs.append(pair)
            ties.append(tie)
    return pairs, ties


def _surveyed(path: Path, flight: RecordedFlight, camera: FlightCamera) -> dict[int, FloatArray]:
    """Read surveyed points by frame: u, v, lat, lon, amsl_m a row."""
    stills = sorted(flight.folder.glob(camera.stills)) if camera.stills else []
    index_of = {still.name: index for index, still in enumerate(stills)}
    index_of |= {still.stem: index for index, still in enumerate(stills)}
    points: dict[int, list[list[float]]] = {}
    for row in read_rows(path, _SURVEY_COLUMNS):
        image = row.text["image"]
        index = index_of.get(image, int(image) if image.isdecimal() and not stills else None)
        if index is None:
            known = f"a still's name, as {stills[0].name}" if stills else "a frame's number"
            raise TableError(f"{row.where}: the flight has no image {image!r}; give {known}")
        points.setdefault(index, []).append([row.number[name] for name in _SURVEY_COLUMNS.number])
    if not points:
        raise TableError(f"{path}: has no point; mark some that you have surveyed")
    return {index: np.array(rows) for index, rows in sorted(points.items())}
