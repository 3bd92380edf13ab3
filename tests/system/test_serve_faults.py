"""Faults on the wire: what a receiver gets while the camera, the vehicle or the link is ill."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.errors import ScenarioError
from sim.faults.network import BrokerRelay
from sim.faults.timeline import Fault, FaultKind, Timeline
from sim.serve import ServedFlight, ServeOptions, serve
from sim.wire.flight import read_wire_flight
from tests.wire_flights import RATE_HZ, MadeFlight, served, telemetry_only
from tests.wire_ground import Ground, Receiver, free_port, rtp

pytestmark = pytest.mark.system

ATTITUDE = 30
GPS_RAW_INT = 24
SYSTEM_TIME = 2


def _frame(time_s: float) -> int:
    """Return the first frame that is taken at or after a time of the made flight."""
    return round((time_s - 0.2) * RATE_HZ + 0.4999)


def test_a_camera_freezes_goes_black_and_is_lost_on_the_wire(made_flight: Path) -> None:
    """A receiver sees the frozen key frame, then black, then gaps; and all is well again."""
    pytest.importorskip("gi", reason="needs the extra `gstreamer`")
    port = free_port()
    faults = Timeline(
        (
            Fault(FaultKind.VIDEO_FREEZE, 1.5, 0.5),
            Fault(FaultKind.VIDEO_BLACK, 3.0, 0.7),
            Fault(FaultKind.VIDEO_LOSS, 5.0, 0.6),
        )
    )
    receiver = Receiver(rtp(port))
    options = ServeOptions(mavlink=(), rtp_port=port, rtsp_host=None, faults=faults)
    with ServedFlight(read_wire_flight(made_flight), options) as flight:
        while not flight.ended:
            time.sleep(0.1)
        time.sleep(0.3)
        sent = flight.feeds[0].sent
    receiver.close()
    every = MadeFlight().keyframe_every
    lost = range(_frame(5.0), _frame(5.6))
    wanted: list[int | None] = list(range(round(8.0 * RATE_HZ)))
    # Both last until the next key frame: only there a stream can be joined.
    for begin, value in ((_frame(1.5), every), (_frame(3.0), 0)):
        end = -(-_frame(2.0 if value else 3.7) // every) * every
        wanted[begin:end] = [value] * (end - begin)
    torn = range(lost.start, -(-lost.stop // every) * every)
    seen = [index for _, index, _ in receiver.seen]
    assert sent == len(wanted) - len(lost)
    assert seen[: torn.start] == wanted[: torn.start]
    assert seen[-(len(wanted) - torn.stop) :] == wanted[torn.stop :]


def test_latency_grows_for_a_while(made_flight: Path) -> None:
    """Pictures of the window come later by what the fault says; after it they catch up."""
    pytest.importorskip("gi", reason="needs the extra `gstreamer`")
    port = free_port()
    faults = Timeline((Fault(FaultKind.VIDEO_LATENCY, 1.5, 1.0, 0.5),))
    receiver = Receiver(rtp(port))
    options = ServeOptions(mavlink=(), rtp_port=port, rtsp_host=None, faults=faults)
    with ServedFlight(read_wire_flight(made_flight), options):
        receiver.wait(90)
    receiver.close()
    late_s = {index: t - index / RATE_HZ for t, index, _ in receiver.seen}
    prompt = min(late for index, late in late_s.items() if index < _frame(1.5))
    hit = [late_s[index] - prompt for index in range(_frame(1.5), _frame(2.5))]
    after = [late_s[index] - prompt for index in range(_frame(3.0), 85)]
    # A busy machine makes pictures later still, never earlier.
    assert min(hit) > 0.45
    assert min(after) < 0.45


def _boots(ground: Ground, kind: str, field: str) -> list[tuple[float, Any]]:
    return [(t, getattr(m, field)) for t, m in ground.got if m.get_type() == kind]


def _longest_gap_s(ground: Ground) -> float:
    times = [t for t, _ in _boots(ground, "ATTITUDE", "yaw")]
    return max(b - a for a, b in pairwise(times))


def test_silence_is_a_gap_and_the_link_lives_on(made_flight: Path, ground: Ground) -> None:
    """Nothing comes for as long as it lasts, then everything, without being asked again."""
    faults = Timeline((Fault(FaultKind.MAVLINK_SILENCE, 1.0, 0.8),))
    _fly(made_flight, ground, faults, 2.6)
    assert _longest_gap_s(ground) > 0.75
    assert _boots(ground, "ATTITUDE", "yaw")[-1][1] > 2.0 * 50 * 0.0005


def test_a_reboot_loses_the_intervals_and_the_boot_clock(made_flight: Path, ground: Ground) -> None:
    """After it the vehicle sends from a young clock, and data only once it is asked again."""
    faults = Timeline((Fault(FaultKind.MAVLINK_REBOOT, 1.0, 0.5),))
    with served(made_flight, ground.url, faults=faults):
        _ask(ground, ATTITUDE)
        ground.listen(1.9)
        asked_once = len(_boots(ground, "ATTITUDE", "yaw"))
        ground.listen(0.6)
        assert len(_boots(ground, "ATTITUDE", "yaw")) == asked_once
        ground.wait_for("HEARTBEAT")
        ground.ask(ATTITUDE, 50)
        ground.wait_for("ATTITUDE")
    boots = [ms for _, ms in _boots(ground, "ATTITUDE", "time_boot_ms")]
    assert boots[-1] < 2500
    assert max(boots[:asked_once]) < 1300


def test_no_satellites_and_a_wrong_clock_are_told_only_by_their_messages(
    made_flight: Path, ground: Ground
) -> None:
    """GPS_RAW_INT loses its fix and SYSTEM_TIME its hour; ATTITUDE goes on as ever."""
    faults = Timeline(
        (Fault(FaultKind.GNSS_LOSS, 1.0, 0.8), Fault(FaultKind.CLOCK_JUMP, 1.0, 0.8, 3600.0))
    )
    _fly(made_flight, ground, faults, 2.6, (ATTITUDE, GPS_RAW_INT, SYSTEM_TIME))
    fixes = [fix for _, fix in _boots(ground, "GPS_RAW_INT", "fix_type")]
    assert [fix for i, fix in enumerate(fixes) if i == 0 or fixes[i - 1] != fix] == [3, 1, 3]
    utc = [us / 1e6 - time.time() for _, us in _boots(ground, "SYSTEM_TIME", "time_unix_usec")]
    assert {round(off / 3600) for off in utc} == {0, 1}
    assert len(_boots(ground, "ATTITUDE", "yaw")) > 60


def test_garbage_is_bytes_that_are_no_message(made_flight: Path) -> None:
    """Datagrams keep coming while it lasts, and none of them can be parsed."""
    faults = Timeline((Fault(FaultKind.MAVLINK_GARBAGE, 0.3, 1.2),))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.05)
        url = f"udpout:127.0.0.1:{listener.getsockname()[1]}"
        with served(made_flight, url, faults=faults):
            got = list(_datagrams(listener, 2.6))
    readable = ["x" if _is_message(data) else "-" for data in got]
    runs = "".join(mark for i, mark in enumerate(readable) if i == 0 or readable[i - 1] != mark)
    assert runs == "x-x"


def _datagrams(listener: socket.socket, seconds: float) -> Iterator[bytes]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            yield listener.recv(4096)
        except TimeoutError:
            continue


def _is_message(data: bytes) -> bool:
    parser = mavlink2.MAVLink(None)
    parser.robust_parsing = True
    messages = parser.parse_buffer(data) or []
    return any(message.get_type() != "BAD_DATA" for message in messages)


def _ask(ground: Ground, *kinds: int) -> None:
    ground.wait_for("HEARTBEAT")
    for kind in kinds:
        ground.ask(kind, 50)


def _fly(
    folder: Path,
    ground: Ground,
    faults: Timeline,
    seconds: float,
    kinds: tuple[int, ...] = (ATTITUDE,),
) -> None:
    with served(folder, ground.url, faults=faults):
        _ask(ground, *kinds)
        ground.listen(seconds)


# --- between uplink and broker ----------------------------------------------------------------


class Echo:
    """A broker's place: sends back what comes."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = ("127.0.0.1", self._listener.getsockname()[1])
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer:
            try:
                while data := peer.recv(4096):
                    peer.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


