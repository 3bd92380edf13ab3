"""A real network between the uplink and the ground: packets are lost, the cable is cut.

The relay of `link` breaks connections as a program can; here the kernel's own TCP meets what a
modem does.  A network namespace holds the uplink, a pair of virtual cables joins it to this
machine, and everything that breaks is inside the namespace or at its cable: nothing else of the
machine's network is touched, and it all goes with the namespace.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import count
from typing import Final

from edge.errors import ScenarioError

_NEEDS: Final = "needs root, network namespaces, and the packages iproute2 and nftables"
_LOST_PER_CENT: Final = 30  # each way
_SLOW: Final = ("rate", "32kbit", "burst", "2kb", "latency", "2s")  # queues as a cell does
_FIRST_HOST, _LAST_HOST = 2, 250
_DROP: Final = """
table inet radio {{
  chain heard {{
    type filter hook input priority 0
    numgen random mod 100 < {lost} drop
  }}
  chain said {{
    type filter hook output priority 0
    numgen random mod 100 < {lost} drop
  }}
}}
"""
_numbers = count()


class RadioFault(Enum):
    """What a modem does to those who rely on it."""

    CUT = "cut"  # no carrier; nothing says so to the other end
    LOSSY = "lossy"  # packets are dropped, both ways
    SLOW = "slow"  # a narrow cell, with a queue before it
    RENUMBERED = "renumbered"  # another cell, another address: old connections hang


class Radio:
    """A network namespace that is joined to this machine, and what can befall it.

    Raises:
        ScenarioError: It cannot be made here; the message says what is missing.
    """

    def __init__(self) -> None:
        number = next(_numbers)
        self._space = f"skywhistle-{os.getpid()}-{number}"
        self._here, self._there = (f"sw{os.getpid() % 10**7}{end}{number}" for end in "hd")
        self._net = f"10.213.{(os.getpid() + number) % 256}"
        self._host = _FIRST_HOST
        self.ground = f"{self._net}.1"  # this machine, as it is seen from inside
        try:
            self._open()
        except ScenarioError:
            self.close()
            raise

    def _open(self) -> None:
        _run("ip", "netns", "add", self._space)
        inside = ("peer", "name", self._there, "netns", self._space)
        _run("ip", "link", "add", self._here, "type", "veth", *inside)
        _run("ip", "addr", "add", f"{self.ground}/24", "dev", self._here)
        _run("ip", "link", "set", self._here, "up")
        _run("ip", "-n", self._space, "addr", "add", self._address, "dev", self._there)
        for device in ("lo", self._there):
            _run("ip", "-n", self._space, "link", "set", device, "up")
        self.inside("nft", "list", "ruleset")  # now, not when the first fault strikes

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command line begins with to run inside."""
        return ("ip", "netns", "exec", self._space)

    @property
    def _address(self) -> str:
        return f"{self._net}.{self._host}/24"

    def inside(self, *command: str, text: str = "") -> None:
        """Run a command in the namespace.

        Raises:
            ScenarioError: It fails.
        """
        _run(*self.prefix, *command, text=text)

    def let(self, fault: RadioFault) -> None:
        """Let something befall it; `heal` ends it."""
        acts: dict[RadioFault, Callable[[], None]] = {
            RadioFault.CUT: lambda: _run("ip", "link", "set", self._here, "down"),
            RadioFault.LOSSY: lambda: self.inside(
                "nft", "-f", "-", text=_DROP.format(lost=_LOST_PER_CENT)
            ),
            RadioFault.SLOW: lambda: self.inside(
                "tc", "qdisc", "add", "dev", self._there, "root", "tbf", *_SLOW
            ),
            RadioFault.RENUMBERED: self._renumber,
        }
        acts[fault]()

    def heal(self) -> None:
        """End what can be ended: a new address stays."""
        _run("ip", "link", "set", self._here, "up")
        self.inside("nft", "flush", "ruleset")
        _try("ip", "netns", "exec", self._space, "tc", "qdisc", "del", "dev", self._there, "root")

    def _renumber(self) -> None:
        former, self._host = self._address, self._host + 1
        if self._host > _LAST_HOST:
            self._host = _FIRST_HOST
        for act, address in (("del", former), ("add", self._address)):
            _run("ip", "-n", self._space, "addr", act, address, "dev", self._there)

    def close(self) -> None:
        """Take it all away; harmless twice."""
        _try("ip", "link", "del", self._here)
        _try("ip", "netns", "del", self._space)


def _run(*command: str, text: str = "") -> None:
    done = _try(*command, text=text)
    if done is None or done.returncode:
        said = "not installed" if done is None else done.stderr.strip()
        raise ScenarioError(f"{' '.join(command)}: {said}; a real network {_NEEDS}")


def _try(*command: str, text: str = "") -> subprocess.CompletedProcess[str] | None:
    try:
        return _called(command, text)
    except OSError:
        return None


def _called(command: Sequence[str], text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)
