"""An original's whole way: held sealed, named in the alert, let go for a case, opened, checked."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edge.cli.main import app
from edge.config_delivery import EvidenceConfig, PrivacyConfig
from edge.desk.authority import Authority
from edge.desk.broker import EmbeddedBroker
from edge.desk.orders import Order, send_order
from edge.errors import ReleaseError
from edge.protocol.command import CommandResult, Outcome, Verb
from edge.protocol.original import original_of
from edge.protocol.signing import read_signing_key
from edge.records import AlertKind, UtcNs
from edge.report.evidence import EvidenceKeeper, EvidenceRef
from edge.report.obey import obey
from edge.report.originals import RECORD
from edge.report.outgoing import outgoing_alert, outgoing_evidence
from tests.system.delivery import WAIT_S, Place, running, utc_ns, wait_empty
from tests.unit.protocol.alerts import typical_alert
from tests.unit.report.test_report_parts import coarse, frame, sighting

pytestmark = pytest.mark.system
INCIDENT = b"incident-0000001"
DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority") / "keys"
    now = datetime.now(timezone.utc)
    Authority.create(folder, ["localhost"], now, 30).issue_drone("drone-1", now, 30)
    return folder


def keeper_at(folder: Path, keys: Path, now_ns: list[int], **changes: float) -> EvidenceKeeper:
    privacy = PrivacyConfig(originals_key=keys / "drones/drone-1/originals.pub", **changes)  # type: ignore[arg-type]
    return EvidenceKeeper(
        EvidenceConfig(folder=folder), privacy=privacy, utc_ns=lambda: UtcNs(now_ns[0])
    )


@pytest.fixture
def place(tmp_path: Path, keys: Path) -> Iterator[Place]:
    pytest.importorskip("iotcore")
    with EmbeddedBroker() as broker:
        made = Place(tmp_path, broker.config(), broker.config())
        made.command_keys = (keys / "drones" / "drone-1" / "command.pub",)
        yield made


def test_an_original_leaves_for_a_case_and_is_what_was_seen(place: Place, keys: Path) -> None:
    """The whole frame comes, sealed on the way; its hash stands in the evidence that was sent."""
    seen, pictures = frame(3), keeper_at(place.folder / "evidence", keys, [utc_ns()])
    assert pictures.offer(INCIDENT, seen, sighting(), coarse)
    ref = pictures.store(INCIDENT)
    assert isinstance(ref, EvidenceRef)
    (held,) = (place.folder / "evidence" / "originals").iterdir()
    assert held.stat().st_mode & 0o777 == 0o600
    assert b"JFIF" not in held.read_bytes()
    alert = typical_alert(kind=AlertKind.NEW, incident_id=INCIDENT)
    alert = replace(alert, evidence_hash=ref.hash8)
    order = Order("drone-1", Verb.RELEASE, 3600, INCIDENT, "2026-118").command(utc_ns())
    signer = read_signing_key(keys / "desk" / "command.key", "key")

    def fly(stop: threading.Event) -> None:
        with place.mailbox() as mailbox:
            deeds = {Verb.RELEASE: lambda one: pictures.originals.release(one, mailbox.put_all)}
            while not stop.wait(0.02):
                obey(mailbox, deeds)

    with place.mailbox() as mailbox, running(place.uplink, place.desk, fly):
        mailbox.put_all([outgoing_alert(alert), outgoing_evidence(alert, ref.path)])
        wait_empty(mailbox)  # so the drone has been at the broker, which keeps its commands
        answer = send_order(place.mqtt, order, signer, WAIT_S)
        assert isinstance(answer, CommandResult)
        assert answer.outcome is Outcome.DONE, answer.text
        wait_empty(mailbox)
    record = (held.parent / RECORD).read_text().splitlines()
    assert [json.loads(line)["case"] for line in record] == ["2026-118"]
    out = place.folder / "opened"
    words = ["--key", str(keys / "desk/originals.key"), "--database", str(place.desk_path)]
    done = CliRunner().invoke(app, ["originals", str(out), *words])
    assert done.exit_code == 0, done.output
    assert "for case 2026-118; named in its evidence" in done.output
    (picture,) = out.iterdir()
    shown = cv2.imread(str(picture))
    assert shown is not None
    assert shown.shape == seen.image_bgr.shape
    assert np.abs(shown.astype(int) - seen.image_bgr).mean() < 5.0
    assert original_of(ref.path.read_bytes()) == hashlib.sha256(picture.read_bytes()).digest()


def test_originals_are_held_as_long_as_they_may(tmp_path: Path, keys: Path) -> None:
    """After the retention time they are gone; where the date is not known, nothing goes."""
    now_ns = [utc_ns()]
    pictures = keeper_at(tmp_path, keys, now_ns, keep_originals_days=30.0)
    pictures.offer(INCIDENT, frame(), sighting(), coarse)
    assert isinstance(pictures.store(INCIDENT), EvidenceRef)
    now_ns[0] += 29 * DAY_NS
    assert pictures.originals.expire() == 0
    now_ns[0] += 2 * DAY_NS
    assert pictures.originals.expire() == 1
    order = Order("drone-1", Verb.RELEASE, 60, INCIDENT, "2026-118").command(utc_ns())
    with pytest.raises(ReleaseError, match="no original"):
        pictures.originals.release(order, lambda _messages: None)


def test_the_oldest_originals_make_way(tmp_path: Path, keys: Path) -> None:
    """The budget holds however many incidents there are, and what went is counted."""
    start_ns = utc_ns()
    pictures = keeper_at(tmp_path, keys, [start_ns], originals_max_mb=0.8)
    for number in range(6):
        incident_id = bytes([number]) * 16
        pictures.offer(incident_id, frame(number), sighting(), coarse)
        assert isinstance(pictures.store(incident_id), EvidenceRef)
        for path in (tmp_path / "originals").iterdir():
            if path.name.startswith(incident_id.hex()):
                os.utime(path, ns=(start_ns + number, start_ns + number))
    left = list((tmp_path / "originals").iterdir())
    assert sum(path.stat().st_size for path in left) <= 800_000
    assert pictures.originals.dropped == 6 - len(left) > 0
    assert any(path.name.startswith("05" * 16) for path in left)


def test_without_a_key_no_original_is_held(tmp_path: Path) -> None:
    """Nobody could open it, so nothing is kept, and the picture names none."""
    pictures = EvidenceKeeper(EvidenceConfig(folder=tmp_path))
    pictures.offer(INCIDENT, frame(), sighting(), coarse)
    ref = pictures.store(INCIDENT)
    assert isinstance(ref, EvidenceRef)
    assert not (tmp_path / "originals").exists()
    assert original_of(ref.path.read_bytes()) is None
