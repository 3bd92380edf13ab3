"""Laws of judging pictures, of waiting, of RTP packets and of time."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.gstreamer_recipes import recipe_from_url
from edge.capture.gstreamer_time import StreamTime
from edge.capture.rtp import (
    NTP_TO_UNIX_S,
    captured_from_ntp,
    encoding_of_rtp,
    ends_picture,
    shares_clock,
    starts_picture,
    unix_minus_mono_ns,
)
from edge.capture.video_records import TimeSource
from edge.capture.watch import Backoff, Look, PictureWatch

S = 1_000_000_000
RNG = np.random.default_rng(7)


def noise(low: int, high: int) -> np.ndarray:
    return RNG.integers(low, high, (720, 1280, 3), np.uint8)


def test_a_picture_that_stays_is_frozen_after_its_time_and_good_once_it_moves() -> None:
    """Sameness is no fault until it has lasted; any change ends it."""
    watch = PictureWatch(frozen_after_s=2.0)
    still = noise(50, 200)
    looks = [watch.look(still.copy(), t * S) for t in range(4)]
    assert looks == [Look.GOOD, Look.GOOD, Look.FROZEN, Look.FROZEN]
    assert watch.bad_for_s(3 * S) >= 2.0
    moved = still.copy()
    moved[320, 640] += 1  # one pixel of the grid, one level
    assert watch.look(moved, 4 * S) is Look.GOOD
    assert watch.bad_for_s(4 * S) == 0.0


def test_a_picture_still_frozen_after_a_reconnect_is_not_delivered() -> None:
    """A new connection that shows the old picture is given time, but not trusted."""
    watch = PictureWatch(frozen_after_s=1.0)
    still = noise(50, 200)
    for t in range(3):
        watch.look(still, t * S)
    watch.reconnected(10 * S)
    assert watch.bad_for_s(10 * S) == 0.0
    assert watch.look(still, 10 * S) is Look.FROZEN
    assert watch.look(noise(50, 200), 11 * S) is Look.GOOD


@pytest.mark.parametrize(
    ("image", "look"),
    [
        (np.zeros((720, 1280, 3), np.uint8), Look.BLACK),
        (noise(0, 6), Look.BLACK),
        (noise(0, 60), Look.GOOD),
        (np.full((720, 1280, 3), 12, np.uint8), Look.GOOD),
    ],
    ids=["black", "dark noise", "dusk", "dim and even"],
)
def test_black_is_dark_in_the_mean_and_everywhere(image: np.ndarray, look: Look) -> None:
    """Sensor noise does not hide black; a dim scene is not black."""
    assert PictureWatch(5.0).look(image, 0) is look


def test_a_city_at_night_is_not_black() -> None:
    """A few lamps in the dark are a picture."""
    night = noise(0, 5)
    night[300:340, 600:680] = 220
    assert PictureWatch(5.0).look(night, 0) is Look.GOOD


def test_waits_grow_with_jitter_up_to_the_bound_and_start_over() -> None:
    """Back-off doubles to 30 s and stays there for ever; success resets it."""
    random.seed(1)
    backoff = Backoff()
    waits = [backoff.next_s() for _ in range(3000)]
    assert 0.3 < waits[0] < 0.7
    assert waits[0] < waits[2] < waits[4]
    assert max(waits) <= 30.0
    assert min(waits[10:]) > 20.0
    assert len(set(waits[10:20])) > 1
    backoff.reset()
    assert backoff.next_s() < 0.7


def rtp(payload: bytes, csrc: int = 0, extension: bytes | None = None, kind: int = 96) -> bytes:
    first = 0x80 | csrc | (0x10 if extension is not None else 0)
    packet = struct.pack("!BBHII", first, kind, 1, 2, 3) + bytes(4 * csrc)
    if extension is not None:
        packet += struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
    return packet + payload


# First bytes of payloads as encoders send them.
H264_STARTS = [
    "67640028",
    "68ee3c80",
    "6588843f",
    "419a2100",
    "7c858884",
    "7c050102",
    "5c81",
    "7801",
]
H265_STARTS = ["40010c01", "42010101", "4401c071", "26019f80", "62019388", "0201d0e0", "60010018"]


@pytest.mark.parametrize("start", H264_STARTS)
@pytest.mark.parametrize("extension", [None, b"", bytes(8)])
def test_h264_is_told_by_its_packets(start: str, extension: bytes | None) -> None:
    """SPS, PPS, slices, STAP-A and FU-A each tell, behind any RTP header."""
    assert encoding_of_rtp(rtp(bytes.fromhex(start), 2, extension)) == "h264"


@pytest.mark.parametrize("start", H265_STARTS)
def test_h265_is_told_by_its_packets(start: str) -> None:
    """VPS, SPS, PPS, slices, aggregates and fragments each tell."""
    assert encoding_of_rtp(rtp(bytes.fromhex(start))) == "h265"


@pytest.mark.parametrize(
    ("codec", "start", "is_first"),
    [
        ("h264", "67640028", True),  # SPS
        ("h264", "65888400", True),  # IDR slice with macroblock 0
        ("h264", "65008884", False),  # a slice further down
        ("h264", "7c858884", True),  # FU-A, first part of the topmost slice
        ("h264", "7c850084", False),  # FU-A, first part of another slice
        ("h264", "7c058884", False),  # FU-A, a middle part
        ("h265", "40010c01", True),  # VPS
        ("h265", "2601af80", True),  # IDR, first slice segment
        ("h265", "26012f80", False),
        ("h265", "620193af", True),  # FU, first part of the first segment
        ("h265", "6201132f", False),
    ],
)
def test_a_pictures_first_packet_is_known(codec: str, start: str, is_first: bool) -> None:
    """A stream is joined at a picture's beginning, or after another's end."""
    assert starts_picture(rtp(bytes.fromhex(start)), codec) is is_first
    assert ends_picture(rtp(bytes.fromhex(start), kind=96 | 0x80))
    assert not ends_picture(rtp(bytes.fromhex(start)))


@given(st.binary(max_size=80))
def test_any_bytes_are_read_without_an_exception(packet: bytes) -> None:
    """What arrives on a port is input from outside."""
    assert encoding_of_rtp(packet) in {None, "h264", "h265"}
    for codec in ("h264", "h265"):
        assert starts_picture(packet, codec) in {True, False}
    assert ends_picture(packet) in {True, False}


def test_rtcp_and_strangers_tell_nothing() -> None:
    """RTCP shares a port with RTP; neither it nor another protocol is taken for video."""
    assert encoding_of_rtp(struct.pack("!BBHI", 0x80, 200, 6, 1) + bytes(20)) is None
    assert encoding_of_rtp(b"GET / HTTP/1.1\r\n") is None


def test_a_senders_time_is_used_where_it_is_plausible() -> None:
    """NTP on our axis where the sender's clock agrees with ours; else it is refused."""
    offset = unix_minus_mono_ns()
    arrived = 5_000 * S
    ntp = arrived + offset + NTP_TO_UNIX_S * S
    assert captured_from_ntp(ntp - S // 10, arrived, offset) == arrived - S // 10
    for wrong_s in (-3600, -3, 1, 890 * 365 * 86400):
        assert captured_from_ntp(ntp + wrong_s * S, arrived, offset) is None
    assert shares_clock("rtsp://127.0.0.1:8554/x")
    assert shares_clock("rtsp://localhost/x")


def test_a_trusted_timestamp_is_taken_as_it_is() -> None:
    """The buffer's own time stands, however late the decoder was."""
    stream = StreamTime(trusts_pts=True, trusts_ntp=False)
    for lag_ns in (0, 10_000_000, 900_000_000, 20_000_000):
        captured = stream.captured(50 * S, None, 50 * S + lag_ns)
        assert (captured.mono_ns, captured.source) == (50 * S, TimeSource.PTS)


@given(
    st.integers(-(10**6), 10**6).map(lambda s: s * S),
    st.lists(st.integers(0, 300_000_000), min_size=20, max_size=60),
)
def test_foreign_timestamps_are_moved_by_the_least_lag(offset: int, delays: list[int]) -> None:
    """A stream that counts from elsewhere keeps its even spacing, at the quickest picture's lag."""
    stream = StreamTime(trusts_pts=False, trusts_ntp=False)
    errors = []
    for index, delay in enumerate([0, *delays]):
        true_ns = 100 * S + index * 33_000_000
        captured = stream.captured(true_ns + offset, None, true_ns + delay)
        errors.append(captured.mono_ns - true_ns)
    assert errors == [0] * len(errors)


def test_without_a_timestamp_the_arrival_stands_and_says_so() -> None:
    """No PTS: the moment at the decoder, with its larger sigma."""
    captured = StreamTime(trusts_pts=True, trusts_ntp=True).captured(None, None, 7 * S)
    assert (captured.mono_ns, captured.source) == (7 * S, TimeSource.ARRIVAL)
    assert captured.sigma_s >= 0.05


def test_timestamps_that_start_over_are_followed() -> None:
    """A sender that restarts counts from zero again: what was learned before is dropped."""
    stream = StreamTime(trusts_pts=False, trusts_ntp=False)
    assert stream.captured(1000 * S, None, 50 * S).mono_ns == 50 * S
    assert stream.captured(0, None, 51 * S).mono_ns == 51 * S
    assert stream.captured(S, None, 52 * S).mono_ns == 52 * S


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("udp://:5600", "address=0.0.0.0 port=5600"),
        ("udp://127.0.0.1:5601", "address=127.0.0.1 port=5601"),
        ("udp://192.0.2.7:5600", "address=0.0.0.0 port=5600"),  # not ours: the sender's
        ("udp://239.1.2.3:5600", "address=239.1.2.3 port=5600"),
        ("mpegts://:5700", "tsdemux"),
        ("mpegts+udp://:5700", "port=5700"),
        ("tcp://192.0.2.7:5000", "host=192.0.2.7 port=5000"),
        ("v4l2:///dev/video2", "device=/dev/video2"),
    ],
)
def test_a_url_becomes_the_pipeline_it_names(url: str, expected: str) -> None:
    """Addresses that are not this computer's name the sender; groups are joined."""
    assert expected in recipe_from_url(url, "auto", 0.1).head


def test_an_rtsp_source_is_held_for_the_jitter_configured_only() -> None:
    """Not for GStreamer's default of two seconds."""
    recipe = recipe_from_url("rtsp://user:pass@192.0.2.7/cam?x=1", "auto", 0.15)
    assert recipe.properties["latency"] == 150
    assert recipe.properties["location"] == "rtsp://user:pass@192.0.2.7/cam?x=1"
