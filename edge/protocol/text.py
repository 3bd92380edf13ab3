"""Messages as people read them: plain dictionaries for JSON, and a few lines of text."""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Any, Final

from edge.errors import ProtocolError
from edge.protocol.ack import decode_ack
from edge.protocol.alert import decode_alert
from edge.protocol.cbor import decode_item, item_end, read_head
from edge.protocol.command import decode_command
from edge.protocol.loss import decode_loss
from edge.protocol.media import decode_media
from edge.protocol.messages import Envelope, MessageKind, open_envelope
from edge.protocol.original import decode_part
from edge.protocol.signed_ack import unproved_ack
from edge.protocol.signing import is_signed, peek_signed
from edge.protocol.status import decode_status
from edge.records import Alert, AlertFlags

MAX_DECODE_BYTES: Final = 16 * 1024
_EPOCH_1970: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MAP_MAJOR, _ARRAY_MAJOR = 5, 4
_HEX_LINE: Final = re.compile(rb"(?:(?P<topic>sw/v1/[!-~]+)\s+)?(?P<hex>(?:[0-9A-Fa-f]{2}\s*)+)")


@dataclass(frozen=True, slots=True)
class DecodedMessage:
    """A message in words."""

    kind: str  # alert, media, status, loss, cover, result, ack
    fields: dict[str, Any]  # only what JSON can hold
    size_bytes: int
    epoch: int | None = None
    seq: int | None = None
    is_replay: bool = False
    topic: str | None = None
    signed_by: str | None = None  # the key's id; nobody has checked the signature here

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        whole = asdict(self)
        return {key: value for key, value in whole.items() if value is not None}

    def as_text(self) -> str:
        """Readable lines: one for the message, one for each field."""
        number = "" if self.seq is None else f" {self.epoch:08x}:{self.seq}"
        replay = " (replay)" if self.is_replay else ""
        signed = "" if self.signed_by is None else f", signed by {self.signed_by} (not checked)"
        head = f"{self.kind}{number}{replay}, {self.size_bytes} bytes{signed}"
        return "\n".join([head, *_lines(self.fields, "  ")])


def describe(payload: bytes) -> dict[str, Any]:
    """Decode one payload of any kind into a dictionary for JSON.

    Raises:
        ProtocolError: Not a message of ours.
    """
    return decode_any(payload).as_dict()


def decode_any(payload: bytes, topic: str | None = None) -> DecodedMessage:
    """Decode one payload of any kind: an envelope, an ack, a command, or the body of an alert.

    Raises:
        ProtocolError: Not a message of ours.
    """
    major, _, _ = read_head(payload, 0)
    if major == _MAP_MAJOR:
        return _decode_map(payload, topic)
    if is_signed(payload):
        return _decode_signed(payload, topic)
    envelope = open_envelope(payload)
    return DecodedMessage(
        kind=envelope.kind.name.lower(),
        fields=_describe_body(envelope),
        size_bytes=len(payload),
        epoch=envelope.stamp.epoch,
        seq=envelope.stamp.seq,
        is_replay=envelope.is_replay,
        topic=topic,
        signed_by=None if envelope.voucher is None else envelope.voucher.key_id.hex(),
    )


def decode_stream(data: bytes) -> Iterator[DecodedMessage]:
    r"""Decode what came from a file or a pipe, one message after the other.

    Takes hex (one message a line, as `mosquitto_sub -F %x` prints it, with the topic before it as
    `-F "%t %x"` does), and raw bytes, concatenated or with newlines between, as plain
    `mosquitto_sub` writes them.

    Raises:
        ProtocolError: At the first message that is not ours; it names the line or the offset.
    """
    lines = [line.strip() for line in data.splitlines() if line.strip()]
    matches = [_HEX_LINE.fullmatch(line) for line in lines]
    if lines and all(matches):
        for number, match in enumerate(matches, start=1):
            assert match is not None  # all() said so
            topic = match["topic"].decode() if match["topic"] else None
            raw = binascii.unhexlify(b"".join(match["hex"].split()))
            yield _decode_named(raw, topic, f"line {number}")
        return
    yield from _decode_raw(data)


def alert_as_dict(alert: Alert) -> dict[str, Any]:
    """Lay an alert out for JSON, GeoJSON properties and CSV: flat, units in the names."""
    ellipse, reading = alert.ellipse, alert.reading
    fields: dict[str, Any] = {
        "kind": alert.kind.name.lower(),
        "incident_id": alert.incident_id.hex(),
        "revision": alert.revision,
        "label": alert.label,
        "lat_deg": alert.lat_deg,
        "lon_deg": alert.lon_deg,
        "ground_amsl_m": alert.ground_amsl_m,
        "ellipse90_a_m": ellipse.a_m,
        "ellipse90_b_m": ellipse.b_m,
        "ellipse90_azimuth_deg": ellipse.azimuth_deg,
        "time_utc": utc_text(alert.time.utc_ns),
        "time_quality": alert.time.quality.name.lower(),
        "time_boot_ms": alert.time.boot_ms,
        "sync_error_ms": alert.sync_error_ms,
        "score": alert.score,
        "threshold": alert.threshold,
        "looks": alert.looks,
        "rule": alert.rule,
        "severity": alert.severity,
        "department": alert.department,
        "event_code": alert.event_code,
        "grid_cell": alert.grid_cell,
        "extent_w_m": alert.extent_w_m,
        "extent_h_m": alert.extent_h_m,
        "gsd_m_per_px": alert.gsd_m_per_px,
        "box_xyxy": None if alert.box_xyxy is None else list(alert.box_xyxy),
        "model_hash": alert.model_hash.hex(),
        "config_hash": alert.config_hash.hex(),
        "evidence_hash": alert.evidence_hash.hex(),
        "flags": flag_names(alert.flags),
    }
    if reading is not None:
        fields["reading"] = reading.value
        fields["reading_unit"] = reading.unit
        fields["reading_averaging_s"] = reading.averaging_s
    return fields


