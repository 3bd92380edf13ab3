"""From a row of the outbox to an MQTT message, checked before it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.errors import ProtocolError
from edge.protocol.alert import decode_alert
from edge.protocol.loss import decode_loss
from edge.protocol.media import Media, encode_media
from edge.protocol.messages import MessageKind, Stamp, body_fields, seal
from edge.protocol.mqtt_events import Message
from edge.protocol.topics import PUT_MONO_PROPERTY, up_topic
from edge.protocol.vouch import voucher_from
from edge.report.outbox import OutboxRow

# A row that has waited longer was held up by an outage: the desk should not take it for news.
REPLAY_AFTER_S: Final = 30.0
_LONGEST_EXPIRY_S: Final = 30 * 86_400
_HEADER_BYTES: Final = 128  # of an MQTT PUBLISH: topic and properties


class EvidenceGoneError(ProtocolError):
    """The picture a row wants to send is no longer on the disk."""


def message_from_row(
    row: OutboxRow, drone_id: str, epoch: int, *, tell_put_time: bool = False
) -> Message:
    """Build what is published for a row.

    The body's bytes are those that were put; only the envelope says whether it is a replay.

    Args:
        row: The row.
        drone_id: Names the topic.
        epoch: Of the mailbox.
        tell_put_time: Send the instant of the put along, for a desk on this computer.

    Raises:
        EvidenceGoneError: A picture's file is gone.
        ProtocolError: The row is not what the desk would take; sending it again will not help.
    """
    body = _checked_body(row)
    is_replay = row.age_s is None or row.age_s > REPLAY_AFTER_S
    voucher = None if row.voucher is None else voucher_from(row.voucher)
    payload = seal(row.kind, Stamp(epoch, row.seq), body, is_replay, voucher)
    expiry_s = None
    if row.remaining_s is not None and row.remaining_s < _LONGEST_EXPIRY_S:
        expiry_s = max(1, int(row.remaining_s))
    return Message(
        up_topic(drone_id, row.kind),
        payload,
        expiry_s=expiry_s,
        user_properties=((PUT_MONO_PROPERTY, str(row.put_mono_ns)),) if tell_put_time else (),
    )


def check_packet_size(message: Message, max_packet_bytes: int | None) -> None:
    """Refuse what the broker has said it will not take.

    Raises:
        ProtocolError: Larger than the broker's limit.
    """
    size = len(message.payload) + len(message.topic) + _HEADER_BYTES
    if max_packet_bytes is not None and size > max_packet_bytes:
        raise ProtocolError(
            f"{len(message.payload)} bytes; the broker takes packets of {max_packet_bytes}"
        )


def _checked_body(row: OutboxRow) -> bytes:
    if row.kind is MessageKind.MEDIA:
        return _media_body(row, row.evidence)
    if row.kind is MessageKind.ALERT:
        decode_alert(row.body)
    elif row.kind is MessageKind.LOSS:
        decode_loss(row.body)
    else:
        body_fields(row.body, row.kind)
    return row.body


def _media_body(row: OutboxRow, path: Path | None) -> bytes:
    if path is None or row.incident_id is None:
        raise ProtocolError("a picture's row without a path or an incident")
    try:
        image = path.read_bytes()
    except OSError as error:
        raise EvidenceGoneError(f"{path}: {error.strerror}") from error
    return encode_media(Media(row.incident_id, row.revision, row.body, image))
