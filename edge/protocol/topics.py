"""The topics (DESIGN section 5), built and parsed in one place.

`sw/v1/{drone}/up/{channel}`, `sw/v1/{drone}/dn/ack|cmd`, `sw/v1/desk/state|alert`.
A drone may not be called `desk`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from edge.errors import ProtocolError
from edge.protocol.messages import MessageKind

ROOT: Final = "sw/v1"
ALL_UP: Final = f"{ROOT}/+/up/#"
DESK_STATE: Final = f"{ROOT}/desk/state"
DESK_ALERT: Final = f"{ROOT}/desk/alert"
# User property of a message whose uplink reaches the broker over loopback: when it was put, on the
# monotonic clock that the desk then shares.
PUT_MONO_PROPERTY: Final = "put-mono-ns"
_DRONE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}\Z", re.ASCII)
_DESK: Final = "desk"

# A loss record travels as an alert does: where alerts may go, the news of a lost one may.
CHANNEL_OF_KIND: Final[dict[MessageKind, str]] = {
    MessageKind.ALERT: "alert",
    MessageKind.LOSS: "alert",
    MessageKind.MEDIA: "media",
    MessageKind.ORIGINAL: "media",
    MessageKind.COVER: "cover",
    MessageKind.RESULT: "result",
    MessageKind.STATUS: "status",
}


@dataclass(frozen=True, slots=True)
class UpTopic:
    """Where a drone's message came in."""

    drone_id: str
    channel: str


def check_drone_id(drone_id: str) -> str:
    """Refuse an id that would not be one level of a topic.

    Raises:
        ProtocolError: Not `[A-Za-z0-9_-]{1,32}`, or `desk`.
    """
    if not _DRONE_ID.match(drone_id) or drone_id == _DESK:
        raise ProtocolError(
            f"drone id {drone_id!r} must be 1 to 32 of A-Z a-z 0-9 _ - and not 'desk'"
        )
    return drone_id


def up_topic(drone_id: str, kind: MessageKind) -> str:
    """Where a drone publishes a message of this kind."""
    return f"{ROOT}/{check_drone_id(drone_id)}/up/{CHANNEL_OF_KIND[kind]}"


def ack_topic(drone_id: str) -> str:
    """Where the desk acks."""
    return f"{ROOT}/{check_drone_id(drone_id)}/dn/ack"


def command_topic(drone_id: str) -> str:
    """Where the desk sends commands."""
    return f"{ROOT}/{check_drone_id(drone_id)}/dn/cmd"


def all_down(drone_id: str) -> str:
    """What a drone subscribes to."""
    return f"{ROOT}/{check_drone_id(drone_id)}/dn/#"


def parse_up(topic: str) -> UpTopic:
    """Take an `up` topic apart.

    Raises:
        ProtocolError: Not an `up` topic of this version, a bad drone id or an unknown channel.
    """
    match topic.split("/"):
        case ["sw", "v1", drone_id, "up", channel] if channel in CHANNEL_OF_KIND.values():
            return UpTopic(check_drone_id(drone_id), channel)
        case _:
            raise ProtocolError(f"topic {topic[:80]!r} is not {ROOT}/{{drone}}/up/{{channel}}")
