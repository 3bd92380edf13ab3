"""Messages as people read them: what `skywhistle decode` prints."""

from __future__ import annotations

import json

import pytest

from edge.errors import ProtocolError
from edge.protocol.ack import Ack, Reject, encode_ack
from edge.protocol.alert import encode_alert
from edge.protocol.cbor import encode_item
from edge.protocol.loss import LossCause, LossRecord, encode_loss
from edge.protocol.media import Media, encode_media
from edge.protocol.messages import MessageKind, Stamp, seal
from edge.protocol.status import FlightStatus, LookWanted, Status, StatusState, encode_status
from edge.protocol.text import decode_any, decode_stream, describe, utc_text
from edge.records import TimeQuality, UtcNs, UtcTime
from tests.unit.protocol.alerts import typical_alert

ALERT = seal(MessageKind.ALERT, Stamp(7, 42), encode_alert(typical_alert()))
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 "
EVERY_KIND = {
    "alert": ALERT,
    "ack": encode_ack(Ack(7, 41, (42, 44), (Reject(43, "label: too long"),))),
    "status": encode_status(Status(StatusState.ONLINE, 7, flight=FlightStatus(version="0.1"))),
    "loss": seal(
        MessageKind.LOSS,
        Stamp(7, 45),
        encode_loss(LossRecord(LossCause.EVICTED, (0, 0, 1, 2), 3, 9, "mailbox full")),
    ),
    "media": seal(
        MessageKind.MEDIA,
        Stamp(7, 46),
        encode_media(Media(b"i" * 16, 1, b"evidence", WEBP)),
    ),
    "cover": seal(MessageKind.COVER, Stamp(7, 47), encode_item({1: [b"tile", 3]})),
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_is_told_in_json_and_in_text(kind: str) -> None:
    """A message says its kind and size, and JSON can hold all of it."""
    message = decode_any(EVERY_KIND[kind])
    assert message.kind == kind
    assert json.loads(json.dumps(describe(EVERY_KIND[kind])))["kind"] == kind
    assert message.as_text().startswith(kind)
    assert f"{len(EVERY_KIND[kind])} bytes" in message.as_text()


def test_a_status_tells_from_where_to_look_again() -> None:
    """A reader sees the incident's id, the side in degrees and the radius to expect."""
    wanted = LookWanted(b"i" * 16, 210.0, 3.1)
    flight = FlightStatus(version="0.1", looks_wanted=(wanted,))
    told = json.dumps(describe(encode_status(Status(StatusState.ONLINE, 7, flight=flight))))
    for part in ((b"i" * 16).hex(), "from_deg", "210.0", "ce90_m", "3.1"):
        assert part in told


def test_an_alert_is_told_with_its_units() -> None:
    """A reader sees degrees, metres and names, not scaled integers."""
    fields = decode_any(ALERT).fields
    assert fields["lat_deg"] == 31.5701234
    assert fields["ellipse90_a_m"] == 3.4
    assert fields["label"] == "structure"
    assert fields["department"] == "城管"
    assert fields["grid_cell"] == "320206001001007"
    assert fields["time_utc"] == "2026-09-10T00:28:43.456Z"


def test_the_bare_body_of_an_alert_is_understood() -> None:
    """What stands in the mailbox can be decoded too."""
    assert decode_any(encode_alert(typical_alert())).fields == decode_any(ALERT).fields


def _as_hex(payloads: list[bytes]) -> bytes:
    return b"\n".join(payload.hex().encode() for payload in payloads)


def test_a_stream_of_hex_raw_or_topics_gives_the_same_messages() -> None:
    """Files, pipes and every output format of mosquitto_sub are understood."""
    payloads = list(EVERY_KIND.values())
    kinds = [decode_any(payload).kind for payload in payloads]
    streams = {
        "concatenated": b"".join(payloads),
        "a newline after each": b"".join(payload + b"\n" for payload in payloads),
        "hex lines": _as_hex(payloads),
        "hex in capitals, spaced": _as_hex(payloads).upper().replace(b"84", b"84 "),
        "topic and hex": b"\n".join(
            b"sw/v1/d1/up/alert " + payload.hex().encode() for payload in payloads
        ),
    }
    for name, data in streams.items():
        assert [message.kind for message in decode_stream(data)] == kinds, name
    topics = [message.topic for message in decode_stream(streams["topic and hex"])]
    assert topics == ["sw/v1/d1/up/alert"] * len(payloads)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (ALERT + b"garbage", f"offset {len(ALERT)}"),
        (ALERT[:-1], "offset 0"),
        (_as_hex([ALERT]) + b"\n8401", "line 2"),
        (b"\xa1\x01\x01", "up_to"),
    ],
)
def test_what_is_no_message_is_refused_with_its_place(data: bytes, says: str) -> None:
    """The reader learns where the bytes went wrong."""
    with pytest.raises(ProtocolError, match=says):
        list(decode_stream(data))


def test_nothing_is_no_message() -> None:
    """An empty input holds no messages and is no error."""
    assert list(decode_stream(b"")) == []
    assert list(decode_stream(b"\n\n")) == []


def test_an_unknown_or_impossible_time_is_shown_as_such() -> None:
    """Garbage from a broken clock does not hide the alert."""
    assert utc_text(None) is None
    assert utc_text(2**63) == "2262-04-11T23:47:16.854Z"
    assert utc_text(2**70) == f"{2**70} ns"
    late = typical_alert(time=UtcTime(UtcNs(2**70), TimeQuality.GNSS))
    assert decode_any(encode_alert(late)).fields["time_utc"].endswith(" ns")


def test_no_text_of_an_alert_reaches_the_terminal_raw() -> None:
    """What would clear a screen or move its cursor is shown as what it is."""
    alert = typical_alert(label="a\x1b[2J\r", department="城管\u202e")
    told = next(decode_stream(encode_alert(alert))).as_text()
    assert all(line.isprintable() for line in told.split("\n"))
    assert "a\\x1b[2J\\r" in told
    assert "城管" in told


def test_what_is_no_number_is_text_in_json() -> None:
    """A body of a later schema may hold NaN and infinities, which JSON has not."""
    payload = seal(MessageKind.COVER, Stamp(7, 1), encode_item([float("nan"), float("-inf"), 0.5]))
    told = json.loads(json.dumps(describe(payload), allow_nan=False))
    assert told["fields"]["body"] == ["nan", "-inf", 0.5]
