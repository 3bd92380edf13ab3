"""Signed acks: only the desk's word makes a drone forget."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.desk.authority import _write_signing_pair
from edge.errors import ConfigError, ProtocolError, SignatureError
from edge.protocol.ack import MAX_ACK_BYTES, MAX_EXTRA, MAX_REJECTS, Ack, Reject, encode_ack
from edge.protocol.command import Command, Verb, encode_command
from edge.protocol.signed_ack import MAX_SIGNED_ACK_BYTES, open_ack, seal_ack, unproved_ack
from edge.protocol.signing import (
    PublicKey,
    Purpose,
    SigningKey,
    by_id,
    read_public_key,
    read_signing_key,
    seal_signed,
)
from edge.protocol.text import decode_any

U32 = st.integers(1, 2**32 - 1)
ACKS = st.builds(
    Ack,
    U32,
    st.integers(0, 2**32 - 1),
    st.lists(U32, max_size=5).map(tuple),
    st.lists(st.builds(Reject, U32, st.text(max_size=20)), max_size=3).map(tuple),
    st.booleans(),
)


def pair(folder: Path, name: str) -> tuple[SigningKey, dict[bytes, PublicKey]]:
    _write_signing_pair(folder / f"{name}.key", folder / f"{name}.pub")
    public = read_public_key(folder / f"{name}.pub", "key")
    return read_signing_key(folder / f"{name}.key", "key"), by_id([public])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[SigningKey, dict[bytes, PublicKey]]:
    return pair(tmp_path_factory.mktemp("desk"), "ack")


@given(ACKS)
def test_what_the_desk_signs_is_what_the_drone_reads(
    desk: tuple[SigningKey, dict[bytes, PublicKey]], ack: Ack
) -> None:
    """A drone with the key and one without read the same ack out of a signed envelope."""
    key, keys = desk
    plain = open_ack(encode_ack(ack), "drone-1", {})
    sealed = seal_ack(ack, "drone-1", key)
    assert open_ack(sealed, "drone-1", keys) == open_ack(sealed, "drone-1", {}) == plain
    assert unproved_ack(sealed) == ("drone-1", plain)
    assert seal_ack(ack, "drone-1", None) == encode_ack(ack)


def test_no_bit_of_a_signed_ack_can_be_changed(
    desk: tuple[SigningKey, dict[bytes, PublicKey]],
) -> None:
    """Whatever bit is another, the drone with the key does not believe it."""
    key, keys = desk
    sealed = seal_ack(Ack(7, 41, (42, 44), (Reject(43, "too long"),)), "drone-1", key)
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ProtocolError):
            open_ack(bytes(changed), "drone-1", keys)


def test_nobody_elses_word_counts(
    desk: tuple[SigningKey, dict[bytes, PublicKey]], tmp_path: Path
) -> None:
    """Unsigned, a stranger's, another drone's, and what was signed for another purpose: refused."""
    key, keys = desk
    ack = Ack(7, 41)
    stranger, _ = pair(tmp_path, "other")
    signed_command = seal_signed(Purpose.COMMAND, b"\x80", key)
    for forged in (
        encode_ack(ack),
        seal_ack(ack, "drone-1", stranger),
        seal_ack(ack, "drone-2", key),
        signed_command,
        b"",
        b"\x83\x48",
    ):
        with pytest.raises(ProtocolError):
            open_ack(forged, "drone-1", keys)
    with pytest.raises(SignatureError, match="for drone-2, not for drone-1"):
        open_ack(seal_ack(ack, "drone-2", key), "drone-1", {})


def test_the_largest_ack_fits_its_envelope(
    desk: tuple[SigningKey, dict[bytes, PublicKey]],
) -> None:
    """As much as an ack may hold, with the longest name, signed, is read."""
    key, keys = desk
    rejects = tuple(Reject(2**32 - 1 - n, "ä" * 48) for n in range(MAX_REJECTS))
    ack = Ack(2**32 - 1, 2**32 - 1, tuple(2**32 - 1 - n for n in range(MAX_EXTRA)), rejects)
    sealed = seal_ack(ack, "d" * 32, key)
    assert len(sealed) <= MAX_SIGNED_ACK_BYTES
    assert len(encode_ack(ack)) <= MAX_ACK_BYTES
    assert open_ack(sealed, "d" * 32, keys) == ack


def test_decode_shows_what_the_desk_signs(
    desk: tuple[SigningKey, dict[bytes, PublicKey]],
) -> None:
    """Acks and commands in their envelopes are readable, with the key's id; nothing is checked."""
    key, _ = desk
    ack = decode_any(seal_ack(Ack(7, 41, (43,)), "drone-1", key))
    assert (ack.kind, ack.fields["drone_id"], ack.fields["up_to"]) == ("ack", "drone-1", 41)
    assert f"signed by {key.key_id.hex()} (not checked)" in ack.as_text()
    command = decode_any(encode_command(Command("drone-1", Verb.PING, bytes(16), 1, 60), key))
    assert (command.kind, command.fields["verb"]) == ("command", "ping")
    json.dumps([ack.as_dict(), command.as_dict()])


def test_the_public_half_is_not_taken_for_the_secret_one(tmp_path: Path) -> None:
    """Its mode is no matter: the message says which file is meant."""
    pair(tmp_path, "ack")
    with pytest.raises(ConfigError, match=r"ack\.pub: is the public half; name the \.key"):
        read_signing_key(tmp_path / "ack.pub", "--key")
