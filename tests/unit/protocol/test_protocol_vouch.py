"""Vouchers on the wire: what comes back, and what noise does."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ProtocolError, SignatureError
from edge.protocol.alert import encode_alert
from edge.protocol.cbor import encode_item
from edge.protocol.fields import U32_MAX
from edge.protocol.messages import MessageKind, Stamp, open_envelope, seal
from edge.protocol.signing import PublicKey, SigningKey
from edge.protocol.text import decode_any
from edge.protocol.vouch import (
    MAX_STATEMENT_BYTES,
    Statement,
    Voucher,
    digest_of,
    vouch,
    voucher_bytes,
    voucher_from,
)
from tests.unit.protocol.alerts import typical_alert

SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = SigningKey(b"key-id-8", SECRET)
PUBLIC = {b"key-id-8": PublicKey(b"key-id-8", SECRET.public_key())}
NUMBERS = st.integers(0, U32_MAX)


def statement(body: bytes = b"\x01", **changes: int) -> Statement:
    fields = {"epoch": 7, "n": 3, "seq": 5, "kind": int(MessageKind.ALERT)} | changes
    return Statement(**fields, previous=bytes(16), digest=digest_of(body))


@given(epoch=st.integers(1, U32_MAX), n=NUMBERS, seq=NUMBERS, kind=st.integers(1, 15))
def test_a_statement_comes_back(epoch: int, n: int, seq: int, kind: int) -> None:
    """All numbers survive, within the bound, and the signature fits."""
    said = statement(epoch=epoch, n=n, seq=seq, kind=kind)
    voucher = voucher_from(voucher_bytes(vouch(said, KEY)))
    voucher.verify(PUBLIC)
    assert voucher.read() == said
    assert len(voucher.statement) <= MAX_STATEMENT_BYTES


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_of_a_voucher_can_be_changed(at: int, bit: int) -> None:
    """Every flipped bit makes it unreadable, another's, or a signature that does not fit."""
    data = bytearray(voucher_bytes(vouch(statement(), KEY)))
    data[at % len(data)] ^= 1 << bit
    with pytest.raises(ProtocolError):  # a SignatureError is one
        voucher_from(bytes(data)).verify(PUBLIC)


@given(st.binary(max_size=300))
def test_noise_is_no_voucher(noise: bytes) -> None:
    """Whatever bytes come, the error is one of ours."""
    with pytest.raises(ProtocolError):
        voucher_from(noise)
    with pytest.raises(ProtocolError):
        Voucher(b"key-id-8", noise, bytes(64)).read()


def test_a_signed_message_opens_as_the_plain_one_does() -> None:
    """Body, number and replay are the same; the voucher comes beside them, and decode names it."""
    body = encode_alert(typical_alert())
    voucher = vouch(statement(body), KEY)
    payload = seal(MessageKind.ALERT, Stamp(7, 5), body, True, voucher)
    envelope = open_envelope(payload)
    assert envelope.body == body
    assert envelope.voucher == voucher
    assert (envelope.kind, envelope.stamp, envelope.is_replay) == (
        MessageKind.ALERT,
        Stamp(7, 5),
        True,
    )
    assert decode_any(payload).as_dict()["signed_by"] == KEY.key_id.hex()
    assert len(payload) - len(seal(MessageKind.ALERT, Stamp(7, 5), body)) <= 160


@pytest.mark.parametrize(
    "parts",
    [
        [b"key-id-8", b"x", bytes(64)],
        [b"key-id-8", b"x", bytes(63), b"\x01"],
        [b"key", b"x", bytes(64), b"\x01"],
        [b"key-id-8", bytes(MAX_STATEMENT_BYTES + 1), bytes(64), b"\x01"],
        [b"key-id-8", b"x", bytes(64), b"\x1c"],
        [b"key-id-8", b"x", bytes(64), 1],
    ],
)
def test_a_signed_body_of_another_form_is_refused(parts: list[object]) -> None:
    """Too few parts, wrong sizes, or a body that is no item."""
    payload = seal(MessageKind(1), Stamp(1, 1), encode_item(parts))
    with pytest.raises(ProtocolError):
        open_envelope(payload[:1] + bytes([0x18, 33]) + payload[2:])


def test_another_key_does_not_fit() -> None:
    """A known id with another key behind it is a forgery, an unknown one is nobody's."""
    voucher = vouch(statement(), KEY)
    other = Ed25519PrivateKey.generate().public_key()
    with pytest.raises(SignatureError, match="does not fit"):
        voucher.verify({KEY.key_id: PublicKey(KEY.key_id, other)})
    with pytest.raises(SignatureError, match="not the drone's"):
        voucher.verify({})
