"""A real disk, full to the last block: what is queued leaves, pictures go first, alerts last."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.config_delivery import EvidenceConfig, MailboxConfig
from edge.errors import MailboxFullError
from edge.protocol.ack import Ack
from edge.protocol.messages import MessageKind
from edge.protocol.status import FlightStatus
from edge.records import UtcNs
from edge.report.ballast import Ballast
from edge.report.clocks import Clocks
from edge.report.evidence import EvidenceKeeper, EvidenceRef, NoEvidence
from edge.report.mailbox import Mailbox
from edge.report.outgoing import Outgoing
from edge.report.rolelock import RoleLock
from tests.small_disk import fill, small_disk
from tests.unit.report.test_report_parts import coarse, frame, keeper, sighting

SECOND = 1_000_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def opened(disk: Path, pictures: Path | None = None) -> Mailbox:
    clocks = Clocks(utc_ns=lambda: UtcNs(1_800_000_000 * SECOND), mono_ns=lambda: SECOND)
    return Mailbox(MailboxConfig(path=disk / "mailbox.db"), clocks, pictures)


def alerts(n: int) -> list[Outgoing]:
    return [Outgoing(MessageKind.ALERT, b"\x40" * 150, 3) for _ in range(n)]


def taken(mailbox: Mailbox) -> list[int]:
    seqs = []
    while rows := mailbox.take_due(50, lambda _tries: 3600 * SECOND):
        seqs += [row.seq for row in rows]
    return seqs


def fill_all(disk: Path, mailbox: Mailbox) -> None:
    """Fill the disk, also the blocks that the write-ahead log could have used again."""
    mailbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    fill(disk)


def use_up(disk: Path, mailbox: Mailbox, at_once: int) -> list[int]:
    """Put alerts until not one more is taken: the disk is full, and no ballast is left."""
    fill(disk)
    seqs: list[int] = []
    try:
        for _ in range(100_000):
            seqs += mailbox.put_all(alerts(at_once))
            fill(disk)
    except MailboxFullError:
        return seqs
    raise AssertionError("the disk was never full")


def test_an_uplink_starts_on_a_full_disk_and_empties_the_outbox(disk: Path) -> None:
    """Opening, sending and forgetting need the reserve at most: nothing has to be freed first."""
    with opened(disk) as mailbox:
        mailbox.keep_ballast()
        seqs = mailbox.put_all(alerts(2000))
    fill(disk)
    with RoleLock(disk / "mailbox.db", "uplink"), opened(disk) as mailbox:
        assert sorted(taken(mailbox)) == seqs
        assert mailbox.acked(Ack(mailbox.epoch, seqs[-1])) == len(seqs)
        assert mailbox.queue_state().queued == 0


def test_with_no_room_at_all_sending_goes_on_and_acked_rows_leave_later(disk: Path) -> None:
    """What the desk has committed is not sent again, and leaves as soon as there is a block."""
    with opened(disk) as mailbox:
        first = mailbox.put_all(alerts(10))
        fill_all(disk, mailbox)
        with pytest.raises(MailboxFullError):
            mailbox.put_all(alerts(1))
        assert sorted(taken(mailbox)) == first
        assert mailbox.acked(Ack(mailbox.epoch, first[4], (first[9],))) == 0
        mailbox.make_due()
        assert sorted(taken(mailbox)) == first[5:9]
        (disk / "filler").unlink()
        mailbox.expire()
        assert mailbox.queue_state().queued == 4
        assert mailbox.queue_state().delivered == 6


def test_pictures_make_way_for_alerts_the_oldest_first(disk: Path) -> None:
    """An alert is stored on a disk full of pictures; the newest picture stays."""
    pictures = disk / "evidence"
    pictures.mkdir()
    with opened(disk, pictures) as mailbox:
        mailbox.keep_ballast()
        for number in range(300):
            (pictures / f"{number:03}.webp").write_bytes(bytes(10_000))
        fill_all(disk, mailbox)
        mailbox.put_all(alerts(1000))
        left = sorted(path.stem for path in pictures.iterdir())
    assert 0 < len(left) < 300
    assert left == [f"{number:03}" for number in range(300 - len(left), 300)]
    assert (disk / "mailbox.db.reserve").exists()


def test_the_last_room_is_for_alerts_and_not_for_a_status(disk: Path) -> None:
    """The reserve takes alerts when nothing else is left; no status is ever worth it."""
    with opened(disk) as mailbox:
        mailbox.keep_ballast()
        fill_all(disk, mailbox)
        with pytest.raises(MailboxFullError):
            mailbox.set_flight_status(FlightStatus(version="0.1.0"))
        assert (disk / "mailbox.db.reserve").exists()
        mailbox.put_all(alerts(100))
        assert not (disk / "mailbox.db.reserve").exists()
        (disk / "filler").unlink()
        mailbox.keep_ballast()
        assert (disk / "mailbox.db.reserve").stat().st_size == 1 << 20


@pytest.mark.parametrize("at_once", [1, 7, 500])
def test_what_was_accepted_before_the_disk_was_full_is_all_there(disk: Path, at_once: int) -> None:
    """However it fills: each seq that `put` gave is sent, acked and gone, in spite of no room."""
    with opened(disk) as mailbox:
        mailbox.keep_ballast()
        seqs = use_up(disk, mailbox, at_once)
        mailbox.set_flight_status(FlightStatus(version="0.1.0", note="x" * 400))
        assert sorted(taken(mailbox)) == seqs
        mailbox.acked(Ack(mailbox.epoch, seqs[-1]))
        assert mailbox.queue_state().queued == 0


@pytest.mark.parametrize("at_once", [1, 20, 400])
def test_every_page_in_use_has_its_room_in_the_file(disk: Path, at_once: int) -> None:
    """The log can always be copied into the file, also if others fill the disk at this instant."""
    path = disk / "mailbox.db"
    with opened(disk) as mailbox:
        for turn in range(30):
            seqs = mailbox.put_all(alerts(at_once))
            if turn % 4 == 3:
                taken(mailbox)
                mailbox.acked(Ack(mailbox.epoch, seqs[-1] - at_once))
            pages, page_bytes = (
                mailbox.rows(f"PRAGMA {name}")[0][0] for name in ("page_count", "page_size")
            )
            assert pages * page_bytes <= path.stat().st_size


def test_what_others_take_while_the_file_grows_costs_only_what_is_new(disk: Path) -> None:
    """A growth that finds no room after all refuses the put, and leaves nothing in its way."""
    with opened(disk) as mailbox:
        seqs = mailbox.put_all(alerts(100))
        fill(disk, leave_bytes=200_000)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(MailboxFullError):
            patch.setattr("edge.report.changes.free_bytes", lambda _path: 1 << 30)
            mailbox.put_all(alerts(3000))
        assert sorted(taken(mailbox)) == seqs
        assert mailbox.acked(Ack(mailbox.epoch, seqs[-1])) == 100
        assert mailbox.rows("SELECT count(*) FROM meta WHERE name = 'room'") == [(0,)]


def test_a_reserve_is_not_made_where_there_is_little_room(disk: Path) -> None:
    """Laying something aside must not be what fills the disk."""
    fill(disk, leave_bytes=4 << 20)
    Ballast(disk / "mailbox.db").keep()
    assert not (disk / "mailbox.db.reserve").exists()
    assert not Ballast(disk / "mailbox.db").give_up()


def test_a_picture_that_finds_no_room_leaves_no_half(disk: Path) -> None:
    """The alert goes without it, and no part of it takes up a block."""
    pictures = keeper(disk)
    pictures.offer(b"i" * 16, frame(), sighting(), coarse)
    fill(disk)
    assert pictures.store(b"i" * 16) is NoEvidence.DISK
    assert list((disk / "evidence").iterdir()) == []
    (disk / "filler").unlink()
    assert isinstance(pictures.store(b"i" * 16), EvidenceRef)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["put", "send", "ack"]), st.integers(1, 40)),
        st.tuples(st.sampled_from(["fill", "free", "reopen", "expire", "keep"]), st.just(0)),
    ),
    min_size=5,
    max_size=25,
)


def test_whenever_the_disk_fills_nothing_accepted_is_lost_and_nothing_acked_comes_back(
    tmp_path: Path,
) -> None:
    """In whatever order it fills, is freed, the uplink restarts, and rows come and go."""
    with small_disk(tmp_path / "disk", 10) as disk:

        @settings(max_examples=15)
        @given(EVENTS)
        def the_law_holds(events: list[tuple[str, int]]) -> None:
            for path in disk.iterdir():
                path.unlink()
            Story(disk).tell(events)

        the_law_holds()


class Story:
    """A mailbox, what it accepted, and what the desk has acked since."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self.mailbox = opened(disk)
        self.left: set[int] = set()
        self.sent: set[int] = set()  # by this uplink: nobody acks what was never sent

    def tell(self, events: list[tuple[str, int]]) -> None:
        for event, n in [("put", 20), *events, ("free", 0), ("expire", 0)]:
            with contextlib.suppress(MailboxFullError):
                self.happen(event, n)
        self.mailbox.make_due()
        assert set(taken(self.mailbox)) == self.left
        assert self.mailbox.queue_state().queued == len(self.left)
        self.mailbox.close()

    def happen(self, event: str, n: int) -> None:
        mailbox = self.mailbox
        if event == "put":
            self.left |= set(mailbox.put_all(alerts(n * 10)))
        elif event == "send":
            mailbox.make_due()
            sent = {row.seq for row in mailbox.take_due(n, lambda _tries: 0)}
            assert sent <= self.left
            self.sent |= sent
            assert len(sent) == min(n, len(self.left))
        elif event == "ack":
            acked = set(sorted(self.left & self.sent)[::2][:n])
            self.left -= acked
            mailbox.acked(Ack(mailbox.epoch, 0, tuple(acked)))
        elif event == "fill":
            fill(self.disk)
        elif event == "free":
            (self.disk / "filler").unlink(missing_ok=True)
        elif event == "reopen" and not (self.disk / "filler").exists():
            mailbox.expire()  # what was acked on a full disk would come again, and be acked again
            mailbox.close()
            self.mailbox = opened(self.disk)
            self.sent.clear()
        elif event == "expire":
            mailbox.expire()
        elif event == "keep":
            mailbox.keep_ballast()


