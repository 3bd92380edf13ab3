"""What fuzzing has found, each as small as it was made: it stays refused, in words."""

from __future__ import annotations

import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edge.capture.still_poses import read_still_pose
from edge.errors import SkywhistleError
from tests.fuzz.files import SMALL_CONFIG
from tests.fuzz.target import refused
from tests.fuzz.targets import TARGETS
from tests.unit.capture.log_writers import exif, still
from tests.unit.vision.tiny_models import cell_model

HANG_S = 10.0  # of CPU: ten times what the long form allows, on a computer a tenth as fast
_RING = [[0, 0], [1, 0], [1, 1], [0, 0]]
_FLIGHT = (
    'format = 1\nname = "a"\n[telemetry]\nlog = "log.tlog"\n[[camera]]\nid = "a"\n'
    'frames = "frames.csv"\ncalibration = "camera.toml"\nmount = "{mount}"\n{pictures}\n'
)


def config(old: str, new: str) -> bytes:
    assert old.encode() in SMALL_CONFIG
    return SMALL_CONFIG.replace(old.encode(), new.encode())


def polygon(ring: Any = _RING, kind: Any = "Polygon") -> bytes:
    return json.dumps({"type": kind, "coordinates": [ring]}).encode()


def flight(mount: str = "mount.toml", pictures: str = 'video = "video.mp4"') -> bytes:
    return _FLIGHT.format(mount=mount, pictures=pictures).encode()


def model(**metadata: str) -> bytes:
    told = onnx.load_model_from_string(cell_model())
    onnx.helper.set_model_props(told, metadata)
    data: bytes = told.SerializeToString()
    return data


def tile_of_zeros(side: int) -> bytes:
    """Write a tile in the few bytes that zeros take."""
    row = np.zeros(side, np.int32).tobytes()
    out, head = io.BytesIO(), io.BytesIO()
    whole = {"descr": "<i4", "fortran_order": False, "shape": (side, side)}
    np.lib.format.write_array_header_1_0(head, whole)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as kept:
        kept.writestr("heights_cm.npy", head.getvalue() + row * side)
    return out.getvalue()


# A message that says it is longer than the file: pyulog goes back by what it says.
CIRCULAR_ULOG = (
    b"ULog\x01\x125\x01\x00Zb\x02" + bytes(228) + b"\x01\x00\x00\x00/\x00Fvehicle_attitude:}"
)


FOUND = {
    "a topic that is no UTF-8": ("decode-stream", b"sw/v1/a\xff 84"),
    "lists in lists": ("config", b"a = " + b"[" * 30_000),
    "a number of 5,000 digits": ("config", b"a = " + b"9" * 5000),
    "a number that cannot be printed": ("event-codes", b"a = 0x" + b"f" * 5000),
    "a key of 20,000 parts": ("config", b"a." * 20_000 + b"a = 1"),
    "a quoted key of 20,000 parts": ("config", b"'a'. " * 20_000 + b"a = 1"),
    "20,000 unknown keys": ("config", b"".join(b"key%d = 1\n" % n for n in range(20_000))),
    "nobody's home": ("config", config('"camera.toml"', '"~nobody-here/a"')),
    "a zero byte in a path": ("config", config('"camera.toml"', '"\\u0000"')),
    "a zero byte in a source": ("config", config('"video.mp4"', '"\\u0000"')),
    "5,000 digits in GeoJSON": ("geojson", b'{"a": ' + b"9" * 5000 + b"}"),
    "a coordinate beyond any float": ("geojson", polygon([[10**400, 0], *_RING])),
    "a kind that is no text": ("geojson", polygon(kind={})),
    "a name longer than names can be": ("flight", flight(mount="a" * 300)),
    "stills by a pattern longer than names can be": (
        "flight",
        b'format = 1\nname = "a"\n[telemetry]\nstills = true\n[time]\nrule = "exif"\n[[camera]]\n'
        b'id = "a"\ncalibration = "c"\nmount = "m"\nstills = "%s"\n' % (b"a" * 300),
    ),
    "stills by no pattern": ("flight", flight(pictures='stills = ""')),
    "stills of the whole disk": ("flight", flight(pictures='stills = "../../**/*.jpg"')),
    "stills by an absolute path": ("flight", flight(pictures='stills = "/*.jpg"')),
    "a field longer than fields may be": ("frames-csv", b"frame,utc_us\n" + b"1" * 200_000),
    "a focal length next to nothing": (
        "camera",
        b'id = "a"\nwidth_px = 9\nheight_px = 9\nfx_px = 1e-320\nfy_px = 1\ncx_px = 4\ncy_px = 4\n',
    ),
    "an origin beyond any float": ("origin", b'{"lat_deg": 1%s, "lon_deg": 0}' % (b"0" * 400)),
    "a tile that unpacks to more than flies": ("terrain-tile", tile_of_zeros(5_100)),
    "a sigma beyond any float": (
        "survey-csv",
        b"image,lat_deg,lon_deg,height_m,yaw_deg,pitch_deg,roll_deg,lat_sigma_m\n"
        b"a.jpg,1,2,100,35,-60,0,1e308\n",
    ),
    "a log that is read in circles": ("ulog", CIRCULAR_ULOG),
    "metadata that is no UTF-8": ("model", model(note="~~~").replace(b"~~~", b"\xab~~")),
}


