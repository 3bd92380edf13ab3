"""The desk's file, its exports and its acks."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bench.sizes import worst_alert
from edge.desk.console import commit_line
from edge.desk.export import COLUMNS, write_csv, write_geojson
from edge.desk.receiver import CommittedAlert, split_ack
from edge.desk.store import DeskStore, Receipt
from edge.errors import MailboxError
from edge.protocol.ack import MAX_EXTRA, MAX_REJECTS, Reject, encode_ack
from edge.protocol.alert import encode_alert
from edge.protocol.messages import Envelope, MessageKind, Stamp
from edge.protocol.text import alert_as_dict
from edge.records import Alert, AlertKind
from tests.unit.protocol.alerts import typical_alert


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeskStore]:
    with DeskStore(tmp_path / "desk.db") as opened:
        yield opened


def put(store: DeskStore, alert: Alert, seq: int, epoch: int = 7) -> bool:
    envelope = Envelope(MessageKind.ALERT, Stamp(epoch, seq), encode_alert(alert))
    receipt = Receipt("d1", 1_800_000_000_000_000_000 + seq)
    with store.transaction():
        is_new = store.store_alert(receipt, envelope, alert)
        store.store_message(receipt, envelope, None)
    return is_new


def test_a_message_stored_twice_is_there_once(store: DeskStore) -> None:
    """Neither a resend nor a restored mailbox with another epoch doubles an alert."""
    assert put(store, typical_alert(), 1)
    assert not put(store, typical_alert(), 1)
    assert not put(store, typical_alert(), 1, epoch=8)
    assert put(store, typical_alert(kind=AlertKind.UPDATE, revision=2), 2)
    assert store.counts()["alert"] == 2


def test_a_revision_told_again_in_other_words_counts_as_the_later_says(store: DeskStore) -> None:
    """A flight killed before it had noted its telling: the later of one mailbox wins, both ways."""
    assert put(store, typical_alert(looks=30), 1)
    assert put(store, typical_alert(looks=35), 3)
    assert not put(store, typical_alert(looks=31), 2)
    assert not put(store, typical_alert(looks=40), 9, epoch=8)  # of another file: who knows when
    ((fields,),) = store.rows("SELECT json_extract(fields, '$.looks') FROM alert")
    assert fields == 35
    assert store.counts()["alert"] == 1


def test_nothing_of_a_failed_batch_stays(store: DeskStore) -> None:
    """A batch is committed whole or not at all."""
    envelope = Envelope(MessageKind.COVER, Stamp(7, 1), b"\x00")
    with pytest.raises(RuntimeError), store.transaction():
        store.store_message(Receipt("d1", 1), envelope, b"\x00")
        raise RuntimeError("power")
    assert store.counts()["message"] == 0


@settings(max_examples=30, deadline=None)
@given(seqs=st.lists(st.integers(1, 12), unique=True), low=st.integers(0, 6))
def test_up_to_covers_all_that_is_here_or_done_with(
    seqs: list[int], low: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The mark rises over what came, in any order, and over gaps that the drone has declared."""
    with DeskStore(tmp_path_factory.mktemp("desk") / "desk.db") as store:
        with store.transaction():
            for seq in seqs:
                envelope = Envelope(MessageKind.COVER, Stamp(7, seq), b"\x00")
                store.store_message(Receipt("d1", 1), envelope, b"\x00")
                store.raise_watermark("d1", 7)
            up_to = store.raise_watermark("d1", 7, at_least=low)
            assert store.raise_watermark("d1", 7) == up_to
        known = {*seqs, *range(1, low + 1)}
        expected = max((n for n in range(13) if set(range(1, n + 1)) <= known), default=0)
        assert up_to == expected


@given(
    st.integers(0, 100),
    st.lists(st.integers(1, 3000), max_size=1200),
    st.lists(st.integers(1, 2**32 - 1), max_size=120),
)
def test_acks_split_without_losing_a_seq(up_to: int, done: list[int], rejected: list[int]) -> None:
    """Every seq above the mark is named in some ack, and each ack is within its bounds."""
    rejects = [Reject(seq, "why") for seq in rejected]
    acks = split_ack(Stamp(7, up_to), done, rejects)
    for ack in acks:
        encode_ack(ack)
        assert len(ack.extra) <= MAX_EXTRA
        assert len(ack.reject) <= MAX_REJECTS
        assert ack.up_to == up_to
    assert {seq for ack in acks for seq in ack.extra} == {seq for seq in done if seq > up_to}
    assert [r for ack in acks for r in ack.reject] == rejects