def _relay(echo: Echo, kind: FaultKind, clock: list[float]) -> BrokerRelay:
    faults = Timeline((Fault(kind, 10.0, 10.0),))
    return BrokerRelay(("127.0.0.1", 0), echo.address, faults, lambda: clock[0])


def _says(peer: socket.socket, word: bytes, wait_s: float) -> bytes:
    peer.settimeout(wait_s)
    peer.sendall(word)
    try:
        return peer.recv(100)
    except TimeoutError:
        return b""


def test_while_the_link_is_down_connections_stay_and_nothing_passes(echo: Echo) -> None:
    """What was sent in the hole arrives when it ends, as TCP has it; nobody is told."""
    clock = [0.0]
    relay = _relay(echo, FaultKind.LINK_DOWN, clock)
    with socket.create_connection(("127.0.0.1", relay.port)) as peer:
        assert _says(peer, b"one", 2.0) == b"one"
        clock[0] = 12.0
        assert _says(peer, b"two", 0.4) == b""
        with socket.create_connection(("127.0.0.1", relay.port)) as late:
            assert _says(late, b"late", 0.3) == b""
            clock[0] = 21.0
            late.settimeout(2.0)
            assert late.recv(100) == b"late"
        peer.settimeout(2.0)
        assert peer.recv(100) == b"two"
    relay.close()


