"""Fuzz targets of files that people write or bring: config, manifest, ground, tables, models."""

from __future__ import annotations

import io
import itertools
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import cv2
import numpy as np
import onnx

from edge.capture.recording import _frame_times, open_flight
from edge.config import AssociationConfig, DistrictConfig, PatrolConfig, ZoneConfig
from edge.errors import UnsignedError
from edge.geo.camera import read_intrinsics
from edge.geo.camera_file import CameraFile
from edge.geo.mount import read_mount
from edge.geo.plane import LocalPlane, known_origin
from edge.geo.survey import place_pixels, read_pixels, read_poses
from edge.geo.terrain import TerrainTile, read_tile, write_tile
from edge.patrol import snapshot
from edge.patrol.codes import read_event_codes
from edge.patrol.grid import Grid
from edge.patrol.incidents import Incidents
from edge.patrol.register import Register
from edge.patrol.zones import Zones
from edge.records import IncidentState, MonoNs
from edge.settings import read_settings, reloaded, restart_needed
from edge.signed import list_of, require_signed, sign_files
from edge.vision.adopt import adopt_model
from edge.vision.manifest import read_manifest
from edge.vision.opinion import judge
from tests.fuzz.mutate import mutate_bytes, mutate_text
from tests.fuzz.target import Target, on_disk, scratch
from tests.fuzz.wire import KEY, PUBLIC
from tests.unit.patrol.worlds import sighting
from tests.unit.vision.exports import export, rtdetr_and_dfine, yolo_end_to_end, yolo_grid
from tests.unit.vision.tiny_models import cell_model

REPO: Final = Path(__file__).resolve().parents[2]
_PLANE: Final = LocalPlane(31.5, 120.3)
_UTC_NS: Final = 1_790_000_000_000_000_000
_NOW_NS: Final = 7_000_000_000


def _shipped(*patterns: str) -> list[bytes]:
    found = sorted(path for pattern in patterns for path in REPO.glob(pattern))
    assert found, patterns
    return [path.read_bytes() for path in found]


# --- the operator's files -------------------------------------------------------------------------


def _configs() -> list[bytes]:
    return [*_shipped("patrol.toml", "sim/patrol*.toml"), SMALL_CONFIG]


SMALL_CONFIG: Final = b"""drone_id = "drone-1"
[[camera]]
id = "main"
source = "video.mp4"
model = "model"
calibration = "camera.toml"
mount = "mount.toml"
[[zone]]
name = "town"
file = "zone.geojson"
[[rule]]
name = "shed"
labels = ["structure"]
inside = ["town"]
[mqtt]
host = "127.0.0.1"
"""


def _check_config(data: bytes) -> None:
    settings = read_settings(on_disk("patrol.toml", data))
    assert len(settings.config_hash) == 8
    assert reloaded(settings, settings).patrol == settings.patrol
    assert restart_needed(settings.patrol, settings.patrol) == []
    assert PatrolConfig.model_validate(settings.patrol.model_dump()) == settings.patrol


def _check_codes(data: bytes) -> None:
    codes = read_event_codes(on_disk("codes.toml", data))
    assert all(1 <= len(code) <= 8 for code in codes.values())


def _check_manifest(data: bytes) -> None:
    folder = scratch() / "model"
    folder.mkdir(exist_ok=True)
    (folder / "model.toml").write_bytes(data)
    manifest = read_manifest(folder)
    assert manifest.model_path.parent == folder
    assert len(manifest.model_hash) == 8


def _check_camera(data: bytes) -> None:
    camera = read_intrinsics(on_disk("camera.toml", data))
    rays, is_inside = camera.rays_from_pixels(np.array([[0.0, 0.0], [9.5, 7.5], [-1e9, 1e9]]))
    assert np.isfinite(rays[is_inside]).all()


def _check_mount(data: bytes) -> None:
    mount = read_mount(on_disk("mount.toml", data))
    turn = mount.mount_from_camera
    assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-9)


