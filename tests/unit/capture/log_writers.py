"""Writers of other people's formats, as small as the formats allow: what the readers are fed."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

# --- ArduPilot DataFlash ----------------------------------------------------------------------

_FORMATS = {"Q": "Q", "B": "B", "b": "b", "H": "H", "I": "I", "i": "i", "f": "f", "d": "d"}
_SCALED = {"c": ("h", 100.0), "C": ("H", 100.0), "e": ("i", 100.0), "L": ("i", 1e7)}
_FMT = 0x80


@dataclass(frozen=True)
class Kind:
    """One kind of row: its number, its format characters and its columns."""

    number: int
    characters: str
    columns: str

    def struct(self) -> str:
        return "<" + "".join(_FORMATS.get(c) or _SCALED[c][0] for c in self.characters)


KINDS = {
    "ATT": Kind(1, "QccccCCCCB", "TimeUS,DesRoll,Roll,DesPitch,Pitch,DesYaw,Yaw,ErrRP,ErrYaw,AEKF"),
    "POS": Kind(2, "QLLfff", "TimeUS,Lat,Lng,Alt,RelHomeAlt,RelOriginAlt"),
    "GPS": Kind(
        3, "QBBIHBcLLeffffB",
        "TimeUS,I,Status,GMS,GWk,NSats,HDop,Lat,Lng,Alt,Spd,GCrs,VZ,Yaw,U",
    ),
    "GPA": Kind(4, "QBCCCC", "TimeUS,I,VDop,HAcc,VAcc,SAcc"),
    "XKF1": Kind(5, "QBcccfff", "TimeUS,C,Roll,Pitch,Yaw,VN,VE,VD"),
    "XKF4": Kind(6, "QBHb", "TimeUS,C,SS,PI"),
    "RFND": Kind(7, "QBCBBb", "TimeUS,Instance,Dist,Stat,Orient,Quality"),
    "TERR": Kind(8, "QBLLHff", "TimeUS,Status,Lat,Lng,Spacing,TerrH,CHeight"),
    "MNT": Kind(
        9, "QBfffffffff", "TimeUS,I,DesRoll,Roll,DesPitch,Pitch,DesYawB,YawB,DesYawE,YawE,Dist"
    ),
    "RATE": Kind(10, "Qfff", "TimeUS,R,P,Y"),
    "ORGN": Kind(11, "QBLLe", "TimeUS,Type,Lat,Lng,Alt"),
}  # fmt: skip
Rows = Sequence[tuple[str, Mapping[str, float]]]


def dataflash(rows: Rows) -> bytes:
    """Write rows as a `.BIN`: the formats of all kinds, then the rows; columns not given are 0."""
    out = bytearray(_format(_FMT, "FMT", "BBnNZ", "Type,Length,Name,Format,Columns", 89))
    for name, kind in KINDS.items():
        length = 3 + struct.calcsize(kind.struct())
        out += _format(kind.number, name, kind.characters, kind.columns, length)
    for name, values in rows:
        kind = KINDS[name]
        told = []
        for character, column in zip(kind.characters, kind.columns.split(","), strict=True):
            value = values.get(column, 0.0)
            scaled = value * _SCALED[character][1] if character in _SCALED else value
            told.append(scaled if character in "fd" else round(scaled))
        out += struct.pack("<BBB", 0xA3, 0x95, kind.number) + struct.pack(kind.struct(), *told)
    return bytes(out)


def dataflash_text(rows: Rows) -> str:
    """Write rows as a `.log`."""
    lines = ["FMT, 128, 89, FMT, BBnNZ, Type,Length,Name,Format,Columns"]
    for name, kind in KINDS.items():
        length = 3 + struct.calcsize(kind.struct())
        lines.append(f"FMT, {kind.number}, {length}, {name}, {kind.characters}, {kind.columns}")
    for name, values in rows:
        kind = KINDS[name]
        told = [
            str(values.get(column, 0.0) if character in "fdcCeL" else round(values.get(column, 0)))
            for character, column in zip(kind.characters, kind.columns.split(","), strict=True)
        ]
        lines.append(", ".join([name, *told]))
    return "\n".join(lines) + "\n"


def _format(number: int, name: str, characters: str, columns: str, length: int) -> bytes:
    return struct.pack(
        "<BBBBB4s16s64s", 0xA3, 0x95, _FMT, number, length,
        name.encode(), characters.encode(), columns.encode(),
    )  # fmt: skip


# --- PX4 ULog ---------------------------------------------------------------------------------

_ULOG_TYPES = {
    "uint64_t": "Q", "double": "d", "float": "f", "uint32_t": "I", "uint16_t": "H", "uint8_t": "B",
    "bool": "?",
}  # fmt: skip


@dataclass(frozen=True)
class UlogTopic:
    """A topic: fields as `(type, name)`, largest first so that nothing needs padding."""

    name: str
    fields: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[float]]  # timestamp in µs first


def ulog(topics: Sequence[UlogTopic], start_us: int) -> bytes:
    """Write topics as a `.ulg`, rows in the order of their time."""
    out = bytearray(b"ULog\x01\x12\x35\x01" + struct.pack("<Q", start_us))
    out += _ulog_message("B", bytes(40))
    for topic in topics:
        fields = ";".join(f"{kind} {name}" for kind, name in topic.fields)
        out += _ulog_message("F", f"{topic.name}:{fields};".encode())
    rows: list[tuple[float, bytes]] = []
    for number, topic in enumerate(topics):
        out += _ulog_message("A", struct.pack("<BH", 0, number) + topic.name.encode())
        layout = "<" + "".join(_ulog_layout(kind) for kind, _ in topic.fields)
        rows += [
            (row[0], _ulog_message("D", struct.pack("<H", number) + struct.pack(layout, *row)))
            for row in topic.rows
        ]
    return bytes(out) + b"".join(data for _, data in sorted(rows, key=lambda row: row[0]))


def _ulog_layout(kind: str) -> str:
    base, _, count = kind.rstrip("]").partition("[")
    return _ULOG_TYPES[base] * int(count or 1)


def _ulog_message(kind: str, body: bytes) -> bytes:
    return struct.pack("<HB", len(body), ord(kind)) + body


# --- stills -----------------------------------------------------------------------------------


def still(
    path: Path,
    *,
    exif: bytes = b"",
    xmp: str = "",
    image: Any = None,
) -> None:
    """Write a JPEG with an EXIF and an XMP segment."""
    picture = np.zeros((64, 64, 3), np.uint8) if image is None else image
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    segments = b""
    if exif:
        segments += _app1(b"Exif\0\0" + exif)
    if xmp:
        segments += _app1(b"http://ns.adobe.com/xap/1.0/\0" + xmp.encode())
    path.write_bytes(data[:2] + segments + data[2:])


def _app1(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def exif(
    *,
    taken: str = "",
    subsecond: str = "",
    zone: str = "",
    lat_lon_deg: tuple[float, float] | None = None,
    altitude_m: float | None = None,
) -> bytes:
    """Write a big-endian TIFF with the EXIF and GPS directories that cameras write."""
    own = [(0x9003, 2, taken), (0x9011, 2, zone), (0x9291, 2, subsecond)]
    gps: list[tuple[int, int, Any]] = []
    if lat_lon_deg is not None:
        lat_deg, lon_deg = lat_lon_deg
        gps += [
            (1, 2, "N" if lat_deg >= 0 else "S"), (2, 5, _dms(lat_deg)),
            (3, 2, "E" if lon_deg >= 0 else "W"), (4, 5, _dms(lon_deg)),
        ]  # fmt: skip
    if altitude_m is not None:
        gps += [(5, 1, int(altitude_m < 0)), (6, 5, [(round(abs(altitude_m) * 1000), 1000)])]
    own = [entry for entry in own if entry[2]]
    root_size = 2 + 12 * 2 + 4
    own_at = 8 + root_size
    own_bytes = _directory(own, own_at)
    gps_at = own_at + len(own_bytes)
    root = _directory([(0x8769, 4, own_at), (0x8825, 4, gps_at)], 8)
    return b"MM\0*\0\0\0\x08" + root + own_bytes + _directory(gps, gps_at)


def _dms(angle_deg: float) -> list[tuple[int, int]]:
    total = abs(angle_deg)
    degrees = math.floor(total)
    minutes = math.floor((total - degrees) * 60)
    seconds = (total - degrees - minutes / 60) * 3600
    return [(degrees, 1), (minutes, 1), (round(seconds * 1_000_000), 1_000_000)]


def _directory(entries: Sequence[tuple[int, int, Any]], at: int) -> bytes:
    """Write one directory; values longer than four bytes lie behind it."""
    head, tail = struct.pack(">H", len(entries)), b""
    tail_at = at + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        if kind == 2:
            data, count = value.encode() + b"\0", len(value) + 1
        elif kind == 5:
            data, count = b"".join(struct.pack(">II", *part) for part in value), len(value)
        else:
            data, count = struct.pack(">I" if kind == 4 else ">B", value), 1
        if len(data) <= 4:
            head += struct.pack(">HHI", tag, kind, count) + data.ljust(4, b"\0")
        else:
            head += struct.pack(">HHII", tag, kind, count, tail_at + len(tail))
            tail += data + b"\0" * (len(data) % 2)
    return head + bytes(4) + tail


def dji_xmp(**properties: float | str) -> str:
    """Write an XMP packet as DJI does: attributes of one description."""
    told = " ".join(f'drone-dji:{name}="{value}"' for name, value in properties.items())
    return _packet('xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" ' + told, "")


def pix4d_xmp(**properties: float) -> str:
    """Write an XMP packet as senseFly does: elements of Pix4D's namespace."""
    told = "".join(f"<Camera:{name}>{value}</Camera:{name}>" for name, value in properties.items())
    return _packet('xmlns:Camera="http://pix4d.com/camera/1.0"', told)


def _packet(attributes: str, elements: str) -> str:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {attributes}>{elements}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
