"""`skywhistle flight` on real ArduPilot logs, sent again over UDP at their own pace.

By default a slice of each, in which the vehicle tilts enough to tell what its gimbal is;
SKYWHISTLE_TEST_FULL_LOGS=1 sends both whole: ten minutes.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.config_delivery import MqttConfig
from sim.serve import resend_log
from tests.aircraft import Aircraft, Child
from tests.patrol_flight import write_square_finder
from tests.wire_ground import free_port

pytestmark = pytest.mark.system

WHOLE = bool(os.environ.get("SKYWHISTLE_TEST_FULL_LOGS"))
SLICE_S = 25.0
# Colour bars that move: a red, a green and a blue box in every picture.
BARS = "gst:videotestsrc is-live=true horizontal-speed=2 ! video/x-raw,width=640,height=360"


@dataclass(frozen=True)
class Recorded:
    """A log, where its slice begins, and what carries its camera."""

    name: str
    from_s: float
    gimbal_component_id: int
    mount: str
    kind: str


TUNED = Recorded("ardupilot-sitl-tuned", 165.0, 1, "servo-gimbal", "servo")
GIMBAL = Recorded("ardupilot-sitl-gimbal", 90.0, 154, "stabilised-gimbal", "stabilised")


@pytest.fixture(scope="module")
def logs(
    shared_data: Path, repo: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[str]]]:
    """Fly with both at once; what each flight logged."""
    pytest.importorskip("gi")
    folder = tmp_path_factory.mktemp("logs")
    for recorded in (TUNED, GIMBAL):
        if not (shared_data / "logs" / f"{recorded.name}.tlog").is_file():
            pytest.skip(f"needs the third-party log {recorded.name}, which is not shipped")
    write_square_finder(folder / "model")
    with ThreadPoolExecutor(2) as pool:
        yield {
            recorded.kind: pool.submit(fly, recorded, folder, shared_data, repo)
            for recorded in (TUNED, GIMBAL)
        }


def fly(recorded: Recorded, folder: Path, shared_data: Path, repo: Path) -> str:
    """Send the log to a flight and return what it said."""
    place = folder / recorded.name
    (place / "parts").mkdir(parents=True)
    calibration = repo / "calibration"
    (place / "parts" / "model").symlink_to(folder / "model")
    (place / "parts" / "camera.toml").symlink_to(calibration / "cameras" / "sim-720p.toml")
    (place / "parts" / "mount.toml").symlink_to(calibration / "mounts" / f"{recorded.mount}.toml")
    log = shared_data / "logs" / f"{recorded.name}.tlog"
    if not WHOLE:
        log = sliced(log, place / "slice.tlog", recorded.from_s)
    aircraft = Aircraft(
        place,
        place / "parts",
        MqttConfig(port=1, tls=False),
        free_port(),
        f"{BARS},framerate=10/1",
        autopilot_more=f"gimbal_component_id = {recorded.gimbal_component_id}",
    )
    with Child(place / "flight.log", "flight", str(aircraft.config)) as child:
        child.wait_for("first_inference")
        assert resend_log(log, f"udpout:127.0.0.1:{aircraft.autopilot_port}") > 1000
        child.wait_for("autopilot_silent")
        assert child.stop() == 0
    return child.text()


def sliced(log: Path, into: Path, from_s: float) -> Path:
    """Copy so many seconds of a .tlog: each packet has its time before it, in µs, big-endian."""
    from sim.wire.log import read_packets

    first_us = next(iter(read_packets(log))).record_us
    begin_us = first_us + round(from_s * 1e6)
    with into.open("wb") as file:
        for packet in read_packets(log):
            if begin_us <= packet.record_us <= begin_us + SLICE_S * 1e6:
                file.write(packet.record_us.to_bytes(8, "big") + packet.raw)
    return into


def last_of(log: str, event: str) -> str:
    """Return the last line that tells of an event."""
    return [line for line in log.splitlines() if event in line][-1]


@pytest.mark.parametrize("kind", ["servo", "stabilised"])
def test_a_real_log_is_flown_to_its_end(logs: dict[str, Future[str]], kind: str) -> None:
    """No exception, no lost event, no reboot; frames have poses; what is wrong would be told."""
    log = logs[kind].result()
    ended = last_of(log, "flight_ended")
    assert "Traceback" not in log
    assert "lost_events=0" in ended
    assert "bad_crc=0" in ended
    assert "reboots=0" in ended
    frames, mavlink = (
        int(re.search(rf"{name}=(\d+)", ended)[1])  # type: ignore[index]
        for name in ("frames", "mavlink")
    )
    no_pose = ast.literal_eval(re.search(r"no_pose=({.*?})", ended)[1])  # type: ignore[index]
    assert mavlink > 1000
    assert frames > 20
    assert sum(no_pose.values()) < frames / 2


@pytest.mark.parametrize("kind", ["servo", "stabilised"])
def test_a_real_gimbal_is_understood(logs: dict[str, Future[str]], kind: str) -> None:
    """ArduPilot's servo mount and a MAVLink gimbal send the same message; how it moves tells."""
    assert f"gimbal={kind}" in last_of(logs[kind].result(), "flight_ended")


@pytest.mark.parametrize("kind", ["servo", "stabilised"])
def test_real_rates_are_reported(logs: dict[str, Future[str]], kind: str) -> None:
    """The log says how often each message that was asked for arrives."""
    connected = [line for line in logs[kind].result().splitlines() if "connected=True" in line]
    rates = re.findall(r"ATTITUDE:([0-9.]+).*GLOBAL_POSITION_INT:([0-9.]+)", "\n".join(connected))
    assert any(float(attitude) > 5 and float(position) > 2 for attitude, position in rates)
