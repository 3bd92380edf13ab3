"""What a replay writes down of each frame: detections, places, footprints, annotated pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import cv2

from edge.records import Detection, Frame, ImageArray, NoPose, Pose, Sighting

_ANNOTATED_QUALITY = 88  # JPEG; small enough for a folder of hundreds, sharp enough to judge


@dataclass(frozen=True, slots=True)
class Look:
    """One frame as the loop saw it."""

    frame: Frame
    detections: Sequence[Detection]
    pose: Pose | NoPose
    sightings: Sequence[Sighting]
    lost: Sequence[tuple[Detection, str]]  # detections without a place, and why
    footprint: Sequence[tuple[float, float]]  # lat, lon of the frame's corners; () where none


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
        self.close()

    def note(self, look: Look) -> None:
        """Write one look down."""
        if self._lines is not None:
            self._lines.write(json.dumps(_line(look)) + "\n")
        if isinstance(look.pose, Pose):
            self.track.append((look.pose.lat_deg, look.pose.lon_deg))
        if look.footprint:
            footprint = tuple(look.footprint)
            self.footprints.append(footprint)
            if self.keep_images_every and self._n % self.keep_images_every == 0:
                half = cv2.resize(look.frame.image_bgr, None, fx=0.5, fy=0.5)
                self.images.append((half, footprint))
        if self.annotate:
            self._draw(look)
        self._n += 1

    def close(self) -> None:
        """Finish `detections.jsonl`."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def _draw(self, look: Look) -> None:
        image = look.frame.image_bgr.copy()
        placed = {id(sighting.detection): sighting for sighting in look.sightings}
        for detection in look.detections:
            x0, y0, x1, y1 = (round(value) for value in detection.box_xyxy_px)
            sighting = placed.get(id(detection))
            colour = (60, 200, 60) if sighting else (60, 60, 220)
            cv2.rectangle(image, (x0, y0), (x1, y1), colour, 2)
            size = f" {sighting.size_m:.0f} m" if sighting else ""
            text = f"{detection.label} {detection.score:.2f}{size}"
            cv2.putText(
                image, text, (x0, max(14, y0 - 6)), cv2.FONT_HERSHEY_SIMPLEX, 0.55, colour, 2
            )
        name = f"{look.frame.camera_id}-{look.frame.index:06d}.jpg"
        quality = [cv2.IMWRITE_JPEG_QUALITY, _ANNOTATED_QUALITY]
        cv2.imwrite(str(self.folder / "frames" / name), image, quality)


def _line(look: Look) -> dict[str, Any]:
    pose = look.pose
    places = {id(sighting.detection): sighting for sighting in look.sightings}
    reasons = {id(detection): reason for detection, reason in look.lost}
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
                "above_home_m": round(pose.above_home_m, 2),
                "reach_s": round(pose.reach_s, 4),
            }
        ),
        "footprint": [[round(lat, 8), round(lon, 8)] for lat, lon in look.footprint],
        "detections": [
            _found(detection, places.get(id(detection)), reasons.get(id(detection)))
            for detection in look.detections
        ],
    }


def _found(detection: Detection, sighting: Sighting | None, reason: str | None) -> dict[str, Any]:
    line: dict[str, Any] = {
        "label": detection.label,
        "score": round(detection.score, 3),
        "box_xyxy_px": [round(value, 1) for value in detection.box_xyxy_px],
    }
    if sighting is None:
        return {**line, "no_geotag": reason or "not_admitted"}
    return {
        **line,
        "east_m": round(sighting.east_m, 2),
        "north_m": round(sighting.north_m, 2),
        "width_m": round(sighting.width_m, 2),
        "depth_m": round(sighting.depth_m, 2),
        "ground": sighting.ground_source.value,
    }
