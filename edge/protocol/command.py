"""A command of the desk to one drone, signed: what it says, and whether it is to be obeyed.

Nothing that it can say moves the aircraft.  A command is obeyed once: each must have been issued
after the last one that was taken, which is kept on the disk, so that a recorded one never works
again, not even on a computer whose clock stands wrong after a power cut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Final

from edge.errors import ProtocolError, SignatureError
from edge.protocol.ack import clip_text
from edge.protocol.cbor import decode_item, encode_item
from edge.protocol.fields import U32_MAX, as_bytes, as_int, as_map, as_text, required
from edge.protocol.messages import MessageKind, body_fields
from edge.protocol.signing import PublicKey, Purpose, SigningKey, open_signed, seal_signed
from edge.protocol.topics import check_drone_id

MAX_COMMAND_BYTES: Final = 512
NONCE_BYTES: Final = 16
MAX_TEXT_BYTES: Final = 96
# A command from the future would shut out all that come after it, until then.
AHEAD_MAX_MS: Final = 600_000
_LATEST_MS: Final = 1 << 48
_SCHEMA, _DRONE, _VERB, _NONCE, _ISSUED, _VALID_S, _INCIDENT, _CASE = range(1, 9)
_OUTCOME, _TEXT = 10, 11


class Verb(IntEnum):
    """What is asked for; the number goes over the air."""

    PING = 1  # answer, no more
    RELEASE = 2  # send the untouched original of an incident's evidence, for a case


class Refusal(Enum):
    """Why a command is not obeyed; counted by reason."""

    MALFORMED = "malformed"
    UNSIGNED = "unsigned"  # no key that counts here, or the signature does not fit
    NOT_OURS = "not_ours"  # for another drone
    REPLAYED = "replayed"  # issued no later than the last one that was taken
    STALE = "stale"  # older than it is valid
    AHEAD = "ahead"  # issued in our future: one of the two clocks is wrong
    INBOX_FULL = "inbox_full"  # too many wait to be carried out


@dataclass(frozen=True, slots=True)
class Command:
    """What the desk asks of one drone."""

    drone_id: str
    verb: Verb
    nonce: bytes  # names it in the answer
    issued_utc_ms: int
    valid_s: int
    incident_id: bytes = b""  # of RELEASE
    case: str = ""  # likewise: what the original is for, kept in the record

    def __post_init__(self) -> None:
        check_drone_id(self.drone_id)
        as_bytes(self.nonce, "nonce", (NONCE_BYTES,))
        as_int(self.issued_utc_ms, "issued", 0, _LATEST_MS)
        as_int(self.valid_s, "valid_s", 1, U32_MAX)
        as_text(self.case, "case", MAX_TEXT_BYTES)
        if self.verb is Verb.RELEASE and (len(self.incident_id) != 16 or not self.case):
            raise ProtocolError("a release names an incident (16 bytes) and a case")


def encode_command(command: Command, key: SigningKey) -> bytes:
    """Encode and sign."""
    return seal_signed(Purpose.COMMAND, command_body(command), key)


def command_body(command: Command) -> bytes:
    """Encode what is signed."""
    fields: dict[int, object] = {
        _SCHEMA: 1,
        _DRONE: command.drone_id,
        _VERB: int(command.verb),
        _NONCE: command.nonce,
        _ISSUED: command.issued_utc_ms,
        _VALID_S: command.valid_s,
    }
    if command.incident_id:
        fields[_INCIDENT] = command.incident_id
    if command.case:
        fields[_CASE] = command.case
    return encode_item(fields)


def decode_command(body: bytes) -> Command:
    """Decode what was taken out of its signed envelope.

    Raises:
        ProtocolError: Not a command; the message names the field.
    """
    fields = as_map(decode_item(body, MAX_COMMAND_BYTES), "command")
    verb = as_int(required(fields, _VERB, "verb"), "verb", 0, U32_MAX)
    try:
        known = Verb(verb)
    except ValueError as error:
        raise ProtocolError(f"verb {verb} is not known here: the desk is newer") from error
    return Command(
        drone_id=as_text(required(fields, _DRONE, "drone"), "drone", 32),
        verb=known,
        nonce=as_bytes(required(fields, _NONCE, "nonce"), "nonce", (NONCE_BYTES,)),
        issued_utc_ms=as_int(required(fields, _ISSUED, "issued"), "issued", 0, _LATEST_MS),
        valid_s=as_int(required(fields, _VALID_S, "valid_s"), "valid_s", 1, U32_MAX),
        incident_id=as_bytes(fields.get(_INCIDENT, b""), "incident id", (0, 16)),
        case=as_text(fields.get(_CASE, ""), "case", MAX_TEXT_BYTES),
    )


@dataclass(frozen=True, slots=True)
class Gate:
    """Whose commands one drone obeys."""

    drone_id: str
    keys: Mapping[bytes, PublicKey] = field(default_factory=dict)

    def admit(
        self, payload: bytes, now_utc_ms: int | None, last_issued_ms: int
    ) -> Command | Refusal:
        """Say whether a command is to be obeyed.

        Args:
            payload: As it came.
            now_utc_ms: What this computer's clock says; None: it has none.
            last_issued_ms: Of the last command that was taken; 0: none was.
        """
        try:
            body, _ = open_signed(Purpose.COMMAND, payload, self.keys, MAX_COMMAND_BYTES)
        except SignatureError:
            return Refusal.UNSIGNED
        except ProtocolError:
            return Refusal.MALFORMED
        try:
            command = decode_command(body)
        except ProtocolError:
            return Refusal.MALFORMED
        if command.drone_id != self.drone_id:
            return Refusal.NOT_OURS
        if command.issued_utc_ms <= last_issued_ms:
            return Refusal.REPLAYED
        if now_utc_ms is not None and command.issued_utc_ms > now_utc_ms + AHEAD_MAX_MS:
            return Refusal.AHEAD
        # It is at least as late as when the last command was issued, whatever the clock says.
        now_ms = max(now_utc_ms or 0, last_issued_ms)
        if now_ms > command.issued_utc_ms + command.valid_s * 1000:
            return Refusal.STALE
        return command


class Outcome(IntEnum):
    """What became of a command; the number goes over the air."""

    DONE = 1
    FAILED = 2  # the text says why


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The drone's answer to a command that it has taken."""

    nonce: bytes
    outcome: Outcome
    text: str = ""


def encode_result(result: CommandResult) -> bytes:
    """Encode the body; a long text is cut."""
    return encode_item(
        {
            _SCHEMA: 1,
            _NONCE: as_bytes(result.nonce, "nonce", (NONCE_BYTES,)),
            _OUTCOME: int(result.outcome),
            _TEXT: clip_text(result.text, MAX_TEXT_BYTES),
        }
    )


def decode_result(body: bytes) -> CommandResult:
    """Decode the body.

    Raises:
        ProtocolError: Not an answer of ours; the message names the field.
    """
    fields = as_map(body_fields(body, MessageKind.RESULT), "result")
    outcome = as_int(required(fields, _OUTCOME, "outcome"), "outcome", 1, max(Outcome))
    return CommandResult(
        nonce=as_bytes(required(fields, _NONCE, "nonce"), "nonce", (NONCE_BYTES,)),
        outcome=Outcome(outcome),
        text=as_text(fields.get(_TEXT, ""), "text", MAX_TEXT_BYTES),
    )
