"""MAVLink 2 signing: against pymavlink's signer, on real sockets, and against forgers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.link import MavlinkLink
from edge.capture.link_probe import probe_autopilot
from edge.capture.link_signing import (
    STAMP_FILE,
    Fault,
    LinkSigning,
    keep_stamp,
    read_signing_secret,
    read_stamp,
)
from edge.capture.telemetry import Telemetry
from edge.config import AutopilotConfig
from edge.errors import TelemetryConfigError
from tests.unit.capture.mavlink_peer import heartbeat, packed

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
SECOND = 100_000  # of a timestamp
START = 36 * 10**6 * 10 * SECOND  # eleven years after 2015
NS = 1_000_000_000


def signer(key: bytes = KEY, stamp: int = START, system_id: int = 1, link_id: int = 0) -> Any:
    """A vehicle's encoder that signs."""
    encoder = mavlink.MAVLink(None, system_id, 1)
    encoder.signing.secret_key = key
    encoder.signing.link_id = link_id
    encoder.signing.timestamp = stamp
    encoder.signing.sign_outgoing = True
    return encoder


def signed(stamp: int = START, **how: Any) -> bytes:
    return bytes(heartbeat().pack(signer(stamp=stamp, **how)))


def signing(kept: int = 0, mono_ns: Any = lambda: 0) -> LinkSigning:
    """Our end."""
    return LinkSigning(KEY, kept, mono_ns)


@given(stamp=st.integers(1, 2**47), link_id=st.integers(0, 255), system_id=st.integers(1, 255))
def test_what_pymavlink_signs_is_believed(stamp: int, link_id: int, system_id: int) -> None:
    """Any time, link and sender: the signature fits, once."""
    frame = signed(stamp, link_id=link_id, system_id=system_id)
    ours = signing()
    assert ours.fault(frame) is None
    assert ours.fault(frame) is Fault.REPLAYED


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_of_a_signed_frame_can_be_changed(at: int, bit: int) -> None:
    """Every flipped bit makes it unsigned or forged, and costs the true sender nothing."""
    frame = bytearray(signed())
    frame[at % len(frame)] ^= 1 << bit
    ours = signing()
    assert ours.fault(bytes(frame)) in {Fault.UNSIGNED, Fault.FORGED}
    assert ours.fault(signed()) is None


def test_strangers_are_told_apart() -> None:
    """No signature, MAVLink 1, another key: each is counted by its name."""
    ours = signing()
    old = bytes(heartbeat().pack(mavlink.MAVLink(None, 1, 1), force_mavlink1=True))
    assert ours.fault(packed(heartbeat())) is Fault.UNSIGNED
    assert ours.fault(old) is Fault.UNSIGNED
    assert ours.fault(signed(key=OTHER)) is Fault.FORGED
    assert ours.faults == {Fault.UNSIGNED: 2, Fault.FORGED: 1, Fault.REPLAYED: 0}


def test_a_forger_from_the_future_does_not_lock_the_vehicle_out() -> None:
    """A frame with a later time and a wrong signature moves no stream's time."""
    ours = signing()
    assert ours.fault(signed(START + 10**9, key=OTHER)) is Fault.FORGED
    assert ours.fault(signed(START)) is None


@pytest.mark.parametrize(("behind_s", "fault"), [(59, None), (61, Fault.REPLAYED)])
def test_a_new_stream_may_be_a_minute_behind(behind_s: int, fault: Fault | None) -> None:
    """A recording on a link id of its own is no way around the streams' times."""
    ours = signing()
    assert ours.fault(signed(START)) is None
    assert ours.fault(signed(START - behind_s * SECOND, link_id=7)) is fault


def test_yesterdays_recording_is_refused_after_a_restart(tmp_path: Path) -> None:
    """The newest time is kept on the disk, about once a minute, and counts for the next run."""
    ours = signing()
    assert ours.newest_worth_keeping() is None
    assert ours.fault(signed(START)) is None
    stamp = ours.newest_worth_keeping()
    assert stamp == START
    assert ours.newest_worth_keeping() is None
    keep_stamp(tmp_path, stamp)
    again = signing(kept=read_stamp(tmp_path))
    assert again.fault(signed(START - 24 * 3600 * SECOND)) is Fault.REPLAYED
    assert again.fault(signed(START + SECOND)) is None
    assert read_stamp(tmp_path / "none") == read_stamp(None) == 0
    keep_stamp(tmp_path / "none", stamp)  # no folder: no exception
    for nonsense in ("", "x", "-1", "281474976710656", "9" * 5000, "\udcff"):
        (tmp_path / STAMP_FILE).write_text(nonsense, errors="surrogateescape")
        assert read_stamp(tmp_path) == 0


