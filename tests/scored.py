"""The painted flight with a truth: one square that is found, one thing that is missed, a pool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.painted import (
    CELL_M,
    CELL_PX,
    LABEL,
    M_PER_LAT_DEG,
    N_FRAMES,
    SIDE_PX,
    Painted,
    paint,
)

M_PER_LON_DEG = 94_900.0  # at 31.5°
MISSED_NORTH_M = 25.0  # of the square; shown in the same frames
PATROL = 'name = "painted"\n'


def paint_scored(folder: Path, name: str = "painted") -> Painted:
    """Paint the flight, and write its truth as the simulator does."""
    painted = paint(folder)
    path = folder / "flight.toml"
    text = path.read_text().replace(PATROL, f'name = "{name}"\n')
    path.write_text(text + '[truth]\nfile = "truth.geojson"\n[sim]\nfamily = "squares"\nseed = 1\n')
    features = [
        _feature(painted, "square-1", 0.0, label=LABEL, kind="violation"),
        _feature(painted, "smoke-1", MISSED_NORTH_M, label="smoke", kind="violation"),
        _feature(painted, "pool-1", -60.0, cause="pool", kind="distractor"),
    ]
    (folder / "truth.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": features})
    )
    rows = [f"{n},{n}.0" for n in range(N_FRAMES)]
    (folder / "poses.csv").write_text("\n".join(["frame,time_s", *rows]) + "\n")
    (folder / "boxes.json").write_text(json.dumps(_coco()))
    return painted


def _feature(painted: Painted, name: str, north_m: float, **properties: Any) -> dict[str, Any]:
    half = CELL_M / 2
    lat_deg = painted.target_lat_deg + north_m / M_PER_LAT_DEG
    lon_deg = painted.target_lon_deg
    ring = [
        [lon_deg + east / M_PER_LON_DEG, lat_deg + north / M_PER_LAT_DEG]
        for east, north in ((-half, -half), (half, -half), (half, half), (-half, half))
    ]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
        "properties": {
            "id": name,
            "seen_frames": N_FRAMES,
            "from_s": 0.0,
            "to_s": N_FRAMES - 1.0,
            "centroid": [lon_deg, lat_deg],
            **properties,
        },
    }


def _coco() -> dict[str, Any]:
    size = {"width": SIDE_PX, "height": SIDE_PX}
    notes = []
    for frame in range(N_FRAMES):
        for name, category, left in (("square-1", 1, 4 * CELL_PX), ("smoke-1", 2, 6 * CELL_PX)):
            notes.append(
                {
                    "id": len(notes) + 1,
                    "image_id": frame,
                    "category_id": category,
                    "bbox": [left - 0.5, frame * CELL_PX - 0.5, CELL_PX, CELL_PX],
                    "area": CELL_PX**2,
                    "iscrowd": 0,
                    "visible": 1.0,
                    "truth_id": name,
                }
            )
    return {
        "images": [{"id": n, "file_name": f"video.mp4#{n}", **size} for n in range(N_FRAMES)],
        "categories": [
            {"id": 1, "name": LABEL, "supercategory": "violation"},
            {"id": 2, "name": "smoke", "supercategory": "violation"},
            {"id": 3, "name": "pool", "supercategory": "distractor"},
        ],
        "annotations": notes,
    }
