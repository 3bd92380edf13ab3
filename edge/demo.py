"""The demo: a recorded patrol through the pipeline, a real broker, a real uplink and a desk.

The flight runs in this process; `loopback.py` has the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.capture.recording import RecordedFlight
from edge.desk.receiver import CommittedAlert
from edge.loopback import Ledger, ground_station, wait_for_delivery
from edge.records import Frame, Tick, UtcNs
from edge.replay import ReplayRequest, ReplayResult, replay
from edge.settings import Settings

_DELIVERY_GRACE_S = 20.0


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What is flown, and who is told on the way."""

    recorded: RecordedFlight
    settings: Settings
    out: Path
    on_event: Callable[[Frame | Tick], None]
    on_commit: Callable[[CommittedAlert], None]
    utc_ns: Callable[[], UtcNs]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The flight as the aircraft and as the desk saw it."""

    flight: ReplayResult
    ledger: Ledger
    outbox_left: int


def fly_demo(request: DemoRequest) -> DemoResult:
    """Fly with broker, uplink and desk running; wait until the desk has all, or a while."""
    ledger = Ledger()

    def on_commit(committed: CommittedAlert) -> None:
        ledger.commit(committed)
        request.on_commit(committed)

    ground = ground_station(request.settings, request.out, on_commit, request.utc_ns)
    with ground as settings:
        flight = replay(
            ReplayRequest(
                request.recorded,
                settings,
                request.out,
                on_event=request.on_event,
                on_stored=lambda stored: ledger.store(stored.seq),
            )
        )
        left = wait_for_delivery(flight.mailbox, _DELIVERY_GRACE_S)
    return DemoResult(flight, ledger, left)
