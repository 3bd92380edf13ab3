"""Poses that cameras write into their stills: EXIF for time and place, XMP for attitude.

Pillow (the extra `logs`) finds both in a file.  Attitudes are read of three families of XMP:
DJI's (`drone-dji:Gimbal…Degree`, from the horizon and north), Parrot's (`drone-parrot:Camera…`,
likewise) and Pix4D's (`Camera:Yaw` and so on, of senseFly and others), whose zero looks straight
down.  A still without them has a place and no attitude.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from edge.capture.log_records import NS_PER_MS, ForeignReader, unix_ns
from edge.errors import TelemetryError
from edge.extras import needs_extra

WHAT = "still"
MAX_XMP_BYTES = 1 << 18  # a camera writes a few kB
_DJI = "http://www.dji.com/drone-dji/1.0/"
_PARROT = "http://www.parrot.com/drone-parrot/1.0/"
_PIX4D = "http://pix4d.com/camera/1.0"
_GPS_IFD, _EXIF_IFD, _XMP_TAG = 0x8825, 0x8769, 700
_TIME, _SUBSECOND, _ZONE = 0x9003, 0x9291, 0x9011  # DateTimeOriginal and what goes with it
_LAT_REF, _LAT, _LON_REF, _LON, _ALT_REF, _ALT, _H_ERROR = 1, 2, 3, 4, 5, 6, 31

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class StillPose:
    """What one still says of its camera; NaN or None where it says nothing.

    Attitudes are (yaw, pitch, roll), degrees, from north and the horizon; −90 looks down.
    """

    time_ns: int | None = None  # UTC, or the camera's local time where `has_zone` is False
    has_zone: bool = False
    lat_deg: float = math.nan
    lon_deg: float = math.nan
    above_home_m: float = math.nan
    absolute_m: float = math.nan  # of a datum that the file does not name
    camera_ypr_deg: Triple | None = None
    drone_ypr_deg: Triple | None = None
    h_acc_m: float = 0.0  # one sigma of the distance; 0: not told
    v_acc_m: float = 0.0
    velocity_ned_mps: Triple = (0.0, 0.0, 0.0)
    focal_px: float = math.nan  # XMP's CalibratedFocalLength
    family: str = "EXIF alone"

    @property
    def has_place(self) -> bool:
        """(0, 0) is what a camera writes before its first fix."""
        is_there = abs(self.lat_deg) <= 90.0 and abs(self.lon_deg) <= 180.0  # NaN is not
        return is_there and (self.lat_deg, self.lon_deg) != (0.0, 0.0)


def read_still_pose(path: Path) -> StillPose:
    """Read a still's own pose.

    Raises:
        TelemetryError: It is no picture, or its EXIF or XMP is damaged.
        MissingExtraError: Pillow is not installed.
    """
    with needs_extra("logs", str(path)):
        from PIL import Image
    with ForeignReader(path, WHAT), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes and of damage: the picture is not decoded here
        with Image.open(path) as image:
            exif = image.getexif()
            gps, own = dict(exif.get_ifd(_GPS_IFD)), dict(exif.get_ifd(_EXIF_IFD))
            packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
            xmp = _xmp(packet or exif.get(_XMP_TAG), path)
    return _pose(xmp, gps, own)


def _xmp(packet: Any, path: Path) -> dict[tuple[str, str], str]:
    """Read the simple properties of an XMP packet by (namespace, name)."""
    if not isinstance(packet, (str, bytes)) or not packet:
        return {}
    text = packet if isinstance(packet, str) else packet.decode("utf-8", "replace")
    if len(text) > MAX_XMP_BYTES:
        raise TelemetryError(f"{path}: {len(text)} bytes of XMP are not a camera's")
    if "<!" in text:  # a document type brings entities, and with them bombs
        raise TelemetryError(f"{path}: its XMP holds declarations, which no camera writes")
    start, end = text.find("<"), text.rfind(">")
    found: dict[tuple[str, str], str] = {}
    for element in ElementTree.fromstring(text[start : end + 1]).iter():
        for name, value in element.attrib.items():
            found[_split(name)] = value
        if element.text and element.text.strip():
            found[_split(element.tag)] = element.text.strip()
    return found


def _split(name: str) -> tuple[str, str]:
    space, _, local = name.rpartition("}")
    return space.removeprefix("{").rstrip("/"), local


def _pose(
    xmp: Mapping[tuple[str, str], str], gps: Mapping[int, Any], own: Mapping[int, Any]
) -> StillPose:
    def told(space: str, *names: str) -> float:
        for name in names:
            value = _float(xmp.get((space.rstrip("/"), name)))
            if math.isfinite(value):
                return value
        return math.nan

    lat_deg, lon_deg = _degrees(gps, _LAT, _LAT_REF, "S"), _degrees(gps, _LON, _LON_REF, "W")
    if math.isnan(lat_deg + lon_deg):
        lat_deg = told(_DJI, "GpsLatitude", "Latitude")
        lon_deg = told(_DJI, "GpsLongitude", "GpsLongtitude", "Longitude")  # sic
    camera, family = _camera(told)
    time_ns, has_zone = _time(own, xmp.get((_DJI.rstrip("/"), "UTCAtExposure")))
    h_acc_m, v_acc_m = _accuracy(told, gps)
    speeds = (told(_DJI, "FlightXSpeed"), told(_DJI, "FlightYSpeed"))
    absolute_m = told(_DJI, "AbsoluteAltitude")
    return StillPose(
        time_ns=time_ns,
        has_zone=has_zone,
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        above_home_m=told(_DJI, "RelativeAltitude"),
        absolute_m=absolute_m if math.isfinite(absolute_m) else _altitude_m(gps),
        camera_ypr_deg=camera,
        drone_ypr_deg=_triple(
            told(_DJI, "FlightYawDegree"),
            told(_DJI, "FlightPitchDegree"),
            told(_DJI, "FlightRollDegree"),
        ),
        h_acc_m=h_acc_m,
        v_acc_m=v_acc_m,
        velocity_ned_mps=(*speeds, 0.0) if math.isfinite(sum(speeds)) else (0.0, 0.0, 0.0),
        focal_px=told(_DJI, "CalibratedFocalLength"),
        family=family,
    )


def _camera(told: Any) -> tuple[Triple | None, str]:
    """Return the camera's attitude and whose words it is told in."""
    dji = _triple(*(told(_DJI, f"Gimbal{angle}Degree") for angle in ("Yaw", "Pitch", "Roll")))
    if dji is not None:
        return dji, "DJI"
    parrot = _triple(*(told(_PARROT, f"Camera{angle}Degree") for angle in ("Yaw", "Pitch", "Roll")))
    if parrot is not None:
        return parrot, "Parrot"
    pix4d = _triple(*(told(_PIX4D, angle) for angle in ("Yaw", "Pitch", "Roll")))
    return (None, "EXIF alone") if pix4d is None else (from_straight_down(pix4d), "Pix4D")


