"""`skywhistle run` when programs die, the camera is unplugged, and the radio is cut or noisy.

The flights run side by side; each test looks at one.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.desk.receiver import run_desk
from edge.protocol.status import FlightStatus, LinkState
from sim.serve import ServedFlight, ServeOptions
from sim.wire.camera import Announce
from sim.wire.flight import read_wire_flight
from sim.wire.outputs import RtpOutput
from tests.aircraft import Aircraft, Child, square_at, wait_until
from tests.brokers import Mosquitto
from tests.mavlink_relay import MavlinkRelay
from tests.patrol_flight import Patrol, write_patrol_flight
from tests.system.delivery import running, utc_ns
from tests.wire_ground import free_port

pytestmark = pytest.mark.system

STAND_S = 4.0
PATROL = Patrol(seconds=26.0)


@dataclass
class Flown:
    """What a flight left."""

    aircraft: Aircraft
    log: str
    left_over: tuple[int, ...]  # processes that should have ended


class Scene:
    """A broker, a desk, a vehicle with a relay before it, and a running aircraft."""

    def __init__(self, folder: Path, camera_more: str = "") -> None:
        self.stack = ExitStack()
        self.flight = write_patrol_flight(folder / "flight", PATROL)
        self.broker = Mosquitto(folder / "broker")
        port, self.rtp_port = free_port(), free_port()
        self.aircraft = Aircraft(
            folder, self.flight, self.broker.config(), port, camera_more=camera_more
        )
        self.log = folder / "run.log"

    def __enter__(self) -> Scene:
        enter, aircraft = self.stack.enter_context, self.aircraft
        desk, desk_path = self.broker.config(), aircraft.desk_path
        enter(self.broker)
        enter(running(lambda stop: run_desk(desk, desk_path, lambda _: None, stop, utc_ns)))
        self.relay = enter(MavlinkRelay(aircraft.autopilot_port))
        options = ServeOptions(
            mavlink=(self.relay.url,),
            rtp_port=self.rtp_port,
            rtsp_host=None,
            announce=Announce.RTP,
            wait_for_ground=True,
            start_delay_s=STAND_S,
        )
        self.served = enter(ServedFlight(read_wire_flight(self.flight), options))
        self.run = enter(Child(self.log, "run", str(aircraft.config)))
        return self

    def __exit__(self, *error: object) -> None:
        self.stack.close()

    def status(self) -> FlightStatus:
        status = self.aircraft.flight_status()
        return status if status is not None else FlightStatus()

    def end(self) -> Flown:
        """Stop the aircraft and let everything be delivered."""
        programs = tuple(self.run.programs().values())
        assert self.run.stop() == 0
        left_over = tuple(pid for pid in programs if psutil.pid_exists(pid))
        self.aircraft.deliver_the_rest()
        return Flown(self.aircraft, self.log.read_text(), left_over)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Flown]]]:
    """Begin both flights at once."""
    pytest.importorskip("gi")
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(2) as pool:
        yield {
            "killed": pool.submit(fly_with_kills, folder / "killed"),
            "cut": pool.submit(fly_with_cuts, folder / "cut"),
        }


def fly_with_kills(folder: Path) -> Flown:
    """SIGKILL for the flight at once after its first alert, later for the uplink; then SIGHUP."""
    with Scene(folder) as scene:
        aircraft, run = scene.aircraft, scene.run
        wait_until(lambda: len(aircraft.accepted()) > 0, f"a first alert; see {run.log}")
        killed = run.programs()
        os.kill(killed["flight"], signal.SIGKILL)
        wait_until(lambda: killed["flight"] != run.programs().get("flight", killed["flight"]), "")
        before = len(aircraft.accepted())
        wait_until(lambda: len(aircraft.accepted()) > before, "the new flight has an alert")
        os.kill(killed["uplink"], signal.SIGKILL)
        wait_until(lambda: killed["uplink"] != run.programs().get("uplink", killed["uplink"]), "")
        wait_until(lambda: len(aircraft.committed()) > before, "the new uplink delivers")
        run.send(signal.SIGHUP)
        run.wait_for("reloaded config_hash")
        wait_until(lambda: scene.served.ended, "the flight is over")
        return scene.end()


def fly_with_cuts(folder: Path) -> Flown:
    """The camera is unplugged, then the radio is noisy, then cut; each comes back."""
    with Scene(folder, camera_more="stale_after_s = 1.5") as scene:
        aircraft, feed = scene.aircraft, scene.served.feeds[0]
        wait_until(lambda: len(aircraft.accepted()) > 0, f"a first alert; see {scene.log}")
        unplugged = feed.outputs[:]
        feed.outputs.clear()
        wait_until(lambda: scene.status().note == "camera main lost", "the camera is missed")
        for output in unplugged:
            output.close()
        feed.outputs.append(RtpOutput("127.0.0.1", scene.rtp_port))
        wait_until(lambda: "lost" not in scene.status().note, "the camera is back")
        for datagram in noise():
            scene.relay.inject(datagram)
        scene.relay.is_cut = True
        wait_until(lambda: scene.status().link is LinkState.DOWN, "the silence is noticed")
        assert scene.status().note == "no autopilot"
        scene.relay.is_cut = False
        wait_until(lambda: scene.status().link is LinkState.UP, "the radio is back")
        before = scene.status().detections
        wait_until(
            lambda: scene.status().detections > before or scene.served.ended, "it looks again"
        )
        time.sleep(2.0)
        return scene.end()


def noise() -> list[bytes]:
    """Garbage, broken frames, another vehicle's traffic, and a place that cannot be."""
    own, other = mavlink2.MAVLink(None, 1, 1), mavlink2.MAVLink(None, 42, 1)
    attitude = mavlink2.MAVLink_attitude_message(1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    broken = bytearray(attitude.pack(own))
    broken[-1] ^= 0xFF
    nan = float("nan")
    impossible = mavlink2.MAVLink_attitude_message(2, nan, nan, nan, nan, nan, nan)
    nowhere = mavlink2.MAVLink_global_position_int_message(3, 0, 0, 0, 0, 0, 0, 0, 0)
    return [
        *(os.urandom(60) for _ in range(50)),
        *(bytes(broken) for _ in range(20)),
        *(mavlink2.MAVLink_heartbeat_message(2, 3, 0, 0, 4, 3).pack(other) for _ in range(20)),
        impossible.pack(own),
        nowhere.pack(own),
        b"",
        b"\xfd",
    ]


def test_what_was_killed_comes_back_and_nothing_is_lost(
    flights: dict[str, Future[Flown]],
) -> None:
    """Flight and uplink each return by themselves; all that was accepted is at the desk."""
    flown = flights["killed"].result()
    assert flown.log.count("program_ended name=flight code=-9") == 1
    assert flown.log.count("program_ended name=uplink code=-9") == 1
    assert flown.log.count("program_started name=flight") == 2
    flown.aircraft.assert_none_lost()


def test_a_killed_flight_tells_nothing_twice(flights: dict[str, Future[Flown]]) -> None:
    """The new flight knows what the old one has told: no square has two `new`."""
    aircraft = flights["killed"].result().aircraft
    told = [square_at(PATROL.squares, *place) for place in aircraft.new_places()]
    assert len(told) >= 3
    assert len(set(told)) == len(told)


def test_sigterm_ends_both_programs(flights: dict[str, Future[Flown]]) -> None:
    """After SIGTERM to `run` no program of it is left, and each ended by itself."""
    for name in ("killed", "cut"):
        flown = flights[name].result()
        assert flown.left_over == ()
        assert "program_killed" not in flown.log
        assert "flight_ended" in flown.log


def test_camera_and_radio_come_back(flights: dict[str, Future[Flown]]) -> None:
    """A lost camera and a silent autopilot are named in the status, and the flight goes on."""
    flown = flights["cut"].result()
    log = flown.log
    assert "program_ended" not in log
    assert "Traceback" not in log
    assert "state=lost" in log
    assert "autopilot_silent" in log
    assert log.rindex("autopilot_heard") > log.index("autopilot_silent")
    flown.aircraft.assert_none_lost()


def test_noise_is_counted(flights: dict[str, Future[Flown]]) -> None:
    """Broken frames are counted at the end of the flight, which lost no event to them."""
    log = flights["cut"].result().log
    ended = next(line for line in log.splitlines() if "flight_ended" in line)
    assert "lost_events=0" in ended
    bad_crc = int(ended.split("bad_crc=")[1].split()[0])
    assert bad_crc >= 20