# --- before it is full ----------------------------------------------------------------------------


def add_pictures(folder: Path, n: int, size_bytes: int) -> None:
    folder.mkdir(exist_ok=True)
    for number in range(n):
        path = folder / f"{number:04d}.webp"
        path.write_bytes(bytes(size_bytes))
        os.utime(path, ns=(number, number))


def test_mailbox_and_pictures_share_one_budget_and_pictures_make_way(tmp_path: Path) -> None:
    """The more alerts wait, the fewer pictures are kept, the oldest first; no alert goes."""
    pictures = tmp_path / "evidence"
    config = MailboxConfig(path=tmp_path / "mailbox.db", disk_mb=4.0)
    with Mailbox(config, Clocks(), pictures) as mailbox:
        add_pictures(pictures, 250, 15_000)
        mailbox.trim_pictures()
        n_before = len(list(pictures.iterdir()))
        assert n_before > 240
        mailbox.put_all([Outgoing(MessageKind.ALERT, b"\x40" * 150, 3) for _ in range(2000)])
        dropped = mailbox.trim_pictures()
        left = sorted(path.name for path in pictures.iterdir())
        assert dropped == n_before - len(left) > 0
        assert left[-1] == "0249.webp"
        assert mailbox.queue_state().queued == 2000
        total = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        assert total <= 4_000_000


def test_a_part_of_the_disk_is_left_to_others(disk: Path) -> None:
    """Whoever else fills it, pictures make way until a twentieth is free again."""
    with opened(disk, disk / "evidence") as mailbox:
        add_pictures(disk / "evidence", 200, 15_000)
        fill(disk, leave_bytes=100_000)
        assert mailbox.trim_pictures() > 0
        stat = os.statvfs(disk)
        assert stat.f_bavail >= 0.05 * stat.f_blocks
        assert mailbox.trim_pictures() == 0


def test_a_picture_for_which_the_budget_has_no_room_is_not_stored(tmp_path: Path) -> None:
    """The alert goes without it."""
    config = EvidenceConfig(folder=tmp_path / "evidence")
    pictures = EvidenceKeeper(config, lambda _taken: 100)
    pictures.offer(b"i" * 16, frame(), sighting(), coarse)
    assert pictures.store(b"i" * 16) is NoEvidence.DISK
    assert list((tmp_path / "evidence").iterdir()) == []