def from_straight_down(ypr_deg: Triple) -> Triple:
    """Turn Pix4D's angles, whose zero looks straight down with north on top, into a gimbal's.

    The camera hangs under axes turned by yaw, pitch and roll as a vehicle is: it looks along
    their down, and the picture's top points along their forward.
    """
    yaw, pitch, roll = map(math.radians, ypr_deg)
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    looks = (cy * sp * cr + sy * sr, sy * sp * cr - cy * sr, cp * cr)  # their down axis, in NED
    right_down = cp * sr  # their right axis, its NED down
    top = (cy * cp, sy * cp, -sp)  # their forward axis
    gimbal_pitch = math.asin(max(-1.0, min(1.0, -looks[2])))
    if math.hypot(looks[0], looks[1]) < 1e-6:  # straight down: heading is the picture's top
        return math.degrees(math.atan2(top[1], top[0])), math.degrees(gimbal_pitch), 0.0
    gimbal_roll = math.atan2(right_down, -top[2])
    heading = math.atan2(looks[1], looks[0])
    return math.degrees(heading), math.degrees(gimbal_pitch), math.degrees(gimbal_roll)


def _accuracy(told: Any, gps: Mapping[int, Any]) -> tuple[float, float]:
    """Return h_acc (of the distance) and v_acc, m; 0 where the still does not tell."""
    east, north = told(_DJI, "RtkStdLon"), told(_DJI, "RtkStdLat")
    if 0.0 < east + north < 1000.0:
        return math.hypot(east, north), max(0.0, _or_zero(told(_DJI, "RtkStdHgt")))
    axis_m = told(_PIX4D, "GPSXYAccuracy")
    if 0.0 < axis_m < 1000.0:
        return axis_m, max(0.0, _or_zero(told(_PIX4D, "GPSZAccuracy")))
    error_m = _float(gps.get(_H_ERROR))
    return (error_m, 0.0) if 0.0 < error_m < 1000.0 else (0.0, 0.0)


def _time(own: Mapping[int, Any], utc_at_exposure: str | None) -> tuple[int | None, bool]:
    """Return the exposure's time and whether its zone is known."""
    if utc_at_exposure:
        try:
            return _whole_ms(datetime.fromisoformat(utc_at_exposure.replace("Z", ""))), True
        except ValueError:
            pass  # then by EXIF
    try:
        moment = datetime.strptime(str(own.get(_TIME, "")).strip("\0 "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None, False
    digits = "".join(filter(str.isdecimal, str(own.get(_SUBSECOND, ""))))[:6]
    moment += timedelta(microseconds=int(digits.ljust(6, "0")) if digits else 0)
    try:
        zoned = datetime.strptime(str(own.get(_ZONE, "")).strip("\0 "), "%z")
    except ValueError:
        return _whole_ms(moment), False
    return _whole_ms(moment.replace(tzinfo=zoned.tzinfo or timezone.utc)), True


def _whole_ms(moment: datetime) -> int:
    return unix_ns(moment) // NS_PER_MS * NS_PER_MS


def _degrees(gps: Mapping[int, Any], tag: int, ref_tag: int, negative: str) -> float:
    value = gps.get(tag)
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        return math.nan
    degrees, minutes, seconds = map(_float, value)
    angle = degrees + minutes / 60.0 + seconds / 3600.0
    return -angle if str(gps.get(ref_tag, "")).strip("\0 ").upper() == negative else angle


def _altitude_m(gps: Mapping[int, Any]) -> float:
    below = gps.get(_ALT_REF, 0) in {1, b"\x01"}
    altitude_m = _float(gps.get(_ALT))
    return -altitude_m if below else altitude_m


def _triple(yaw: float, pitch: float, roll: float) -> Triple | None:
    is_whole = all(abs(angle) <= 360.0 for angle in (yaw, pitch, roll))  # NaN is not
    return (yaw, pitch, roll) if is_whole else None


def _float(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError):  # absent, no number, or n/0
        return math.nan
    return number if math.isfinite(number) else math.nan


def _or_zero(value: float) -> float:
    return value if math.isfinite(value) else 0.0
