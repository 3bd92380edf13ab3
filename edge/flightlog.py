"""What a replay writes down of each frame: detections, places, footprints, annotated pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, TypeAlias

import cv2
import numpy as np

from edge.accuracy import ce90_m, ellipse_from_covariance
from edge.district import District
from edge.errors import OutputError
from edge.geo.locate import Unlocated
from edge.records import Detection, Frame, ImageArray, NoGeotag, NoPose, Pose, Sighting

_ANNOTATED_QUALITY = 88  # JPEG; small enough for a folder of hundreds, sharp enough to judge


LatLon: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Look:
    """One frame as the loop saw it; `located` is in the order of `detections`, or empty."""

    frame: Frame
    detections: Sequence[Detection]
    pose: Pose | NoPose
    located: Sequence[Sighting | Unlocated] = ()


@dataclass(slots=True)
class FlightLog:
    """Takes every look; keeps what the map needs, writes the rest as it comes."""

    folder: Path
    annotate: bool = False
    keep_images_every: int = 0  # for the map's backdrop; 0 keeps none
    track: list[tuple[float, float]] = field(default_factory=list)
    footprints: list[tuple[tuple[float, float], ...]] = field(default_factory=list)
    images: list[tuple[ImageArray, tuple[tuple[float, float], ...]]] = field(default_factory=list)
    _lines: TextIO | None = None
    _n: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lines = (self.folder / "detections.jsonl").open("w", encoding="utf-8")
        if self.annotate:
            (self.folder / "frames").mkdir(exist_ok=True)

    def __enter__(self) -> FlightLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OutputError) if error is not None else nullcontext():
            self.close()  # on a full disk it fails once more: the first error tells it all

    def note(self, look: Look, district: District | None) -> None:
        """Write one look down.  Raises OutputError."""
        line = _line(look, district)
        footprint = tuple(_footprint(look, district))
        line["footprint"] = [[round(lat, 8), round(lon, 8)] for lat, lon in footprint]
        with self._written():
            if self._lines is not None:
                self._lines.write(json.dumps(line) + "\n")
        if isinstance(look.pose, Pose):
            self.track.append((look.pose.lat_deg, look.pose.lon_deg))
        if footprint:
            self.footprints.append(footprint)
            if self.keep_images_every and self._n % self.keep_images_every == 0:
                half = cv2.resize(look.frame.image_bgr, None, fx=0.5, fy=0.5)
                self.images.append((half.astype(np.uint8), footprint))
        if self.annotate:
            self._draw(look)
        self._n += 1

    def close(self) -> None:
        """Finish `detections.jsonl`.  Raises OutputError."""
        lines, self._lines = self._lines, None
        if lines is not None:
            with self._written():
                lines.close()

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"{self.folder}: the results cannot be written ({error.strerror or error}); "
                "free disk space, or give another --out folder"
            ) from error

    def _draw(self, look: Look) -> None:
        image = look.frame.image_bgr.copy()
        for detection, place in _pairs(look):
            x0, y0, x1, y1 = (round(value) for value in detection.box_xyxy_px)
            is_placed = isinstance(place, Sighting)
            colour = (60, 200, 60) if is_placed else (60, 60, 220)
            cv2.rectangle(image, (x0, y0), (x1, y1), colour, 2)
            size = f" {place.size_m:.0f} m" if isinstance(place, Sighting) else ""
            text = f"{detection.label} {detection.score:.2f}{size}"
            cv2.putText(
                image, text, (x0, max(14, y0 - 6)), cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, 2
            )
        name = f"{look.frame.camera_id}-{look.frame.index:06d}.jpg"
        quality = [cv2.IMWRITE_JPEG_QUALITY, _ANNOTATED_QUALITY]
        _, data = cv2.imencode(".jpg", image, quality)
        with self._written():  # OpenCV's own writing says only that it failed
            (self.folder / "frames" / name).write_bytes(data.tobytes())


def _pairs(look: Look) -> Iterator[tuple[Detection, Sighting | Unlocated | None]]:
    """Yield each detection with its place; None where the frame had no pose."""
    located: Sequence[Sighting | Unlocated | None] = look.located
    located = located or [None] * len(look.detections)
    return zip(look.detections, located, strict=True)


def _footprint(look: Look, district: District | None) -> Sequence[LatLon]:
    if district is None or isinstance(look.pose, NoPose):
        return ()
    locator = district.locators[look.frame.camera_id]
    corners = locator.footprint((look.frame.width_px, look.frame.height_px), look.pose)
    return () if isinstance(corners, NoGeotag) else corners


def _line(look: Look, district: District | None) -> dict[str, Any]:
    pose = look.pose
    pairs = list(_pairs(look))
    centre, *places = _places([_centre(look, district), *(place for _, place in pairs)], district)
    return {
        "frame": look.frame.index,
        "camera": look.frame.camera_id,
        "captured_ns": look.frame.captured_mono_ns,
        "pose": (
            {"reason": pose.value}
            if isinstance(pose, NoPose)
            else {
                "lat_deg": round(pose.lat_deg, 8),
                "lon_deg": round(pose.lon_deg, 8),
                "above_home_m": (
                    round(pose.above_home_m, 2) if math.isfinite(pose.above_home_m) else None
                ),
                "reach_s": round(pose.reach_s, 4),
            }
        ),
        "centre": centre,
        "detections": [
            {
                "label": detection.label,
                "score": round(detection.score, 3),
                "box_xyxy_px": [round(value, 1) for value in detection.box_xyxy_px],
                **place,
            }
            for (detection, _), place in zip(pairs, places, strict=True)
        ],
    }


def _centre(look: Look, district: District | None) -> Sighting | Unlocated | None:
    """Geotag the middle of the picture: what the frame looked at, found things or not."""
    if district is None or isinstance(look.pose, NoPose):
        return None
    u, v = (look.frame.width_px - 1) / 2, (look.frame.height_px - 1) / 2
    middle = Detection("", 0.0, (u, v, u, v))
    return district.locate([middle], look.frame, look.pose)[0]


def _places(
    located: Sequence[Sighting | Unlocated | None], district: District | None
) -> list[dict[str, Any]]:
    """Say where each thing of a frame is; all of them go through the plane together."""
    sightings = [place for place in located if isinstance(place, Sighting)]
    on_earth: Iterator[LatLon] = iter(())
    if district is not None and sightings:
        spots_m = np.array([[place.east_m, place.north_m] for place in sightings])
        on_earth = iter(map(tuple, district.plane.geodetics_from_enu(spots_m).tolist()))
    told: list[dict[str, Any]] = []
    for place in located:
        if place is None or district is None:
            told.append({"no_geotag": NoGeotag.NO_POSE.value})
        elif isinstance(place, Unlocated):
            told.append({"no_geotag": place.reason.value})
        else:
            told.append(_place(place, next(on_earth)))
    return told


def _place(place: Sighting, lat_lon_deg: LatLon) -> dict[str, Any]:
    pairs = zip(place.look_covariance, place.shared_covariance, strict=True)
    east_var, cross, north_var = (look + shared for look, shared in pairs)
    ellipse = ellipse_from_covariance((east_var, cross, north_var))
    return {
        "lat_deg": round(lat_lon_deg[0], 8),
        "lon_deg": round(lat_lon_deg[1], 8),
        "ground_amsl_m": round(place.ground_amsl_m, 2),
        "ce90_m": round(ce90_m(ellipse), 2),
        "width_m": round(place.width_m, 2),
        "depth_m": round(place.depth_m, 2),
        "ground": place.ground_source.value,
    }