def _check_flight(data: bytes) -> None:
    folder = scratch() / "flight"
    folder.mkdir(exist_ok=True)
    for name in (
        "a.jpg",
        "log.tlog",
        "telemetry.tlog",
        "truth.geojson",
        "camera.toml",
        "mount.toml",
        "video.mp4",
        "frames.csv",
    ):
        (folder / name).touch()
    (folder / "flight.toml").write_bytes(data)
    open_flight(folder)


def _flights() -> list[bytes]:
    camera = b'calibration = "camera.toml"\nmount = "mount.toml"\n'
    head = b'format = 1\nname = "a"\n[[camera]]\nid = "main"\n' + camera
    return [
        *_shipped("sim/flights/*/flight.toml"),
        head + b'video = "video.mp4"\n[telemetry]\nlog = "log.tlog"\n[time]\nrule = "start_utc"\n'
        b"start_utc = 2026-05-27T07:32:00Z\noffset_s = 1.5\n",
        head + b'stills = "*.jpg"\n[telemetry]\nstills = true\n[time]\nrule = "exif"\n'
        b"utc_offset_h = 8.0\n",
    ]


@cache
def _signed_folder() -> Path:
    """A config with what it names, and a good list over all of it."""
    folder = scratch() / "signed"
    (folder / "model").mkdir(parents=True)
    (folder / "patrol.toml").write_bytes(SMALL_CONFIG)
    for name in ("model/model.toml", "camera.toml", "mount.toml", "zone.geojson"):
        (folder / name).write_text(name)
    sign_files(read_settings(folder / "patrol.toml"), KEY)
    return folder


@cache
def _signed_list() -> bytes:
    return list_of(_signed_folder() / "patrol.toml").read_bytes()


def _check_signed(data: bytes) -> None:
    good, config = _signed_list(), _signed_folder() / "patrol.toml"
    list_of(config).write_bytes(data)
    try:
        require_signed(read_settings(config), {PUBLIC.key_id: PUBLIC})
    except UnsignedError:
        assert data != good
        raise


# --- the ground -----------------------------------------------------------------------------------


def _ring(size: float, at: tuple[float, float] = (120.3, 31.5)) -> list[list[float]]:
    lon, lat = at
    corners = [(0, 0), (size, 0), (size, size), (0, size), (0, 0)]
    return [[lon + x, lat + y] for x, y in corners]


def _geojsons() -> list[bytes]:
    def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
        return {"type": "Feature", "properties": properties, "geometry": geometry}

    one = {"type": "Polygon", "coordinates": [_ring(0.01), _ring(0.002, (120.304, 31.504))]}
    many = {"type": "MultiPolygon", "coordinates": [[_ring(0.01)], [_ring(0.01, (120.4, 31.5))]]}
    whole = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}},
        "features": [
            feature(one, id="320206001", label="structure", valid_until="2027-01-31"),
            feature(many, id=7, valid_until=None),
        ],
    }
    return [json.dumps(told).encode() for told in (whole, feature(one, id="a"), many)]


def _check_geojson(data: bytes) -> None:
    path, plane = on_disk("a.geojson", data), _PLANE.enu_from_geodetic
    zones = Zones.read([ZoneConfig(name="town", file=path)], plane)
    zones.distance_m("town", 1.0, 2.0)
    zones.contains("town", 1.0, 2.0)
    Register.read(path, plane, 2.5, _UTC_NS)
    Register.read(path, plane, 2.5, None)
    Grid.read(path, "id", plane).cell_at(1.0, 2.0)


def _tiles() -> list[bytes]:
    heights = np.arange(42.0).reshape(6, 7)
    heights[2, 3] = np.nan
    tile = TerrainTile(heights, 31.5, 120.3, 3e-4, 3e-4, "egm96", "made up")
    path = scratch() / "good.npz"
    write_tile(tile, path)
    plain = io.BytesIO()
    with np.load(path) as kept:
        np.savez(plain, **dict(kept))  # not compressed: its bytes can be changed one by one
    return [path.read_bytes(), plain.getvalue()]


