"""Laws of the faults: when they act, and what they leave of pictures and messages."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ScenarioError
from edge.geo.mount import read_mount
from sim.camera import camera_pose
from sim.faults.timeline import (
    MAVLINK_KINDS,
    NETWORK_KINDS,
    VIDEO_KINDS,
    Fault,
    FaultKind,
    Timeline,
)
from sim.record import mount_text, recorded_faults, vehicle_of, write_log
from sim.scenario import Scenario, load_scenario
from sim.shots import Shot, spoiled
from sim.vehicle.vehicle import BOOT_BEFORE_START_S, Vehicle
from sim.wire.log import decode, read_packets

SHORT = """
format = 1
name = "short"
[world]
family = "suburb"
[flight]
start_east_m = 0.0
start_north_m = -20.0
lanes = 2
lane_m = 90.0
gap_m = 30.0
[noise]
preset = "none"
"""


def _scenario(tmp_path: Path, more: str) -> Scenario:
    path = tmp_path / "short.toml"
    path.write_text(SHORT + more, encoding="utf-8")
    return load_scenario(path)


def _fault(kind: str, at_s: float, for_s: float, by_s: float = 0.0) -> str:
    by = f"by_s = {by_s}\n" if by_s else ""
    return f'[[fault]]\nkind = "{kind}"\nat_s = {at_s}\nfor_s = {for_s}\n{by}'


def _timeline(kind: FaultKind, at_s: float, for_s: float, by_s: float = 0.0) -> Timeline:
    return Timeline((Fault(kind, at_s, for_s, by_s),))


@given(at=st.floats(0, 100), length=st.floats(0.1, 50), t=st.floats(-10, 200))
def test_a_fault_acts_from_its_begin_up_to_its_end(at: float, length: float, t: float) -> None:
    """It is active at its first instant, not at its last, and no other kind is."""
    timeline = _timeline(FaultKind.GNSS_LOSS, at, length)
    assert (timeline.active(FaultKind.GNSS_LOSS, t) is not None) == (at <= t < at + length)
    assert timeline.active(FaultKind.VIDEO_LOSS, t) is None


def test_every_kind_has_one_place_where_it_acts() -> None:
    """Video, MAVLink and network share no kind and leave none out."""
    parts = [VIDEO_KINDS, MAVLINK_KINDS, NETWORK_KINDS]
    assert sum(map(len, parts)) == len(frozenset.union(*parts)) == len(FaultKind)


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (_fault("gremlin", 1, 2), r"fault\.0\.kind"),
        (_fault("video_loss", -1, 2), r"fault\.0\.at_s"),
        (_fault("video_loss", 1, 0), r"fault\.0\.for_s"),
        (_fault("video_loss", 1, 2, by_s=1.0), "by_s"),
        (_fault("clock_jump", 1, 2), "by_s"),
        (_fault("video_latency", 1, 2, by_s=-0.5), "by_s"),
        (_fault("video_loss", 1, 5) + _fault("video_loss", 3, 5), "overlap"),
    ],
)
def test_an_impossible_fault_stops_the_scenario(tmp_path: Path, more: str, named: str) -> None:
    """The message names the file and what is wrong with the fault."""
    with pytest.raises(ScenarioError, match=named) as caught:
        _scenario(tmp_path, more)
    assert "short.toml" in str(caught.value)


@pytest.mark.parametrize("kind", sorted(k.value for k in NETWORK_KINDS))
def test_a_recording_refuses_what_it_cannot_hold(tmp_path: Path, kind: str) -> None:
    """A fault between uplink and broker is refused by name, never left out in silence."""
    scenario = _scenario(tmp_path, _fault(kind, 1, 2))
    with pytest.raises(ScenarioError, match=f"{kind}.*sim serve"):
        recorded_faults(scenario, vehicle_of(scenario, 1))


def test_a_fault_after_the_flight_is_refused(tmp_path: Path) -> None:
    """A fault that would never act is a mistake in the scenario."""
    scenario = _scenario(tmp_path, _fault("video_loss", 500, 2))
    with pytest.raises(ScenarioError, match="flight ends"):
        recorded_faults(scenario, vehicle_of(scenario, 1))


def _shots(n: int) -> list[Shot]:
    pose = camera_pose(np.array([0.0, 0.0, 60.0]), (0.0, -1.2, 0.0))
    return [
        Shot(i, i + 0.5, round(i * 1e6), pose, np.full((4, 4, 3), 10 + i, np.uint8))
        for i in range(n)
    ]


def test_video_faults_do_to_pictures_what_they_say() -> None:
    """A freeze repeats, black is black, loss leaves out, latency dates later; no more."""
    shots = _shots(12)
    for kind, by_s in ((FaultKind.VIDEO_FREEZE, 0.0), (FaultKind.VIDEO_BLACK, 0.0),
                       (FaultKind.VIDEO_LOSS, 0.0), (FaultKind.VIDEO_LATENCY, 0.7)):  # fmt: skip
        out = list(spoiled(shots, _timeline(kind, 4.0, 3.0, by_s)))
        kept = {shot.index: (shot, is_true) for shot, is_true in out}
        for shot in shots[:4] + shots[7:]:
            assert kept[shot.index] == (shot, True)
        hit = [kept.get(i) for i in (4, 5, 6)]
        if kind is FaultKind.VIDEO_LOSS:
            assert hit == [None] * 3
            continue
        values = [int(one[0].image_bgr[0, 0, 0]) for one in hit if one]
        wanted = {FaultKind.VIDEO_FREEZE: [13] * 3, FaultKind.VIDEO_BLACK: [0] * 3}
        assert values == wanted.get(kind, [14, 15, 16])
        assert [one[1] for one in hit if one] == [kind is FaultKind.VIDEO_LATENCY] * 3
        late = [one[0].logged_us - shots[i].logged_us for i, one in zip((4, 5, 6), hit) if one]  # noqa: B905
        assert late == [round(by_s * 1e6)] * 3


@pytest.fixture(scope="module")
def vehicle(tmp_path_factory: pytest.TempPathFactory) -> Vehicle:
    """A vehicle that flies half a minute without errors."""
    return vehicle_of(_scenario(tmp_path_factory.mktemp("v"), ""), 1)


def _logged(
    tmp_path: Path, vehicle: Vehicle, faults: Timeline
) -> list[tuple[float, dict[str, Any] | None]]:
    """Return (seconds since the start, fields or None for a broken packet) of a log."""
    write_log(tmp_path / "t.tlog", vehicle, faults, 1)
    out = []
    for packet in read_packets(tmp_path / "t.tlog"):
        message = decode(packet)
        fields = message.to_dict() if message else None
        out.append(((packet.record_us - vehicle.start_utc_us) / 1e6, fields))
    return out


def test_silence_and_reboot_leave_a_gap_of_their_length(tmp_path: Path, vehicle: Vehicle) -> None:
    """Nothing is logged in the window, everything outside it; only a reboot's clock starts anew."""
    for kind in (FaultKind.MAVLINK_SILENCE, FaultKind.MAVLINK_REBOOT):
        log = _logged(tmp_path, vehicle, _timeline(kind, 6.0, 4.0))
        times = np.array([t for t, _ in log])
        assert not ((times >= 6.0) & (times < 10.0)).any()
        assert np.diff(times).max() == pytest.approx(4.0, abs=0.1)
        boots = {
            t: fields["time_boot_ms"] / 1e3
            for t, fields in log
            if fields and "time_boot_ms" in fields
        }
        offset = 10.0 if kind is FaultKind.MAVLINK_REBOOT else -BOOT_BEFORE_START_S
        assert all(b == pytest.approx(t - offset, abs=2e-3) for t, b in boots.items() if t > 10.0)
        assert all(
            b == pytest.approx(t + BOOT_BEFORE_START_S, abs=2e-3)
            for t, b in boots.items()
            if t < 6.0
        )


