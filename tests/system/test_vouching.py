"""Signed and chained: what a drone sent, what a desk holds, and who changed what in between."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.cli.main import app
from edge.config_delivery import EvidenceConfig
from edge.desk.authority import Authority
from edge.desk.broker import EmbeddedBroker
from edge.desk.store import DeskStore
from edge.desk.verify import Verdict, verify
from edge.desk.vouching import read_drone_keys
from edge.records import AlertKind
from edge.report.evidence import EvidenceKeeper, EvidenceRef
from edge.report.outgoing import outgoing_alert, outgoing_evidence
from tests.system.delivery import Place, numbered, running, wait_empty, wait_until
from tests.unit.protocol.alerts import typical_alert
from tests.unit.report.test_report_parts import coarse, frame, sighting

pytestmark = pytest.mark.system
N_ALERTS = 6


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority") / "keys"
    authority = Authority.create(folder, ["localhost"], datetime.now(timezone.utc), 30)
    for name in ("drone-1", "drone-2"):
        authority.issue_drone(name, datetime.now(timezone.utc), 30)
    return folder


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    pytest.importorskip("iotcore")
    with EmbeddedBroker() as running_broker:
        yield running_broker


def place_at(folder: Path, broker: EmbeddedBroker, keys: Path, signs_as: str | None) -> Place:
    place = Place(folder, broker.config(), broker.config())
    place.drone_keys = read_drone_keys(keys / "desk" / "drones")
    if signs_as is not None:
        place.sign_key = keys / "drones" / signs_as / "sign.key"
    return place


@pytest.fixture(scope="module")
def flown(tmp_path_factory: pytest.TempPathFactory, broker: EmbeddedBroker, keys: Path) -> Path:
    """The desk's database after a flight whose uplink was restarted in the middle."""
    place = place_at(tmp_path_factory.mktemp("flown"), broker, keys, "drone-1")
    alert = typical_alert(kind=AlertKind.NEW, incident_id=b"pictured-0000001")
    pictures = EvidenceKeeper(EvidenceConfig(folder=place.folder / "evidence"))
    pictures.offer(alert.incident_id, frame(), sighting(), coarse)
    ref = pictures.store(alert.incident_id)
    assert isinstance(ref, EvidenceRef)
    pictured = replace(alert, evidence_hash=ref.hash8)
    with place.mailbox() as mailbox:
        for half in (range(3), range(3, N_ALERTS)):
            with running(place.desk, place.uplink):
                mailbox.put_all([numbered(n) for n in half])
                if half.start:
                    mailbox.put(outgoing_evidence(pictured, ref.path))
                wait_empty(mailbox)
    return place.desk_path


def verdict_of(database: Path, keys: Path) -> Verdict:
    with DeskStore(database) as store:
        (verdict,) = verify(store, read_drone_keys(keys / "desk" / "drones"))
    return verdict


@pytest.fixture
def copy(flown: Path, tmp_path: Path) -> Path:
    """The database, to be tampered with."""
    for path in flown.parent.glob("desk.db*"):
        shutil.copy(path, tmp_path)
    return tmp_path / "desk.db"


def tamper(database: Path, sql: str) -> int:
    with sqlite3.connect(database) as db:
        return db.execute(sql).rowcount


def test_an_untouched_flight_is_sound(flown: Path, keys: Path) -> None:
    """Every alert and picture is as it was signed, over a restart of the uplink, to the end."""
    verdict = verdict_of(flown, keys)
    assert verdict.is_sound, verdict.wrong
    assert (verdict.signed, verdict.unsigned, verdict.open_end) == (N_ALERTS + 1, 0, 0)
    done = CliRunner().invoke(
        app, ["verify", str(flown.parent), "--drone-keys", str(keys / "desk" / "drones")]
    )
    assert done.exit_code == 0
    assert "7 messages are as they were signed" in done.output


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("DELETE FROM alert WHERE seq = 2", "alert 2 was received and has been removed"),
        ("UPDATE alert SET body = (SELECT body FROM alert WHERE seq = 1) WHERE seq = 2", "changed"),
        ("UPDATE media SET image_webp = x'00'", "media 7 is not what was signed"),
        ("DELETE FROM media", "media 7 was received and has been removed"),
        (
            "UPDATE alert SET fields = json_set(fields, '$.lat_deg', 0) WHERE seq = 2",
            "alert 2 shows other than what came",
        ),
        (
            "INSERT INTO alert SELECT drone, x'00', revision, epoch, seq, received_utc_ns,"
            " is_replay, x'00', fields FROM alert WHERE seq = 2",
            "in 2 versions",
        ),
        ("DELETE FROM voucher WHERE n = 3", "1 missing between"),
        ("DELETE FROM voucher WHERE n < 3", "the first 2 that were sent are missing"),
        ("UPDATE voucher SET voucher = CAST(substr(voucher, 1, 150) || x'0000' AS BLOB)", "read"),
        ("UPDATE voucher SET voucher = (SELECT voucher FROM voucher WHERE n = 1)", "one number"),
        ("UPDATE voucher SET voucher = x'00' WHERE n = 2", "cannot be read"),
    ],
)
def test_what_was_tampered_with_shows(copy: Path, keys: Path, sql: str, says: str) -> None:
    """A removed or changed alert, picture or signature is named."""
    assert tamper(copy, sql) > 0
    verdict = verdict_of(copy, keys)
    assert any(says in sentence for sentence in verdict.wrong), verdict.wrong
    done = CliRunner().invoke(
        app, ["verify", str(copy), "--drone-keys", str(keys / "desk" / "drones")]
    )
    assert done.exit_code == 1


