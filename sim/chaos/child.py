"""The programs that chaos kills: `python -m sim.chaos.child ROLE PLACE.json`.

They are what `skywhistle uplink`, `desk` and `flight` call, with clocks that chaos can step; the
driver and `flight` write down what their mailbox accepts.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from functools import partial
from pathlib import Path

from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from sim.chaos.driver import Driver
from sim.chaos.ledger import LedgerWriter
from sim.chaos.place import COMMITS, Place

ROLES = ("driver", "uplink", "desk", "flight")


def _drive(place: Place, stop: threading.Event) -> None:
    LedgerWriter(place.ledgers, "driver").watch_puts()
    with Mailbox(place.mailbox, place.clock.clocks(), place.pictures) as mailbox:
        Driver(place, mailbox, os.getpid()).run(stop)


def _uplink(place: Place, stop: threading.Event) -> None:
    from edge.report import uplink

    clocks = place.clock.clocks()
    # Another boot has another name and another monotonic clock.
    uplink.Clocks = partial(  # type: ignore[attr-defined, assignment]
        Clocks, mono_ns=clocks.mono_ns, boot_id=clocks.boot_id
    )
    uplink.run_uplink(place.patrol(), stop, place.clock.utc_ns)


def _desk(place: Place, stop: threading.Event) -> None:
    from edge.desk.receiver import CommittedAlert, run_desk

    with (Path(place.folder) / COMMITS).open("a", buffering=1, encoding="utf-8") as commits:

        def note(committed: CommittedAlert) -> None:
            if committed.outbox_to_commit_s is not None:
                commits.write(f"{time.monotonic():.3f},{committed.outbox_to_commit_s:.6f}\n")

        run_desk(place.desk_mqtt, place.desk_path, note, stop, place.clock.utc_ns)


def _fly(place: Place, stop: threading.Event) -> None:
    from edge import flight
    from edge.settings import read_settings

    LedgerWriter(place.ledgers, "flight").watch_puts()
    clocks = place.clock.clocks()
    flight.Clocks = partial(  # type: ignore[attr-defined, assignment]
        Clocks, mono_ns=clocks.mono_ns, boot_id=clocks.boot_id
    )
    flight.fly_aircraft(read_settings(Path(place.folder) / "patrol.toml"), stop, threading.Event())


def main(role: str, place_path: Path) -> None:
    """Run one program until SIGTERM."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    place = Place.read(place_path)
    {"driver": _drive, "uplink": _uplink, "desk": _desk, "flight": _fly}[role](place, stop)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
