"""Signs of life from the real loops, and an end for a program that is stuck.

A loop calls `alive` on every turn.  Under systemd (Type=notify) that is passed on to it; in any
case a timer of this process runs, which the interpreter's lock does not hold up: a program that
has not turned for too long writes where every thread of it stands, and ends with 1.  Whoever
supervises it starts it afresh; an orphan that nobody supervises frees its role for the next.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import socket
import time
from types import TracebackType
from typing import Final

_STUCK_AFTER_S: Final = 90.0  # without systemd's word for it
_SHARE: Final = 0.9  # of systemd's: our own timer first, for the sake of what it writes
_OFTEN: Final = 6.0  # times within the limit


class NotifySocket:
    """systemd's `sd_notify` protocol: datagrams to the socket that the environment names."""

    def __init__(self, address: str) -> None:
        # "@" stands for the zero byte of an abstract address (sd_notify(3)).
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def send(self, word: str) -> None:
        """Say a word; a supervisor that does not listen holds nobody up."""
        with contextlib.suppress(OSError):
            self._socket.sendto(word.encode(), self._address)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Watchdog:
    """One program's sign of life.  Without arguments it does nothing, as in tests and replays.

    Args:
        notify: Who is told.
        stuck_after_s: This process ends if `alive` is not called for so long; None: it does not.
        told_within_s: How often whoever is told wants to hear.
    """

    def __init__(
        self,
        notify: NotifySocket | None = None,
        stuck_after_s: float | None = None,
        told_within_s: float = _STUCK_AFTER_S,
    ) -> None:
        self._notify = notify
        self._stuck_after_s = stuck_after_s
        shortest_s = min(told_within_s, stuck_after_s or told_within_s)
        self._interval_s = shortest_s / _OFTEN
        self._next_s = 0.0
        self._is_ready = False

    @classmethod
    def of_this_process(cls) -> Watchdog:
        """Make the one that the environment asks for; programs only: it ends the process."""
        address, limit_us = os.environ.get("NOTIFY_SOCKET"), os.environ.get("WATCHDOG_USEC", "")
        notify = NotifySocket(address) if address else None
        is_for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        if notify is not None and is_for_us and limit_us.isdecimal() and int(limit_us) > 0:
            limit_s = int(limit_us) / 1e6
            return cls(notify, _SHARE * limit_s, limit_s)
        return cls(notify, _STUCK_AFTER_S)

    def alive(self) -> None:
        """Say that the loop has turned; cheap enough for every turn."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + self._interval_s
        if self._notify is not None:
            self._notify.send("WATCHDOG=1" if self._is_ready else "READY=1\nWATCHDOG=1")
            self._is_ready = True
        if self._stuck_after_s is not None:
            faulthandler.dump_traceback_later(self._stuck_after_s, exit=True)

    def close(self) -> None:
        """Say that the end is wanted; from now on it may take its time.  Harmless twice."""
        if self._stuck_after_s is not None:
            faulthandler.cancel_dump_traceback_later()
        notify, self._notify = self._notify, None
        if notify is not None:
            notify.send("STOPPING=1")
            notify.close()

    def __enter__(self) -> Watchdog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
