"""Subtitles that a drone writes beside its video (`.SRT`): what each says, in whichever dialect.

There is no standard.  What is read here was seen in files of the makers named in `DIALECTS`;
what a dialect does not carry stays unknown.  Two traps: coordinates without names come longitude
first, but latitude first on one airframe; and of the heights one is above the take-off place and
the other above something that no file names.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge.errors import TelemetryError

MAX_BYTES = 256 << 20
MAX_BLOCK_CHARS = 2000  # of one subtitle; the longest seen have 400
NS_PER_MS = 1_000_000

Triple = tuple[float, float, float]

_TIMES = re.compile(r"(\d{1,3}):(\d\d):(\d\d)[,.](\d{3})[ \t]*-->[ \t]*\d{1,3}:\d\d:\d\d[,.]\d{3}")
_NUMBER = r"[-+]?\d{1,9}(?:\.\d{1,15})?"
_TAG = re.compile(r"<[^<>]{0,200}>")
_BRACKETS = re.compile(r"\[([^\[\]]{1,300})\]")
_PAIR = re.compile(rf"([A-Za-z_]{{1,20}})\s?:?\s?({_NUMBER})")
_WHOSE = re.compile(r"\s?(drone|gimbal)\s?:", re.IGNORECASE)
_CALL = re.compile(r"\b(GPS|RTK|HOME)\s?\(([^()]{1,100})\)")
_PRY = re.compile(rf"\b([FG])\.PRY\s?\(\s?({_NUMBER})°?,\s?({_NUMBER})°?,\s?({_NUMBER})°?\s?\)")
_YPR = re.compile(
    rf"\b(drone|gimbal)\s?:\s?yaw\s?:?\s?({_NUMBER})°?,?\s?pitch\s?:?\s?({_NUMBER})°?,?"
    rf"\s?roll\s?:?\s?({_NUMBER})",
    re.IGNORECASE,
)
_COORDINATE = re.compile(rf"\s*(?:([NSEWnsew])\s?:)?\s?({_NUMBER})\s?([Mm]?)\s*$")
_BAROMETER = re.compile(rf"\bBAROMETER\s?:\s?({_NUMBER})")
_HEIGHT = re.compile(rf"(?<![\w.])H\s({_NUMBER})\s?m\b")
_COUNT = re.compile(r"\bFrameCnt\s?:\s?(\d{1,9})")
_CLOCK = re.compile(
    r"\b(20\d\d)[-./](\d\d?)[-./](\d\d?)[ T](\d\d?):(\d\d):(\d\d)(?:[.,](\d{1,3}))?"
)
_EAST_WEST, _NORTH_SOUTH = frozenset("EW"), frozenset("NS")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a kind of subtitle is called here, and who writes it."""

    name: str
    makers: str


PHANTOM = Dialect("phantom", "DJI Phantom 3 and 4, Mavic Pro: HOME(…) GPS(lon,lat,…) BAROMETER")
M300 = Dialect("m300", "DJI Matrice 300: GPS(lat,lon,…M) BAROMETER")
COMPACT = Dialect("compact", "DJI Mavic Pro, Mini, Spark: F/2.8, SS …, GPS (lon, lat, …), D, H")
PRY = Dialect("pry", "DJI Phantom 4 RTK, Inspire 2, Matrice: … F.PRY (…), G.PRY (…)")
ALTITUDE = Dialect("altitude", "DJI Mavic 2, Air 2, Air 2S: [latitude] [longtitude] [altitude]")
DRONE = Dialect("drone", "DJI Mavic 2 Enterprise, XT2: … [Drone: Yaw, Pitch, Roll]")
REL_ABS = Dialect("rel-abs", "DJI Mini 3, Air 3, Mavic 3: [rel_alt: … abs_alt: …]")
GIMBAL = Dialect("gimbal", "DJI Mavic 3 Enterprise, Matrice 30, H20: … [gb_yaw gb_pitch gb_roll]")
AUTEL = Dialect("autel", "Autel EVO: HOME(E: …, N: …) GPS(E: …, N: …, …m)")
DIALECTS = (PHANTOM, M300, COMPACT, PRY, ALTITUDE, DRONE, REL_ABS, GIMBAL, AUTEL)


