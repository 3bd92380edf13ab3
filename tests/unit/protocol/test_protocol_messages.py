"""Envelope, ack, status, media, loss record and topics."""

from __future__ import annotations

import contextlib

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ProtocolError
from edge.protocol.ack import MAX_EXTRA, Ack, Reject, decode_ack, encode_ack
from edge.protocol.cbor import encode_item
from edge.protocol.loss import LossCause, LossRecord, decode_loss, encode_loss
from edge.protocol.media import MAX_IMAGE_BYTES, Media, decode_media, encode_media
from edge.protocol.messages import (
    MAX_PAYLOAD_BYTES,
    MessageKind,
    Stamp,
    open_envelope,
    peek_stamp,
    seal,
)
from edge.protocol.status import (
    FlightStatus,
    LinkState,
    LookWanted,
    Status,
    StatusState,
    VideoDelay,
    decode_status,
    encode_status,
    flight_status_bytes,
    flight_status_from_bytes,
)
from edge.protocol.topics import (
    ack_topic,
    all_down,
    check_drone_id,
    command_topic,
    parse_up,
    up_topic,
)

U32 = st.integers(0, 2**32 - 1)
EPOCHS = st.integers(1, 2**32 - 1)
SEQS = st.integers(1, 2**32 - 1)
STAMPS = st.builds(Stamp, EPOCHS, U32)
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 "


@given(st.sampled_from(MessageKind), STAMPS, st.booleans(), st.binary(max_size=900))
def test_an_envelope_gives_back_what_was_put_in(
    kind: MessageKind, stamp: Stamp, is_replay: bool, content: bytes
) -> None:
    """Kind, stamp, replay and the body's very bytes survive the way."""
    body = encode_item(content)
    envelope = open_envelope(seal(kind, stamp, body, is_replay))
    assert (envelope.kind, envelope.stamp) == (kind, stamp)
    assert (envelope.is_replay, envelope.body) == (is_replay, body)


def test_a_replay_changes_the_envelope_and_not_the_body() -> None:
    """The body's bytes stay the same however often a message is sent."""
    body = encode_item("body")
    first = seal(MessageKind.ALERT, Stamp(7, 9), body)
    again = seal(MessageKind.ALERT, Stamp(7, 9), body, is_replay=True)
    assert first.endswith(body)
    assert again.endswith(body)
    assert [i for i, (a, b) in enumerate(zip(first, again, strict=True)) if a != b] == [1]


@given(st.binary(max_size=80))
def test_any_bytes_are_an_envelope_or_refused(data: bytes) -> None:
    """Nothing that arrives raises anything but ProtocolError, and peeking raises nothing."""
    peek_stamp(data)
    for decode in (open_envelope, decode_ack, decode_media, decode_loss):
        with contextlib.suppress(ProtocolError):
            decode(data)


def test_a_broken_body_still_tells_its_stamp() -> None:
    """The desk can name the message it refuses, so that the drone stops sending it."""
    payload = seal(MessageKind.ALERT, Stamp(11, 22), b"\xff\xff")
    with pytest.raises(ProtocolError):
        open_envelope(payload)
    assert peek_stamp(payload) == Stamp(11, 22)
    assert peek_stamp(encode_item([99, 11, 22, None])) == Stamp(11, 22)  # a kind of tomorrow
    assert peek_stamp(b"garbage") is None


@pytest.mark.parametrize("kind", MessageKind)
def test_a_payload_longer_than_its_kind_allows_is_refused_both_ways(kind: MessageKind) -> None:
    """The drone does not send what the desk would not take."""
    body = encode_item(bytes(MAX_PAYLOAD_BYTES[kind]))
    with pytest.raises(ProtocolError, match="bytes"):
        seal(kind, Stamp(1, 1), body)
    with pytest.raises(ProtocolError, match="at most"):
        open_envelope(b"\x84" + encode_item(int(kind)) + b"\x01\x01" + body)


def test_a_tag_anywhere_in_an_envelope_is_refused() -> None:
    """No tag reaches a decoder, however deep it hides."""
    body = cbor2.dumps({4: [cbor2.CBORTag(1, 0)]})
    with pytest.raises(ProtocolError, match="tag 1"):
        open_envelope(seal(MessageKind.ALERT, Stamp(1, 1), body))


@pytest.mark.parametrize(("epoch", "seq"), [(0, 1), (2**32, 1), (1, -1), (1, 2**32)])
def test_a_stamp_holds_no_nonsense(epoch: int, seq: int) -> None:
    """Epoch and seq are 32 bits, and no epoch is 0."""
    with pytest.raises(ProtocolError):
        Stamp(epoch, seq)


REJECTS = st.lists(st.builds(Reject, SEQS, st.text("abc ü", max_size=40)), max_size=5)


@given(EPOCHS, U32, st.lists(SEQS, max_size=20), REJECTS, st.booleans())
def test_an_ack_comes_back_whole(
    epoch: int, up_to: int, extra: list[int], reject: list[Reject], is_resume: bool
) -> None:
    """Encoding and decoding an ack are inverse."""
    ack = Ack(epoch, up_to, tuple(extra), tuple(reject), is_resume)
    assert decode_ack(encode_ack(ack)) == ack


