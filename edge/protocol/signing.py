"""Ed25519 signatures: who said it, and that nothing was changed on the way.

A signed message is an array of three, `[key id, body, signature]`.  What is signed is the purpose
and the body, so that a signature made for one kind of message never serves for another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from edge.errors import ProtocolError, SignatureError
from edge.protocol.cbor import decode_item, encode_item
from edge.protocol.fields import as_array, as_bytes
from edge.protocol.pem import read_public_pem, read_secret_pem

KEY_ID_BYTES: Final = 8
SIGNATURE_BYTES: Final = 64
_SIGNED_HEAD: Final = bytes((0x80 + 3, 0x40 + KEY_ID_BYTES))  # CBOR: array of three, bytes
SIGNED_EXTRA_BYTES: Final = 1 + (1 + KEY_ID_BYTES) + 5 + (2 + SIGNATURE_BYTES)


class Purpose(Enum):
    """What a signature is for; part of what is signed."""

    COMMAND = b"skywhistle command 1\0"
    ALERT = b"skywhistle alert 1\0"
    ACK = b"skywhistle ack 1\0"
    MANIFEST = b"skywhistle manifest 1\0"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that tells whether somebody else's signature is his."""

    key_id: bytes  # first 8 bytes of the SHA-256 of the raw key
    _key: Ed25519PublicKey

    def verify(self, purpose: Purpose, body: bytes, signature: bytes) -> None:
        """Return if the signature is good.

        Raises:
            SignatureError: It is not.
        """
        try:
            self._key.verify(signature, purpose.value + body)
        except InvalidSignature as error:
            raise SignatureError(
                f"the signature of key {self.key_id.hex()} does not fit: changed, or forged"
            ) from error


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret key."""

    key_id: bytes
    _key: Ed25519PrivateKey

    def sign(self, purpose: Purpose, body: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(purpose.value + body)


def read_signing_key(path: Path, key: str) -> SigningKey:
    """Read a secret key, PEM, which nobody else may read.

    Args:
        path: As `skywhistle keys` wrote it.
        key: The config's key that names it, for the message.

    Raises:
        ConfigError: It is missing, readable by others, or no Ed25519 key.
    """
    secret: Ed25519PrivateKey = read_secret_pem(path, key, Ed25519PrivateKey, "Ed25519")
    return SigningKey(_id_of(secret.public_key()), secret)


def read_public_key(path: Path, key: str) -> PublicKey:
    """Read a public key, PEM.

    Raises:
        ConfigError: It is missing, or no Ed25519 key.
    """
    public: Ed25519PublicKey = read_public_pem(path, key, Ed25519PublicKey, "Ed25519")
    return PublicKey(_id_of(public), public)


def read_public_keys(paths: Iterable[Path], key: str) -> dict[bytes, PublicKey]:
    """Read public keys, by their id.

    Raises:
        ConfigError: One is missing, or no Ed25519 key.
    """
    return by_id(read_public_key(path, key) for path in paths)


def by_id(keys: Iterable[PublicKey]) -> dict[bytes, PublicKey]:
    """Order keys by their id."""
    return {key.key_id: key for key in keys}


def seal_signed(purpose: Purpose, body: bytes, key: SigningKey) -> bytes:
    """Sign a body and put it into its envelope."""
    return encode_item([key.key_id, body, key.sign(purpose, body)])


def is_signed(payload: bytes) -> bool:
    """Tell by its first bytes whether a payload is in a signed envelope: an array, a key's id."""
    return payload[:2] == _SIGNED_HEAD


def peek_signed(payload: bytes, max_bytes: int) -> tuple[bytes, bytes]:
    """Return the key id and the body of a signed envelope; nothing is checked.

    Raises:
        ProtocolError: Not a signed envelope.
    """
    parts = as_array(decode_item(payload, max_bytes), "signed", 3)
    key_id, body = as_bytes(parts[0], "key id", (KEY_ID_BYTES,)), parts[1]
    if not isinstance(body, bytes):
        raise ProtocolError("signed body: expected bytes")
    return key_id, body


def open_signed(
    purpose: Purpose, payload: bytes, keys: Mapping[bytes, PublicKey], max_bytes: int
) -> tuple[bytes, bytes]:
    """Take a signed envelope off, if one of the keys has signed it.

    Args:
        purpose: That it must have been signed for.
        payload: The envelope.
        keys: Whose word counts, by key id.
        max_bytes: Of the body.

    Returns:
        The body, and the id of the key.

    Raises:
        SignatureError: Of nobody who counts here, or the signature does not fit.
        ProtocolError: Not a signed envelope.
    """
    parts = as_array(decode_item(payload, max_bytes + SIGNED_EXTRA_BYTES), "signed", 3)
    key_id = as_bytes(parts[0], "key id", (KEY_ID_BYTES,))
    body, signature = parts[1], as_bytes(parts[2], "signature", (SIGNATURE_BYTES,))
    if not isinstance(body, bytes) or len(body) > max_bytes:
        raise ProtocolError(f"signed body: expected at most {max_bytes} bytes")
    known = keys.get(key_id)
    if known is None:
        raise SignatureError(f"signed by key {key_id.hex()}, which counts for nothing here")
    known.verify(purpose, body, signature)
    return body, key_id


def _id_of(key: Ed25519PublicKey) -> bytes:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).digest()[:KEY_ID_BYTES]