def flag_names(flags: AlertFlags) -> list[str]:
    """The names of the flags that are set."""
    return [name for name, is_set in asdict(flags).items() if is_set]


def utc_text(utc_ns: int | None) -> str | None:
    """ISO 8601 with milliseconds, or None where no UTC is known."""
    if utc_ns is None:
        return None
    try:
        instant = _EPOCH_1970 + timedelta(milliseconds=utc_ns // 1_000_000)
    except OverflowError:  # beyond year 9999: garbage, but shown as what it is
        return f"{utc_ns} ns"
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def printable(text: str) -> str:
    """Write what would move a terminal's cursor, or worse, as its number: others sent this text."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _decode_signed(payload: bytes, topic: str | None) -> DecodedMessage:
    """Decode what the desk signs, an ack or a command; who signed is told, not checked."""
    key_id, body = peek_signed(payload, MAX_DECODE_BYTES)
    by = key_id.hex()
    if read_head(body, 0)[0] == _MAP_MAJOR:
        command = _plain(asdict(decode_command(body)))
        return DecodedMessage("command", command, len(payload), topic=topic, signed_by=by)
    drone, ack = unproved_ack(payload)
    told = {"drone_id": drone, **_plain(asdict(ack))}
    size = len(payload)
    return DecodedMessage("ack", told, size, epoch=ack.epoch, topic=topic, signed_by=by)


def _decode_map(payload: bytes, topic: str | None) -> DecodedMessage:
    fields = decode_item(payload, MAX_DECODE_BYTES)
    if isinstance(fields.get(2), bytes):  # an alert's incident id; an ack has a number there
        return DecodedMessage(
            "alert", alert_as_dict(decode_alert(payload)), len(payload), topic=topic
        )
    ack = decode_ack(payload)
    return DecodedMessage("ack", _plain(asdict(ack)), len(payload), epoch=ack.epoch, topic=topic)


def _describe_body(envelope: Envelope) -> dict[str, Any]:
    if envelope.kind is MessageKind.ALERT:
        return alert_as_dict(decode_alert(envelope.body))
    if envelope.kind is MessageKind.MEDIA:
        media = decode_media(envelope.body)
        fields: dict[str, Any] = _plain(asdict(media))
        return fields | {"image_webp": f"{len(media.image_webp)} bytes"}
    if envelope.kind is MessageKind.ORIGINAL:
        part = decode_part(envelope.body)
        return dict(_plain(asdict(part))) | {"data": f"{len(part.data)} bytes"}
    if envelope.kind is MessageKind.LOSS:
        loss = decode_loss(envelope.body)
        return dict(_plain(asdict(loss))) | {"count": loss.count}
    if envelope.kind is MessageKind.STATUS:
        status = decode_status(envelope.body, envelope.stamp.epoch)
        return dict(_plain(asdict(status)))
    return {"body": _plain(decode_item(envelope.body, MAX_DECODE_BYTES))}


def _decode_raw(data: bytes) -> Iterator[DecodedMessage]:
    at = 0
    while at < len(data):
        if data[at] in b"\r\n":  # between messages; none of ours starts so
            at += 1
            continue
        try:
            if data[at] >> 5 not in (_MAP_MAJOR, _ARRAY_MAJOR):
                raise ProtocolError(
                    f"byte {data[at]:#04x} starts no message; wanted are the payload's bytes, or "
                    "lines of hex as from mosquitto_sub -F '%x'"
                )
            end = item_end(data, at)
        except ProtocolError as error:
            raise ProtocolError(f"at offset {at}: {error}") from error
        yield _decode_named(data[at:end], None, f"at offset {at}")
        at = end


def _decode_named(payload: bytes, topic: str | None, where: str) -> DecodedMessage:
    try:
        return decode_any(payload, topic)
    except ProtocolError as error:
        raise ProtocolError(f"{where}: {error}") from error


def _plain(value: Any) -> Any:
    """Turn bytes into hex and enums into names, all the way down."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no word for it
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _lines(fields: dict[str, Any], indent: str) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield printable(f"{indent}{name}")
            yield from _lines(value, indent + "  ")
        elif value not in (None, "", []):
            shown = ", ".join(str(item) for item in value) if isinstance(value, list) else value
            yield printable(f"{indent}{name:<22} {shown}")
