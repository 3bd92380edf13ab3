"""Role lock, evidence, composing and the message of a row."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config_delivery import EvidenceConfig, PrivacyConfig
from edge.errors import ProtocolError, RoleTakenError
from edge.protocol.alert import decode_alert, encode_alert
from edge.protocol.media import decode_media
from edge.protocol.messages import MessageKind, open_envelope
from edge.records import (
    AlertKind,
    Detection,
    Ellipse,
    Frame,
    GroundSource,
    Incident,
    IncidentState,
    MonoNs,
    Sighting,
    TimeQuality,
    UtcNs,
    UtcTime,
    Verdict,
    Xyxy,
)
from edge.report.backoff import resend_backoff
from edge.report.compose import AlertContext, box_fractions, compose_alert
from edge.report.evidence import (
    EvidenceKeeper,
    EvidenceRef,
    NoEvidence,
    coarse_around,
    part_with_margin,
)
from edge.report.outbox import OutboxRow
from edge.report.rolelock import RoleLock
from edge.report.wire import EvidenceGoneError, check_packet_size, message_from_row
from tests.unit.protocol.alerts import typical_alert

INCIDENT_ID = b"incident-0000001"


def sighting(
    score: float = 0.8,
    box: tuple[float, float, float, float] = (300, 200, 420, 290),
    **changes: object,
) -> Sighting:
    plain = Sighting(
        detection=Detection("structure", score, box),
        camera_id="wide",
        frame_index=1,
        captured_mono_ns=MonoNs(1),
        east_m=10.0,
        north_m=20.0,
        ground_amsl_m=5.0,
        look_covariance=(1.0, 0.0, 1.0),
        shared_covariance=(1.0, 0.0, 1.0),
        shared_errors_m=((), ()),
        outline_enu_m=(),
        width_m=12.0,
        depth_m=6.0,
        gsd_m_per_px=0.05,
        bearing_deg=10.0,
        depression_deg=80.0,
        ground_source=GroundSource.HOME,
        sync_sigma_s=0.0123,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def coarse(_part: Xyxy) -> float:
    """A view from so high up that no bystander can be made out."""
    return 1.0


def frame(seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (90, 160, 3), dtype=np.uint8)
    image = cv2.resize(small, (1280, 720), interpolation=cv2.INTER_CUBIC)
    return Frame(np.asarray(image, dtype=np.uint8), MonoNs(1), "wide", seed)


# --- role lock ------------------------------------------------------------------------------------


def test_a_role_has_one_holder(tmp_path: Path) -> None:
    """A second uplink is told who has the role; the other role is free; a release frees it."""
    path = tmp_path / "mailbox.db"
    with RoleLock(path, "uplink"):
        with pytest.raises(RoleTakenError, match=str(os.getpid())):
            RoleLock(path, "uplink").acquire()
        with RoleLock(path, "flight"):
            pass
    with RoleLock(path, "uplink"):
        pass


def test_a_killed_holder_frees_its_role(tmp_path: Path) -> None:
    """The kernel drops the lock with the process: nothing stale is ever left."""
    code = (
        "import sys, time; from pathlib import Path; from edge.report.rolelock import RoleLock;"
        "RoleLock(Path(sys.argv[1]), 'uplink').acquire(); print('held', flush=True);"
        "time.sleep(60)"
    )
    path = tmp_path / "mailbox.db"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(RoleTakenError, match=str(child.pid)):
            RoleLock(path, "uplink").acquire()
        child.kill()
    with RoleLock(path, "uplink"):
        pass


# --- evidence -------------------------------------------------------------------------------------


def keeper(tmp_path: Path, **changes: object) -> EvidenceKeeper:
    return EvidenceKeeper(EvidenceConfig(folder=tmp_path / "evidence", **changes))  # type: ignore[arg-type]


def test_a_picture_is_small_whole_and_named_by_its_hash(tmp_path: Path) -> None:
    """WebP within its bound, the hash is that of the file, and nobody else may read it."""
    evidence = keeper(tmp_path, max_kb=4.0)
    assert evidence.offer(INCIDENT_ID, frame(), sighting(box=(100, 100, 900, 650)), coarse)
    ref = evidence.store(INCIDENT_ID)
    assert isinstance(ref, EvidenceRef)
    data = ref.path.read_bytes()
    assert len(data) <= 4096
    assert ref.hash8 == hashlib.sha256(data).digest()[:8]
    assert ref.path.stat().st_mode & 0o777 == 0o600
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert max(image.shape[:2]) <= 320
    assert not list(ref.path.parent.glob("*.part"))


def test_the_newest_offer_replaces_the_crop(tmp_path: Path) -> None:
    """Who offers has chosen the look; the kept crop is a copy, the frame may change afterwards."""
    evidence = keeper(tmp_path)
    first = frame()
    assert evidence.offer(INCIDENT_ID, first, sighting(0.8), coarse)
    before = evidence.store(INCIDENT_ID)
    first.image_bgr[:] = 0
    again = evidence.store(INCIDENT_ID)
    assert evidence.offer(INCIDENT_ID, frame(1), sighting(0.9), coarse)
    better = evidence.store(INCIDENT_ID)
    assert isinstance(before, EvidenceRef)
    assert isinstance(again, EvidenceRef)
    assert isinstance(better, EvidenceRef)
    assert again.hash8 == before.hash8 != better.hash8


def test_the_folder_keeps_its_budget_across_flights(tmp_path: Path) -> None:
    """The oldest pictures make way, those of earlier flights first, and each is counted."""
    first = keeper(tmp_path)
    first.offer(INCIDENT_ID, frame(), sighting(), coarse)
    old = first.store(INCIDENT_ID)
    assert isinstance(old, EvidenceRef)
    size = old.path.stat().st_size
    second = keeper(tmp_path, max_mb=size * 2.5 / 1e6)
    for number in range(4):
        incident_id = bytes([number]) * 16
        second.offer(incident_id, frame(), sighting(), coarse)
        assert isinstance(second.store(incident_id), EvidenceRef)
    assert not old.path.exists()
    assert second.files_dropped == 3
    assert sum(p.stat().st_size for p in old.path.parent.iterdir()) <= size * 2.5


def test_crops_are_bounded_and_counted(tmp_path: Path) -> None:
    """A swarm of incidents does not eat the memory."""
    evidence = keeper(tmp_path)
    for number in range(70):
        evidence.offer(bytes([number]) * 16, frame(), sighting(box=(10, 10, 30, 30)), coarse)
    assert evidence.crops_dropped == 6
    assert evidence.store(bytes(16)) is NoEvidence.NO_CROP


def test_absent_evidence_has_a_reason(tmp_path: Path) -> None:
    """Off, never offered, or no disk: each has its name."""
    off = keeper(tmp_path / "off", enabled=False)
    assert not off.offer(INCIDENT_ID, frame(), sighting(), coarse)
    assert off.store(INCIDENT_ID) is NoEvidence.DISABLED
    assert not (tmp_path / "off").exists()
    evidence = keeper(tmp_path)
    assert evidence.store(INCIDENT_ID) is NoEvidence.NO_CROP
    evidence.offer(INCIDENT_ID, frame(), sighting(), coarse)
    (tmp_path / "evidence").rmdir()
    assert evidence.store(INCIDENT_ID) is NoEvidence.DISK


def test_a_picture_that_made_way_is_made_again_or_not_promised(tmp_path: Path) -> None:
    """No alert carries the hash of a picture that was deleted to make room."""
    evidence = keeper(tmp_path)
    evidence.offer(INCIDENT_ID, frame(), sighting(), coarse)
    ref = evidence.store(INCIDENT_ID)
    assert isinstance(ref, EvidenceRef)
    ref.path.unlink()
    assert evidence.store(INCIDENT_ID) == ref
    ref.path.unlink()
    (tmp_path / "evidence").rmdir()
    assert evidence.store(INCIDENT_ID) is NoEvidence.DISK


@given(st.tuples(*[st.floats(-300, 1500)] * 2), st.tuples(*[st.floats(-300, 1500)] * 2))
def test_a_crop_never_reaches_beyond_the_frame(
    xs: tuple[float, float], ys: tuple[float, float]
) -> None:
    """Boxes outside give nothing; all others a part that lies within the frame."""
    image = np.zeros((720, 1280, 3), np.uint8)
    part = part_with_margin(image, (min(xs), min(ys), max(xs), max(ys)))
    if part is not None:
        left, top, right, bottom = part
        assert 0 <= left < right <= 1280
        assert 0 <= top < bottom <= 720


@given(
    factor=st.floats(1.1, 60.0),
    size=st.tuples(st.integers(20, 200), st.integers(20, 200)),
    corner=st.tuples(st.floats(0, 0.6), st.floats(0, 0.6)),
)
def test_outside_the_finding_only_means_of_cells_are_left(
    factor: float, size: tuple[int, int], corner: tuple[float, float]
) -> None:
    """Two pictures that differ only within the cells' means cannot be told apart afterwards."""
    width, height = size
    rng = np.random.default_rng(width * 1000 + height)
    image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    x0, y0 = corner[0] * width, corner[1] * height
    box = (x0, y0, x0 + 0.3 * width, y0 + 0.3 * height)
    shown = coarse_around(image, box, factor)
    rows = slice(math.ceil(box[1]), math.floor(box[3]) + 1)
    columns = slice(math.ceil(box[0]), math.floor(box[2]) + 1)
    assert np.array_equal(shown[rows, columns], image[rows, columns])
    # As many numbers as there are cells make all of the outside: no more than that is in it.
    cells = max(1, int(width / factor)), max(1, int(height / factor))
    means = cv2.resize(image, cells, interpolation=cv2.INTER_AREA)
    again = cv2.resize(means, (width, height), interpolation=cv2.INTER_LINEAR)
    outside = np.ones((height, width), bool)
    outside[rows, columns] = False
    assert np.array_equal(shown[outside], again[outside])
    assert width / cells[0] >= min(factor, width) - 1e-9


