"""The envelope around everything the drone sends: what it is, and its number in the mailbox.

On the wire an array of four, `[head, epoch, seq, body]`.  `head` is the message kind, plus 16
when the message waited out an outage: a fact of this transport, so that the body's bytes stay
the same however often they are sent; plus 32 when the drone vouches for it (see `vouch.py`): then
the body is `[key id, statement, signature, body]`, the last one a byte string.  `epoch` was drawn
when the mailbox file was made; `seq` never goes back within it.  A status is not queued: its seq
is 0, and it is never acked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from edge.errors import ProtocolError
from edge.protocol.cbor import decode_item, encode_item, read_head
from edge.protocol.fields import U32_MAX, as_array, as_int
from edge.protocol.vouch import Voucher, voucher_from_parts

_FOUR: Final = 4
_ARRAY_MAJOR: Final = 4
_ARRAY_OF_FOUR: Final = 0x84
_REPLAY_BIT: Final = 16
_SIGNED_BIT: Final = 32
ENVELOPE_MAX_BYTES: Final = 1 + 1 + 5 + 5  # array head, head, epoch, seq


class MessageKind(IntEnum):
    """What the body is; the number goes over the air and is never reused."""

    ALERT = 1
    MEDIA = 2
    STATUS = 3
    LOSS = 4
    COVER = 5
    RESULT = 6
    ORIGINAL = 7


# Longest whole payload the desk takes.  An alert of ours has at most 200 bytes; the rest is room
# for the fields and the signature of later schemas.
MAX_PAYLOAD_BYTES: Final[dict[MessageKind, int]] = {
    MessageKind.ALERT: 1024,
    MessageKind.MEDIA: 12 * 1024,
    MessageKind.STATUS: 1024,
    MessageKind.LOSS: 1024,
    MessageKind.COVER: 8 * 1024,
    MessageKind.RESULT: 4 * 1024,
    MessageKind.ORIGINAL: 12 * 1024,
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which message of which mailbox: (epoch, seq)."""

    epoch: int
    seq: int

    def __post_init__(self) -> None:
        if not 0 < self.epoch <= U32_MAX:
            raise ProtocolError(f"epoch must be in [1, {U32_MAX}], got {self.epoch}")
        if not 0 <= self.seq <= U32_MAX:
            raise ProtocolError(f"seq must be in [0, {U32_MAX}], got {self.seq}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message as it was taken off the wire; the body is not decoded yet."""

    kind: MessageKind
    stamp: Stamp
    body: bytes
    is_replay: bool = False
    voucher: Voucher | None = None  # as it came: nobody has checked the signature


def seal(
    kind: MessageKind,
    stamp: Stamp,
    body: bytes,
    is_replay: bool = False,
    voucher: Voucher | None = None,
) -> bytes:
    """Put an encoded body into its envelope: the whole MQTT payload.

    Raises:
        ProtocolError: The whole would be longer than the desk takes.
    """
    head = int(kind) | (_REPLAY_BIT if is_replay else 0)
    if voucher is not None:
        head |= _SIGNED_BIT
        body = encode_item([voucher.key_id, voucher.statement, voucher.signature, body])
    numbers = (encode_item(number) for number in (head, stamp.epoch, stamp.seq))
    payload = bytes([_ARRAY_OF_FOUR]) + b"".join(numbers) + body
    if len(payload) > MAX_PAYLOAD_BYTES[kind]:
        raise ProtocolError(
            f"{kind.name.lower()} of {len(payload)} bytes; the desk takes {MAX_PAYLOAD_BYTES[kind]}"
        )
    return payload


def open_envelope(payload: bytes) -> Envelope:
    """Take the envelope off.

    Raises:
        ProtocolError: Not an envelope, of an unknown kind, too long for its kind, or its body is
            not one whole item that `edge.protocol.cbor` allows.
    """
    kind, stamp, flags, body_at = _read_front(payload)
    if len(payload) > MAX_PAYLOAD_BYTES[kind]:
        raise ProtocolError(
            f"{kind.name.lower()} of {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES[kind]}"
        )
    decode_item(payload, MAX_PAYLOAD_BYTES[kind])
    body, voucher = payload[body_at:], None
    if flags & _SIGNED_BIT:
        parts = as_array(decode_item(body, MAX_PAYLOAD_BYTES[kind]), "signed body", 4)
        voucher, body = voucher_from_parts(parts), parts[3]
        if not isinstance(body, bytes):
            raise ProtocolError("signed body: expected bytes")
        decode_item(body, MAX_PAYLOAD_BYTES[kind])
    return Envelope(kind, stamp, body, bool(flags & _REPLAY_BIT), voucher)


def peek_stamp(payload: bytes) -> Stamp | None:
    """Read (epoch, seq) even if the kind is unknown or the body broken, to name it in a reject."""
    try:
        numbers, _ = _read_numbers(payload)
        return Stamp(numbers[1], numbers[2])
    except ProtocolError:
        return None


def body_fields(body: bytes, kind: MessageKind) -> Any:
    """Decode a body that was taken out of its envelope, or was never in one."""
    return decode_item(body, MAX_PAYLOAD_BYTES[kind])


def _read_front(payload: bytes) -> tuple[MessageKind, Stamp, int, int]:
    """Return kind, stamp, the head's flags, and where the body starts."""
    numbers, body_at = _read_numbers(payload)
    flags = _REPLAY_BIT | _SIGNED_BIT
    head = as_int(numbers[0], "head", 0, _REPLAY_BIT - 1 | flags)
    try:
        kind = MessageKind(head & ~flags)
    except ValueError as error:
        raise ProtocolError(f"message kind {head & ~flags} is not known here") from error
    return kind, Stamp(numbers[1], numbers[2]), head & flags, body_at


def _read_numbers(payload: bytes) -> tuple[list[int], int]:
    major, length, at = read_head(payload, 0)
    if major != _ARRAY_MAJOR or length != _FOUR:
        raise ProtocolError("not a message: expected an array of four")
    numbers = []
    for name in ("head", "epoch", "seq"):
        major, number, at = read_head(payload, at)
        if major != 0:
            raise ProtocolError(f"{name}: expected an unsigned integer at offset {at}")
        numbers.append(number)
    return numbers, at
