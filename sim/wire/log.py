"""Packets of a telemetry log (`.tlog`): 8 bytes of record time, µs, big-endian; the raw packet."""

from __future__ import annotations

import logging
import statistics
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.errors import ScenarioError

log = logging.getLogger(__name__)

_MAGIC_V1, _MAGIC_V2 = 0xFE, 0xFD
_SIGNED = 0x01  # bit of incompat_flags: a 13-byte signature follows the checksum
_SIGNATURE_BYTES = 13
_BOOT_SAMPLES = 400  # enough for a median; a log's transport delay varies by milliseconds
# Below this a `time_usec` counts from boot (31 years), above it is Unix time: ArduPilot sends
# both under one name.
UNIX_FROM_US = 10**15


@dataclass(frozen=True)
class Packet:
    """One recorded packet and when it was recorded, µs UTC by the recorder's clock."""

    record_us: int
    raw: bytes

    @property
    def _is_v2(self) -> bool:
        return self.raw[0] == _MAGIC_V2

    @property
    def system_id(self) -> int:
        return self.raw[5] if self._is_v2 else self.raw[3]

    @property
    def component_id(self) -> int:
        return self.raw[6] if self._is_v2 else self.raw[4]

    @cached_property
    def message_id(self) -> int:
        return int.from_bytes(self.raw[7:10], "little") if self._is_v2 else self.raw[5]


def decode(packet: Packet) -> mavlink2.MAVLink_message | None:
    """Decode a packet; none if its checksum is wrong or its type is not in the dialect."""
    try:
        message = mavlink2.MAVLink(None).decode(bytearray(packet.raw))
    except mavlink2.MAVError:
        return None
    return None if message.get_type().startswith("UNKNOWN") else message


def read_packets(path: Path) -> Iterator[Packet]:
    """Read a log packet by packet.

    A log that was cut off in the middle of a packet ends there.

    Raises:
        ScenarioError: The file cannot be read, or something in it is not a packet.
    """
    try:
        with path.open("rb") as file:
            yield from _packets(file, path)
    except OSError as error:
        raise ScenarioError(f"cannot read the telemetry log {path}: {error.strerror}") from error


def _packets(file: BinaryIO, path: Path) -> Iterator[Packet]:
    while len(head := file.read(11)) == 11:
        rest_bytes = _length(head[8:])
        if rest_bytes is None:
            raise ScenarioError(
                f"{path} is not a telemetry log at byte {file.tell() - 11}: expected 8 bytes of "
                f"time and then a MAVLink packet (0xfe or 0xfd), found 0x{head[8]:02x}"
            )
        rest = file.read(rest_bytes - 3)
        if len(rest) < rest_bytes - 3:
            log.info("log_cut_off path=%s", path)
            return
        yield Packet(struct.unpack(">Q", head[:8])[0], head[8:] + rest)


def _length(start: bytes) -> int | None:
    """Return a packet's whole length from its first three bytes."""
    if start[0] == _MAGIC_V1:
        return 8 + start[1]
    if start[0] == _MAGIC_V2:
        return 12 + start[1] + (_SIGNATURE_BYTES if start[2] & _SIGNED else 0)
    return None


@dataclass(frozen=True)
class LogSurvey:
    """What a log holds of one system."""

    path: Path
    system_id: int
    start_us: int
    end_us: int
    boot_minus_record_us: int  # median over the autopilot's messages
    first: dict[int, Packet]  # of the autopilot, by message id


def survey(path: Path, system_id: int, component_id: int = 1) -> LogSurvey:
    """Read a whole log once: its span, its boot clock and the first packet of each type.

    Raises:
        ScenarioError: No autopilot of this system speaks in the log.
    """
    first: dict[int, Packet] = {}
    boots_us: list[int] = []
    start_us = end_us = 0
    senders: set[tuple[int, int]] = set()
    for packet in read_packets(path):
        senders.add((packet.system_id, packet.component_id))
        if (packet.system_id, packet.component_id) != (system_id, component_id):
            continue
        start_us, end_us = start_us or packet.record_us, packet.record_us
        first.setdefault(packet.message_id, packet)
        if packet.message_id == mavlink2.MAVLINK_MSG_ID_ATTITUDE and len(boots_us) < _BOOT_SAMPLES:
            message = decode(packet)
            if message is not None:
                boots_us.append(message.time_boot_ms * 1000 - packet.record_us)
    if not first:
        raise ScenarioError(
            f"{path} has nothing of system {system_id}, component {component_id}; it has "
            f"{sorted(senders) or 'no packet at all'}: correct system_id in flight.toml"
        )
    offset_us = round(statistics.median(boots_us)) if boots_us else -start_us
    return LogSurvey(path, system_id, start_us, end_us, offset_us, first)
