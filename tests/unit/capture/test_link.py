"""The live link against an autopilot-like peer on real sockets."""

from __future__ import annotations

import os
import pty
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.clock import TimeSource
from edge.capture.link import MavlinkLink
from edge.capture.link_probe import probe_autopilot
from edge.capture.telemetry import Telemetry
from edge.config import AutopilotConfig
from edge.errors import TelemetryError
from edge.records import Pose, TimeQuality
from tests.unit.capture.mavlink_peer import (
    ALL,
    Peer,
    TcpPeer,
    UdpPeer,
    heartbeat,
    message_of,
    mono_from_boot_ms,
    packed,
)

RATES = {"ATTITUDE": 30.0, "GLOBAL_POSITION_INT": 10.0, "SYSTEM_TIME": 5.0}


def wait_for(condition: Callable[[], Any], seconds: float = 8.0) -> bool:
    """Poll until something is true; False when it never was."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


class Rig:
    """A link and its telemetry on a URL."""

    def __init__(self, url: str, **settings: Any) -> None:
        settings.setdefault("rates_hz", RATES)
        settings.setdefault("silent_after_s", 1.0)
        self.config = AutopilotConfig(url=url, **settings)
        self.telemetry = Telemetry(self.config)
        self.link = MavlinkLink(self.config, self.telemetry)
        self.link.start()

    def has_pose(self) -> bool:
        return isinstance(self.telemetry.at(time.monotonic_ns() - 60_000_000), Pose)


@pytest.fixture
def udp() -> Iterator[Callable[..., tuple[Rig, UdpPeer]]]:
    """Makes a link on a free UDP port and a peer that calls it."""
    opened: list[Any] = []

    def make(peer: dict[str, Any] | None = None, **settings: Any) -> tuple[Rig, UdpPeer]:
        rig = Rig("udpin:127.0.0.1:0", **settings)
        opened.append(rig.link)
        assert rig.link.port is not None
        caller = UdpPeer(rig.link.port, **(peer or {}))
        opened.append(caller)
        return rig, caller

    yield make
    for thing in opened:
        thing.close()


def test_a_silent_autopilot_is_asked_and_then_flies(
    udp: Callable[..., tuple[Rig, UdpPeer]],
) -> None:
    """From a heartbeat alone the link gets rates, poses, synced time, UTC and video streams."""
    rig, caller = udp(statustext=True)
    assert wait_for(rig.has_pose)
    assert wait_for(lambda: rig.link.health().time_source is TimeSource.TIMESYNC)
    assert wait_for(lambda: len(rig.link.video_streams()) == 2)
    now_ns = time.monotonic_ns() - 60_000_000
    pose = rig.telemetry.at(now_ns)
    assert isinstance(pose, Pose)
    boot_ms = (now_ns - caller.peer.boot_start_ns) / 1e6
    mapped = mono_from_boot_ms(rig.telemetry, boot_ms)
    assert mapped is not None
    assert abs(mapped - now_ns) < 20_000_000
    assert wait_for(lambda: rig.telemetry.utc(now_ns).quality is TimeQuality.GNSS_SYNCED)
    health = rig.link.health()
    assert health.connected
    assert health.rates_hz["ATTITUDE"] > 0.5 * RATES["ATTITUDE"]
    assert [stream.url for stream in rig.link.video_streams()] == [
        "udp://:5600",
        "rtsp://10.0.0.2/eo",
    ]
    assert rig.link.say("structure 3 new", 4)
    assert wait_for(lambda: "STATUSTEXT" in {m.get_type() for m in list(caller.peer.heard)})
    sent = {message.get_type() for message in caller.peer.heard}
    assert sent <= MavlinkLink.SENDABLE
    beat = next(m for m in caller.peer.heard if m.get_type() == "HEARTBEAT")
    assert (beat.type, beat.autopilot) == (18, 8)
    assert (beat.get_srcSystem(), beat.get_srcComponent()) == (1, 191)


def test_after_a_reboot_it_asks_again(udp: Callable[..., tuple[Rig, UdpPeer]]) -> None:
    """Boot time that starts again clears the poses, and the rates are asked for anew."""
    rig, caller = udp()
    assert wait_for(rig.has_pose)
    asked = len(caller.peer.commands(511))
    caller.peer.reboot()
    assert wait_for(lambda: len(caller.peer.commands(511)) >= asked + len(RATES))
    assert wait_for(lambda: rig.link.health().reboots == 1)
    assert wait_for(rig.has_pose)


def test_silence_is_noticed_and_the_return_is_asked(
    udp: Callable[..., tuple[Rig, UdpPeer]],
) -> None:
    """An autopilot that falls silent is reported lost; when it is back it is asked again."""
    rig, caller = udp()
    assert wait_for(rig.has_pose)
    caller.peer.is_silent = True
    assert wait_for(lambda: not rig.link.health().connected)
    assert not rig.has_pose()
    assert wait_for(lambda: rig.link.health().rates_hz["ATTITUDE"] == 0.0)
    caller.peer.reboot()
    caller.peer.is_silent = False
    assert wait_for(rig.has_pose)


def test_an_ack_without_data_is_not_believed(udp: Callable[..., tuple[Rig, UdpPeer]]) -> None:
    """Rates that were acknowledged and do not arrive are asked for again."""
    rig, caller = udp(peer={"ack_only": True}, rates_hz={"ATTITUDE": 30.0})
    assert wait_for(lambda: len(caller.peer.commands(511)) >= 2)
    assert rig.link.health().rates_hz.get("ATTITUDE", 0.0) == 0.0
    caller.peer.ack_only = False
    assert wait_for(lambda: rig.link.health().rates_hz.get("ATTITUDE", 0.0) > 15.0)


def test_garbage_strangers_and_nonsense_do_not_end_the_loop(
    udp: Callable[..., tuple[Rig, UdpPeer]],
) -> None:
    """Noise, broken frames, unknown messages, other vehicles and NaN are counted and survived."""
    rig, caller = udp()
    assert wait_for(rig.has_pose)
    broken = bytearray(packed(heartbeat()))
    broken[12] ^= 0xFF
    unknown = bytes([0xFD, 1, 0, 0, 0, 1, 1, 0xFE, 0xFF, 0x7F, 0, 1, 2])
    nan = float("nan")
    nonsense = packed(mavlink.MAVLink_attitude_message(99_000, nan, nan, nan, 0.0, 0.0, 0.0))
    nowhere = packed(
        mavlink.MAVLink_global_position_int_message(1, 2_000_000_000, 0, 0, 0, 0, 0, 0, 0)
    )
    other = packed(message_of("GLOBAL_POSITION_INT", 5), system_id=7)
    caller.peer.extra = bytes(broken)
    assert wait_for(lambda: rig.link.health().bad_crc >= 1)
    caller.peer.extra = unknown
    assert wait_for(lambda: rig.link.health().unknown >= 1)
    caller.peer.extra = b"\x00\xfe\xfd ArduPilot boots\r\n" + os.urandom(200) + nonsense + nowhere
    assert wait_for(lambda: rig.link.health().bad_content >= 2)
    caller.peer.extra = other
    assert wait_for(lambda: rig.link.health().other_vehicle >= 1)
    assert wait_for(rig.has_pose)


def test_only_the_vehicle_is_answered(udp: Callable[..., tuple[Rig, UdpPeer]]) -> None:
    """A stranger on the port gets nothing, before the vehicle spoke and after."""
    rig, caller = udp(peer={"is_silent": True})
    assert rig.link.port is not None
    stranger = UdpPeer(rig.link.port, system_id=9)
    try:
        assert wait_for(lambda: rig.link.health().other_vehicle >= 2)
        caller.peer.is_silent = False
        assert wait_for(rig.has_pose)
        before = rig.link.health().other_vehicle
        assert wait_for(lambda: rig.link.health().other_vehicle >= before + 3)
        assert wait_for(lambda: caller.peer.heard)
        assert stranger.peer.heard == []
    finally:
        stranger.close()


def test_a_second_program_does_not_take_the_telemetry_away() -> None:
    """`check` beside a flight is told that the port is taken; the flight hears on."""
    flying = MavlinkLink(*_link_at("udpin:127.0.0.1:0"))
    flying.start()
    try:
        second = MavlinkLink(*_link_at(f"udpin:127.0.0.1:{flying.port}"))
        with pytest.raises(TelemetryError, match="is another program using the port"):
            second.start()
    finally:
        flying.close()


def _link_at(url: str) -> tuple[AutopilotConfig, Telemetry]:
    config = AutopilotConfig(url=url)
    return config, Telemetry(config)


def test_tcp_is_opened_again_after_a_break() -> None:
    """A dropped connection is reopened with back-off, and the rates are asked for anew."""
    server = TcpPeer()
    rig = Rig(f"tcp:127.0.0.1:{server.port}")
    try:
        assert wait_for(rig.has_pose)
        server.drop.set()
        assert wait_for(lambda: server.accepted == 2)
        assert wait_for(rig.has_pose)
        assert rig.link.health().reopened == 1
    finally:
        rig.link.close()
        server.close()


def test_tcp_that_is_not_there_yet_is_tried_for_ever() -> None:
    """A link may start before the other end does."""
    placeholder = TcpPeer()
    port = placeholder.port
    placeholder.close()
    rig = Rig(f"tcp:127.0.0.1:{port}")
    try:
        assert not rig.link.health().connected
    finally:
        rig.link.close()


def test_a_serial_port_carries_it_too() -> None:
    """The same conversation over a terminal device, text at boot included."""
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    peer = Peer(lambda data: _write(master, data))
    rig = Rig(os.ttyname(slave), baud=115200)
    try:
        _write(master, b"Init ArduCopter V4.7\r\n")

        def turn() -> bool:
            with suppress(BlockingIOError):
                peer.take(os.read(master, 4096))
            peer.tick()
            return rig.has_pose()

        assert wait_for(turn)
    finally:
        rig.link.close()
        os.close(master)
        os.close(slave)


def _write(fd: int, data: bytes) -> None:
    with suppress(BlockingIOError):
        os.write(fd, data)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "udpin:14550"}, "udpin:HOST:PORT"),
        ({"url": "carrier-pigeon:1"}, "no kind of link"),
        ({"rates_hz": {"ATTITUED": 5.0}}, "did you mean ATTITUDE"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(settings: dict[str, Any], message: str) -> None:
    """A wrong address or message name stops the start and says what is right."""
    config = AutopilotConfig(**settings)
    with pytest.raises(TelemetryError, match=message):
        MavlinkLink(config, Telemetry(config))


def test_statustexts_are_bounded_paced_and_optional(
    udp: Callable[..., tuple[Rig, UdpPeer]],
) -> None:
    """At most a few wait, the oldest is dropped and counted, and they leave one at a time."""
    rig, caller = udp(statustext=True, statustext_min_interval_s=60.0)
    assert wait_for(lambda: rig.link.health().connected)
    for n in range(8):
        rig.link.say(f"alert {n}: " + "x" * 80)
    assert rig.link.health().statustexts_dropped >= 3

    def texts() -> list[Any]:
        return [m for m in list(caller.peer.heard) if m.get_type() == "STATUSTEXT"]

    assert wait_for(texts)
    time.sleep(0.5)
    assert len(texts()) == 1
    assert len(texts()[0].text) == 50
    off, _ = udp()
    assert not off.link.say("nothing")


def test_a_probe_reports_what_it_heard() -> None:
    """What `check` prints comes from the wire: heartbeat, type, rates, streams; or why not."""
    server = TcpPeer()
    wishes = {"ATTITUDE": 5.0, "GLOBAL_POSITION_INT": 5.0}
    config = AutopilotConfig(url=f"tcp:127.0.0.1:{server.port}", rates_hz=wishes)
    try:
        probe = probe_autopilot(config, 2.0)
    finally:
        server.close()
    assert probe.heartbeat
    assert probe.error is None
    assert probe.vehicle_type == "QUADROTOR"
    assert probe.firmware.startswith("ARDUPILOTMEGA")
    assert probe.asked_hz == wishes
    assert probe.missing == ()
    assert len(probe.streams) == 2
    silent = probe_autopilot(AutopilotConfig(url="udpin:127.0.0.1:0"), 0.3)
    assert not silent.heartbeat
    assert silent.error is not None
    assert "nothing else" in silent.error


def test_the_peer_knows_every_message() -> None:
    """The peer of these tests decodes whatever the link may send."""
    assert MavlinkLink.SENDABLE <= ALL