def test_the_export_has_the_last_state_of_each_incident(store: DeskStore, tmp_path: Path) -> None:
    """GeoJSON in lon, lat order; CSV with a header; all revisions on request."""
    put(store, typical_alert(), 1)
    put(store, typical_alert(kind=AlertKind.UPDATE, revision=2, looks=55), 2)
    put(store, typical_alert(incident_id=b"j" * 16, label="smoke"), 3)
    path = tmp_path / "alerts.geojson"
    assert write_geojson(store, path) == 2
    collection = json.loads(path.read_text(encoding="utf-8"))
    first = collection["features"][0]
    assert first["geometry"] == {"type": "Point", "coordinates": [120.3012345, 31.5701234]}
    assert first["properties"]["looks"] == 55
    assert write_geojson(store, path, newest_only=False) == 3
    table = tmp_path / "alerts.csv"
    assert write_csv(store, table) == 2
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["structure", "smoke"]
    assert rows[0]["grid_cell"] == "320206001001007"
    assert not list(tmp_path.glob("*.part"))


def test_a_formula_in_a_text_is_defused(store: DeskStore, tmp_path: Path) -> None:
    """What a spreadsheet would run, it shows; a negative number stays a number."""
    put(store, typical_alert(rule="=cmd()", department="@SUM", lat_deg=-31.5), 1)
    write_csv(store, tmp_path / "alerts.csv")
    with (tmp_path / "alerts.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["rule"], row["department"], row["lat_deg"]) == ("'=cmd()", "'@SUM", "-31.5")


def test_an_empty_desk_exports_empty_files(store: DeskStore, tmp_path: Path) -> None:
    """No alerts is an answer too: a collection without features, a table with its header."""
    assert write_geojson(store, tmp_path / "a.geojson") == 0
    assert write_csv(store, tmp_path / "a.csv") == 0
    assert (tmp_path / "a.csv").read_text("utf-8").strip() == ",".join(COLUMNS)


def test_the_columns_of_an_export_are_all_that_an_alert_has() -> None:
    """A table of alerts has the same columns whatever is in it, and room for every field."""
    assert ("drone", "received_utc", *alert_as_dict(worst_alert())) == COLUMNS


def test_refused_messages_are_kept_but_bounded(store: DeskStore) -> None:
    """The newest thousand, each with at most 512 bytes of its head."""
    with store.transaction():
        for number in range(1005):
            store.store_refused("topic", f"reason {number}", bytes(5000), 1)
    assert store.counts()["refused"] == 1000
    assert store.rows("SELECT max(length(head)), max(size) FROM refused") == [(512, 5000)]


def test_a_file_that_is_no_desk_is_refused(tmp_path: Path) -> None:
    """A damaged or foreign file is named, not overwritten."""
    (tmp_path / "desk.db").write_bytes(b"not a database" * 500)
    with pytest.raises(MailboxError, match=r"desk\.db"):
        DeskStore(tmp_path / "desk.db")
    assert (tmp_path / "desk.db").read_bytes().startswith(b"not a database")


def test_a_desk_has_one_name_for_the_life_of_its_file(tmp_path: Path) -> None:
    """A broker keeps what it could not deliver under that name, so no other file may have it."""
    with DeskStore(tmp_path / "one.db") as one, DeskStore(tmp_path / "two.db") as two:
        names = one.client_id(), two.client_id()
    with DeskStore(tmp_path / "one.db") as again:
        assert again.client_id() == names[0]
    assert names[0] != names[1]


def test_a_file_of_the_first_schema_gets_its_name_and_keeps_what_it_holds(tmp_path: Path) -> None:
    """An older desk's file is taken over as it is; its alerts are all there."""
    with DeskStore(tmp_path / "desk.db") as older:
        put(older, typical_alert(), 1)
        for table in ("desk", "voucher", "head"):
            older.rows(f"DROP TABLE {table}")
        older.rows("PRAGMA user_version = 1")
    with DeskStore(tmp_path / "desk.db") as store:
        name = store.client_id()
        assert store.counts()["alert"] == 1
    with DeskStore(tmp_path / "desk.db") as again:
        assert again.client_id() == name


def test_a_file_of_a_later_desk_is_refused(tmp_path: Path) -> None:
    """What this desk does not know it must not write into."""
    with DeskStore(tmp_path / "desk.db") as later:
        later.rows("PRAGMA user_version = 99")
    with pytest.raises(MailboxError, match=r"schema 99, this desk knows 3"):
        DeskStore(tmp_path / "desk.db")


def test_a_committed_alert_is_one_line() -> None:
    """What, where, how sure, whose."""
    committed = CommittedAlert(
        "d1", typical_alert(), 7, 1, 1_800_000_000_123_000_000, 150, True, None
    )
    line = commit_line(committed)
    assert "\n" not in line
    assert line.startswith("08:00:00.123Z  ")  # UTC, and it says so
    for part in ("d1", "structure (high)", "31.570123 120.301235", "±3.4 m", "城管", "replay"):
        assert part in line
