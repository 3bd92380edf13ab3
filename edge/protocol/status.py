"""What a drone says of itself: the retained `status` message, and its last will."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from edge.errors import ProtocolError
from edge.protocol.ack import clip_text
from edge.protocol.cbor import encode_item
from edge.protocol.fields import (
    U32_MAX,
    as_array,
    as_bytes,
    as_int,
    as_int_or_none,
    as_map,
    as_text,
)
from edge.protocol.messages import MessageKind, Stamp, body_fields, seal
from edge.protocol.vouch import Voucher

MAX_TEXT_BYTES: Final = 32
_MILLI: Final = 1000
_DECI: Final = 10


class StatusState(IntEnum):
    """Whether the drone is there; the number goes over the air."""

    OFFLINE = 0  # the broker says so: the last will
    ONLINE = 1
    CHECK = 2  # `skywhistle check` tries the way; the desk takes no notice


class LinkState(IntEnum):
    """The autopilot's link as `flight` sees it."""

    UNKNOWN = 0
    DOWN = 1
    UP = 2


@dataclass(frozen=True, slots=True)
class VideoDelay:
    """How late a camera's video is against the autopilot's clock, as its own turns show it."""

    camera_id: str
    video_delay_ms: int | None = None  # the configured latency included; None: not known
    video_delay_sigma_ms: int | None = None
    reason: str = ""  # why it is not known
    is_off: bool = False  # it differs from what is configured by more than that may


@dataclass(frozen=True, slots=True)
class LookWanted:
    """A place that is known too vaguely, and from where one more look would help most."""

    incident_id: bytes
    from_deg: float  # where to look from: seen from the thing, from true north
    ce90_m: float  # expected after that look


@dataclass(frozen=True, slots=True)
class FlightStatus:
    """What `flight` writes into the mailbox; `uplink` adds its own and sends it."""

    version: str = ""
    model_hash: bytes = b""
    config_hash: bytes = b""
    frame_rate_hz: float = 0.0
    inference_rate_hz: float = 0.0
    frames_dropped: int = 0
    detections: int = 0
    alerts: int = 0
    link: LinkState = LinkState.UNKNOWN
    temperature_c: float | None = None  # None: this computer has no sensor we know
    note: str = ""  # the worst thing that is wrong, in words
    candidates_dropped: int = 0  # what the detectors found and took for no box with a label
    pictures_dropped: int = 0  # crops and evidence files that had to make way
    other_models: tuple[bytes, ...] = ()  # hashes, of cameras that fly another than `model_hash`
    video_delays: tuple[VideoDelay, ...] = ()  # of each camera
    looks_wanted: tuple[LookWanted, ...] = ()  # the vaguest first; nothing is flown by it

    def __post_init__(self) -> None:
        for name in ("frame_rate_hz", "inference_rate_hz"):
            if not getattr(self, name) >= 0.0:  # also refuses NaN
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Status:
    """The whole status, as it goes over the air."""

    state: StatusState
    epoch: int
    low_seq: int = 0  # every seq below is done with: delivered, replaced or loss-recorded
    queued: int = 0
    oldest_s: int = 0
    utc_ms: int | None = None
    flight: FlightStatus | None = None  # None: flight is not running
    coalesced: int = 0
    lost: int = 0  # since the mailbox was made; each told in a loss record
    dead_letters: int = 0
    evidence_dropped: int = 0
    reconnects: int = 0
    events_dropped: int = 0  # of the uplink's MQTT session; what they said comes again
    commands_refused: int = 0  # unsigned, replayed, stale, for another: since the uplink started
    is_resume: bool = False  # first of a connection: the desk answers with all that it has


# key: (name, largest).  Keys are never reused.
_COUNTS: Final = {
    2: "low_seq",
    3: "queued",
    4: "oldest_s",
    6: "coalesced",
    7: "lost",
    8: "dead_letters",
    9: "evidence_dropped",
    10: "reconnects",
    12: "events_dropped",
    14: "commands_refused",
}
_FLIGHT_COUNTS: Final = {
    6: "frames_dropped",
    7: "detections",
    8: "alerts",
    12: "candidates_dropped",
    13: "pictures_dropped",
}
_STATE, _UTC, _FLIGHT = 1, 5, 11
_RESUME: Final = 13
_VERSION, _MODEL, _CONFIG, _FRAME_RATE, _INFERENCE_RATE = range(1, 6)
_LINK, _TEMPERATURE, _NOTE = 9, 10, 11
_OTHER_MODELS: Final = 14
_OTHER_MODELS_MAX: Final = 15  # cameras beyond are not told: a status stays small
_VIDEO_DELAYS: Final = 15  # key; [id, ms or null, sigma ms or null, reason, is it off] a camera
_MOST_DELAY_MS: Final = 60_000
_LOOKS_WANTED: Final = 16  # [[incident id, whole degrees, decimetres], ...]
LOOKS_WANTED_MAX: Final = 3


