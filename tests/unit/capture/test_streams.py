"""Video streams as autopilots and cameras really announce them."""

from __future__ import annotations

from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.link_frames import FrameCutter
from edge.capture.streams import (
    CAMERA_INFORMATION_ID,
    MAX_STREAMS,
    VIDEO_STREAM_INFORMATION_ID,
    MessageRequest,
    StreamCatalogue,
    stream_of,
    text_of,
    url_of,
)
from tests.unit.capture.mavlink_peer import ALL, packed

S = 1_000_000_000


def received(message: Any, component_id: int = 1) -> Any:
    """Send a message over the wire and back, as its receiver sees it."""
    return next(FrameCutter(ALL).cut(packed(message, 1, component_id)))[1]


def stream(
    stream_id: int, count: int, kind: int, uri: bytes, *, component_id: int = 1, encoding: int = 1
) -> Any:
    message = mavlink.MAVLink_video_stream_information_message(
        stream_id, count, kind, 1, 30.0, 1920, 1080, 4000, 0, 44, b"eo", uri, encoding
    )
    return received(message, component_id)


def camera(component_id: int = 1, is_there: bool = True) -> Any:
    name = [84, 101] + [0] * 30 if is_there else [0] * 32
    flags, width = (259, 1920) if is_there else (0, 0)
    message = mavlink.MAVLink_camera_information_message(
        0, name, name, 0, 0.0, 0.0, 0.0, width, width, 0, flags, 0, b""
    )
    return received(message, component_id)


@pytest.mark.parametrize(
    ("kind", "uri", "url"),
    [
        (0, "rtsp://10.0.0.2:8554/eo", "rtsp://10.0.0.2:8554/eo"),
        (0, "10.0.0.2:8554/eo", "rtsp://10.0.0.2:8554/eo"),
        (1, "5600", "udp://:5600"),
        (1, "192.168.1.20:5600", "udp://:5600"),
        (1, "239.1.2.3:5600", "udp://239.1.2.3:5600"),
        (1, "udp://127.0.0.1:5600", "udp://127.0.0.1:5600"),
        (1, "rtp://127.0.0.1:5600", "udp://127.0.0.1:5600"),
        (2, "10.0.0.2:5000", "tcp://10.0.0.2:5000"),
        (3, "5601", "mpegts+udp://:5601"),
        (3, "udp://:5601", "mpegts+udp://:5601"),
        (1, "99999", None),
        (1, "", None),
        (7, "5600", None),
    ],
)
def test_an_address_becomes_a_url_of_the_config(kind: int, uri: str, url: str | None) -> None:
    """RTP and MPEG-TS announce a bare port; hosts and whole URLs are understood too."""
    assert url_of(kind, uri) == url


@pytest.mark.parametrize(
    "uri",
    [
        "gst://fakesrc ! filesink location=owned",
        "v4l2:///dev/video0",
        "v4l2://x!filesink",
        "csi://0",
        "file:///etc/hosts",
        "tcp://camera!filesink:5600",
        "tcp://camera ! filesink location=owned name=x:5600",
        "udp://10.0.0.2 ! fakesink :5600",
        "rtsp://camera/eo ! fakesink",
        "rtsp://[camera",
        "rtsp://camera:70000/eo",
        "[camera",
        "rtsp://camera/\n",
        "camera ! filesink location=owned:5600",
    ],
)
@pytest.mark.parametrize("kind", [0, 1, 2, 3, 255])
def test_nothing_but_a_place_on_the_network_can_be_announced(kind: int, uri: str) -> None:
    """Who can send on the link names no device, no file and no element of a pipeline."""
    assert url_of(kind, uri) is None


def test_texts_come_in_every_shape() -> None:
    """A text may be str, bytes or numbers, padded with NULs or not ended at all."""
    assert text_of("eo\0rubbish") == "eo"
    assert text_of(b"eo\0\0") == "eo"
    assert text_of([101, 111, 0, 0]) == "eo"
    assert text_of(bytes([101, 111, 0xFF])).startswith("eo")
    assert text_of(None) == ""


def test_the_first_question_is_for_the_camera_and_then_for_all_its_streams() -> None:
    """259 is asked until it is answered, then 269 until every stream was named."""
    catalogue = StreamCatalogue()
    assert catalogue.due(0) == [MessageRequest(1, CAMERA_INFORMATION_ID)]
    assert catalogue.due(S // 2) == []
    catalogue.hear_camera(camera())
    assert catalogue.due(S) == [MessageRequest(1, VIDEO_STREAM_INFORMATION_ID)]
    catalogue.hear_stream(stream(1, 2, 0, b"rtsp://a/1"))
    assert catalogue.due(10 * S) == [MessageRequest(1, VIDEO_STREAM_INFORMATION_ID)]
    catalogue.hear_stream(stream(2, 2, 1, b"5600", encoding=0))
    assert catalogue.due(100 * S) == []
    first, second = catalogue.streams()
    assert (first.encoding, first.width_px, first.rate_hz) == ("h264", 1920, 30.0)
    assert (second.url, second.encoding) == ("udp://:5600", "auto")


def test_all_zeros_is_no_camera_and_is_asked_again_for_ever() -> None:
    """An autopilot that knows of no camera yet is asked on, ever more slowly, never never."""
    catalogue = StreamCatalogue()
    asked = 0
    for second in range(600):
        requests = catalogue.due(second * S)
        asked += len(requests)
        for request in requests:
            if request.message_id == CAMERA_INFORMATION_ID:
                catalogue.hear_camera(camera(is_there=False))
            else:
                catalogue.hear_stream(stream(0, 0, 0, b""))
    assert catalogue.streams() == ()
    assert 20 < asked < 60
    assert stream_of(stream(0, 0, 0, b"")) is None


def test_a_liar_cannot_announce_without_end() -> None:
    """However many streams a component announces, a bounded number is kept."""
    catalogue = StreamCatalogue()
    for number in range(200):
        catalogue.hear_stream(stream(number, 255, 0, b"rtsp://a/%d" % number))
    assert len(catalogue.streams()) == MAX_STREAMS
    catalogue.hear_stream(stream(0, 255, 0, b"rtsp://b/0"))
    assert "rtsp://b/0" in {one.url for one in catalogue.streams()}


def test_a_camera_component_answers_for_itself() -> None:
    """Components 100 to 105 are asked once seen; one address announced twice is one stream."""
    catalogue = StreamCatalogue()
    catalogue.saw(100)
    catalogue.saw(42)
    assert {request.component_id for request in catalogue.due(0)} == {1, 100}
    catalogue.hear_stream(stream(1, 1, 0, b"rtsp://cam/eo", component_id=100))
    catalogue.hear_stream(stream(1, 1, 0, b"rtsp://cam/eo", component_id=1))
    catalogue.hear_stream(stream(1, 1, 0, b"rtsp://liar/eo", component_id=42))
    assert [s.url for s in catalogue.streams()] == ["rtsp://cam/eo"]


def test_after_a_reboot_everybody_is_asked_again() -> None:
    """What was announced holds until the answer to the new question replaces it."""
    catalogue = StreamCatalogue()
    catalogue.hear_camera(camera())
    catalogue.hear_stream(stream(1, 1, 0, b"rtsp://cam/eo"))
    assert catalogue.due(0) == []
    catalogue.start_over()
    assert catalogue.due(S) == [MessageRequest(1, CAMERA_INFORMATION_ID)]
    assert len(catalogue.streams()) == 1
    catalogue.hear_stream(stream(1, 1, 0, b"rtsp://cam/ir"))
    assert [s.url for s in catalogue.streams()] == ["rtsp://cam/ir"]
