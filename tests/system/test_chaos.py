"""The short forms of chaos and soak, and the account that both are judged by."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from edge.cli.soak import _verdict
from edge.protocol.messages import MessageKind
from sim.chaos.judge import Account, Evidence, LossTold, judge
from sim.chaos.ledger import Entry, Outcome, read_ledgers
from sim.chaos.run import totals
from sim.faults.link import LinkMode, LinkRelay
from sim.soak.run import SoakRequest, run_soak
from sim.soak.samples import Sample, growth
from tests.aircraft import command
from tests.system.test_serve_faults import Echo, _says, _until_answered, echo

pytestmark = pytest.mark.system

EPOCH = 77
__all__ = ["echo"]  # a fixture


@pytest.fixture
def mosquitto() -> None:
    if shutil.which("mosquitto") is None and shutil.which("/usr/sbin/mosquitto") is None:
        pytest.skip("needs mosquitto: apt-get install mosquitto")


# --- the runs -------------------------------------------------------------------------------------


def test_nothing_is_lost_in_a_short_chaos(mosquitto: None, tmp_path: Path) -> None:
    """Half a minute of everything that can break: every accepted message is accounted for."""
    options = ("--minutes", "0.5", "--seed", "3", "--alerts-per-s", "20", "--no-fly", "--json")
    done = command("chaos", *options, "--keep", str(tmp_path))
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["holds"]
    assert report["accepted"] > 50
    assert report["queued"] == report["lost"] == report["invented"] == report["duplicates"] == 0
    assert report["faults_total"] >= 4
    assert set(report["ended_by_itself"].values()) == {0}
    both = totals([report, report])
    assert both["accepted"] == 2 * report["accepted"]
    assert both["holds"]


def test_a_short_soak_measures_every_program(mosquitto: None, tmp_path: Path) -> None:
    """Each program's memory, handles and threads are fitted; all that was put has arrived."""
    figures = run_soak(SoakRequest(12 / 3600, alerts_per_s=10.0, fly=False, out=tmp_path / "soak"))
    report = json.loads((tmp_path / "soak" / "soak.json").read_text())
    assert set(report["processes"]) == {"desk", "driver", "uplink"}
    for fit in report["processes"].values():
        assert fit["memory_mb"] > 10.0
        assert fit["handles"] > 3
        assert fit["n_processes"] == 1
    assert report["put_to_desk_ms"]["n"] > 10
    assert report["holds"]
    assert figures.account is not None
    assert figures.account.queued == 0
    assert (tmp_path / "soak" / "soak.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("report", "says"),
    [
        ({"hours": 2.0, "is_steady": True, "holds": True}, ["steady, and every accepted"]),
        ({"hours": 2.0, "is_steady": False, "holds": True}, ["not steady"]),
        ({"hours": 2.0, "is_steady": True, "holds": False}, ["does not hold"]),
        ({"hours": 0.01, "is_steady": False, "holds": True}, ["too short", "not steady"]),
    ],
)
def test_a_soak_says_why_it_failed(report: dict[str, object], says: list[str]) -> None:
    """A sentence for each reason, and one where there is none."""
    told = list(_verdict(report))
    assert len(told) == len(says)
    assert all(word in sentence for word, sentence in zip(says, told, strict=True))