def test_a_plain_ack_is_small() -> None:
    """What goes down for each batch is a dozen bytes."""
    assert len(encode_ack(Ack(2**32 - 1, 70_000))) <= 14


def test_an_ack_has_bounds() -> None:
    """Too many entries are refused, a long reason is cut."""
    with pytest.raises(ProtocolError, match="split it"):
        encode_ack(Ack(1, 0, tuple(range(1, MAX_EXTRA + 2))))
    long = encode_ack(Ack(1, 0, (), (Reject(1, "ä" * 500),)))
    assert decode_ack(long).reject[0].reason == "ä" * 48


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({2: 1}, "epoch"),
        ({1: 1}, "up_to"),
        ({1: 0, 2: 0}, "epoch"),
        ({1: 1, 2: 0, 3: 5}, "extra"),
        ({1: 1, 2: 0, 3: [0]}, "extra"),
        ({1: 1, 2: 0, 4: [[1]]}, "reject"),
        ({1: 1, 2: 0, 4: [[1, 2]]}, "reject reason"),
        ([1, 2], "ack"),
    ],
)
def test_a_wrong_ack_is_refused_by_field(fields: object, says: str) -> None:
    """A broken ack deletes nothing."""
    with pytest.raises(ProtocolError, match=says):
        decode_ack(encode_item(fields))


