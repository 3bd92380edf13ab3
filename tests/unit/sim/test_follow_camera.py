"""A camera that follows a real autopilot's telemetry over UDP, and what it sends."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.errors import ScenarioError
from sim.camera import CameraPose
from sim.scenario import Scenario, load_scenario
from sim.vehicle.noise import NoiseKnobs
from sim.vehicle.path import FlightPlan
from sim.vehicle.vehicle import Origin, Vehicle
from sim.wire.follow import FollowingCamera, FollowOptions
from sim.wire.link import GroundLink
from sim.wire.log import decode, read_packets
from sim.wire.resend import resend_log
from sim.world.district import District
from tests.wire_ground import Ground, Receiver, free_port, rtp

pytestmark = pytest.mark.system

EYES = """
format = 1
name = "eyes"
[world]
family = "dense_town"
[flight]
start_east_m = 0.0
start_north_m = 0.0
lanes = 1
[camera]
rate_hz = 4.0
mount = "{mount}"
"""


def _scenario(tmp_path: Path, mount: str) -> Scenario:
    path = tmp_path / "eyes.toml"
    path.write_text(EYES.format(mount=mount), encoding="utf-8")
    return load_scenario(path)


@pytest.fixture
def seen() -> list[CameraPose]:
    """The poses that were drawn."""
    return []


class Following:
    """A following camera on a thread of its own."""

    def __init__(
        self, scenario: Scenario, plain: District, seen: list[CameraPose], rtp_port: int
    ) -> None:
        self.port = free_port()
        options = FollowOptions(
            link=f"udpin:127.0.0.1:{self.port}",
            rtp=("127.0.0.1", rtp_port),
            rtsp=None,
            on_frame=lambda pose, _: seen.append(pose),
        )
        self.camera = FollowingCamera(scenario, 1, options, plain)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.camera.run, args=(self._stop,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"udpout:127.0.0.1:{self.port}"

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.camera.close()


@pytest.fixture
def receiver() -> Iterator[tuple[Receiver, int]]:
    pytest.importorskip("gi", reason="needs the extra `gstreamer`")
    port = free_port()
    receiver = Receiver(rtp(port))
    yield receiver, port
    receiver.close()


@pytest.fixture
def stretch(shared_data: Path, tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Twelve seconds of a real flight and their true track."""
    log = shared_data / "logs" / "ardupilot-sitl-tuned.tlog"
    return _cut(log, tmp_path / "cut.tlog", 180.0, 12.0)


@pytest.mark.usefixtures("needs_egl")
def test_a_real_simulations_log_gets_eyes(
    stretch: tuple[Path, np.ndarray],
    tmp_path: Path,
    plain: District,
    seen: list[CameraPose],
    receiver: tuple[Receiver, int],
) -> None:
    """Over a real ArduCopter's log the camera flies the log's SIM_STATE, and pictures arrive."""
    cut, track = stretch
    following = Following(_scenario(tmp_path, "servo_gimbal"), plain, seen, receiver[1])
    resend_log(cut, following.url)
    time.sleep(0.8)
    status = following.camera.status()
    following.close()
    assert status.has_truth
    assert status.frames_sent >= 3
    assert receiver[0].size == (1280, 720)
    assert len(receiver[0].seen) >= 2
    for pose in seen:
        away = np.linalg.norm(track - pose.position_m, axis=1).min()
        assert away < 0.4  # SIM_STATE comes ten times a second at 6.6 m/s: 0.33 m to the nearest
        assert pose.position_m[2] == pytest.approx(60.0, abs=1.0)


def _cut(log: Path, path: Path, from_s: float, seconds: float) -> tuple[Path, np.ndarray]:
    """Write a stretch of a log; return it and its true track about home, east north up."""
    first_us, track, home = None, [], None
    with path.open("wb") as out:
        for packet in read_packets(log):
            first_us = packet.record_us if first_us is None else first_us
            message = decode(packet) if packet.component_id == 1 else None
            kind = message.get_type() if message else ""
            if kind == "HOME_POSITION" and message is not None:
                home = Origin(message.latitude / 1e7, message.longitude / 1e7,
                              message.altitude / 1e3, 0.0)  # fmt: skip
            if not 0.0 <= (packet.record_us - first_us) / 1e6 - from_s < seconds:
                continue
            out.write(struct.pack(">Q", packet.record_us) + packet.raw)
            if kind == "SIM_STATE" and message is not None and home is not None:
                place = home.local(message.lat_int / 1e7, message.lon_int / 1e7)
                track.append((*place, message.alt - home.amsl_m))
    return path, np.array(track)


def test_it_asks_the_autopilot_for_what_it_needs(
    needs_egl: None, tmp_path: Path, plain: District, seen: list[CameraPose]
) -> None:
    """A link that only listens gets heartbeats and little else: intervals are asked for."""
    pytest.importorskip("gi", reason="needs the extra `gstreamer`")
    following = Following(_scenario(tmp_path, "fixed"), plain, seen, free_port())
    ground = Ground()
    ground.peers.append(("127.0.0.1", following.port))
    ground.beat()
    got = ground.listen(3.5)
    following.close()
    ground.close()
    asked = {int(m.param1) for m in got if m.get_type() == "COMMAND_LONG" and m.command == 511}
    assert {30, 33, 108, 242, 285} <= asked
    assert not seen  # nothing was told, so nothing is drawn


def test_without_sim_state_the_estimate_is_flown(
    needs_egl: None,
    tmp_path: Path,
    plain: District,
    seen: list[CameraPose],
    receiver: tuple[Receiver, int],
) -> None:
    """Any autopilot has eyes: position, attitude and gimbal from the common messages."""
    plan = FlightPlan((0.0, 0.0), 0.0, 1, 60.0, 30.0, 60.0, 8.0, -70.0)
    vehicle = Vehicle(plan, NoiseKnobs(), Origin(31.5, 120.3, 4.2, 0.0), 1)
    following = Following(_scenario(tmp_path, "stabilised_gimbal"), plain, seen, receiver[1])
    link, begin = GroundLink(following.url), time.monotonic()
    for time_s, message in vehicle.messages(0.0, 7.0):
        time.sleep(max(0.0, begin + time_s - time.monotonic()))
        link.send(message, 1, mavlink2.MAV_COMP_ID_AUTOPILOT1)
    link.close()
    following.close()
    assert len(seen) >= 2
    assert not following.camera.pose.has_truth
    track = np.array([vehicle.camera_pose(t, (0.08, 0.0, 0.12)).position_m
                      for t in np.arange(0, 8, 0.02)])  # fmt: skip
    for pose in seen:
        assert np.linalg.norm(track - pose.position_m, axis=1).min() < 0.3
        assert np.rad2deg(np.arcsin(pose.enu_from_camera[2, 2])) == pytest.approx(-70.0, abs=0.5)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rtp": None, "rtsp": None}, "nowhere"),
        ({"pitch_deg": 20.0}, "--pitch-deg"),
        ({"latency_s": 0.01}, "--latency-s"),
    ],
)
def test_impossible_options_are_named(change: dict[str, float | None], named: str) -> None:
    """The message says which option cannot be."""
    with pytest.raises(ScenarioError, match=named):
        FollowOptions(link="udpin:127.0.0.1:14550", **change)  # type: ignore[arg-type]
