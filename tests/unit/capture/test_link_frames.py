"""Cutting frames out of whatever else comes down the wire."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.link_frames import FrameCutter
from tests.unit.capture.mavlink_peer import ALL, heartbeat, message_of, packed

# Noise that starts no frame: a false start is another law's business.
plain_noise = st.binary(max_size=40).map(lambda noise: noise.translate(None, b"\xfd\xfe"))


@settings(deadline=None)
@given(st.lists(plain_noise, min_size=1, max_size=12), st.lists(st.integers(1, 60), min_size=1))
def test_every_frame_is_found_among_noise_however_it_is_cut(
    noises: list[bytes], sizes: list[int]
) -> None:
    """Frames between noise all come out, in order, whatever the sizes of the reads."""
    data = b"".join(noise + packed(message_of("ATTITUDE", n)) for n, noise in enumerate(noises))
    cutter, found, at = FrameCutter(ALL), [], 0
    while at < len(data):
        size = sizes[at % len(sizes)]
        found += [message.time_boot_ms for _, message in cutter.cut(data[at : at + size])]
        at += size
    assert found == list(range(len(noises)))
    assert cutter.counts.messages == len(noises)
    assert cutter.counts.bad_crc == 0


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_at_all_are_survived(data: bytes) -> None:
    """Garbage of any kind ends in counts, and a datagram behind it is still read."""
    cutter = FrameCutter(ALL)
    list(cutter.cut(data, is_whole=True))
    good = list(cutter.cut(packed(heartbeat()), is_whole=True))
    assert len(good) == 1


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_garbage_on_a_stream_delays_and_does_not_deafen(data: bytes) -> None:
    """Behind garbage that looks like the start of a frame the good frames come within a few."""
    cutter = FrameCutter(ALL)
    list(cutter.cut(data))
    found = [found for _ in range(60) for found in cutter.cut(packed(heartbeat()))]
    assert len(found) >= 60 - 300 // len(packed(heartbeat())) - 1


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 33), st.integers(1, 255))
def test_a_flipped_bit_is_never_read_as_data(boot_ms: int, at: int, flip: int) -> None:
    """A frame with a damaged byte does not come out."""
    frame = bytearray(packed(message_of("ATTITUDE", boot_ms)))
    frame[at % len(frame)] ^= flip
    cutter = FrameCutter(ALL)
    assert [message for _, message in cutter.cut(bytes(frame), is_whole=True)] == []


def test_mavlink_1_and_signed_frames_are_read() -> None:
    """Version 1 headers and signatures change the length, not the content."""
    encoder = mavlink.MAVLink(None, 1, 1)
    first = bytes(heartbeat().pack(encoder, force_mavlink1=True))
    encoder.signing.secret_key = b"k" * 32
    encoder.signing.sign_outgoing = True
    signed = bytes(heartbeat().pack(encoder))
    cutter = FrameCutter(ALL)
    found = [message.get_type() for _, message in cutter.cut(first + signed)]
    assert found == ["HEARTBEAT", "HEARTBEAT"]


def test_what_nobody_wants_is_counted_and_not_decoded() -> None:
    """Only wanted messages cost their decoding; the others give their header."""
    cutter = FrameCutter({"ATTITUDE"})
    frames = packed(heartbeat()) + packed(message_of("ATTITUDE", 7), 1, 1)
    (beat, nothing), (_, attitude) = cutter.cut(frames)
    assert nothing is None
    assert (beat.message_id, beat.system_id, beat.component_id) == (0, 1, 1)
    assert attitude.time_boot_ms == 7
