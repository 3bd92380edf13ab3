"""Seals and originals on the wire."""

from __future__ import annotations

import hashlib
import itertools
import random
from pathlib import Path

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError, ProtocolError
from edge.protocol.original import (
    PART_BYTES,
    decode_part,
    encode_part,
    joined,
    original_of,
    parts_of,
    with_original,
)
from edge.protocol.sealed import Opener, Seal, read_opener, read_seal

SECRET = X25519PrivateKey.from_private_bytes(bytes(range(32)))
SEAL, OPENER = Seal(SECRET.public_key()), Opener(SECRET)


@given(st.binary(max_size=2000), st.binary(max_size=60))
def test_only_the_reader_opens_and_only_beside_what_it_belongs_to(
    plain: bytes, about: bytes
) -> None:
    """What was sealed opens as it was; with another key, or for another thing, not at all."""
    sealed = SEAL.close(plain, about)
    assert OPENER.open(sealed, about) == plain
    assert sealed != SEAL.close(plain, about)  # two seals of one picture cannot be told to be so
    with pytest.raises(ProtocolError):
        OPENER.open(sealed, about + b"x")
    with pytest.raises(ProtocolError):
        Opener(X25519PrivateKey.generate()).open(sealed, about)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_of_a_seal_can_be_changed(at: int, bit: int) -> None:
    """Every flipped bit keeps it shut."""
    sealed = bytearray(SEAL.close(b"a picture", b"about"))
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(ProtocolError):
        OPENER.open(bytes(sealed), b"about")


@given(st.binary(max_size=200))
def test_noise_is_no_seal(noise: bytes) -> None:
    """Whatever bytes come, the error is one of ours: points of low order, too."""
    for data in (noise, b"SWS1" + noise, b"SWS1" + bytes(32) + noise):
        with pytest.raises(ProtocolError):
            OPENER.open(data, b"")


@given(st.integers(0, 5 * PART_BYTES), st.integers(0, 2**32))
def test_parts_come_together_in_any_order(size: int, seed: int) -> None:
    """Cut, sent, doubled and shuffled, the parts make the same again; one missing, nothing."""
    sealed = random.Random(seed).randbytes(size)
    digest = hashlib.sha256(sealed).digest()
    parts = [decode_part(encode_part(one)) for one in parts_of(b"i" * 16, digest, sealed, "K-1")]
    shuffled = parts + parts[:1]
    random.Random(seed).shuffle(shuffled)
    assert joined(shuffled) == sealed
    assert joined(parts[:-1]) is None


def test_a_picture_that_names_its_original_is_still_a_picture() -> None:
    """The chunk is read back, decoders skip it, and a picture without one says nothing."""
    image = np.full((40, 60, 3), 90, np.uint8)
    webp = cv2.imencode(".webp", image)[1].tobytes()
    digest = hashlib.sha256(b"original").digest()
    named = with_original(webp, digest)
    assert original_of(named) == digest
    assert original_of(webp) is None
    assert int.from_bytes(named[4:8], "little") == len(named) - 8
    shown = cv2.imdecode(np.frombuffer(named, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == image.shape


@pytest.mark.parametrize("key", range(1, 7))
def test_a_part_that_lacks_something_is_refused(key: int) -> None:
    """Each field is needed."""
    from edge.protocol.cbor import encode_item

    fields = {1: b"i" * 16, 2: bytes(32), 3: 0, 4: 1, 5: "K-1", 6: b"data"}
    assert decode_part(encode_item(fields)).case == "K-1"
    fields.pop(key)
    with pytest.raises(ProtocolError):
        decode_part(encode_item(fields))


def test_a_key_that_is_none_is_named(tmp_path: Path) -> None:
    """Missing, text, of another kind, readable by others: each says so."""
    for read, name in itertools.product((read_seal, read_opener), ("none", "text")):
        path = tmp_path / name
        if name == "text":
            path.write_text("a key, surely")
            path.chmod(0o600)
        with pytest.raises(ConfigError, match=r"privacy\.originals_key"):
            read(path, "privacy.originals_key")
