"""A long outage: alerts gather while the link is away; then it comes back, and all is timed."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from edge.desk.store import DeskStore
from edge.errors import BenchError
from edge.machine import machine_name
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.report.outgoing import outgoing_alert
from sim.chaos.broker import KillableBroker
from sim.chaos.driver import typical_alert
from sim.chaos.place import Place, free_port
from sim.chaos.world import World
from sim.faults.link import LinkMode

# Shares of severities 1 (worst) to 4.
_SEVERITIES: Final = (0.05, 0.15, 0.4, 0.4)
_START_WAIT_S: Final = 60.0
_DRAIN_MAX_S: Final = 600.0
_TURN_S: Final = 0.02
_MAILBOX_MB: Final = 64.0
# What TCP and IP add to a try that comes to nothing: three packets to open, four to close, one of
# data and its acknowledgement, 40 to 60 bytes of heads each.
_HEADS_BYTES: Final = 9 * 60


@dataclass(frozen=True, slots=True)
class OutageFigures:
    """How it went; all times are counted from the session's return."""

    minutes: float
    link: str
    alerts: int
    delivered: int
    worst: int  # alerts of severity 1
    link_to_session_s: float  # from the link's return: the uplink's wait between tries
    first_worst_s: float
    all_worst_s: float
    all_s: float
    tries: int
    tries_payload_bytes: int  # both ways, as far as the relay sees
    tries_bytes_per_h: float  # with TCP's and IP's heads, estimated
    machine: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_outage(
    minutes: float,
    alerts_per_s: float,
    link: LinkMode,
    progress: Callable[[str, float], None] = lambda _text, _share: None,
) -> OutageFigures:
    """Cut the link, put alerts, give it back, and wait until the desk has them all.

    Raises:
        BrokerError: mosquitto is missing or does not start.
        BenchError: The uplink never connects, or not all arrives within minutes.
    """
    with tempfile.TemporaryDirectory(prefix="skywhistle-outage-") as name:
        folder = Path(name)
        place = Place(
            folder=str(folder),
            disk=str(folder),
            broker_port=free_port(),
            link_port=free_port(),
            alerts_per_s=alerts_per_s,
            mailbox_mb=_MAILBOX_MB,
            status_s=10.0,
            is_chaotic=False,
        )
        place.write(folder / "place.json")
        broker = KillableBroker(folder / "broker", place.broker_port)
        world = World(place, folder / "place.json", random.Random(0), broker, ("desk", "uplink"))
        try:
            world.open()
            with Mailbox(place.mailbox, Clocks(utc_ns=place.clock.utc_ns)) as mailbox:
                return _Outage(world, mailbox, progress).measure(minutes, alerts_per_s, link)
        finally:
            world.close()


class _Outage:
    def __init__(
        self, world: World, mailbox: Mailbox, progress: Callable[[str, float], None]
    ) -> None:
        self._world = world
        self._mailbox = mailbox
        self._progress = progress
        self._rng = random.Random(1)

    def measure(self, minutes: float, alerts_per_s: float, link: LinkMode) -> OutageFigures:
        self._put(4)
        self._await(lambda: self._mailbox.queue_state().queued == 0, _START_WAIT_S, "first alert")
        assert self._world.link is not None
        counters = self._world.link.counters
        self._world.mode = link
        tries_before = counters.connects
        bytes_before = counters.up_bytes + counters.down_bytes
        severities = self._put_for(minutes * 60.0, alerts_per_s)
        tries = counters.connects - tries_before
        payload = counters.up_bytes + counters.down_bytes - bytes_before
        down_before = counters.down_bytes
        self._world.mode = LinkMode.PASS
        back_s = time.monotonic()
        self._await(lambda: counters.down_bytes > down_before, _DRAIN_MAX_S, "session")
        session_s = time.monotonic()
        n_worst = severities.count(1)
        with DeskStore(self._world.place.desk_path) as store:
            first_s = self._await(lambda: _worst(store) >= 1, _DRAIN_MAX_S, "a worst alert")
            worst_s = self._await(lambda: _worst(store) >= n_worst, _DRAIN_MAX_S, "all the worst")
            is_done = lambda: _total(store) > len(severities)  # noqa: E731  (and the first)
            all_s = self._await(is_done, _DRAIN_MAX_S, "all alerts")
            delivered = _total(store) - 1
        return OutageFigures(
            minutes=minutes,
            link=link.value,
            alerts=len(severities),
            delivered=delivered,
            worst=n_worst,
            link_to_session_s=round(session_s - back_s, 3),
            first_worst_s=round(first_s - session_s, 3),
            all_worst_s=round(worst_s - session_s, 3),
            all_s=round(all_s - session_s, 3),
            tries=tries,
            tries_payload_bytes=payload,
            tries_bytes_per_h=round((payload + tries * _HEADS_BYTES) * 60.0 / minutes, 1),
            machine=machine_name(),
        )

    def _put_for(self, seconds: float, alerts_per_s: float) -> list[int]:
        severities: list[int] = []
        start_s = time.monotonic()
        n_alerts = max(1, round(seconds * alerts_per_s))
        for number in range(n_alerts):
            while time.monotonic() < start_s + number / alerts_per_s:
                self._world.turn()
                time.sleep(_TURN_S)
            (severity,) = self._rng.choices((1, 2, 3, 4), _SEVERITIES)
            self._put(severity)
            severities.append(severity)
            self._progress(f"{number + 1} alerts wait", (number + 1) / n_alerts)
        return severities

    def _put(self, severity: int) -> None:
        # The alert that tries the way is not counted among the worst: it is of severity 4.
        alert = typical_alert(os.urandom(16), severity=severity, looks=self._rng.randint(1, 9999))
        self._mailbox.put(outgoing_alert(alert))

    def _await(self, holds: Callable[[], bool], longest_s: float, what: str) -> float:
        """Wait for something; returns when it was seen, monotonic."""
        deadline_s = time.monotonic() + longest_s
        while not holds():
            if time.monotonic() > deadline_s:
                raise BenchError(f"within {longest_s:.0f} s there was no {what}; is this loaded?")
            self._world.turn()
            time.sleep(_TURN_S)
        return time.monotonic()


def _worst(store: DeskStore) -> int:
    sql = "SELECT count(*) FROM alert WHERE json_extract(fields, '$.severity') = 1"
    return int(store.rows(sql)[0][0])


def _total(store: DeskStore) -> int:
    return int(store.rows("SELECT count(*) FROM alert")[0][0])
