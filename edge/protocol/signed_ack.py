"""Acks that the desk signs: whoever is at the broker cannot make a drone forget what it has sent.

What is signed is an array of two, `[drone, ack]`, so that one drone's ack is none of another's.  An
old one does no harm: what it says was committed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from edge.errors import ProtocolError, SignatureError
from edge.protocol.ack import MAX_ACK_BYTES, Ack, decode_ack, encode_ack
from edge.protocol.cbor import decode_item, encode_item
from edge.protocol.fields import as_array, as_text
from edge.protocol.signing import (
    SIGNED_EXTRA_BYTES,
    PublicKey,
    Purpose,
    SigningKey,
    is_signed,
    open_signed,
    peek_signed,
    seal_signed,
)

_MAX_BODY_BYTES: Final = MAX_ACK_BYTES + 64  # the drone's name before it
MAX_SIGNED_ACK_BYTES: Final = _MAX_BODY_BYTES + SIGNED_EXTRA_BYTES


def seal_ack(ack: Ack, drone_id: str, key: SigningKey | None) -> bytes:
    """Encode an ack for a drone, signed where there is a key.

    Raises:
        ProtocolError: It holds too much; split it.
    """
    encoded = encode_ack(ack)
    if key is None:
        return encoded
    return seal_signed(Purpose.ACK, encode_item([drone_id, encoded]), key)


def open_ack(payload: bytes, drone_id: str, keys: Mapping[bytes, PublicKey]) -> Ack:
    """Decode an ack for a drone.

    Args:
        payload: As it came, signed or not.
        drone_id: Who it must be for, if it says so.
        keys: Whose word counts; none: anybody's, as nobody can be told from another.

    Raises:
        SignatureError: Nobody signed it who counts here, or it is for another drone.
        ProtocolError: Not an ack.
    """
    if not is_signed(payload):
        if keys:
            raise SignatureError("nobody has signed it, and this drone believes signed acks only")
        return decode_ack(payload)
    if keys:
        body, _ = open_signed(Purpose.ACK, payload, keys, _MAX_BODY_BYTES)
    else:
        _, body = peek_signed(payload, MAX_SIGNED_ACK_BYTES)
    drone, ack = _ack_of(body)
    if drone != drone_id:
        raise SignatureError(f"it is for {drone}, not for {drone_id}")
    return ack


def unproved_ack(payload: bytes) -> tuple[str, Ack]:
    """Read whom a signed ack is for and what it says; whether the signature fits is not checked.

    Raises:
        ProtocolError: Not a signed ack.
    """
    return _ack_of(peek_signed(payload, MAX_SIGNED_ACK_BYTES)[1])


def _ack_of(body: bytes) -> tuple[str, Ack]:
    parts = as_array(decode_item(body, _MAX_BODY_BYTES), "signed ack", 2)
    if not isinstance(parts[1], bytes):
        raise ProtocolError("signed ack: expected bytes")
    return as_text(parts[0], "drone", 32), decode_ack(parts[1])
