"""Cut a byte stream into MAVLink frames, whatever else is in it.

pymavlink decodes the messages; the cutting is ours because a false start in garbage must cost
one byte and not the good frames behind it, and because a message that nobody wants need not be
decoded: that is most of the CPU of a busy link.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

MESSAGE_IDS: dict[str, int] = {
    kind.msgname: number for number, kind in mavlink.mavlink_map.items() if kind.msgname
}
MESSAGE_NAMES: dict[int, str] = {number: name for name, number in MESSAGE_IDS.items()}
MAGICS = (0xFD, 0xFE)
_MAGIC_V2, _SIGNED, _SIGNATURE_BYTES = 0xFD, 0x01, 13
_HEADER_V1, _HEADER_V2, _CRC_BYTES = 6, 10, 2
# Longest frame: header, 255 bytes, CRC, signature.  More than this without a frame is garbage.
LONGEST_FRAME = _HEADER_V2 + 255 + _CRC_BYTES + _SIGNATURE_BYTES


@dataclass(slots=True)
class FrameCounts:
    """What the cutter met."""

    messages: int = 0
    bad_crc: int = 0
    unknown: int = 0
    garbage_bytes: int = 0
    not_believed: int = 0  # whole frames that the link's key does not vouch for


@dataclass(frozen=True, slots=True)
class Header:
    """Who sent which message; enough to count one that is not decoded."""

    message_id: int
    system_id: int
    component_id: int


def frame_length(data: bytes | bytearray | memoryview, at: int) -> int | None:
    """Return the length of the frame that starts at `at`; None while its header is cut off."""
    if data[at] == _MAGIC_V2:
        if len(data) < at + 3:
            return None
        signature = _SIGNATURE_BYTES if data[at + 2] & _SIGNED else 0
        return _HEADER_V2 + int(data[at + 1]) + _CRC_BYTES + signature
    if len(data) < at + 2:
        return None
    return _HEADER_V1 + int(data[at + 1]) + _CRC_BYTES


def header_of(frame: bytes) -> Header:
    """Read number and sender of a whole frame."""
    if frame[0] == _MAGIC_V2:
        return Header(frame[7] | frame[8] << 8 | frame[9] << 16, frame[5], frame[6])
    return Header(frame[5], frame[3], frame[4])


def has_strange_flags(frame: bytes) -> bool:
    """Tell whether a frame asks for a feature that nobody here understands."""
    return frame[0] == _MAGIC_V2 and bool(frame[2] & ~_SIGNED)


def has_good_crc(frame: bytes, number: int) -> bool:
    """Check a frame of a known message against its checksum."""
    if has_strange_flags(frame):
        return False
    end = len(frame) - _CRC_BYTES
    if frame[0] == _MAGIC_V2 and frame[2] & _SIGNED:
        end -= _SIGNATURE_BYTES
    body = bytearray(frame[1:end])
    body.append(mavlink.mavlink_map[number].crc_extra)
    return bool(mavlink.x25crc(body).crc == frame[end] | frame[end + 1] << 8)


class FrameCutter:
    """Bytes in, decoded messages out; keeps at most one unfinished frame between calls."""

    def __init__(
        self, wanted: Collection[str], is_believed: Callable[[bytes], bool] | None = None
    ) -> None:
        """Begin with nothing.

        Args:
            wanted: Names of the messages to decode.
            is_believed: Tells of a whole frame with a good checksum whether it may count; None:
                all do.
        """
        self.counts = FrameCounts()
        self._is_believed = is_believed
        self._wanted = frozenset(MESSAGE_IDS[name] for name in wanted if name in MESSAGE_IDS)
        self._decoder = mavlink.MAVLink(None)
        self._rest = b""

    def clear(self) -> None:
        """Forget an unfinished frame: the link was opened anew."""
        self._rest = b""

    def cut(self, data: bytes, is_whole: bool = False) -> Iterator[tuple[Header, Any]]:
        """Yield each good frame's header and message; the message is None where not wanted.

        Args:
            data: What was received.
            is_whole: A datagram: a frame that it cuts off has no rest to wait for.
        """
        data = self._rest + data
        at, end = 0, len(data)
        while at < end:
            length = frame_length(data, at) if data[at] in MAGICS else 0
            is_cut = length is None or at + length > end
            if is_cut and not is_whole:
                # Unfinished, or a false start that claims more than there is: wait for the rest,
                # at most one frame's length, so that a lie cannot hold the link back for long.
                break
            if is_cut or not length:
                at += 1
                self.counts.garbage_bytes += 1
                continue
            is_followed = at + length == end or data[at + length] in MAGICS
            step, found = self.take(data[at : at + length], is_followed)
            if found is not None:
                yield found
            self.counts.garbage_bytes += step if step == 1 else 0
            at += step
        self._rest = data[at:]

    def take(self, frame: bytes, is_followed: bool = True) -> tuple[int, tuple[Header, Any] | None]:
        """Read one frame that was cut already: how far to go on, and what was found.

        Args:
            frame: As long as its header says.
            is_followed: Whether another frame, or nothing, comes behind it.
        """
        header = header_of(frame)
        if header.message_id not in mavlink.mavlink_map:
            # Without its checksum's seed only what follows tells a frame from a false start.
            self.counts.unknown += is_followed
            return (len(frame) if is_followed else 1), None
        if header.message_id in self._wanted:
            message = self._decode(frame)  # checks the checksum too
            is_good = message is not None
        else:
            message, is_good = None, has_good_crc(frame, header.message_id)
        if not is_good:
            self.counts.bad_crc += 1
            return 1, None
        if self._is_believed is not None and not self._is_believed(frame):
            self.counts.not_believed += 1
            return len(frame), None
        self.counts.messages += 1
        return len(frame), (header, message)

    def _decode(self, frame: bytes) -> Any:
        if has_strange_flags(frame):
            return None
        try:
            return self._decoder.decode(bytearray(frame))
        except mavlink.MAVError:
            return None
