"""Writes a recorded flight's truth: what was where, true poses, boxes in COCO form."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.camera import CameraModel, CameraPose
from sim.truth import FrameBox
from sim.vehicle.vehicle import Origin
from sim.world.distractors import DISTRACTORS, LOOKS_LIKE
from sim.world.district import District
from sim.world.finds import Find
from sim.world.violations import VIOLATIONS

_ROUND_DEG = 8  # about a millimetre


@dataclass
class _Sightings:
    first_s: float
    last_s: float
    frames: int = 0


@dataclass
class TruthLog:
    """Gathers the truth frame by frame."""

    district: District
    origin: Origin
    camera: CameraModel
    seen: dict[str, _Sightings] = field(default_factory=dict)
    poses: list[tuple[float, ...]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, index: int, time_s: float, boxes: list[FrameBox], pose: CameraPose) -> None:
        """Take one frame."""
        forward = pose.enu_from_camera[:, 2]
        pitch = np.rad2deg(np.arcsin(forward[2]))
        yaw = np.rad2deg(np.arctan2(forward[0], forward[1])) % 360
        if abs(forward[2]) > 0.999:  # straight down: the picture's top says where it points
            top = -pose.enu_from_camera[:, 1]
            yaw = np.rad2deg(np.arctan2(top[0], top[1])) % 360
        lat, lon = self.origin.geodetic(float(pose.position_m[0]), float(pose.position_m[1]))
        amsl = self.origin.amsl_m + pose.position_m[2]
        self.poses.append(
            (index, round(time_s, 6), lat, lon, amsl, *pose.position_m.tolist(), pitch, yaw)
        )
        for box in boxes:
            if box.visible > 0.1:
                self._annotate(index, box)
            if box.is_seen:
                kept = self.seen.setdefault(box.find.id, _Sightings(time_s, time_s))
                kept.last_s, kept.frames = time_s, kept.frames + 1

    def _annotate(self, index: int, box: FrameBox) -> None:
        left, top, right, bottom = box.box_xyxy
        names = [*VIOLATIONS, *DISTRACTORS]
        self.annotations.append(
            {
                "id": len(self.annotations) + 1,
                "image_id": index,
                "category_id": names.index(box.find.name) + 1,
                "bbox": [round(v, 1) for v in (left, top, right - left, bottom - top)],
                "area": round((right - left) * (bottom - top), 1),
                "iscrowd": 0,
                "visible": round(box.visible, 2),
                "truth_id": box.find.id,
            }
        )

    def counts(self) -> dict[str, int]:
        """Return how many violations and distractors were seen at all."""
        kinds = [f.kind for f in self.district.finds if f.id in self.seen]
        return {"violations": kinds.count("violation"), "distractors": kinds.count("distractor")}

    def write(self, folder: Path) -> None:
        """Write truth.geojson, permitted.geojson, poses.csv and boxes.json."""
        finds = self.district.finds
        _write_features(folder / "truth.geojson", [self._feature(f) for f in finds])
        write_register(self.district, self.origin, folder / "permitted.geojson")
        with (folder / "poses.csv").open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(
                (
                    "frame",
                    "time_s",
                    "lat_deg",
                    "lon_deg",
                    "amsl_m",
                    "east_m",
                    "north_m",
                    "up_m",
                    "camera_pitch_deg",
                    "camera_yaw_deg",
                )
            )
            table.writerows([_rounded(row) for row in self.poses])
        coco = {
            "images": self._images(),
            "categories": _categories(),
            "annotations": self.annotations,
        }
        text = json.dumps(coco, separators=(",", ":"))
        (folder / "boxes.json").write_text(text + "\n", encoding="utf-8")

    def _images(self) -> list[dict[str, Any]]:
        size = {"width": self.camera.width_px, "height": self.camera.height_px}
        frames = [int(row[0]) for row in self.poses]
        return [{"id": n, "file_name": f"video.mp4#{n}"} | size for n in frames]

    def _feature(self, find: Find) -> dict[str, Any]:
        kept = self.seen.get(find.id)
        properties: dict[str, Any] = {
            "id": find.id,
            "kind": find.kind,
            "label" if find.kind == "violation" else "cause": find.name,
            "height_m": round(find.height_m, 2),
            "centroid": _lon_lat(self.origin, *find.reference_m),
            "from_s": None if kept is None else round(kept.first_s, 3),
            "to_s": None if kept is None else round(kept.last_s, 3),
            "stands_from_s": round(find.from_s, 3),
            "stands_to_s": round(find.to_s, 3) if math.isfinite(find.to_s) else None,
            "seen_frames": 0 if kept is None else kept.frames,
        }
        geometry = polygon_of(find.outline_m, self.origin)
        return {"type": "Feature", "properties": properties, "geometry": geometry}


def write_register(district: District, origin: Origin, path: Path) -> None:
    """Write what stands with leave: permitted sheds, and buildings that are all roof.

    A flat roof is none of these: what stands on it would be taken for the building.
    """
    sheds = [
        _permit(f"permit-{find.id}", find.height_m, polygon_of(find.outline_m, origin))
        for find in district.finds
        if LOOKS_LIKE.get(find.name) == "structure"
    ]
    roofed = [one for one in district.buildings if not one.has_flat_roof]
    buildings = [
        _permit(f"building-{i:03d}", one.high_m, polygon_of(one.body.corners(), origin))
        for i, one in enumerate(roofed, 1)
    ]
    _write_features(path, sheds + buildings)


def _permit(entry_id: str, height_m: float, polygon: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "id": entry_id,
        "label": "structure",
        "height_m": round(height_m, 2),
        "valid_until": None,
    }
    return {"type": "Feature", "properties": properties, "geometry": polygon}


def polygon_of(outline_m: NDArray[np.float64], origin: Origin) -> dict[str, Any]:
    """Turn an outline, shape (N, 2), metres east and north, into a GeoJSON polygon."""
    corners = [_lon_lat(origin, float(e), float(n)) for e, n in outline_m]
    return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}


def _lon_lat(origin: Origin, east_m: float, north_m: float) -> list[float]:
    lat, lon = origin.geodetic(east_m, north_m)
    return [round(lon, _ROUND_DEG), round(lat, _ROUND_DEG)]


def _write_features(path: Path, features: list[dict[str, Any]]) -> None:
    collection = {"type": "FeatureCollection", "features": features}
    path.write_text(json.dumps(collection, indent=1) + "\n", encoding="utf-8")


def _categories() -> list[dict[str, Any]]:
    groups = {"violation": VIOLATIONS, "distractor": DISTRACTORS}
    pairs = [(name, group) for group, names in groups.items() for name in names]
    return [
        {"id": i + 1, "name": name, "supercategory": group} for i, (name, group) in enumerate(pairs)
    ]


def _rounded(row: tuple[float, ...]) -> tuple[float | int, ...]:
    index, time_s, lat, lon, *rest = row
    return (
        int(index),
        time_s,
        round(lat, _ROUND_DEG),
        round(lon, _ROUND_DEG),
        *(round(float(v), 3) for v in rest),
    )
