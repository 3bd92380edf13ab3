"""The served camera: found over MAVLink, received by real GStreamer, in step with the vehicle."""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ScenarioError
from sim.serve import ServedFlight, ServeOptions, ServeStatus, serve
from sim.wire.camera import Announce
from sim.wire.flight import read_wire_flight
from tests.wire_flights import (
    HEIGHT_PX,
    RATE_HZ,
    WIDTH_PX,
    MadeFlight,
    index_from_yaw,
    write_flight,
)
from tests.wire_ground import Ground, Receiver, free_port, rtp, rtsp

pytest.importorskip("gi", reason="needs the extra `gstreamer`")
pytestmark = pytest.mark.system

ATTITUDE = 30
LATENCY_S = 0.12


def test_rtp_is_announced_by_its_port_and_in_step(made_flight: Path, ground: Ground) -> None:
    """The picture that arrives shows where telemetry says the vehicle was, the latency before."""
    port = free_port()
    receiver = Receiver(rtp(port))
    options = ServeOptions(mavlink=(ground.url,), rtp_port=port, rtsp_host=None)
    with ServedFlight(read_wire_flight(made_flight), options):
        ground.wait_for("HEARTBEAT")
        ground.ask(ATTITUDE, 50)
        ground.beat()
        ground.command(512, 259, component=100)
        camera = ground.wait_for("CAMERA_INFORMATION")
        ground.command(512, 269, 0, component=100)
        stream = ground.wait_for("VIDEO_STREAM_INFORMATION")
        ground.listen(1.2)
        receiver.wait(25)
    receiver.close()
    assert camera.flags & 256 and camera.get_srcComponent() == 100
    assert (stream.type, stream.uri, stream.count, stream.encoding) == (1, str(port), 1, 1)
    assert (stream.resolution_h, stream.resolution_v) == receiver.size == (WIDTH_PX, HEIGHT_PX)
    assert stream.framerate == pytest.approx(RATE_HZ, rel=0.02)
    # On a busy machine a picture comes late, never early: the prompt ones show the truth.
    ahead = _ahead(ground, [(t, index) for t, index, _ in receiver.seen])
    assert max(ahead) < 1.5
    assert abs(float(np.quantile(ahead, 0.9))) < 1.5


def test_rtsp_serves_two_clients_and_tells_the_time(made_flight: Path, ground: Ground) -> None:
    """Whoever comes late begins at a key frame, and RTCP gives each picture its NTP time."""
    options = ServeOptions(
        mavlink=(ground.url,), rtp_host=None, rtsp_port=0, announce=Announce.RTSP
    )
    with ServedFlight(read_wire_flight(made_flight), options) as flight:
        ground.wait_for("HEARTBEAT")
        ground.ask(ATTITUDE, 50)
        ground.command(512, 269, component=100)
        stream = ground.wait_for("VIDEO_STREAM_INFORMATION")
        assert (stream.type, stream.uri) == (0, flight.rtsp_url("main"))
        first = Receiver(rtsp(stream.uri, "tcp"))
        ground.listen(1.2)
        second = Receiver(rtsp(stream.uri, "udp"))
        # The ground listens all the while: what waits in its socket would be dated late.
        while (len(_told(first)) < 5 or len(second.seen) < 20) and not flight.ended:
            ground.listen(0.1)
    for receiver in (first, second):
        receiver.close()
        assert receiver.size == (WIDTH_PX, HEIGHT_PX)
        shown = [index for _, index, _ in receiver.seen]
        assert shown[0] % MadeFlight().keyframe_every == 0
        assert shown == list(range(shown[0], shown[0] + len(shown)))
    told = _told(first)
    assert told, "no RTCP sender report in time"
    assert abs(statistics.median(_ahead(ground, told))) < 0.5
    assert second.seen[0][1] > 0


