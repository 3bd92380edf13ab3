"""What goes into an MQTT session and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

_FAILURE: Final = 0x80  # reason codes from here on refuse


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us when we vanish."""

    topic: str
    payload: bytes
    delay_s: int = 30  # a change of the radio cell is not a loss


@dataclass(frozen=True, slots=True)
class Linked:
    """The session is up, every subscription granted."""

    max_packet_bytes: int | None  # the broker's limit


@dataclass(frozen=True, slots=True)
class Unlinked:
    """The connection ended, or could not be made."""

    reason: str


@dataclass(frozen=True, slots=True)
class Published:
    """The broker's answer to a publish: not the far end's."""

    token: tuple[int, int]
    reason: str
    code: int

    @property
    def is_refused(self) -> bool:
        return self.code >= _FAILURE


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message; `MqttSession.acknowledge` it once it is safe."""

    topic: str
    payload: bytes
    token: tuple[int, int]
    qos: int
    user_properties: tuple[tuple[str, str], ...] = ()


Event: TypeAlias = "Linked | Unlinked | Published | Incoming"


@dataclass(frozen=True, slots=True)
class Message:
    """Something to publish, with QoS 1."""

    topic: str
    payload: bytes
    is_retained: bool = False
    expiry_s: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