@pytest.mark.parametrize("found", FOUND.values(), ids=list(FOUND))
def test_what_was_found_is_refused_in_words(found: tuple[str, bytes]) -> None:
    """No error but ours comes out, and soon."""
    name, data = found
    start_s = time.process_time()
    with pytest.raises(SkywhistleError):
        TARGETS[name].check(data)
    assert time.process_time() - start_s < HANG_S


@pytest.mark.parametrize("hostile", [np.inf, -np.inf, np.nan, 3e38, -3e38])
def test_boxes_that_are_no_numbers_are_dropped(hostile: float) -> None:
    """Whatever numbers come out of a model, the flight goes on without a word from numpy."""
    told = onnx.load_model_from_string(model(names="{0: 'a'}"))
    boxes = np.full((1, 4, 64), hostile, np.float32)
    boxes[:, :, 1::3] = -hostile
    at = next(i for i, one in enumerate(told.graph.initializer) if one.name == "boxes")
    told.graph.initializer[at].CopyFrom(onnx.numpy_helper.from_array(boxes, "boxes"))
    assert not refused(TARGETS["model"].check, told.SerializeToString())


def test_a_size_of_5000_digits_is_no_size() -> None:
    """Metadata that says nothing sensible is passed over where the model says it itself."""
    assert not refused(TARGETS["model"].check, model(names="{0: 'a'}", imgsz="9" * 5000))


def test_a_fraction_of_a_second_in_no_figures_is_none(tmp_path: Path) -> None:
    """A superscript is a digit to Python and no number: the still keeps its whole seconds."""
    told = exif(taken="2024:06:10 10:14:01", subsecond="Q5", lat_lon_deg=(31.5, 120.3))
    still(tmp_path / "a.jpg", exif=told)
    (tmp_path / "a.jpg").write_bytes(
        (tmp_path / "a.jpg").read_bytes().replace(b"Q5", "²".encode("latin-1") + b"5")
    )
    time_ns = read_still_pose(tmp_path / "a.jpg").time_ns
    assert time_ns is not None
    assert time_ns % 1_000_000_000 == 500_000_000


def test_a_permit_until_the_last_day_there_is_stands() -> None:
    """What people write for "for ever" is no mistake."""
    whole = json.loads(TARGETS["geojson"].seeds()[0])
    whole["features"][0]["properties"]["valid_until"] = "9999-12-31"
    assert not refused(TARGETS["geojson"].check, json.dumps(whole).encode())


@pytest.mark.parametrize(
    ("key", "value"),
    [("moment_east", 1e308), ("information", [0.25, -1.0, 0.25]), ("information", [0.0, 0.0, 0.0])],
)
def test_an_incident_that_is_nowhere_does_not_come_back(key: str, value: Any) -> None:
    """Numbers that make no place end at the start, and the flight begins with no incidents."""
    (good,) = TARGETS["incidents"].seeds()
    saved = json.loads(good)
    saved["dossiers"][0]["settled"][key] = value
    TARGETS["incidents"].check(json.dumps(saved).encode())


@pytest.mark.parametrize("covariance", [[1e200, 0.0, 1e200], [1e-320, 0.0, 1e300]])
def test_an_incident_of_errors_beyond_the_plane_does_not_come_back(covariance: list[float]) -> None:
    """Finite numbers whose squares are none are refused at the start, not met at the next look."""
    (good,) = TARGETS["incidents"].seeds()
    saved = json.loads(good)
    for dossier in saved["dossiers"]:
        assert len(dossier["settled"]["fused"]["covariance"]) == 3
        dossier["settled"]["fused"]["covariance"] = covariance
    TARGETS["incidents"].check(json.dumps(saved).encode())
