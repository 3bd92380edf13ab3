"""`skywhistle check`: part by part, whether this aircraft would fly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.config_delivery import MqttConfig
from sim.serve import ServedFlight, ServeOptions
from sim.wire.camera import Announce
from sim.wire.flight import read_wire_flight
from tests.aircraft import Aircraft, command
from tests.brokers import Authority, Mosquitto
from tests.patrol_flight import Patrol, write_patrol_flight
from tests.wire_ground import free_port

pytestmark = pytest.mark.system


@contextmanager
def served(aircraft: Aircraft) -> Iterator[None]:
    """Let the simulator fly for an aircraft, again and again."""
    options = ServeOptions(
        mavlink=(f"udpout:127.0.0.1:{aircraft.autopilot_port}",),
        rtp_port=free_port(),
        rtsp_host=None,
        announce=Announce.RTP,
        wait_for_ground=True,
        loop=True,
    )
    with ServedFlight(read_wire_flight(aircraft.flight), options):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("check")


@pytest.fixture(scope="module")
def flight(folder: Path) -> Path:
    pytest.importorskip("gi")
    return write_patrol_flight(folder / "flight", Patrol(seconds=10.0))


def test_an_aircraft_that_would_fly(folder: Path, flight: Path) -> None:
    """Against simulator and broker every part is named with what was seen; exit code 0."""
    authority = Authority.create(folder / "authority")
    with Mosquitto(folder / "broker", authority) as broker:
        mqtt = broker.config("drone-1")
        aircraft = Aircraft(folder / "good", flight, mqtt, free_port(), witnessed=False)
        with served(aircraft):
            done = command("check", str(aircraft.config), "--seconds", "6")
    assert done.returncode == 0, done.stdout
    for told in (
        r"ok  config +.*patrol\.toml: read, 1 rules",
        r"ok  model of main +tiny: hash [0-9a-f]{16} as in its manifest",
        r"ok  model of main +asked for cpu, got cpu",
        r"ok  autopilot +heartbeat of a QUADROTOR",
        r"ok  autopilot +ATTITUDE: [0-9.]+ Hz, asked for 30",
        r"ok  autopilot +GLOBAL_POSITION_INT: [0-9.]+ Hz, asked for 10",
        r"warn  autopilot +TERRAIN_REPORT: 0\.0 Hz, asked for 1; ground\.source is auto",
        r"ok  mount of main +fixed",
        r"ok  camera main +mavlink: 640×640 at [0-9.]+ Hz by \w+, time from pts",
        r"ok  camera main +calibration camera\.toml is for this very size",
        r"ok  broker +127\.0\.0\.1:\d+: connected with TLS",
        r"ok  broker +may publish as drone-1",
        r"ok  broker +may subscribe as drone-1",
        r"disk +.* MB free",
        r"ok  clock +plausible",
        r"opencv +\d+\.",
        r"would fly \(\d+ warnings\)",
    ):
        assert re.search(told, done.stdout), f"{told} is not in:\n{done.stdout}"


def test_what_is_dead_is_named(folder: Path, flight: Path) -> None:
    """No autopilot, no camera, no broker: each is a failure of its own; exit code 1."""
    mqtt = MqttConfig(port=free_port(), tls=False)
    source = f"udp://127.0.0.1:{free_port()}"
    aircraft = Aircraft(folder / "dead", flight, mqtt, free_port(), source, witnessed=False)
    done = command("check", str(aircraft.config), "--seconds", "1")
    assert done.returncode == 1
    for told in (
        r"fail  autopilot +no heartbeat of system 1, component 1",
        r"fail  camera main +udp://.*: .*picture",
        r"fail  broker +127\.0\.0\.1:\d+: [^:]+: .*refused; is a broker running there",
        r"would not fly: 3 of \d+ findings failed",
    ):
        assert re.search(told, done.stdout), f"{told} is not in:\n{done.stdout}"


@pytest.mark.parametrize(("flown", "said"), [("servo", "stabilised"), ("stabilised", "servo")])
def test_a_gimbal_that_is_not_what_the_config_says(tmp_path: Path, flown: str, said: str) -> None:
    """By how it moves while the vehicle tilts; read wrong, it is 35 m on the ground."""
    pytest.importorskip("gi")
    flight = write_patrol_flight(tmp_path / "flight", Patrol(seconds=12.0, gimbal=flown))
    mqtt = MqttConfig(port=free_port(), tls=False)
    aircraft = Aircraft(
        tmp_path, flight, mqtt, free_port(), "gst:videotestsrc is-live=true", said, witnessed=False
    )
    with served(aircraft):
        done = command("check", str(aircraft.config), "--seconds", "8")
    assert done.returncode == 1
    told = rf"fail  mount of main +the config says {said}_gimbal, but it moves like a {flown} one"
    assert re.search(told, done.stdout), done.stdout


def test_files_and_disk_are_looked_at_without_any_hardware(folder: Path, flight: Path) -> None:
    """A missing lens or mount file and a mailbox that the disk cannot hold: told on the desk."""
    mqtt = MqttConfig(port=free_port(), tls=False)
    source = f"udp://127.0.0.1:{free_port()}"
    aircraft = Aircraft(folder / "files", flight, mqtt, free_port(), source, witnessed=False)
    text = aircraft.config.read_text()
    text = re.sub(r"calibration = .*", 'calibration = "no-lens.toml"', text)
    text = re.sub(r"mount = .*", 'mount = "no-mount.toml"', text)
    aircraft.config.write_text(text + "\n[mailbox]\nmax_mb = 1e9\n")
    done = command("check", str(aircraft.config), "--seconds", "1")
    assert done.returncode == 1
    for told in (
        r"fail  lens of main +.*no-lens\.toml",
        r"fail  mount of main +.*no-mount\.toml",
        r"fail  disk +.*lower mailbox\.max_mb",
    ):
        assert re.search(told, done.stdout), f"{told} is not in:\n{done.stdout}"
    assert "INFO" not in done.stderr