@pytest.mark.parametrize("kept", [0, START - 10**9])
def test_the_vehicles_time_is_ours(kept: int) -> None:
    """Whatever we signed with before we heard it, we sign in the vehicle's present, never ahead."""
    now = [5 * NS]
    ours = signing(kept, mono_ns=lambda: now[0])
    assert [ours.next_stamp() for _ in range(3)] == [kept + 1, kept + 2, kept + 3]
    assert ours.fault(signed(START)) is None
    now[0] += 3 * NS
    assert ours.next_stamp() == START + 3 * SECOND
    vehicle = signer()
    vehicle.signing.timestamp = START + 3 * SECOND
    encoder = signer(stamp=ours.next_stamp(), system_id=1, link_id=1)
    assert vehicle.decode(bytearray(heartbeat().pack(encoder))) is not None


@given(st.lists(st.integers(0, 2 * NS), min_size=1, max_size=20))
def test_our_own_times_rise(waits_ns: list[int]) -> None:
    """No two frames of ours have the same time, however fast they follow."""
    now = [0]
    ours = signing(mono_ns=lambda: now[0])
    stamps = []
    for wait_ns in waits_ns:
        now[0] += wait_ns
        stamps += [ours.next_stamp(), ours.next_stamp()]
        ours.fault(signed(START + now[0] // 20_000, link_id=3))  # a vehicle of half our pace
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        ("00" * 31, 0o600, "64 hex digits"),
        ("my passphrase", 0o600, "SHA-256"),
        ("00" * 32, 0o640, "chmod 600"),
        (None, 0o600, "cannot be read"),
        ("ü" * 64, 0o600, "cannot be read"),
    ],
)
def test_a_key_that_is_none_is_named(
    tmp_path: Path, text: str | None, mode: int, says: str
) -> None:
    """The start says what the key file lacks, and never what stands in it."""
    path = tmp_path / "key"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(TelemetryConfigError, match=says) as caught:
        read_signing_secret(path)
    assert text is None or text not in str(caught.value)


@contextmanager
def vehicle(key: bytes | None, *, wants_signature: bool = True) -> Iterator[tuple[int, list[Any]]]:
    """A vehicle on UDP that signs with a key, and hears only what is signed with it."""
    heard: list[Any] = []
    ended = threading.Event()
    port_of_ours: list[int] = []
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind(("127.0.0.1", 0))
    wire.settimeout(0.05)
    encoder = signer(key or KEY)
    encoder.signing.sign_outgoing = key is not None
    decoder = signer(KEY) if wants_signature else mavlink.MAVLink(None, 1, 1)

    def fly() -> None:
        while not ended.is_set():
            if port_of_ours:
                encoder.signing.timestamp += SECOND // 10
                wire.sendto(heartbeat().pack(encoder), ("127.0.0.1", port_of_ours[0]))
            with suppress(TimeoutError, mavlink.MAVError):
                data, (_, port) = wire.recvfrom(4096)
                port_of_ours[:] = [port]
                heard.append(decoder.decode(bytearray(data)))

    thread = threading.Thread(target=fly)
    thread.start()
    yield wire.getsockname()[1], heard
    ended.set()
    thread.join()
    wire.close()


def config(port: int, folder: Path, **changes: Any) -> AutopilotConfig:
    secret = folder / "mavlink.key"
    secret.write_text(KEY.hex() + "\n")
    secret.chmod(0o600)
    fields = {"url": f"udpout:127.0.0.1:{port}", "signing_key_file": secret}
    return AutopilotConfig(**(fields | changes))


def until(is_so: Any, seconds: float = 8.0) -> bool:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(is_so())


def test_a_signing_vehicle_and_we_believe_each_other(tmp_path: Path) -> None:
    """Over a real socket: its heartbeat connects us, and it hears what we ask for."""
    with vehicle(KEY) as (port, heard):
        settings = config(port, tmp_path)
        link = MavlinkLink(settings, Telemetry(settings), tmp_path)
        link.start()
        assert until(lambda: link.health().connected)
        assert until(lambda: any(one.get_type() == "COMMAND_LONG" for one in heard))
        assert link.health().not_believed == 0
        link.close()
    assert read_stamp(tmp_path) > 0


@pytest.mark.parametrize("key", [None, OTHER])
def test_a_vehicle_without_the_key_is_not_heard(tmp_path: Path, key: bytes | None) -> None:
    """Its heartbeats are counted, believed by nobody, and the probe says what to look at."""
    with vehicle(key) as (port, _):
        probe = probe_autopilot(config(port, tmp_path), 1.0)
    assert not probe.heartbeat
    assert probe.health is not None
    assert probe.health.not_believed > 0
    assert probe.error is not None
    assert "has the vehicle the same key?" in probe.error


def test_without_a_key_nothing_is_signed(tmp_path: Path) -> None:
    """A vehicle that signs is heard by who does not check; what we send stays plain."""
    with vehicle(KEY, wants_signature=False) as (port, heard):
        settings = config(port, tmp_path, signing_key_file=None)
        link = MavlinkLink(settings, Telemetry(settings))
        link.start()
        assert until(lambda: link.health().connected)
        assert until(lambda: len(heard) > 2)
        link.close()
    assert all(not one.get_header().incompat_flags & 1 for one in heard)