def encode_status(status: Status, vouch: Callable[[bytes], Voucher] | None = None) -> bytes:
    """Encode the whole payload, envelope included; defaults are left out.

    Args:
        status: What is said.
        vouch: Signs the body, where somebody does.
    """
    fields: dict[int, object] = {_STATE: int(status.state)}
    fields |= _counts(status, _COUNTS)
    if status.utc_ms is not None:
        fields[_UTC] = status.utc_ms
    if status.is_resume:
        fields[_RESUME] = 1
    if status.flight is not None:
        fields[_FLIGHT] = _flight_fields(status.flight)
    body = encode_item(fields)
    voucher = None if vouch is None else vouch(body)
    return seal(MessageKind.STATUS, Stamp(status.epoch, 0), body, voucher=voucher)


def decode_status(body: bytes, epoch: int) -> Status:
    """Decode a status body that came in an envelope of this epoch.

    Raises:
        ProtocolError: Not a status; the message names the field.
    """
    fields = as_map(body_fields(body, MessageKind.STATUS), "status")
    return Status(
        state=StatusState(as_int(fields.get(_STATE), "state", 0, max(StatusState))),
        epoch=epoch,
        utc_ms=as_int_or_none(fields.get(_UTC), "utc", 0, 1 << 48),
        flight=_flight(fields[_FLIGHT]) if _FLIGHT in fields else None,
        is_resume=as_int(fields.get(_RESUME, 0), "resume", 0, 1) == 1,
        **_read_counts(fields, _COUNTS),
    )


def flight_status_bytes(flight: FlightStatus) -> bytes:
    """Encode what `flight` leaves in the mailbox."""
    return encode_item(_flight_fields(flight))


def flight_status_from_bytes(data: bytes) -> FlightStatus:
    """Undo `flight_status_bytes`."""
    return _flight(body_fields(data, MessageKind.STATUS))


def _counts(record: object, names: dict[int, str]) -> dict[int, int]:
    counts = {key: min(max(0, getattr(record, name)), U32_MAX) for key, name in names.items()}
    return {key: count for key, count in counts.items() if count}


def _read_counts(fields: dict[Any, Any], names: dict[int, str]) -> dict[str, int]:
    return {name: as_int(fields.get(key, 0), name, 0, U32_MAX) for key, name in names.items()}


def _flight_fields(flight: FlightStatus) -> dict[int, object]:
    fields: dict[int, object] = {
        _VERSION: clip_text(flight.version, MAX_TEXT_BYTES),
        _FRAME_RATE: min(round(flight.frame_rate_hz * _MILLI), U32_MAX),
        _INFERENCE_RATE: min(round(flight.inference_rate_hz * _MILLI), U32_MAX),
        _LINK: int(flight.link),
        **_counts(flight, _FLIGHT_COUNTS),
    }
    for key, digest in ((_MODEL, flight.model_hash), (_CONFIG, flight.config_hash)):
        if digest:
            fields[key] = as_bytes(digest[:8], "hash", (8,))
    if flight.other_models:
        others = flight.other_models[:_OTHER_MODELS_MAX]
        fields[_OTHER_MODELS] = [as_bytes(digest[:8], "other model", (8,)) for digest in others]
    if flight.video_delays:
        told = flight.video_delays[:_OTHER_MODELS_MAX]
        fields[_VIDEO_DELAYS] = [_delay_fields(delay) for delay in told]
    if flight.looks_wanted:
        fields[_LOOKS_WANTED] = [_wanted_fields(w) for w in flight.looks_wanted[:LOOKS_WANTED_MAX]]
    if flight.temperature_c is not None:
        fields[_TEMPERATURE] = round(flight.temperature_c)
    if flight.note:
        fields[_NOTE] = clip_text(flight.note, 3 * MAX_TEXT_BYTES)
    return fields


