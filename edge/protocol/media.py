"""Evidence on the wire: one WebP crop, which travels apart from its alert and later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from edge.errors import ProtocolError
from edge.protocol.cbor import encode_item
from edge.protocol.fields import U16_MAX, as_bytes, as_int, as_map, required
from edge.protocol.messages import MessageKind, body_fields

MAX_IMAGE_BYTES: Final = 10 * 1024
_ID, _REVISION, _HASH, _IMAGE = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Media:
    """A picture of an incident."""

    incident_id: bytes  # 16 bytes
    revision: int  # of the alert that named its hash
    evidence_hash: bytes  # first 8 bytes of the SHA-256 of `image_webp`
    image_webp: bytes


def encode_media(media: Media) -> bytes:
    """Encode the body.

    Raises:
        ProtocolError: The picture is larger than MAX_IMAGE_BYTES, or a field is out of bounds.
    """
    if not 0 < len(media.image_webp) <= MAX_IMAGE_BYTES:
        raise ProtocolError(
            f"picture of {len(media.image_webp)} bytes; lower evidence.max_kb (at most 10)"
        )
    return encode_item(
        {
            _ID: as_bytes(media.incident_id, "incident id", (16,)),
            _REVISION: as_int(media.revision, "revision", 0, U16_MAX),
            _HASH: as_bytes(media.evidence_hash, "evidence hash", (8,)),
            _IMAGE: media.image_webp,
        }
    )


def decode_media(body: bytes) -> Media:
    """Decode the body.

    Raises:
        ProtocolError: Not a picture of ours; the message names the field.
    """
    fields = as_map(body_fields(body, MessageKind.MEDIA), "media")
    return Media(
        incident_id=as_bytes(required(fields, _ID, "incident id"), "incident id", (16,)),
        revision=as_int(required(fields, _REVISION, "revision"), "revision", 0, U16_MAX),
        evidence_hash=as_bytes(required(fields, _HASH, "evidence hash"), "evidence hash", (8,)),
        image_webp=_image(required(fields, _IMAGE, "image")),
    )


def _image(value: Any) -> bytes:
    is_webp = isinstance(value, bytes) and value[:4] == b"RIFF" and value[8:12] == b"WEBP"
    if not isinstance(value, bytes) or not is_webp or len(value) > MAX_IMAGE_BYTES:
        raise ProtocolError(f"image: not a WebP of at most {MAX_IMAGE_BYTES} bytes")
    return value
