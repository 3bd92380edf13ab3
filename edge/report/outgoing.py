"""What can be put into the mailbox."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import ProtocolError
from edge.protocol.alert import encode_alert
from edge.protocol.loss import LossRecord, encode_loss
from edge.protocol.messages import MessageKind
from edge.records import Alert, AlertKind

MEDIA_RANK: Final = 9  # after every severity: sent last, evicted first


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An encoded message for the desk."""

    kind: MessageKind
    body: bytes
    severity: int = 3  # 1 (worst) to 4
    incident_id: bytes | None = None
    revision: int = 0
    is_update: bool = False  # a newer update of the incident may replace it while unsent
    evidence: Path | None = None  # of media: the picture, read when it is sent
    valid_s: float | None = None  # None: the mailbox's own

    def __post_init__(self) -> None:
        if not 1 <= self.severity <= 4:
            raise ProtocolError(f"severity must be 1 to 4, got {self.severity}")
        if self.kind is MessageKind.MEDIA and self.evidence is None:
            raise ProtocolError("a media message needs the path of its picture")

    @property
    def rank(self) -> int:
        """Drain order: by severity, pictures last."""
        is_picture = self.kind in (MessageKind.MEDIA, MessageKind.ORIGINAL)
        return MEDIA_RANK if is_picture else self.severity


def outgoing_alert(alert: Alert) -> Outgoing:
    """Encode an alert for the mailbox.

    Raises:
        ProtocolError: The alert cannot be sent as it is (see `encode_alert`).
    """
    return Outgoing(
        kind=MessageKind.ALERT,
        body=encode_alert(alert),
        severity=alert.severity,
        incident_id=alert.incident_id,
        revision=alert.revision,
        is_update=alert.kind is AlertKind.UPDATE,
    )


def outgoing_evidence(alert: Alert, picture: Path) -> Outgoing:
    """Queue the picture whose hash the alert carries; it is read when its turn comes."""
    return Outgoing(
        kind=MessageKind.MEDIA,
        body=alert.evidence_hash,
        severity=alert.severity,
        incident_id=alert.incident_id,
        revision=alert.revision,
        evidence=picture,
    )


def outgoing_loss(loss: LossRecord) -> Outgoing:
    """Encode a loss record.  It goes first, and its `revision` names the cause."""
    return Outgoing(
        kind=MessageKind.LOSS, body=encode_loss(loss), severity=1, revision=int(loss.cause)
    )
