"""The loss record: what the drone accepted and will not deliver, said instead of silence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from edge.protocol.ack import clip_text
from edge.protocol.cbor import encode_item
from edge.protocol.fields import U32_MAX, as_array, as_int, as_map, as_text, required
from edge.protocol.messages import MessageKind, body_fields

MAX_REASON_BYTES: Final = 96
_CAUSE, _BY_SEVERITY, _FIRST_SEQ, _LAST_SEQ, _REASON = range(1, 6)


class LossCause(IntEnum):
    """Why messages were given up; the number goes over the air."""

    EXPIRED = 1  # older than their validity
    EVICTED = 2  # the mailbox's size budget
    DEAD_LETTER = 3  # refused by the desk, or impossible to send
    MAILBOX_DAMAGED = 4  # the file was unreadable and moved aside: how many is not known


@dataclass(frozen=True, slots=True)
class LossRecord:
    """How many messages of which severity were lost, and between which seqs."""

    cause: LossCause
    by_severity: tuple[int, int, int, int]  # severity 1 (worst) first
    first_seq: int = 0
    last_seq: int = 0
    reason: str = ""

    @property
    def count(self) -> int:
        return sum(self.by_severity)

    def plus(self, other: LossRecord) -> LossRecord:
        """Merge with another of the same cause."""
        one, two, three, four = (
            a + b for a, b in zip(self.by_severity, other.by_severity, strict=True)
        )
        firsts = [seq for seq in (self.first_seq, other.first_seq) if seq]
        return LossRecord(
            self.cause,
            (one, two, three, four),
            first_seq=min(firsts, default=0),
            last_seq=max(self.last_seq, other.last_seq),
            reason=other.reason or self.reason,
        )


def encode_loss(loss: LossRecord) -> bytes:
    """Encode the body; a long reason is cut."""
    return encode_item(
        {
            _CAUSE: int(loss.cause),
            _BY_SEVERITY: [as_int(n, "by_severity", 0, U32_MAX) for n in loss.by_severity],
            _FIRST_SEQ: as_int(loss.first_seq, "first_seq", 0, U32_MAX),
            _LAST_SEQ: as_int(loss.last_seq, "last_seq", 0, U32_MAX),
            _REASON: clip_text(loss.reason, MAX_REASON_BYTES),
        }
    )


def decode_loss(body: bytes) -> LossRecord:
    """Decode the body.

    Raises:
        ProtocolError: Not a loss record; the message names the field.
    """
    fields = as_map(body_fields(body, MessageKind.LOSS), "loss")
    counts = as_array(required(fields, _BY_SEVERITY, "by_severity"), "by_severity", 4)
    one, two, three, four = (as_int(n, "by_severity", 0, U32_MAX) for n in counts[:4])
    return LossRecord(
        cause=LossCause(as_int(required(fields, _CAUSE, "cause"), "cause", 1, max(LossCause))),
        by_severity=(one, two, three, four),
        first_seq=as_int(fields.get(_FIRST_SEQ, 0), "first_seq", 0, U32_MAX),
        last_seq=as_int(fields.get(_LAST_SEQ, 0), "last_seq", 0, U32_MAX),
        reason=as_text(fields.get(_REASON, ""), "reason", MAX_REASON_BYTES),
    )
