"""A recorded log sent again is the log, packet for packet, at its own pace."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edge.errors import ScenarioError
from sim.serve import resend_log
from sim.wire.log import read_packets
from tests.wire_flights import MadeFlight, telemetry
from tests.wire_ground import Ground

pytestmark = pytest.mark.system


def raw(ground: Ground, seconds: float) -> list[bytes]:
    """Return what came as it came."""
    return [bytes(message.get_msgbuf()) for message in ground.listen(seconds)]


def test_every_packet_arrives_unchanged_and_in_order(tmp_path: Path, ground: Ground) -> None:
    """Resending changes no byte, so senders, sequence numbers and stamps are the recorded ones."""
    path = tmp_path / "made.tlog"
    path.write_bytes(telemetry(2.0))
    sent: list[int] = []
    sender = threading.Thread(target=lambda: sent.append(resend_log(path, ground.url, speed=4.0)))
    sender.start()
    got = raw(ground, 0.8)
    sender.join()
    assert got == [packet.raw for packet in read_packets(path)]
    assert sent == [len(got)]


def test_speed_only_divides_the_time(tmp_path: Path, ground: Ground) -> None:
    """Twice the speed takes half the time: a ratio within one run."""
    path = tmp_path / "made.tlog"
    path.write_bytes(telemetry(0.9))
    spans = []
    for speed in (1.0, 3.0):
        seen = len(ground.got)
        sender = threading.Thread(target=resend_log, args=(path, ground.url, speed))
        sender.start()
        ground.listen(1.2 / speed)
        sender.join()
        times = [t for t, _ in ground.got[seen:]]
        spans.append(times[-1] - times[0])
    assert spans[0] / spans[1] == pytest.approx(3.0, rel=0.35)


def test_a_stop_ends_it(tmp_path: Path, ground: Ground) -> None:
    """A set stop sends no more."""
    path = tmp_path / "made.tlog"
    path.write_bytes(telemetry(MadeFlight().seconds))
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert 0 < resend_log(path, ground.url, stop=stop) < len(list(read_packets(path)))


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_none_is_refused(tmp_path: Path, ground: Ground, speed: float) -> None:
    """Time goes forward."""
    with pytest.raises(ScenarioError, match="speed"):
        resend_log(tmp_path / "any.tlog", ground.url, speed)


@pytest.mark.parametrize("name", ["ardupilot-sitl-tuned.tlog", "ardupilot-sitl-gimbal.tlog"])
def test_a_real_ardupilot_log_goes_out_with_all_its_senders(
    shared_data: Path, ground: Ground, name: str
) -> None:
    """Real logs hold several senders on one link; the first seconds arrive whole."""
    path, stop = shared_data / "logs" / name, threading.Event()
    sender = threading.Thread(target=resend_log, args=(path, ground.url, 2.0, stop))
    sender.start()
    got = raw(ground, 1.0)
    stop.set()
    sender.join()
    recorded = [packet.raw for packet, _ in zip(read_packets(path), got, strict=False)]
    assert got == recorded
    assert (
        len({(message.get_srcSystem(), message.get_srcComponent()) for _, message in ground.got})
        > 1
    )