def _check_tile(data: bytes) -> None:
    tile = read_tile(on_disk("a.npz", data))
    where = np.array([31.5, 31.5006, -90.0, 91.0]), np.array([120.3, 120.3007, 181.0, 0.0])
    heights = tile.height_m(*where)
    assert heights.shape == (4,)
    assert tile.tops_m.size > 0
    assert len(tile.low_high_m) == 2


def _check_origin(data: bytes) -> None:
    plane = known_origin(on_disk("origin.json", data).parent, DistrictConfig())
    assert plane is not None
    assert plane.enu_from_geodetic(plane.origin_lat_deg, plane.origin_lon_deg) is not None


# --- tables ---------------------------------------------------------------------------------------

_POSES: Final = b"""image,lat_deg,lon_deg,height_m,yaw_deg,pitch_deg,roll_deg,lat_sigma_m
a.jpg,31.5,120.3,100,35,-60,0,0.1
b.jpg,31.5001,120.3001,101.5,-170,-90,0.5,
"""


def _check_poses(data: bytes) -> None:
    poses = read_poses(on_disk("poses.csv", data))
    camera = CameraFile(
        id="a", width_px=640, height_px=480, fx_px=500.0, fy_px=500.0, cx_px=319.5, cy_px=239.5
    )
    path = on_disk("small.toml", "\n".join(_toml_of(camera)).encode())
    pixels = read_pixels(on_disk("good.csv", b"image,u_px,v_px\na.jpg,10,20\nb.jpg,320,240\n"))
    list(place_pixels(pixels, poses, read_intrinsics(path), 12.0))


def _toml_of(camera: CameraFile) -> list[str]:
    names = ("id", "width_px", "height_px", "fx_px", "fy_px", "cx_px", "cy_px")
    return [f"{name} = {json.dumps(getattr(camera, name))}" for name in names]


def _check_frame_times(data: bytes) -> None:
    assert all(isinstance(ns, int) for ns in _frame_times(on_disk("frames.csv", data)).values())


# --- the incidents of an earlier flight -----------------------------------------------------------


def _no_incidents() -> Incidents:
    counter = itertools.count(1)
    return Incidents(AssociationConfig(), lambda: next(counter).to_bytes(16, "big"))


def _snapshots() -> list[bytes]:
    found = _no_incidents()
    for n in range(8):
        found.add([sighting(3, 4, mono_ns=n * 10**9), sighting(40, 0, score=0.35)], n * 10**9)
    for dossier in found.dossiers():
        dossier.change(IncidentState.CONFIRMED, 1, None)
    path = scratch() / "saved.json"
    snapshot.save(path, found, 9 * 10**9, utc_ns=_UTC_NS, plane="here")
    return [path.read_bytes()]


def _check_snapshot(data: bytes) -> None:
    found = _no_incidents()
    loaded = snapshot.load(on_disk("incidents.json", data), found, _NOW_NS, plane="here")
    if isinstance(loaded, snapshot.NotRestored):
        assert len(found) == 0
        return
    assert len(found) == loaded.n
    for n in range(3):
        now_ns = _NOW_NS + n * 10**8
        found.add([sighting(3, 4, mono_ns=MonoNs(now_ns))], now_ns)
    for incident in found:
        assert incident.covariance is not None
    snapshot.save(scratch() / "again.json", found, _NOW_NS + 10**9, plane="here")


# --- models ---------------------------------------------------------------------------------------


def _check_model(data: bytes) -> None:
    path, folder = on_disk("a.onnx", data), scratch() / "adopted"
    shutil.rmtree(folder, ignore_errors=True)
    manifest = adopt_model(path, folder)
    judge(manifest, _picture())


@cache
def _picture() -> Any:
    image = np.zeros((48, 64, 3), np.uint8)
    cv2.rectangle(image, (8, 8), (24, 24), (255, 255, 255), -1)
    return image


def _models() -> list[bytes]:
    named = onnx.load_model_from_string(cell_model())
    onnx.helper.set_model_props(named, {"names": "{0: 'structure'}", "imgsz": "[64, 64]"})
    names = {"names": repr({n: f"c{n}" for n in range(80)})}
    builders = (yolo_grid, yolo_end_to_end, rtdetr_and_dfine)
    return [named.SerializeToString(), *(export(build, names) for build in builders)]


