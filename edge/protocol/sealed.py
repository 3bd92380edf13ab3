"""Sealing to one reader: who seals cannot open again what he has sealed.

A fresh X25519 key for each seal is agreed with the reader's, HKDF makes a key of it, and
ChaCha20-Poly1305 encrypts and authenticates.  The key serves once, so the nonce is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edge.errors import ProtocolError, SignatureError
from edge.protocol.pem import read_public_pem, read_secret_pem

_MAGIC: Final = b"SWS1"
_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_NONCE: Final = bytes(12)
_INFO: Final = b"skywhistle original 1"


@dataclass(frozen=True, slots=True)
class Seal:
    """The reader's public key."""

    _key: X25519PublicKey

    def close(self, plain: bytes, about: bytes) -> bytes:
        """Seal bytes.

        Args:
            plain: What is sealed.
            about: What it belongs to: not secret, but it opens only beside the same.
        """
        once = X25519PrivateKey.generate()
        public = _raw(once.public_key())
        key = _derived(once.exchange(self._key), public + _raw(self._key))
        return _MAGIC + public + ChaCha20Poly1305(key).encrypt(_NONCE, plain, about)


@dataclass(frozen=True, slots=True)
class Opener:
    """The reader's secret key."""

    _key: X25519PrivateKey

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """Open what was sealed to this key.

        Raises:
            ProtocolError: It is no seal of ours.
            SignatureError: It was changed, is sealed to another, or belongs to something else.
        """
        front = len(_MAGIC) + _KEY_BYTES
        if not sealed.startswith(_MAGIC) or len(sealed) < front + _TAG_BYTES:
            raise ProtocolError("not a sealed file of ours")
        public = sealed[len(_MAGIC) : front]
        try:
            shared = self._key.exchange(X25519PublicKey.from_public_bytes(public))
            key = _derived(shared, public + _raw(self._key.public_key()))
            return ChaCha20Poly1305(key).decrypt(_NONCE, sealed[front:], about)
        except (InvalidTag, ValueError) as error:  # ValueError: a point of low order
            raise SignatureError("does not open: changed, or sealed to another key") from error


def read_seal(path: Path, key: str) -> Seal:
    """Read the reader's public key, PEM.

    Raises:
        ConfigError: It is missing, or no X25519 key.
    """
    return Seal(read_public_pem(path, key, X25519PublicKey, "X25519"))


def read_opener(path: Path, key: str) -> Opener:
    """Read the reader's secret key, PEM, mode 600.

    Raises:
        ConfigError: It is missing, readable by others, or no X25519 key.
    """
    return Opener(read_secret_pem(path, key, X25519PrivateKey, "X25519"))


def _derived(shared: bytes, salt: bytes) -> bytes:
    return HKDF(hashes.SHA256(), _KEY_BYTES, salt, _INFO).derive(shared)


def _raw(key: X25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