FLIGHTS = st.builds(
    FlightStatus,
    version=st.text("0123456789.", max_size=10),
    model_hash=st.sampled_from([b"", b"modelsha"]),
    config_hash=st.sampled_from([b"", b"confgsha"]),
    frame_rate_hz=st.integers(0, 240_000).map(lambda mhz: mhz / 1000),
    inference_rate_hz=st.integers(0, 240_000).map(lambda mhz: mhz / 1000),
    frames_dropped=U32,
    detections=U32,
    alerts=U32,
    link=st.sampled_from(LinkState),
    temperature_c=st.none() | st.integers(-40, 120).map(float),
    note=st.text("abc ü", max_size=30),
    candidates_dropped=U32,
    pictures_dropped=U32,
    other_models=st.lists(st.binary(min_size=8, max_size=8), max_size=15).map(tuple),
    video_delays=st.lists(
        st.builds(
            VideoDelay,
            camera_id=st.text("abc-", min_size=1, max_size=32),
            video_delay_ms=st.none() | st.integers(-5000, 10_000),
            video_delay_sigma_ms=st.none() | st.integers(0, 500),
            reason=st.sampled_from(["", "no_turns"]),
            is_off=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    looks_wanted=st.lists(
        st.builds(
            LookWanted,
            incident_id=st.binary(min_size=16, max_size=16),
            from_deg=st.integers(0, 359).map(float),
            ce90_m=st.integers(0, 9999).map(lambda dm: dm / 10),
        ),
        max_size=3,
    ).map(tuple),
)


@given(FLIGHTS)
def test_what_flight_says_of_itself_comes_back(flight: FlightStatus) -> None:
    """The status row in the mailbox and the status over the air hold the same."""
    assert flight_status_from_bytes(flight_status_bytes(flight)) == flight


@given(
    st.builds(
        Status,
        state=st.sampled_from(StatusState),
        epoch=EPOCHS,
        low_seq=U32,
        queued=U32,
        oldest_s=U32,
        utc_ms=st.none() | st.integers(0, 2**42),
        flight=st.none() | FLIGHTS,
        coalesced=U32,
        lost=U32,
        dead_letters=U32,
        evidence_dropped=U32,
        reconnects=U32,
        events_dropped=U32,
        is_resume=st.booleans(),
    )
)
def test_a_status_comes_back_whole(status: Status) -> None:
    """Every count, and the absence of flight, survive the way."""
    envelope = open_envelope(encode_status(status))
    assert envelope.kind is MessageKind.STATUS
    assert decode_status(envelope.body, envelope.stamp.epoch) == status


def test_counts_saturate_in_a_status() -> None:
    """A counter beyond 32 bits does not silence the drone."""
    payload = encode_status(Status(StatusState.ONLINE, 1, lost=2**40))
    assert decode_status(open_envelope(payload).body, 1).lost == 2**32 - 1


def test_a_status_of_one_model_that_lost_nothing_has_the_bytes_it_always_had() -> None:
    """What came later costs a status nothing where there is nothing to tell."""
    flight = FlightStatus(version="0.1", model_hash=b"modelsha", alerts=2)
    assert flight_status_bytes(flight).hex() == (
        "a60163302e310248" + b"modelsha".hex() + "04000500" + "08020900"
    )


def test_models_of_other_cameras_are_hashes_and_not_too_many() -> None:
    """A status is small, whatever a drone claims to carry."""
    many = flight_status_bytes(FlightStatus(other_models=(b"modelsha",) * 99))
    assert len(flight_status_from_bytes(many).other_models) == 15
    for wrong in ([b"short"], ["modelsha"], 7, [b"modelsha"] * 16):
        with pytest.raises(ProtocolError, match="other model"):
            flight_status_from_bytes(encode_item({14: wrong}))


@pytest.mark.parametrize(
    "wrong",
    [
        7,
        [["main", 120, 5, "", False]] * 16,
        [["main", 120, 5]],
        [["main", 120.5, 5, "", False]],
        [["main", 120, -5, "", False]],
        [["main", 120, 5, "", 1]],
        [["m" * 33, 120, 5, "", False]],
    ],
)
def test_a_wrong_video_delay_is_refused(wrong: object) -> None:
    """A status whose delays cannot be is no status."""
    with pytest.raises(ProtocolError, match="video delay"):
        flight_status_from_bytes(encode_item({15: wrong}))


def test_the_looks_that_are_wanted_are_few_and_whole() -> None:
    """Three at most go over the air, in less than 30 bytes each; anything else is refused."""
    wanted = LookWanted(b"i" * 16, 359.7, 3.14)
    plain, many = (flight_status_bytes(FlightStatus(looks_wanted=w)) for w in ((), (wanted,) * 9))
    back = flight_status_from_bytes(many).looks_wanted
    assert back == (LookWanted(b"i" * 16, 0.0, 3.1),) * 3
    assert len(many) - len(plain) < 90
    good = [b"i" * 16, 10, 31]
    for wrong in ([good] * 4, [good[:2]], [[b"short", 10, 31]], [[b"i" * 16, 360, 31]], 7):
        with pytest.raises(ProtocolError):
            flight_status_from_bytes(encode_item({16: wrong}))


def test_a_picture_comes_back_and_others_are_refused() -> None:
    """Media carries a WebP of at most 10 KB and nothing else."""
    media = Media(b"i" * 16, 3, b"evidence", WEBP + bytes(100))
    assert decode_media(encode_media(media)) == media
    whole = seal(
        MessageKind.MEDIA,
        Stamp(2**32 - 1, 2**32 - 1),
        encode_media(Media(b"i" * 16, 3, b"evidence", WEBP + bytes(MAX_IMAGE_BYTES - len(WEBP)))),
    )
    assert open_envelope(whole).kind is MessageKind.MEDIA
    with pytest.raises(ProtocolError, match="picture"):
        encode_media(Media(b"i" * 16, 3, b"evidence", WEBP + bytes(MAX_IMAGE_BYTES)))
    with pytest.raises(ProtocolError, match="WebP"):
        decode_media(encode_media(Media(b"i" * 16, 3, b"evidence", b"\x89PNG" + bytes(100))))


COUNTS = st.tuples(*[st.integers(0, 10**6)] * 4)
LOSSES = st.builds(LossRecord, st.just(LossCause.EVICTED), COUNTS, U32, U32, st.text("abc"))


@given(LOSSES, LOSSES)
def test_merged_loss_records_speak_for_both(one: LossRecord, other: LossRecord) -> None:
    """Merging loses no count, and the merged record comes back whole."""
    both = one.plus(other)
    assert both.count == one.count + other.count
    assert both.last_seq == max(one.last_seq, other.last_seq)
    got = decode_loss(encode_loss(both))
    assert (got.by_severity, got.first_seq, got.last_seq) == (
        both.by_severity,
        both.first_seq,
        both.last_seq,
    )


@pytest.mark.parametrize("drone_id", ["", "a b", "a/b", "+", "#", "x" * 33, "desk", "dr\n", "ä"])
def test_a_drone_id_is_one_level_of_a_topic(drone_id: str) -> None:
    """No id reaches into another's topics."""
    with pytest.raises(ProtocolError, match="drone id"):
        check_drone_id(drone_id)
    with pytest.raises(ProtocolError):
        parse_up(f"sw/v1/{drone_id}/up/alert")


@pytest.mark.parametrize("kind", MessageKind)
def test_a_built_topic_parses_back(kind: MessageKind) -> None:
    """What a drone publishes to is what the desk understands."""
    parsed = parse_up(up_topic("patrol-1", kind))
    assert parsed.drone_id == "patrol-1"
    assert ack_topic("patrol-1") == "sw/v1/patrol-1/dn/ack"
    assert command_topic("patrol-1") == "sw/v1/patrol-1/dn/cmd"
    assert all_down("patrol-1") == "sw/v1/patrol-1/dn/#"


@pytest.mark.parametrize(
    "topic", ["", "sw/v2/d/up/alert", "sw/v1/d/dn/ack", "sw/v1/d/up/other", "sw/v1/d/up/alert/x"]
)
def test_other_topics_are_refused(topic: str) -> None:
    """Only version 1, only the way up, only known channels."""
    with pytest.raises(ProtocolError, match="topic"):
        parse_up(topic)


def test_a_loss_record_goes_where_alerts_go() -> None:
    """An ACL that lets alerts through lets the news of a lost one through."""
    assert up_topic("d", MessageKind.LOSS) == up_topic("d", MessageKind.ALERT)
