"""One MAVLink link to the ground, by a pymavlink string: bytes out, messages in, its intervals."""

from __future__ import annotations

import contextlib
import logging
import os
from enum import Enum
from typing import Any

from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.errors import ScenarioError
from sim.wire.rates import Intervals

log = logging.getLogger(__name__)

_READS_AT_ONCE = 64  # datagrams; more wait in the socket, whose buffer is bounded


class LinkHealth(Enum):
    """What becomes of the bytes that are sent."""

    GOOD = "good"
    SILENT = "silent"  # nothing goes out, and what comes in is not heard
    GARBAGE = "garbage"  # as many bytes go out, and none means anything


class GroundLink:
    """A link and what the vehicle knows of it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.intervals = Intervals()
        self.heard: set[tuple[int, int]] = set()  # who has sent a heartbeat here
        self.sent = 0
        self.health = LinkHealth.GOOD
        self._is_datagram = url.startswith("udp")
        self._encoders: dict[tuple[int, int], mavlink2.MAVLink] = {}
        self._open()

    def _open(self) -> None:
        try:
            self._connection: Any = mavutil.mavlink_connection(self.url)
        except (
            ImportError,
            OSError,
            ValueError,
            KeyError,
            IndexError,
        ) as error:  # serial: pyserial
            raise ScenarioError(
                f"cannot open the MAVLink link {self.url!r}: {error}; expected for example "
                f"udpout:127.0.0.1:14550"
            ) from error
        self._parser = _parser()

    def close(self) -> None:
        self._connection.close()

    def fileno(self) -> int | None:
        """Return what `select` may wait for; none for a link without a descriptor."""
        fd = getattr(self._connection, "fd", None)
        return fd if isinstance(fd, int) and fd >= 0 else None

    def reboot(self) -> None:
        """Come back as an autopilot does: without intervals, often from another UDP port."""
        self.close()
        self.intervals = Intervals()
        self.heard.clear()
        self._encoders.clear()
        self._open()

    def send(self, message: Any, system_id: int, component_id: int) -> None:
        """Send a message as one whole datagram, numbered by its sender."""
        sender = (system_id, component_id)
        if sender not in self._encoders:
            self._encoders[sender] = mavlink2.MAVLink(None, *sender)
        encoder = self._encoders[sender]
        data = message.pack(encoder)
        encoder.seq = (encoder.seq + 1) % 256
        self.send_raw(data)

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, or as the link's health has it; nobody listening is no error."""
        if self.health is LinkHealth.SILENT:
            return
        if self.health is LinkHealth.GARBAGE:
            data = os.urandom(len(data))
        with contextlib.suppress(OSError):
            self._connection.write(data)
            self.sent += 1

    def receive(self) -> list[Any]:
        """Return the messages that have come; garbage is left out."""
        messages: list[Any] = []
        for _ in range(_READS_AT_ONCE):
            try:
                data = self._connection.recv()
            except OSError:
                break  # the far end went away; it may come back
            if not data:
                break
            if self._is_datagram:  # whole frames each: what is broken must not eat the next
                self._parser = _parser()
            messages += self._parser.parse_buffer(data) or []
        if self.health is LinkHealth.SILENT:
            return []
        return [message for message in messages if message.get_type() != "BAD_DATA"]


def _parser() -> mavlink2.MAVLink:
    parser = mavlink2.MAVLink(None)
    parser.robust_parsing = True
    return parser