def test_a_killed_broker_resets_refuses_and_comes_back_on_its_port(echo: Echo) -> None:
    """Connections break, new ones are refused, and later the same address answers again."""
    clock = [0.0]
    relay = _relay(echo, FaultKind.BROKER_KILL, clock)
    port = relay.port
    with socket.create_connection(("127.0.0.1", port)) as peer:
        assert _says(peer, b"one", 2.0) == b"one"
        clock[0] = 12.0
        peer.settimeout(2.0)
        with pytest.raises(ConnectionResetError):
            assert peer.recv(100) == b""
            raise ConnectionResetError
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    clock[0] = 21.0
    assert _until_answered(port) == b"two"
    relay.close()
    assert not [t for t in threading.enumerate() if t.name == "wire-broker"]


def _until_answered(port: int) -> bytes:
    end = time.monotonic() + 3.0
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port)) as peer:
                return _says(peer, b"two", 2.0)
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_cut_link_needs_to_know_the_broker(made_flight: Path) -> None:
    """A fault that nothing could carry out is refused, with what to give."""
    faults = Timeline((Fault(FaultKind.LINK_DOWN, 1.0, 1.0),))
    with pytest.raises(ScenarioError, match=r"link_down.*--broker"):
        ServeOptions(faults=faults)


def test_a_served_flight_cuts_the_link_on_its_own_clock(made_flight: Path, echo: Echo) -> None:
    """The relay of a served flight follows the flight's time."""
    faults = Timeline((Fault(FaultKind.LINK_DOWN, 0.6, 1.0),))
    relay = {"broker": echo.address, "broker_listen": ("127.0.0.1", 0)}
    with served(made_flight, faults=faults, **relay) as flight:
        assert flight.relay is not None
        with socket.create_connection(("127.0.0.1", flight.relay.port)) as peer:
            assert _says(peer, b"one", 0.5) == b"one"
            time.sleep(0.8)
            assert _says(peer, b"two", 0.2) == b""
            peer.settimeout(2.0)
            assert peer.recv(100) == b"two"
    stop = threading.Event()
    stop.set()
    assert serve(made_flight, telemetry_only(), stop).frames_sent == 0