@dataclass(frozen=True, slots=True)
class Subtitle:
    """One subtitle as written; what it does not say is None or NaN.

    Attitudes are (yaw, pitch, roll), degrees: yaw from north, pitch −90 straight down.
    """

    start_ns: int  # of video time
    frame_count: int | None = None
    clock: datetime | None = None  # without a zone: the aircraft's local time
    lat_deg: float = math.nan
    lon_deg: float = math.nan
    decimals: int = 0  # of the coordinates
    above_home_m: float = math.nan
    absolute_m: float = math.nan  # of a datum that the file does not name
    drone_ypr_deg: Triple | None = None
    gimbal_ypr_deg: Triple | None = None
    zoom: tuple[float, float] = (math.nan, math.nan)  # focal_len and dzoom_ratio as written
    dialect: Dialect | None = None

    @property
    def has_place(self) -> bool:
        """(0, 0) is what a drone writes before its first fix."""
        is_there = abs(self.lat_deg) <= 90.0 and abs(self.lon_deg) <= 180.0  # NaN is not
        return is_there and (self.lat_deg, self.lon_deg) != (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class SubtitleFile:
    """All subtitles of a file in the order of their video time."""

    subtitles: tuple[Subtitle, ...]
    dialect: Dialect
    is_lat_first: bool | None  # of coordinates without names; None: they have names
    n_disordered: int  # left out: their video time does not grow


def read_subtitles(path: Path) -> SubtitleFile:
    """Read a drone's subtitles.

    Raises:
        TelemetryError: It cannot be read, has no subtitles, or they tell no place.
    """
    text = _text_of(path)
    bodies = _bodies(text)
    if not bodies:
        raise TelemetryError(f"{path}: no subtitles in it (no line `00:00:00,000 --> …`)")
    is_lat_first = _is_lat_first(text)
    subtitles: list[Subtitle] = []
    n_disordered = 0
    for start_ns, body in bodies:
        if subtitles and start_ns <= subtitles[-1].start_ns:
            n_disordered += 1
            continue
        subtitles.append(_subtitle(start_ns, body, bool(is_lat_first)))
    dialects = [one.dialect for one in subtitles if one.dialect is not None and one.has_place]
    if not dialects:
        raise TelemetryError(
            f"{path}: subtitles, but none tells a place as a drone would; known are "
            + ", ".join(dialect.name for dialect in DIALECTS)
        )
    return SubtitleFile(
        tuple(subtitles), max(set(dialects), key=dialects.count), is_lat_first, n_disordered
    )


def _text_of(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise TelemetryError(f"{path}: {size} bytes are not the subtitles of one video")
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise TelemetryError(
            f"{path}: cannot be read ({error.strerror}); check the name and the permissions"
        ) from error


def _bodies(text: str) -> list[tuple[int, str]]:
    """Cut a file into (video time in ns, what is said then)."""
    found = list(_TIMES.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    bodies: list[tuple[int, str]] = []
    for match, end in zip(found, ends, strict=False):
        hours, minutes, seconds, ms = map(int, match.groups())
        total_ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms
        body = text[match.end() : min(end, match.end() + MAX_BLOCK_CHARS)]
        bodies.append((total_ms * NS_PER_MS, " ".join(_TAG.sub(" ", body).split())))
    return bodies


def _is_lat_first(text: str) -> bool | None:
    """Tell the order of GPS(a, b, …) for a whole file: values beyond 90 prove it.

    Where none does, the unit after the third number is the Matrice 300's, which alone writes
    latitude first.
    """
    firsts, seconds, has_unit = 0.0, 0.0, False
    for name, inner in _CALL.findall(text):
        parts = _coordinates(inner)
        if name == "HOME" or len(parts) < 2 or parts[0][0]:
            continue
        firsts, seconds = max(firsts, abs(parts[0][1])), max(seconds, abs(parts[1][1]))
        has_unit = has_unit or (len(parts) > 2 and parts[2][2] == "M")
    if firsts == seconds == 0.0:
        return None
    return seconds > 90.0 or (has_unit and firsts <= 90.0)


def _coordinates(inner: str) -> list[tuple[str, float, str, int]]:
    """Split `W: 97.1, N: 32.5, 174.2m` into (hemisphere, value, unit, decimals)."""
    parts: list[tuple[str, float, str, int]] = []
    for part in inner.split(","):
        match = _COORDINATE.match(part)
        if match is None:
            return []
        decimals = len(match[2].partition(".")[2])
        parts.append(((match[1] or "").upper(), float(match[2]), match[3], decimals))
    return parts


def _subtitle(start_ns: int, body: str, is_lat_first: bool) -> Subtitle:
    count, pairs, clock = _COUNT.search(body), _pairs(body), _CLOCK.search(body)
    told = _place_by_name(pairs) or _place_by_call(body, is_lat_first)
    turned = _attitudes(body, pairs)
    height = _HEIGHT.search(body) or _BAROMETER.search(body)
    above_home_m = float(height[1]) if height else pairs.get("rel_alt", math.nan)
    lat_deg, lon_deg, absolute_m, decimals, dialect = told or (
        math.nan, math.nan, math.nan, 0, None,
    )  # fmt: skip
    return Subtitle(
        start_ns=start_ns,
        frame_count=int(count[1]) if count else None,
        clock=_clock(clock) if clock else None,
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        decimals=decimals,
        above_home_m=above_home_m,
        absolute_m=absolute_m,
        drone_ypr_deg=turned.get("drone"),
        gimbal_ypr_deg=turned.get("gimbal"),
        zoom=(pairs.get("focal_len", math.nan), pairs.get("dzoom_ratio", math.nan)),
        dialect=_refined(dialect, turned, body),
    )


def _pairs(body: str) -> dict[str, float]:
    """Read `[key: value]` and `[key: value key: value]`; `[Drone: Yaw:…]` becomes drone.yaw."""
    pairs: dict[str, float] = {}
    for inner in _BRACKETS.findall(body):
        whose = _WHOSE.match(inner)
        prefix = f"{whose[1].lower()}." if whose else ""
        for key, value in _PAIR.findall(inner[whose.end() :] if whose else inner):
            pairs[prefix + key.lower()] = float(value)
    if "latitude" in pairs:
        written = re.search(rf"latitude\s?:\s?({_NUMBER})", body)
        pairs["decimals"] = len(written[1].partition(".")[2]) if written else 0
    return pairs


_Told = tuple[float, float, float, int, Dialect]


def _place_by_name(pairs: dict[str, float]) -> _Told | None:
    # "longtitude" is how several firmwares spell it.
    lon_deg = pairs.get("longitude", pairs.get("longtitude"))
    if "latitude" not in pairs or lon_deg is None:
        return None
    is_pair = "rel_alt" in pairs
    absolute_m = pairs.get("abs_alt", math.nan) if is_pair else pairs.get("altitude", math.nan)
    dialect = REL_ABS if is_pair else ALTITUDE
    return pairs["latitude"], lon_deg, absolute_m, int(pairs["decimals"]), dialect


def _place_by_call(body: str, is_lat_first: bool) -> _Told | None:
    calls = {name: _coordinates(inner) for name, inner in _CALL.findall(body)}
    parts = calls.get("RTK") or calls.get("GPS") or []
    if len(parts) < 2:
        return None
    (side, a, _, decimals), (other, b, _, _) = parts[:2]
    third_m = parts[2][1] if len(parts) > 2 and parts[2][2] else math.nan
    absolute_m = third_m if third_m != 0.0 else math.nan  # 0.0M: the Matrice 300 knows none
    if side:
        by_side = {letter: -value if letter in "SW" else value for letter, value, _, _ in parts[:2]}
        lat = [value for letter, value in by_side.items() if letter in _NORTH_SOUTH]
        lon = [value for letter, value in by_side.items() if letter in _EAST_WEST]
        return (lat[0], lon[0], absolute_m, decimals, AUTEL) if lat and lon and other else None
    lat_deg, lon_deg = (a, b) if is_lat_first else (b, a)
    if "BAROMETER" not in body:
        return lat_deg, lon_deg, math.nan, decimals, COMPACT
    return lat_deg, lon_deg, absolute_m, decimals, M300 if is_lat_first else PHANTOM


def _attitudes(body: str, pairs: dict[str, float]) -> dict[str, Triple]:
    """Return whole attitudes only, as (yaw, pitch, roll) of "drone" and "gimbal"."""
    turned: dict[str, Triple] = {}
    for whose, pitch, roll, yaw in _PRY.findall(body):
        turned["drone" if whose == "F" else "gimbal"] = (float(yaw), float(pitch), float(roll))
    for whose, yaw, pitch, roll in _YPR.findall(body):
        turned[whose.lower()] = (float(yaw), float(pitch), float(roll))
    for prefix, whose in (("gb_", "gimbal"), ("drone.", "drone"), ("gimbal.", "gimbal")):
        told = [pairs.get(prefix + angle) for angle in ("yaw", "pitch", "roll")]
        yaw_deg, pitch_deg, roll_deg = told
        if yaw_deg is not None and pitch_deg is not None and roll_deg is not None:
            turned[whose] = (yaw_deg, pitch_deg, roll_deg)
    return {whose: ypr for whose, ypr in turned.items() if max(map(abs, ypr)) <= 360.0}


def _refined(dialect: Dialect | None, turned: dict[str, Triple], body: str) -> Dialect | None:
    """Tell the dialects apart that differ in the attitudes they add."""
    if dialect is COMPACT and ".PRY" in body:
        return PRY
    if dialect in {ALTITUDE, REL_ABS} and "gimbal" in turned:
        return GIMBAL
    return DRONE if dialect in {ALTITUDE, REL_ABS} and "drone" in turned else dialect


def _clock(match: re.Match[str]) -> datetime | None:
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    try:
        ms = int((match[7] or "0").ljust(3, "0"))
        return datetime(year, month, day, hour, minute, second, ms * 1000)
    except ValueError:  # a day or an hour that there is not
        return None
