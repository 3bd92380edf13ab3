"""The network of the uplink's own: what breaks in it breaks as on a modem, and nowhere else."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from edge.errors import ScenarioError
from sim.faults import radio as radio_module
from sim.faults.radio import Radio, RadioFault

pytestmark = pytest.mark.system

WAIT_S = 30.0
# Connects and sends numbered lines, fifty a second, until its input ends; then a last one.
_TALKER = """
import select, socket, sys, time
line = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
n = 0
while not select.select([sys.stdin], [], [], 0.02)[0]:
    n += 1
    line.sendall(b"%d\\n" % n)
line.sendall(b"end %d\\n" % n)
line.close()
"""


@dataclass
class Ear:
    """A server on this machine that hears what comes out of the network."""

    address: str
    heard: list[str] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = socket.create_server((self.address, 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                line, caller = self._server.accept()
            except OSError:  # closed
                return
            self.callers.append(caller[0])
            threading.Thread(target=self._hear, args=(line,), daemon=True).start()

    def _hear(self, line: socket.socket) -> None:
        with line, line.makefile(encoding="ascii") as lines:
            for text in lines:
                self.heard.append(text.strip())

    def close(self) -> None:
        self._server.close()


@pytest.fixture
def radio() -> Iterator[Radio]:
    try:
        made = Radio()
    except ScenarioError as error:
        pytest.skip(f"no network of its own can be made here: {error}")
    with closing(made):
        yield made


@pytest.fixture
def ear(radio: Radio) -> Iterator[Ear]:
    listening = Ear(radio.ground)
    yield listening
    listening.close()


@pytest.fixture
def call(radio: Radio, ear: Ear) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    made: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        command = (*radio.prefix, sys.executable, "-c", _TALKER, ear.address, str(ear.port))
        made.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        return made[-1]

    yield begin
    for talker in made:
        talker.kill()
        talker.communicate()


def until(is_so: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline_s, f"waited in vain until {what}"
        time.sleep(0.01)


@pytest.mark.parametrize("fault", [RadioFault.CUT, RadioFault.LOSSY, RadioFault.SLOW])
def test_what_the_radio_holds_up_arrives_whole(
    radio: Radio, ear: Ear, call: Callable[[], subprocess.Popen[bytes]], fault: RadioFault
) -> None:
    """TCP brings every line, in order, once the fault is over."""
    talker = call()
    until(lambda: len(ear.heard) >= 5, "the line stands")
    radio.let(fault)
    time.sleep(1.0)
    radio.heal()
    talker.communicate()  # its input ends: the last line, and good-bye
    until(lambda: bool(ear.heard) and ear.heard[-1].startswith("end"), "the last line came")
    n = int(ear.heard[-1].split()[1])
    assert ear.heard[:-1] == [str(number) for number in range(1, n + 1)]


def test_a_cut_cable_carries_nothing(
    radio: Radio, ear: Ear, call: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """While it is cut nothing is heard, and the other end is told nothing."""
    call()
    until(lambda: len(ear.heard) >= 5, "the line stands")
    radio.let(RadioFault.CUT)
    time.sleep(0.2)  # what had been sent
    before = len(ear.heard)
    time.sleep(0.5)
    assert len(ear.heard) == before
    assert len(ear.callers) == 1
    radio.heal()
    until(lambda: len(ear.heard) > before, "the cable carries again")


def test_another_address_leaves_old_connections_hanging(
    radio: Radio, ear: Ear, call: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """After a change of the cell nothing comes by the old connection; a new one comes through."""
    call()
    until(lambda: len(ear.heard) >= 5, "the line stands")
    radio.let(RadioFault.RENUMBERED)
    radio.heal()
    time.sleep(0.2)
    before = len(ear.heard)
    time.sleep(0.5)
    assert len(ear.heard) == before
    call()
    until(lambda: len(set(ear.callers)) == 2, "a call from the new address")
    until(lambda: len(ear.heard) > before, "it is heard")


def test_a_lossy_radio_loses_packets(radio: Radio) -> None:
    """Of a thousand datagrams some two thirds arrive, though nobody says so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind((radio.ground, 0))
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        ear.settimeout(1.0)
        radio.let(RadioFault.LOSSY)
        code = (
            "import socket, sys, time\n"
            "out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "for n in range(1000):\n"
            "    try:\n"
            "        out.sendto(b'x', (sys.argv[1], int(sys.argv[2])))\n"
            "    except PermissionError:\n"  # what a sender's own firewall tells it
            "        pass\n"
        )
        port = str(ear.getsockname()[1])
        subprocess.run((*radio.prefix, sys.executable, "-c", code, radio.ground, port), check=True)
        n = 0
        try:
            while n < 1000:
                ear.recv(8)
                n += 1
        except TimeoutError:
            pass
    assert 550 < n < 850


def test_nothing_of_it_is_left(radio: Radio) -> None:
    """Once closed there is no namespace and no cable of its name, however broken it was."""
    names = radio._space, radio._here
    radio.let(RadioFault.CUT)
    radio.let(RadioFault.LOSSY)
    radio.close()
    radio.close()
    listed = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for command in (("ip", "netns", "list"), ("ip", "link"))
    ]
    assert all(name not in "".join(listed) for name in names)


def test_where_it_cannot_be_made_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the programs the error names what is needed, and chaos goes on without it."""
    monkeypatch.setattr(radio_module, "_try", lambda *_command, **_: None)
    with pytest.raises(ScenarioError, match="not installed; a real network needs root"):
        Radio()
