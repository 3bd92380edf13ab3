"""An original on the wire: a sealed picture in parts, sent for a case by a signed command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from edge.errors import ProtocolError
from edge.protocol.cbor import encode_item
from edge.protocol.fields import U16_MAX, as_bytes, as_int, as_map, as_text, required
from edge.protocol.messages import MessageKind, body_fields

MAX_CASE_BYTES: Final = 96
PART_BYTES: Final = 8 * 1024
_DIGEST_BYTES: Final = 32
_ID, _DIGEST, _PART, _PARTS, _CASE, _DATA = range(1, 7)
# In a picture's file the hash of its original stands in a chunk of its own, which decoders skip.
_CHUNK: Final = b"SWOH"
CHUNK_BYTES: Final = 8 + _DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class OriginalPart:
    """One part of a sealed original."""

    incident_id: bytes
    digest: bytes  # SHA-256 of the picture before it was sealed
    part: int  # from 0
    parts: int
    case: str
    data: bytes


def parts_of(incident_id: bytes, digest: bytes, sealed: bytes, case: str) -> Iterator[OriginalPart]:
    """Cut a sealed original into parts."""
    count = max(1, -(-len(sealed) // PART_BYTES))
    for part in range(count):
        data = sealed[part * PART_BYTES : (part + 1) * PART_BYTES]
        yield OriginalPart(incident_id, digest, part, count, case, data)


def joined(parts: Iterable[OriginalPart]) -> bytes | None:
    """Put the parts of one original together; None while some are missing."""
    by_number = {one.part: one for one in parts}
    if not by_number or len(by_number) < next(iter(by_number.values())).parts:
        return None
    return b"".join(by_number[number].data for number in sorted(by_number))


def encode_part(one: OriginalPart) -> bytes:
    """Encode the body."""
    return encode_item(
        {
            _ID: as_bytes(one.incident_id, "incident id", (16,)),
            _DIGEST: as_bytes(one.digest, "digest", (_DIGEST_BYTES,)),
            _PART: as_int(one.part, "part", 0, U16_MAX),
            _PARTS: as_int(one.parts, "parts", 1, U16_MAX),
            _CASE: as_text(one.case, "case", MAX_CASE_BYTES),
            _DATA: one.data,
        }
    )


def decode_part(body: bytes) -> OriginalPart:
    """Decode the body.

    Raises:
        ProtocolError: Not a part of an original; the message names the field.
    """
    fields = as_map(body_fields(body, MessageKind.ORIGINAL), "original")
    parts = as_int(required(fields, _PARTS, "parts"), "parts", 1, U16_MAX)
    data = required(fields, _DATA, "data")
    if not isinstance(data, bytes) or len(data) > PART_BYTES:
        raise ProtocolError(f"data: expected at most {PART_BYTES} bytes")
    return OriginalPart(
        incident_id=as_bytes(required(fields, _ID, "incident id"), "incident id", (16,)),
        digest=as_bytes(required(fields, _DIGEST, "digest"), "digest", (_DIGEST_BYTES,)),
        part=as_int(required(fields, _PART, "part"), "part", 0, parts - 1),
        parts=parts,
        case=as_text(required(fields, _CASE, "case"), "case", MAX_CASE_BYTES),
        data=data,
    )


def with_original(webp: bytes, digest: bytes) -> bytes:
    """Write into a picture which original it was cut from: the alert's hash covers that, too."""
    chunk = _CHUNK + len(digest).to_bytes(4, "little") + digest
    size = len(webp) - 8 + len(chunk)
    return webp[:4] + size.to_bytes(4, "little") + webp[8:] + chunk


def original_of(webp: bytes) -> bytes | None:
    """Read which original a picture was cut from; None: it does not say."""
    tail = webp[-CHUNK_BYTES:]
    is_there = tail[:4] == _CHUNK and tail[4:8] == _DIGEST_BYTES.to_bytes(4, "little")
    return tail[8:] if is_there else None
