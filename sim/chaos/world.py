"""Everything that chaos acts on: the programs, the broker, the link, the disk, the clocks."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.protocol.mqtt import MqttSession
from edge.protocol.mqtt_events import Incoming, Message
from edge.protocol.topics import ack_topic
from edge.supervise import prepare_child
from sim.chaos.broker import KillableBroker
from sim.chaos.place import DRONE_ID, Place
from sim.chaos.strike import strike
from sim.faults.link import LinkMode, LinkRelay
from sim.faults.radio import Radio

_ACKS_KEPT: Final = 500
_STOP_GRACE_S: Final = 30.0
_CHUNK: Final = bytes(64 << 10)
_ROLES_ON_MAILBOX: Final = ("driver", "uplink", "flight")


@dataclass(slots=True)
class Player:
    """One program and when it is to be started again."""

    role: str
    process: subprocess.Popen[bytes] | None = None
    due_s: float = 0.0
    starts: int = 0
    ended_by_itself: int = 0  # it should not


@dataclass(slots=True)
class World:
    """What runs, and the handles by which it is broken."""

    place: Place
    place_file: Path
    rng: random.Random
    broker: KillableBroker
    roles: tuple[str, ...]
    radio: Radio | None = None  # None: the uplink is on this machine's own network
    mode: LinkMode = LinkMode.PASS
    players: dict[str, Player] = field(default_factory=dict)
    transactions_struck: dict[str, int] = field(default_factory=dict)
    acks: deque[bytes] = field(default_factory=lambda: deque(maxlen=_ACKS_KEPT))
    acks_repeated: int = 0
    broker_due_s: float | None = None
    _echo: MqttSession | None = None
    _later: list[tuple[float, bytes]] = field(default_factory=list)
    link: LinkRelay | None = None

    def open(self) -> None:
        """Start everything."""
        self.link = LinkRelay(
            (self.place.link_host, self.place.link_port),
            ("127.0.0.1", self.place.broker_port),
            lambda: self.mode,
            self.rng.randrange(1 << 30),
        )
        self.broker.start()
        self.players = {role: Player(role) for role in self.roles}
        self._echo = MqttSession(
            self.place.desk_mqtt, "chaos-echo", (ack_topic(DRONE_ID),), is_durable=False
        )
        self._echo.start()

    # --- programs ---------------------------------------------------------------------------------

    def turn(self) -> None:
        """Start what is due; hear acks and repeat some."""
        now_s = time.monotonic()
        if self.broker_due_s is not None and now_s >= self.broker_due_s:
            self.broker_due_s = None
            self.broker.start()
        for player in self.players.values():
            if player.process is not None and player.process.poll() is not None:
                player.process = None
                player.ended_by_itself += 1
                player.due_s = now_s + 0.5
            if player.process is None and now_s >= player.due_s:
                self._start(player)
        self._hear_acks(now_s)

    def _start(self, player: Player) -> None:
        player.starts += 1
        with (Path(self.place.folder) / f"{player.role}.log").open("ab") as log:
            child = (sys.executable, "-m", "sim.chaos.child", player.role, str(self.place_file))
            prefix = () if self.radio is None or player.role != "uplink" else self.radio.prefix
            player.process = subprocess.Popen(
                (*prefix, *child),
                stdout=log,
                stderr=log,
                preexec_fn=prepare_child,  # noqa: PLW1509
            )

    def kill(self, role: str, away_s: float) -> None:
        """Kill a program, perhaps inside a transaction; it comes back after a while."""
        player = self.players[role]
        if player.process is None:
            return
        on_mailbox = role in _ROLES_ON_MAILBOX
        database = self.place.mailbox.path if on_mailbox else self.place.desk_path
        if strike(player.process, database, self.rng):
            self.transactions_struck[role] = self.transactions_struck.get(role, 0) + 1
        player.process = None
        player.due_s = time.monotonic() + away_s

    def kill_broker(self, away_s: float, *, is_wiped: bool) -> None:
        """Kill the broker, perhaps take its memory."""
        self.broker.kill()
        if is_wiped:
            self.broker.wipe()
        self.broker_due_s = time.monotonic() + away_s

    def stop(self, *roles: str) -> None:
        """End programs politely, for good."""
        for role in roles:
            player = self.players.pop(role, None)
            if player is None or player.process is None:
                continue
            player.process.send_signal(signal.SIGTERM)
            try:
                player.process.wait(_STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                player.process.kill()
                player.process.wait()

    # --- acks -------------------------------------------------------------------------------------

    def repeat_acks(self, n: int, longest_delay_s: float) -> None:
        """Send acks that were heard once more, now or later: what the desk said long ago."""
        now_s = time.monotonic()
        for payload in self.rng.choices(list(self.acks), k=n) if self.acks else ():
            self._later.append((now_s + self.rng.uniform(0.0, longest_delay_s), payload))

    def _hear_acks(self, now_s: float) -> None:
        echo = self._echo
        if echo is None:
            return
        while (event := echo.next_event(0.0)) is not None:
            if isinstance(event, Incoming):
                echo.acknowledge(event)
                self.acks.append(event.payload)
        due = [item for item in self._later if item[0] <= now_s]
        for item in due:
            self._later.remove(item)
            if echo.publish(Message(ack_topic(DRONE_ID), item[1])) is not None:
                self.acks_repeated += 1

    # --- the disk ---------------------------------------------------------------------------------

    def fill_disk(self) -> None:
        """Take every block of the drone's disk."""
        with (Path(self.place.disk) / "filler").open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(_CHUNK)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def free_disk(self) -> None:
        """Give them back."""
        (Path(self.place.disk) / "filler").unlink(missing_ok=True)

    # --- the end ----------------------------------------------------------------------------------

    def heal(self) -> None:
        """Let nothing be broken any more."""
        self.mode = LinkMode.PASS
        if self.radio is not None:
            self.radio.heal()
        self.free_disk()
        self._later.clear()

    def close(self) -> None:
        """End everything that still runs."""
        self.stop(*list(self.players))
        if self._echo is not None:
            self._echo.close()
        if self.link is not None:
            self.link.close()
        self.broker.kill()


def mount_small_disk(folder: Path, size_mb: int) -> bool:
    """Mount a memory disk, which can be filled without harm; False where one may not."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size_mb}m,mode=700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


def unmount(folder: Path) -> None:
    """Undo `mount_small_disk`; harmless where nothing is mounted."""
    if os.path.ismount(folder):
        subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