def test_garbage_fails_its_checksum_and_only_in_its_window(
    tmp_path: Path, vehicle: Vehicle
) -> None:
    """Each packet of the window is there and cannot be read; all others can."""
    log = _logged(tmp_path, vehicle, _timeline(FaultKind.MAVLINK_GARBAGE, 6.0, 4.0))
    readable = Counter((6.0 <= t < 10.0, fields is not None) for t, fields in log)
    assert readable[(True, True)] == readable[(False, False)] == 0
    assert readable[(True, False)] > 100


def test_a_clock_jump_moves_utc_and_nothing_else(tmp_path: Path, vehicle: Vehicle) -> None:
    """SYSTEM_TIME is off by by_s in the window; boot time goes on."""
    log = _logged(tmp_path, vehicle, _timeline(FaultKind.CLOCK_JUMP, 6.0, 6.0, -3600.0))
    off = {}
    for t, fields in log:
        if fields and fields["mavpackettype"] == "SYSTEM_TIME":
            off[t] = fields["time_unix_usec"] / 1e6 - vehicle.start_utc_us / 1e6 - t
            assert fields["time_boot_ms"] / 1e3 == pytest.approx(t + BOOT_BEFORE_START_S, abs=2e-3)
    assert {6.0 <= t < 12.0 for t in off} == {True, False}
    assert all(
        o == pytest.approx(-3600.0 if 6 <= t < 12 else 0.0, abs=1e-3) for t, o in off.items()
    )


def test_without_satellites_the_position_goes_on_and_drifts(
    tmp_path: Path, vehicle: Vehicle
) -> None:
    """The receiver says no fix at once, the filter seconds later, the position never."""
    clean = _logged(tmp_path, vehicle, Timeline())
    lost = _logged(tmp_path, vehicle, _timeline(FaultKind.GNSS_LOSS, 5.0, 15.0))
    assert len(clean) == len(lost)
    north_m, ekf = {}, {}
    for (t, was), (_, now) in zip(clean, lost, strict=True):
        assert was and now
        inside = 5.0 <= t < 20.0
        if now["mavpackettype"] == "GPS_RAW_INT":
            assert (now["fix_type"] >= 3) != inside
        if now["mavpackettype"] == "GLOBAL_POSITION_INT":
            north_m[t] = (now["lat"] - was["lat"]) * 1e-7 * 111_320
        if now["mavpackettype"] == "EKF_STATUS_REPORT":
            ekf[t] = bool(now["flags"] & 16)
    assert max(north_m.values()) > 5.0
    assert all(m == 0.0 for t, m in north_m.items() if not 5.0 <= t < 20.0)
    assert all(good == (not 12.0 <= t < 20.0) for t, good in ekf.items())


@pytest.mark.parametrize("kind", ["fixed", "stabilised_gimbal", "servo_gimbal"])
def test_the_mount_file_of_each_kind_is_read_by_the_flight_program(
    tmp_path: Path, kind: str
) -> None:
    """What the recorder writes of a mount is what the flight program understands."""
    scenario = _scenario(tmp_path, f'[camera]\nmount = "{kind}"\n')
    (tmp_path / "mount.toml").write_text(mount_text(scenario), encoding="utf-8")
    mount = read_mount(tmp_path / "mount.toml")
    assert mount.kind.value == kind
    assert mount.lever_arm_m == scenario.camera.lever_arm_m
