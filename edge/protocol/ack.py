"""The desk's ack: what it has committed, and what it refuses and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge.errors import ProtocolError
from edge.protocol.cbor import decode_item, encode_item
from edge.protocol.fields import U32_MAX, as_array, as_int, as_map, as_text, required

MAX_ACK_BYTES: Final = 8 * 1024
MAX_EXTRA: Final = 500  # 5 bytes each: 2.5 kB
MAX_REJECTS: Final = 50
MAX_REASON_BYTES: Final = 96
_EPOCH, _UP_TO, _EXTRA, _REJECT, _RESUME = 1, 2, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Reject:
    """A message the desk will never take; sending it again does not help."""

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ack:
    """Everything up to and with `up_to` is done with, and so is each of `extra`.

    `extra` and `reject` name only what is new since the last ack; an ack that is lost comes again
    when the drone sends again.  One that answers a drone which has just come back (`is_resume`)
    names all that the desk has beyond `up_to`, the newest MAX_EXTRA of it.
    """

    epoch: int
    up_to: int
    extra: tuple[int, ...] = ()
    reject: tuple[Reject, ...] = ()
    is_resume: bool = False


def encode_ack(ack: Ack) -> bytes:
    """Encode deterministically; long reasons are cut.

    Raises:
        ProtocolError: More than MAX_EXTRA or MAX_REJECTS entries; split the ack.
    """
    if len(ack.extra) > MAX_EXTRA or len(ack.reject) > MAX_REJECTS:
        raise ProtocolError(
            f"an ack holds {MAX_EXTRA} extra and {MAX_REJECTS} reject; split it "
            f"({len(ack.extra)}, {len(ack.reject)})"
        )
    fields: dict[int, object] = {
        _EPOCH: as_int(ack.epoch, "epoch", 1, U32_MAX),
        _UP_TO: as_int(ack.up_to, "up_to", 0, U32_MAX),
    }
    if ack.extra:
        fields[_EXTRA] = [as_int(seq, "extra", 1, U32_MAX) for seq in ack.extra]
    if ack.reject:
        fields[_REJECT] = [
            [as_int(reject.seq, "reject", 1, U32_MAX), clip_text(reject.reason, MAX_REASON_BYTES)]
            for reject in ack.reject
        ]
    if ack.is_resume:
        fields[_RESUME] = 1
    return encode_item(fields)


def decode_ack(payload: bytes) -> Ack:
    """Decode an ack.

    Raises:
        ProtocolError: Not an ack; the message names the field.
    """
    fields = as_map(decode_item(payload, MAX_ACK_BYTES), "ack")
    extra = as_array(fields.get(_EXTRA, []), "extra", 0)
    reject = as_array(fields.get(_REJECT, []), "reject", 0)
    return Ack(
        epoch=as_int(required(fields, _EPOCH, "epoch"), "epoch", 1, U32_MAX),
        up_to=as_int(required(fields, _UP_TO, "up_to"), "up_to", 0, U32_MAX),
        extra=tuple(as_int(seq, "extra", 1, U32_MAX) for seq in extra),
        reject=tuple(_reject(item) for item in reject),
        is_resume=as_int(fields.get(_RESUME, 0), "resume", 0, 1) == 1,
    )


def clip_text(text: str, max_bytes: int) -> str:
    """Cut text to so many bytes of UTF-8, at a character's end; lone surrogates become `?`."""
    return text.encode(errors="replace")[:max_bytes].decode(errors="ignore")


def _reject(item: object) -> Reject:
    pair = as_array(item, "reject", 2)
    return Reject(
        as_int(pair[0], "reject seq", 1, U32_MAX),
        as_text(pair[1], "reject reason", 4 * MAX_REASON_BYTES),
    )
