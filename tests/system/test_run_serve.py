"""`skywhistle run` against the simulator on the wire, a broker with TLS, and a desk.

The flights run side by side; each test looks at one.
"""

from __future__ import annotations

import csv
import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from edge.desk.receiver import run_desk
from sim.serve import ServedFlight, ServeOptions
from sim.wire.camera import Announce
from sim.wire.flight import read_wire_flight
from tests.aircraft import WAIT_S, Aircraft, Child, command, square_at, wait_until
from tests.brokers import Authority, Mosquitto
from tests.patrol_flight import Patrol, Square, write_patrol_flight
from tests.system.delivery import running, utc_ns
from tests.wire_ground import free_port

pytestmark = pytest.mark.system

# How long the broker is away; SKYWHISTLE_TEST_OUTAGE_S=60 for the minute that is promised.
OUTAGE_S = float(os.environ.get("SKYWHISTLE_TEST_OUTAGE_S", "8"))
# The vehicle stands until the camera is surely seen.
STAND_S = 4.0
LONG = Patrol(seconds=14.0 + OUTAGE_S)
SHORT = Patrol(seconds=14.0)


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Aircraft]]]:
    """Begin both flights at once."""
    pytest.importorskip("gi")
    folder = tmp_path_factory.mktemp("run")
    authority = Authority.create(folder / "authority")
    with ThreadPoolExecutor(2) as pool:
        yield {
            "rtp": pool.submit(fly_over_rtp_with_an_outage, folder / "rtp", authority),
            "rtsp": pool.submit(fly_over_rtsp, folder / "rtsp", authority),
        }


def fly_over_rtp_with_an_outage(folder: Path, authority: Authority) -> Aircraft:
    """RTP announced over MAVLink; the broker is stopped in the middle."""
    flight = write_patrol_flight(folder / "flight", LONG)
    broker = Mosquitto(folder / "broker", authority)
    aircraft = Aircraft(folder, flight, broker.config("drone-1"), free_port())
    options = ServeOptions(
        mavlink=(f"udpout:127.0.0.1:{aircraft.autopilot_port}",),
        rtp_port=free_port(),
        rtsp_host=None,
        announce=Announce.RTP,
        wait_for_ground=True,
        start_delay_s=STAND_S,
    )
    desk = broker.config("desk")
    with (
        broker,
        running(lambda stop: run_desk(desk, aircraft.desk_path, lambda _: None, stop, utc_ns)),
        ServedFlight(read_wire_flight(flight), options) as served,
        Child(folder / "run.log", "run", str(aircraft.config)) as run,
    ):
        wait_until(lambda: len(aircraft.committed()) > 0, f"a first alert; see {run.log}")
        broker.stop()
        time.sleep(OUTAGE_S)
        assert len(aircraft.accepted()) > len(aircraft.committed())
        broker.start()
        wait_until(lambda: served.ended, "the flight is over")
        wait_until(lambda: aircraft.queue().queued == 0, "the outbox is empty")
        assert run.stop() == 0
        aircraft.deliver_the_rest()
    return aircraft


def fly_over_rtsp(folder: Path, authority: Authority) -> Aircraft:
    """Everything a command of its own, as a user has it: simulator, desk, aircraft."""
    flight = write_patrol_flight(folder / "flight", SHORT)
    broker = Mosquitto(folder / "broker", authority)
    aircraft = Aircraft(folder, flight, broker.config("drone-1"), free_port())
    desk_place = Aircraft(
        folder / "desk", flight, broker.config("desk"), free_port(), witnessed=False
    )
    serve = [
        *("sim", "serve", str(flight), "--rtp", "", "--announce", "rtsp"),
        *("--mavlink", f"udpout:127.0.0.1:{aircraft.autopilot_port}"),
        *("--rtsp", f"127.0.0.1:{free_port()}", "--delay-s", str(STAND_S)),
    ]
    desk = ["desk", str(desk_place.config), "--database", str(aircraft.desk_path)]
    with (
        broker,
        Child(folder / "desk.log", *desk) as desk_child,
        Child(folder / "serve.log", *serve) as serve_child,
        Child(folder / "run.log", "run", str(aircraft.config)) as run,
    ):
        desk_child.wait_for(r"new +\w+ .*±.* rule squares")
        serve_child.process.wait(WAIT_S)
        assert run.stop() == 0
        aircraft.deliver_the_rest()
        assert desk_child.stop() == 0
    return aircraft


def assert_squares_told_once(aircraft: Aircraft, squares: tuple[Square, ...]) -> None:
    """Each square once, none skipped; a busy machine may start after the first have gone by."""
    told = [square_at(squares, *place) for place in aircraft.new_places()]
    assert len(set(told)) == len(told)
    assert set(told) == set(squares[-len(told) :])
    assert len(told) >= 2


def test_rtp_flies_through_a_broker_outage(flights: dict[str, Future[Aircraft]]) -> None:
    """Every alert accepted aboard is committed at the desk, though the broker was away."""
    aircraft = flights["rtp"].result()
    aircraft.assert_none_lost()
    assert_squares_told_once(aircraft, LONG.squares)


def test_the_logs_tell_of_a_quiet_flight(flights: dict[str, Future[Aircraft]]) -> None:
    """No traceback, no lost event; poses for all frames, rates and the outage are told."""
    aircraft = flights["rtp"].result()
    log = (aircraft.folder / "run.log").read_text()
    assert "Traceback" not in log
    assert "lost_events=0" in log
    assert "uplink_troubled" in log
    assert re.search(r"autopilot_changed connected=True .*rates=ATTITUDE:[1-9]", log)


def test_rtsp_delivers_each_square_once(flights: dict[str, Future[Aircraft]]) -> None:
    """Simulator, aircraft and desk as commands: each square is one `new` in its place."""
    aircraft = flights["rtsp"].result()
    aircraft.assert_none_lost()
    assert_squares_told_once(aircraft, SHORT.squares)
    log = (aircraft.folder / "run.log").read_text()
    assert "Traceback" not in log
    assert "source=rtp_ntp" in log


def test_the_desk_exports_what_it_has(flights: dict[str, Future[Aircraft]]) -> None:
    """`desk --export` writes the incidents as GeoJSON and as CSV, broker or not."""
    aircraft = flights["rtsp"].result()
    features = {}
    for suffix in (".geojson", ".csv"):
        out = aircraft.folder / f"alerts{suffix}"
        arguments = ("--database", str(aircraft.desk_path), "--export", str(out))
        done = command("desk", str(aircraft.config), *arguments)
        assert done.returncode == 0, done.stderr
        text = out.read_text()
        if suffix == ".csv":
            features[suffix] = {row["incident_id"] for row in csv.DictReader(text.splitlines())}
        else:
            items = json.loads(text)["features"]
            assert {item["geometry"]["type"] for item in items} == {"Point"}
            features[suffix] = {item["properties"]["incident_id"] for item in items}
    assert features[".csv"] == features[".geojson"]
    assert len(features[".csv"]) == len(aircraft.new_places())