def test_a_video_that_keeps_late_joiners_waiting_is_encoded_anew(tmp_path: Path) -> None:
    """Sparse key frames and B-frames are no live video: each second gets a key frame instead."""
    sparse = MadeFlight(3.0, keyframe_every=70, b_frames=2)
    folder, port = write_flight(tmp_path / "sparse", sparse), free_port()
    receiver = Receiver(rtp(port))
    options = ServeOptions(mavlink=(), rtp_port=port, rtsp_port=0)
    with ServedFlight(read_wire_flight(folder), options) as flight:
        assert flight.feeds[0].is_encoded_anew
        time.sleep(0.6)
        late = Receiver(rtsp(flight.rtsp_url("main")))
        late.wait(10)
        receiver.wait(40)
    receiver.close()
    late.close()
    shown = [index for _, index, _ in receiver.seen]
    assert shown == list(range(len(shown)))
    assert 0 < late.seen[0][1] <= 50


def test_serving_ends_with_the_flight_and_says_how_much_went_out(
    tmp_path: Path, ground: Ground
) -> None:
    """`serve` returns at the flight's end; the status line counted every frame."""
    folder = write_flight(tmp_path / "short", MadeFlight(0.8))
    lines: list[ServeStatus] = []
    options = ServeOptions(
        mavlink=(ground.url,), rtp_port=free_port(), rtsp_port=0, status=lines.append
    )
    final = serve(folder, options, threading.Event())
    assert final.frames_sent == round(0.8 * RATE_HZ)
    assert final.messages_sent > 0
    assert lines[-1] == final


def test_a_stop_ends_it_early(made_flight: Path, ground: Ground) -> None:
    """A set stop ends everything: threads, sockets, the RTSP port."""
    port, stop = free_port(), threading.Event()
    options = ServeOptions(mavlink=(ground.url,), rtp_port=free_port(), rtsp_port=port)
    for _ in range(2):  # the second start needs the port that the first gave back
        stop.clear()
        threading.Timer(0.4, stop.set).start()
        assert serve(made_flight, options, stop).t_s < 5.0
    assert not [t for t in threading.enumerate() if t.name.startswith("wire-")]


def test_a_taken_rtsp_port_is_refused(made_flight: Path, ground: Ground) -> None:
    """Two servers on one port: the second says so and sends nothing."""
    port = free_port()
    options = ServeOptions(
        mavlink=(ground.url,), rtp_host=None, rtsp_port=port, announce=Announce.NONE
    )
    flight = read_wire_flight(made_flight)
    with ServedFlight(flight, options), pytest.raises(ScenarioError, match=str(port)):
        ServedFlight(flight, options)


@pytest.mark.parametrize("damage", ["none of it is video", "fewer frames than times"])
def test_a_video_that_is_not_the_flights_is_refused(tmp_path: Path, damage: str) -> None:
    """A wrong file, or one cut short, is named before anything is sent."""
    folder = write_flight(tmp_path / "bad", MadeFlight(0.4))
    if damage == "none of it is video":
        (folder / "video.mp4").write_bytes(b"not a video" * 100)
    else:
        with (folder / "frames.csv").open("a") as rows:
            rows.write("10,1700000000900000\n")
    with pytest.raises(ScenarioError, match=r"video\.mp4"):
        ServedFlight(read_wire_flight(folder), ServeOptions(mavlink=(), rtsp_host=None))


def _told(receiver: Receiver) -> list[tuple[float, int]]:
    """Return the pictures that came with an NTP time, on this computer's monotonic clock."""
    mono_from_utc_s = time.monotonic() - time.time()
    seen = list(receiver.seen)
    return [(ns / 1e9 + mono_from_utc_s, index) for _, index, ns in seen if ns is not None]


def _ahead(ground: Ground, pictures: list[tuple[float, int]]) -> list[float]:
    """Return by how many frames each picture is ahead of the telemetry of its instant."""
    attitudes = [(t, m) for t, m in ground.got if m.get_type() == "ATTITUDE"]
    mono_from_boot_s = min(t - message.time_boot_ms / 1e3 for t, message in attitudes)
    times = [message.time_boot_ms / 1e3 + mono_from_boot_s for _, message in attitudes]
    indices = [index_from_yaw(message.yaw) for _, message in attitudes]
    return [
        index - float(np.interp(t - LATENCY_S, times, indices))
        for t, index in pictures
        if times[0] < t - LATENCY_S < times[-1]
    ]