def _mutate_model(data: bytes, rng: Random) -> bytes:
    """Change one value of the protobuf, at whatever depth, and all lengths above it with it."""
    if rng.random() < 0.25:
        return mutate_bytes(data, rng)
    return _other_message(data, rng, 0)


def _other_message(data: bytes, rng: Random, depth: int) -> bytes:
    fields = list(_protobuf_fields(data))
    if not fields or depth > 8 or b"".join(map(_raw_field, fields)) != data:
        return mutate_bytes(data, rng)  # text, numbers: no message
    at, kind = rng.randrange(len(fields)), rng.random()
    number, wire, value = fields[at]
    if kind < 0.06:
        del fields[at]
    elif kind < 0.12:
        fields.insert(at, rng.choice(fields))
    elif kind < 0.15:
        fields[at] = (rng.randrange(1, 30), wire, value)
    elif wire == 0:
        hostile = (0, 1, 2, 7, 2**31, 2**63, 2**64 - 1, int(value) + 1, rng.randrange(1 << 16))
        fields[at] = (number, wire, rng.choice(hostile))
    elif wire == 2:
        fields[at] = (number, wire, _other_message(value, rng, depth + 1))
    else:
        fields[at] = (number, wire, rng.randbytes(len(value)))
    return b"".join(map(_raw_field, fields))


def _protobuf_fields(data: bytes) -> Any:
    at = 0
    try:
        while at < len(data):
            tag, at = _varint(data, at)
            wire = tag & 7
            if wire == 0:
                value, at = _varint(data, at)
                yield tag >> 3, 0, value
                continue
            size, at = _varint(data, at) if wire == 2 else ({1: 8, 5: 4}.get(wire, 0), at)
            yield tag >> 3, wire, data[at : at + size]
            at += size
    except IndexError:
        return


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 63:
            return value, at
        shift += 7


def _raw_field(field: tuple[int, int, Any]) -> bytes:
    number, wire, value = field
    tag = _raw_varint(number << 3 | wire)
    if wire == 0:
        return tag + _raw_varint(value)
    return tag + (_raw_varint(len(value)) if wire == 2 else b"") + value


def _raw_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _constant(*told: bytes) -> Callable[[], list[bytes]]:
    return lambda: list(told)


TARGETS: Final = (
    Target("config", _configs, _check_config, mutate_text, 64 * 1024, 120),
    Target(
        "event-codes",
        _constant(b'structure = "0101"\n"long name" = "A1"\n', b'shed = "1"\n'),
        _check_codes,
        mutate_text,
        64 * 1024,
    ),
    Target(
        "manifest", lambda: _shipped("models/*/model.toml"), _check_manifest, mutate_text, 64 * 1024
    ),
    Target(
        "camera",
        lambda: _shipped("calibration/cameras/*.toml"),
        _check_camera,
        mutate_text,
        64 * 1024,
    ),
    Target(
        "mount", lambda: _shipped("calibration/mounts/*.toml"), _check_mount, mutate_text, 64 * 1024
    ),
    Target("flight", _flights, _check_flight, mutate_text, 64 * 1024),
    Target("signed-list", lambda: [_signed_list()], _check_signed, mutate_text, 64 * 1024, 120),
    Target("geojson", _geojsons, _check_geojson, mutate_text, 64 * 1024),
    Target("terrain-tile", _tiles, _check_tile, mutate_bytes, 8 * 1024),
    Target("origin", _constant(b'{"lat_deg": 31.5, "lon_deg": 120.3}'), _check_origin, mutate_text),
    Target("survey-csv", _constant(_POSES), _check_poses, mutate_text),
    Target(
        "frames-csv",
        _constant(b"frame,utc_us\n0,1790000000000000\n1,1790000000033333\n"),
        _check_frame_times,
        mutate_text,
        256 * 1024,
    ),
    Target("incidents", _snapshots, _check_snapshot, mutate_text, 64 * 1024, 150),
    Target("model", _models, _check_model, _mutate_model, 8 * 1024, 60, is_in_child=True),
)