def test_a_chain_cut_off_at_its_end_shows(copy: Path, keys: Path) -> None:
    """The drone's last status says how far it had come."""
    with sqlite3.connect(copy) as db:
        db.execute("DELETE FROM voucher WHERE n > 5")
        db.execute("DELETE FROM alert WHERE seq NOT IN (SELECT seq FROM voucher)")
        db.execute("DELETE FROM media")
    verdict = verdict_of(copy, keys)
    assert verdict.open_end == 2
    for table in ("voucher", "alert", "media", "message"):
        tamper(copy, f"DELETE FROM {table}")
    assert verdict_of(copy, keys).open_end == 7


def test_a_signature_of_another_drone_proves_nothing(copy: Path, keys: Path) -> None:
    """Messages moved from one drone to another are not what that one signed."""
    for table in ("alert", "voucher", "message", "media", "head"):
        tamper(copy, f"UPDATE {table} SET drone = 'drone-2'")
    verdict = verdict_of(copy, keys)
    (told,) = [sentence for sentence in verdict.wrong if "not the drone's" in sentence]
    assert told.startswith(f"message 1 and {N_ALERTS} more: ")  # the picture, too
    assert verdict.unsigned == 0


def test_a_renewed_key_leaves_what_the_former_signed_proved(
    copy: Path, keys: Path, tmp_path: Path
) -> None:
    """A drone's certificate and key are renewed; its earlier flights are verified as before."""
    now, renewed = datetime.now(timezone.utc), tmp_path / "renewed"
    shutil.copytree(keys, renewed)
    authority = Authority(renewed)
    authority.revoke("drone-1", now)
    authority.issue_drone("drone-1", now, 30)
    assert len(read_drone_keys(renewed / "desk" / "drones")["drone-1"]) == 2
    assert verdict_of(copy, renewed).is_sound


@pytest.mark.parametrize("signs_as", [None, "drone-2"])
def test_a_forger_with_the_brokers_ear_is_refused(
    tmp_path: Path, broker: EmbeddedBroker, keys: Path, signs_as: str | None
) -> None:
    """Without the drone's key nothing is taken in its name, and the refusal says why."""
    place = place_at(tmp_path, broker, keys, signs_as)

    def refused() -> list[str]:
        with DeskStore(place.desk_path) as store:
            return [reason for (reason,) in store.rows("SELECT reason FROM refused")]

    why = "not signed" if signs_as is None else "not the drone's"
    with place.mailbox() as mailbox, running(place.desk, place.uplink):
        mailbox.put(numbered(0))
        wait_until(lambda: any(why in reason for reason in refused()), "the desk refuses")
    assert place.committed == []


def test_a_word_that_a_later_one_replaced_is_kept_for_who_verifies(
    tmp_path: Path, broker: EmbeddedBroker, keys: Path
) -> None:
    """A revision told twice, in other words, is one alert; both words are as they were signed."""
    place = place_at(tmp_path, broker, keys, "drone-1")
    first = typical_alert(kind=AlertKind.NEW, incident_id=b"told-twice-00001", revision=1)
    again = replace(first, lat_deg=first.lat_deg + 1e-4)
    with place.mailbox() as mailbox, running(place.desk, place.uplink):
        for alert in (first, again):
            mailbox.put(outgoing_alert(alert))
            wait_empty(mailbox)
    verdict = verdict_of(place.desk_path, keys)
    assert verdict.is_sound, verdict.wrong
    assert verdict.signed == 2
    assert len(place.alert_revisions()) == 1
