"""What a drone vouches for: each message signed, and tied to the one sent before.

With every message goes a statement, `[epoch, n, seq, kind, previous, digest]`, and a signature over
it.  `n` counts what has been sent, without gaps; `previous` is the hash of the statement before;
`digest` is of the body (of a picture: of the file).  So a message that was changed shows by its
digest, and one that was removed by the number that is missing.

A status takes no number: it names the newest one, so that a chain cut off at its end shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edge.errors import ProtocolError, SignatureError
from edge.protocol.cbor import decode_item, encode_item
from edge.protocol.fields import U32_MAX, as_array, as_bytes, as_int
from edge.protocol.signing import (
    KEY_ID_BYTES,
    SIGNATURE_BYTES,
    PublicKey,
    Purpose,
    SigningKey,
)

LINK_BYTES: Final = 16
NO_LINK: Final = bytes(LINK_BYTES)  # before the first statement of an epoch
_DIGEST_BYTES: Final = 32
MAX_STATEMENT_BYTES: Final = 128


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said of one message."""

    epoch: int
    n: int  # from 1; of a status: of the newest statement
    seq: int  # 0: a status
    kind: int
    previous: bytes
    digest: bytes

    def encoded(self) -> bytes:
        """Return the bytes that are signed."""
        fields = [self.epoch, self.n, self.seq, self.kind, self.previous, self.digest]
        return encode_item(fields)


@dataclass(frozen=True, slots=True)
class Voucher:
    """A statement as it travels: its bytes, and who has signed them."""

    key_id: bytes
    statement: bytes
    signature: bytes

    @property
    def link(self) -> bytes:
        """What the next statement calls `previous`."""
        return hashlib.sha256(self.statement).digest()[:LINK_BYTES]

    def read(self) -> Statement:
        """Decode the statement.

        Raises:
            ProtocolError: It is none.
        """
        parts = as_array(decode_item(self.statement, MAX_STATEMENT_BYTES), "statement", 6)
        return Statement(
            epoch=as_int(parts[0], "epoch", 1, U32_MAX),
            n=as_int(parts[1], "n", 0, U32_MAX),
            seq=as_int(parts[2], "seq", 0, U32_MAX),
            kind=as_int(parts[3], "kind", 0, U32_MAX),
            previous=as_bytes(parts[4], "previous", (LINK_BYTES,)),
            digest=as_bytes(parts[5], "digest", (_DIGEST_BYTES,)),
        )

    def verify(self, keys: Mapping[bytes, PublicKey]) -> None:
        """Return if one of the keys has signed the statement.

        Raises:
            SignatureError: None has.
        """
        known = keys.get(self.key_id)
        if known is None:
            raise SignatureError(f"signed by key {self.key_id.hex()}, which is not the drone's")
        known.verify(Purpose.ALERT, self.statement, self.signature)


def vouch(statement: Statement, key: SigningKey) -> Voucher:
    """Sign a statement."""
    encoded = statement.encoded()
    return Voucher(key.key_id, encoded, key.sign(Purpose.ALERT, encoded))


def digest_of(body: bytes) -> bytes:
    """Return what a statement says of a body, or of a picture's file."""
    return hashlib.sha256(body).digest()


def voucher_bytes(voucher: Voucher) -> bytes:
    """Lay a voucher out for a row or a file."""
    return encode_item([voucher.key_id, voucher.statement, voucher.signature])


def voucher_from(data: bytes) -> Voucher:
    """Undo `voucher_bytes`.

    Raises:
        ProtocolError: It is none.
    """
    return voucher_from_parts(decode_item(data, 2 * MAX_STATEMENT_BYTES))


def voucher_from_parts(parts: object) -> Voucher:
    """Take a voucher out of the first three items of an array.

    Raises:
        ProtocolError: It is none.
    """
    items = as_array(parts, "voucher", 3)
    if not isinstance(items[1], bytes) or len(items[1]) > MAX_STATEMENT_BYTES:
        raise ProtocolError(f"statement: expected at most {MAX_STATEMENT_BYTES} bytes")
    return Voucher(
        key_id=as_bytes(items[0], "key id", (KEY_ID_BYTES,)),
        statement=items[1],
        signature=as_bytes(items[2], "signature", (SIGNATURE_BYTES,)),
    )
