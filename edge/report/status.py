"""What the uplink says: the drone's status for the desk, and its own health for `flight`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from edge.protocol.mqtt import MqttSession
from edge.protocol.status import FlightStatus, Status, StatusState
from edge.records import UtcNs
from edge.report.mailbox import Mailbox
from edge.report.queue_state import QueueState

_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class UplinkHealth:
    """How the uplink does."""

    is_up: bool
    reason: str  # of the last break, or of the last refusal
    connections: int
    sent: int
    puback_refused: int
    acks: int
    acks_refused: int  # did not decode, or were of another epoch
    stalls: int
    in_flight: int
    events_dropped: int  # came faster than they were taken
    publishes_refused: int  # no room for them, or no connection; tried again
    queue: QueueState
    commands_taken: int = 0
    commands_refused: Mapping[str, int] = field(default_factory=dict)  # by reason


def uplink_health_bytes(health: UplinkHealth) -> bytes:
    """Lay the health out for the mailbox's status row."""
    return json.dumps(asdict(health)).encode()


def uplink_health_from(mailbox: Mailbox, max_age_s: float) -> UplinkHealth | None:
    """Read the health that the uplink left; None if it is older: the uplink is not running."""
    body = mailbox.uplink_health(max_age_s)
    if body is None:
        return None
    fields = json.loads(body)
    try:
        return UplinkHealth(**(fields | {"queue": QueueState(**fields["queue"])}))
    except (KeyError, TypeError):  # of another version, which is being replaced
        return None


def compose_status(
    state: StatusState,
    mailbox: Mailbox,
    utc_ns: UtcNs | None,
    flight: FlightStatus | None,
    session: MqttSession,
    *,
    is_resume: bool = False,
) -> Status:
    """Put together what goes over the air."""
    queue = mailbox.queue_state()
    return Status(
        state=state,
        epoch=mailbox.epoch,
        low_seq=queue.low_seq,
        queued=queue.queued,
        oldest_s=int(queue.oldest_s),
        utc_ms=None if utc_ns is None else utc_ns // _MS,
        flight=flight,
        coalesced=queue.coalesced,
        lost=queue.lost,
        dead_letters=queue.dead_letters,
        evidence_dropped=queue.evidence_dropped,
        reconnects=max(0, session.connections - 1),
        events_dropped=session.events_dropped,
        is_resume=is_resume,
    )