def test_a_soak_writes_into_no_folder_that_is_in_use(tmp_path: Path) -> None:
    """An earlier soak's samples are not mixed with this one's."""
    (tmp_path / "samples.csv").write_text("")
    done = command("soak", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "is in use" in done.stderr


# --- the account ----------------------------------------------------------------------------------


def entry(seq: int, **changes: object) -> Entry:
    made = Entry(
        digest=f"d{seq}",
        kind=MessageKind.ALERT,
        severity=3,
        incident_id=f"i{seq}",
        revision=1,
        is_update=False,
        outcome=Outcome.ACCEPTED,
        epoch=EPOCH,
        seq=seq,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def found(**changes: object) -> Evidence:
    nothing = Evidence(committed={}, superseded=frozenset(), queued=frozenset(), losses=())
    return replace(nothing, **changes)  # type: ignore[arg-type]


def test_each_message_has_one_fate() -> None:
    """Committed, queued, replaced by a newer update, told lost: the law holds."""
    update = {"is_update": True, "incident_id": "x"}
    entries = [entry(1), entry(2), entry(3, **update), entry(4, revision=2, **update), entry(5)]
    evidence = found(
        committed={"d1": (EPOCH, 1), "d4": (EPOCH, 4)},
        queued=frozenset({(EPOCH, 2)}),
        losses=(LossTold(EPOCH, (0, 0, 1, 0), 5, 5),),
        replaced=1,
    )
    account = judge(entries, evidence)
    assert account.holds
    fates = (account.committed, account.queued, account.coalesced, account.loss_recorded)
    assert fates == (2, 1, 1, 1)


@pytest.mark.parametrize(
    "loss",
    [
        LossTold(EPOCH, (0, 0, 1, 0), 6, 9),  # of others
        LossTold(EPOCH, (1, 0, 0, 0), 1, 9),  # of another severity
        LossTold(EPOCH + 1, (0, 0, 1, 0), 1, 9),  # of another mailbox
    ],
)
def test_a_message_for_which_no_loss_record_speaks_is_lost(loss: LossTold) -> None:
    """Range, severity and epoch must fit."""
    account = judge([entry(5)], found(losses=(loss,)))
    assert (account.lost, account.holds) == (1, False)


def test_a_loss_record_speaks_for_as_many_as_it_says() -> None:
    """Three are missing, two are told: one is lost; ranges that overlap are used up well."""
    entries = [entry(1), entry(5), entry(9)]
    nested = (LossTold(EPOCH, (0, 0, 1, 0), 1, 9), LossTold(EPOCH, (0, 0, 1, 0), 4, 6))
    assert judge(entries, found(losses=nested)).lost == 1
    enough = (LossTold(EPOCH, (0, 0, 2, 0), 1, 9), LossTold(EPOCH, (0, 0, 1, 0), 4, 6))
    assert judge(entries, found(losses=enough)).lost == 0


def test_an_update_that_nobody_replaced_is_lost() -> None:
    """A newer update is no excuse where the mailbox has replaced none."""
    update = {"is_update": True, "incident_id": "x"}
    entries = [entry(1, **update), entry(2, revision=2, **update)]
    evidence = found(committed={"d2": (EPOCH, 2)})
    assert judge(entries, evidence).lost == 1
    assert judge(entries, replace(evidence, replaced=1)).holds


@pytest.mark.parametrize(
    ("entries", "evidence", "wrong"),
    [
        ([], found(committed={"d1": (EPOCH, 1)}), "invented"),
        (
            [entry(1, outcome=Outcome.REFUSED)],
            found(committed={"d1": (EPOCH, 1)}),
            "invented",
        ),
        ([entry(1)], found(committed={"d1": (EPOCH, 2)}), "invented"),
        (
            [entry(1)],
            found(committed={"d1": (EPOCH, 1)}, superseded=frozenset({(EPOCH, 2)})),
            "duplicates",
        ),
    ],
)
def test_what_nobody_put_or_came_twice_breaks_the_law(
    entries: list[Entry], evidence: Evidence, wrong: str
) -> None:
    """Invented and doubled messages are as bad as lost ones."""
    account: Account = judge(entries, evidence)
    assert getattr(account, wrong) == 1
    assert not account.holds


def test_a_revision_that_was_told_again_counts_as_the_later_says() -> None:
    """A flight killed before it had noted its telling tells again: the first word is superseded."""
    entries = [entry(1, incident_id="x"), entry(2, incident_id="x")]
    evidence = found(committed={"d2": (EPOCH, 2)}, superseded=frozenset({(EPOCH, 1)}))
    account = judge(entries, evidence)
    assert account.holds
    assert (account.committed, account.superseded) == (1, 1)
    assert judge(entries[:1], found(superseded=frozenset({(EPOCH, 1)}))).lost == 1


def test_a_put_cut_short_by_death_is_counted_apart(tmp_path: Path) -> None:
    """A ledger whose last put has no outcome: it may have been accepted, or not; both are well."""
    message = {
        "digest": "d1",
        "kind": 1,
        "severity": 3,
        "incident": "i1",
        "revision": 1,
        "is_update": False,
    }
    (tmp_path / "driver-1.jsonl").write_text(json.dumps({"begun": 1, "messages": [message]}) + "\n")
    entries = read_ledgers(tmp_path)
    for evidence in (found(), found(committed={"d1": (EPOCH, 1)})):
        account = judge(entries, evidence)
        assert account.holds
        assert (account.accepted, account.unknown) == (0, 1)


# --- its parts ------------------------------------------------------------------------------------


def test_a_slope_is_told_and_the_warm_up_is_left_out() -> None:
    """A megabyte a minute is 60 MB/h, whatever the first minutes did."""
    samples = [
        Sample(60.0 * minute, "uplink", 1, 500.0 if minute < 5 else minute, 9, 4, 0, 0)
        for minute in range(30)
    ]
    fit = growth(samples, warm_up_s=300.0)
    assert fit is not None
    assert fit.memory_slope_mb_per_h == pytest.approx(60.0)
    assert fit.handles_slope_per_h == pytest.approx(0.0)
    assert growth(samples[:2], 0.0) is None


def socket_to(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port))


def test_what_is_sent_into_a_half_open_link_never_arrives(echo: Echo) -> None:
    """It is taken in silence; afterwards a new connection works."""
    now = [LinkMode.PASS]
    relay = LinkRelay(("127.0.0.1", 0), echo.address, lambda: now[0])
    with socket_to(relay.port) as peer:
        assert _says(peer, b"one", 2.0) == b"one"
        now[0] = LinkMode.HALF_OPEN
        assert _says(peer, b"lost", 0.5) == b""
        now[0] = LinkMode.PASS
    assert _until_answered(relay.port) == b"two"
    assert relay.counters.up_bytes >= 6
    relay.close()


def test_a_slow_link_delays_and_loses_nothing(echo: Echo) -> None:
    """What goes in comes out, later."""
    relay = LinkRelay(("127.0.0.1", 0), echo.address, lambda: LinkMode.SLOW)
    with socket_to(relay.port) as peer:
        assert _says(peer, b"word", 5.0) == b"word"
    relay.close()


def test_a_short_outage_ends_with_everything_delivered(mosquitto: None) -> None:
    """What gathered while the link swallowed everything arrives, and the tries are counted."""
    options = ("--minutes", "0.1", "--alerts-per-s", "20", "--json")
    done = command("outage", *options)
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["delivered"] == report["alerts"] == 120
    assert report["tries_payload_bytes"] > 0