def _flight(value: Any) -> FlightStatus:
    fields = as_map(value, "flight")
    temperature = as_int_or_none(fields.get(_TEMPERATURE), "temperature", -300, 1000)
    return FlightStatus(
        version=as_text(fields.get(_VERSION, ""), "version", MAX_TEXT_BYTES),
        model_hash=as_bytes(fields.get(_MODEL, b""), "model hash", (0, 8)),
        config_hash=as_bytes(fields.get(_CONFIG, b""), "config hash", (0, 8)),
        frame_rate_hz=as_int(fields.get(_FRAME_RATE, 0), "frame rate", 0, U32_MAX) / _MILLI,
        inference_rate_hz=as_int(fields.get(_INFERENCE_RATE, 0), "inference rate", 0, U32_MAX)
        / _MILLI,
        link=LinkState(as_int(fields.get(_LINK, 0), "link", 0, max(LinkState))),
        temperature_c=None if temperature is None else float(temperature),
        note=as_text(fields.get(_NOTE, ""), "note", 3 * MAX_TEXT_BYTES),
        other_models=_other_models(fields.get(_OTHER_MODELS, [])),
        video_delays=_video_delays(fields.get(_VIDEO_DELAYS, [])),
        looks_wanted=_looks_wanted(fields.get(_LOOKS_WANTED, [])),
        **_read_counts(fields, _FLIGHT_COUNTS),
    )


def _wanted_fields(wanted: LookWanted) -> list[object]:
    return [
        as_bytes(wanted.incident_id, "incident id", (16,)),
        round(wanted.from_deg) % 360,
        min(max(0, round(wanted.ce90_m * _DECI)), U32_MAX),
    ]


def _looks_wanted(value: Any) -> tuple[LookWanted, ...]:
    if not isinstance(value, list) or len(value) > LOOKS_WANTED_MAX:
        raise ProtocolError(f"looks wanted must be at most {LOOKS_WANTED_MAX}")
    return tuple(map(_look_wanted, value))


def _look_wanted(value: Any) -> LookWanted:
    if not isinstance(value, list) or len(value) != 3:
        raise ProtocolError("a look wanted must be [incident id, degrees, decimetres]")
    return LookWanted(
        as_bytes(value[0], "incident id", (16,)),
        float(as_int(value[1], "bearing", 0, 359)),
        as_int(value[2], "ce90", 0, U32_MAX) / _DECI,
    )


def _other_models(value: Any) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > _OTHER_MODELS_MAX:
        raise ProtocolError(f"other models must be at most {_OTHER_MODELS_MAX} hashes")
    return tuple(as_bytes(digest, "other model", (8,)) for digest in value)


def _delay_fields(delay: VideoDelay) -> list[object]:
    return [
        clip_text(delay.camera_id, MAX_TEXT_BYTES),
        delay.video_delay_ms,
        delay.video_delay_sigma_ms,
        clip_text(delay.reason, MAX_TEXT_BYTES),
        delay.is_off,
    ]


def _video_delays(value: Any) -> tuple[VideoDelay, ...]:
    if not isinstance(value, list) or len(value) > _OTHER_MODELS_MAX:
        raise ProtocolError(f"video delays must be of at most {_OTHER_MODELS_MAX} cameras")
    return tuple(_video_delay(as_array(one, "video delay", 5)) for one in value)


def _video_delay(told: list[Any]) -> VideoDelay:
    if not isinstance(told[4], bool):
        raise ProtocolError(f"video delay: expected true or false, got {told[4]!r}")
    return VideoDelay(
        camera_id=as_text(told[0], "video delay's camera", MAX_TEXT_BYTES),
        video_delay_ms=as_int_or_none(told[1], "video delay", -_MOST_DELAY_MS, _MOST_DELAY_MS),
        video_delay_sigma_ms=as_int_or_none(told[2], "video delay's sigma", 0, _MOST_DELAY_MS),
        reason=as_text(told[3], "video delay's reason", MAX_TEXT_BYTES),
        is_off=told[4],
    )


def check_status_payload(drone_epoch: int) -> bytes:
    """Build what `skywhistle check` publishes: a status that nobody heeds."""
    if drone_epoch < 1:
        raise ProtocolError(f"epoch must be positive, got {drone_epoch}")
    return encode_status(Status(StatusState.CHECK, drone_epoch))