def test_a_licence_plate_beside_the_finding_cannot_be_read(tmp_path: Path) -> None:
    """Seen at 1 cm a pixel, stripes of 4 cm beside the box are gone, within it they stay."""
    image = np.full((720, 1280, 3), 128, np.uint8)
    image[:, ::8] = image[:, 1::8] = image[:, 2::8] = image[:, 3::8] = 255
    seen = Frame(image, MonoNs(1), "wide", 0)
    shed = sighting(box=(600, 300, 700, 400))
    for max_cm, contrast in ((10.0, 30.0), (None, 100.0)):
        folder = tmp_path / str(max_cm)
        privacy = PrivacyConfig(max_detail_cm=max_cm)
        evidence = EvidenceKeeper(EvidenceConfig(folder=folder), privacy=privacy)
        assert evidence.offer(INCIDENT_ID, seen, shed, lambda _part: 0.01)
        ref = evidence.store(INCIDENT_ID)
        assert isinstance(ref, EvidenceRef)
        kept = cv2.imdecode(np.frombuffer(ref.path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
        assert kept is not None
        beside, inside = kept[40:110, :20], kept[40:110, 40:110]
        assert int(inside.max()) - int(inside.min()) > 90
        assert (int(beside.max()) - int(beside.min()) < contrast) == (max_cm is not None)


@pytest.mark.parametrize("finest", [None, 0.0, float("nan")])
def test_a_crop_whose_detail_is_not_known_is_withheld(tmp_path: Path, finest: float | None) -> None:
    """Nobody is protected by a guess: there is no picture, and an older one is not sent instead."""
    evidence = keeper(tmp_path)
    assert evidence.offer(INCIDENT_ID, frame(), sighting(), coarse)
    assert not evidence.offer(INCIDENT_ID, frame(1), sighting(0.9), lambda _part: finest)
    assert evidence.store(INCIDENT_ID) is NoEvidence.WITHHELD
    assert evidence.crops_withheld == 1
    assert evidence.offer(INCIDENT_ID, frame(1), sighting(0.95), coarse)
    assert isinstance(evidence.store(INCIDENT_ID), EvidenceRef)


# --- composing ------------------------------------------------------------------------------------


def verdict(best: Sighting, **changes: object) -> Verdict:
    incident = Incident(
        incident_id=INCIDENT_ID,
        label="structure",
        state=IncidentState.CONFIRMED,
        revision=0,
        east_m=10.0,
        north_m=20.0,
        ground_amsl_m=5.04,
        covariance=(1.0, 0.0, 1.0),
        width_m=12.0,
        depth_m=6.0,
        looks=17,
        median_score=0.7,
        first_mono_ns=MonoNs(1),
        last_mono_ns=MonoNs(2),
        best=best,
    )
    fields: dict[str, object] = {"kind": AlertKind.NEW, "incident": incident, "revision": 1}
    fields |= {"rule": "new-shed", "severity": 2, "department": "城管", "event_code": "0101"}
    fields |= {"grid_cell": "320206001001007", "threshold": 0.5}
    return Verdict(**(fields | changes))  # type: ignore[arg-type]


CONTEXT = AlertContext(
    lat_deg=31.57,
    lon_deg=120.3,
    ellipse=Ellipse(3.0, 2.0, 10.0),
    time=UtcTime(UtcNs(1_800_000_000 * 10**9), TimeQuality.GNSS, 1234),
    frame_size_px=(1280, 720),
    model_hash=bytes(range(32)),
    config_hash=bytes(range(32)),
)


def test_an_alert_says_what_the_verdict_and_the_best_look_say() -> None:
    """Nothing is invented on the way from the rules to the wire."""
    alert = compose_alert(verdict(sighting(is_cut=True)), CONTEXT)
    got = decode_alert(encode_alert(alert))
    assert (got.incident_id, got.looks, got.score, got.threshold) == (INCIDENT_ID, 17, 0.7, 0.5)
    assert (got.extent_w_m, got.extent_h_m, got.gsd_m_per_px) == (12.0, 6.0, 0.05)
    assert (got.model_hash, got.sync_error_ms) == (bytes(range(8)), 12)
    assert got.flags.cut
    assert not got.flags.low_grazing
    assert got.box_xyxy == pytest.approx(
        (300.5 / 1280, 200.5 / 720, 420.5 / 1280, 290.5 / 720), abs=1e-4
    )


def test_a_coarse_verdict_makes_a_coarse_alert() -> None:
    """What the rules found too vague says so over the air."""
    for is_coarse in (False, True):
        alert = compose_alert(replace(verdict(sighting()), is_coarse=is_coarse), CONTEXT)
        assert decode_alert(encode_alert(alert)).flags.coarse is is_coarse
    flat = compose_alert(verdict(sighting(is_low_grazing=True)), CONTEXT)
    assert decode_alert(encode_alert(flat)).flags.low_grazing


def test_a_long_text_is_cut_and_never_costs_the_alert(caplog: pytest.LogCaptureFixture) -> None:
    """The operator finds the cut in the log, the desk gets the alert."""
    long = verdict(sighting(), rule="an-unusually-long-rule-name-0001", department="建设局" * 5)
    encode_alert(compose_alert(long, CONTEXT))
    assert "alert_text_cut fields=rule,department" in caplog.text


def test_a_box_beyond_the_frame_is_cut_to_it() -> None:
    """Fractions stay between 0 and 1."""
    assert box_fractions((-50, -50, 2000, 2000), (1280, 720)) == (0.0, 0.0, 1.0, 1.0)
    assert box_fractions((-0.5, -0.5, 639.5, 359.5), (1280, 720)) == (0.0, 0.0, 0.5, 0.5)


# --- rows to messages -----------------------------------------------------------------------------


def row(**changes: object) -> OutboxRow:
    plain = OutboxRow(
        seq=5,
        kind=MessageKind.ALERT,
        rank=2,
        body=encode_alert(typical_alert()),
        evidence=None,
        incident_id=INCIDENT_ID,
        revision=1,
        tries=0,
        put_mono_ns=1,
        age_s=0.0,
        remaining_s=100.5,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_a_row_that_waited_out_an_outage_is_a_replay() -> None:
    """So is one of unknown age; the body's bytes are the same."""
    for age_s, is_replay in ((0.0, False), (31.0, True), (None, True)):
        envelope = open_envelope(message_from_row(row(age_s=age_s), "d1", 9).payload)
        assert envelope.is_replay is is_replay
        assert envelope.body == row().body


def test_a_message_expires_with_its_row() -> None:
    """The broker forgets it when the drone would; one without a known end has no expiry."""
    assert message_from_row(row(), "d1", 9).expiry_s == 100
    assert message_from_row(row(remaining_s=0.2), "d1", 9).expiry_s == 1
    assert message_from_row(row(remaining_s=None), "d1", 9).expiry_s is None
    assert message_from_row(row(remaining_s=1e12), "d1", 9).expiry_s is None


def test_a_poison_row_is_found_before_it_is_sent(tmp_path: Path) -> None:
    """Damaged bytes, pictures that are none, and what the broker will not take are refused."""
    with pytest.raises(ProtocolError):
        message_from_row(row(body=b"\xa1\x01"), "d1", 9)
    with pytest.raises(ProtocolError):
        message_from_row(row(kind=MessageKind.LOSS), "d1", 9)
    with pytest.raises(ProtocolError, match="takes packets of 200"):
        check_packet_size(message_from_row(row(), "d1", 9), 200)
    check_packet_size(message_from_row(row(), "d1", 9), None)
    picture = row(kind=MessageKind.MEDIA, body=b"evidence", evidence=tmp_path / "gone.webp")
    with pytest.raises(EvidenceGoneError, match=r"gone\.webp"):
        message_from_row(picture, "d1", 9)


def test_a_picture_s_row_sends_the_file(tmp_path: Path) -> None:
    """The picture is read when its turn comes."""
    evidence = keeper(tmp_path)
    evidence.offer(INCIDENT_ID, frame(), sighting(), coarse)
    ref = evidence.store(INCIDENT_ID)
    assert isinstance(ref, EvidenceRef)
    sent = message_from_row(row(kind=MessageKind.MEDIA, body=ref.hash8, evidence=ref.path), "d", 9)
    media = decode_media(open_envelope(sent.payload).body)
    assert media.image_webp == ref.path.read_bytes()
    assert media.evidence_hash == ref.hash8


@given(st.integers(0, 1000))
def test_back_off_grows_to_its_bound_with_jitter(tries: int) -> None:
    """The wait doubles from the first to the longest, never more than 20 % off."""
    wait_s = resend_backoff(5.0, 120.0)(tries) / 1e9
    meant_s = min(120.0, 5.0 * 2.0 ** min(tries, 20))
    assert 0.8 * meant_s - 1e-6 <= wait_s <= 1.2 * meant_s + 1e-6
