"""A mosquitto with persistence that can be killed and wiped."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

from edge.errors import BrokerError

_START_WAIT_S: Final = 20.0
_CONF: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
max_queued_messages 10000
user root
"""


class KillableBroker:
    """A broker on loopback, a child process.

    Args:
        folder: For its configuration, log and persistence.
        port: Where it listens.

    Raises:
        BrokerError: mosquitto is not installed.
    """

    def __init__(self, folder: Path, port: int) -> None:
        program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if program is None:
            raise BrokerError(
                "mosquitto is not installed: apt-get install mosquitto; chaos needs a broker that "
                "keeps its sessions on disk"
            )
        folder.mkdir(parents=True, exist_ok=True)
        self._program, self._folder, self.port = program, folder, port
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "mosquitto.conf").write_text(_CONF.format(port=port, folder=folder))

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Start, and wait until it accepts connections.

        Raises:
            BrokerError: It does not start.
        """
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._folder / "mosquitto.conf")], stdout=log, stderr=log
            )
        deadline_s = time.monotonic() + _START_WAIT_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.02)
        tail = (self._folder / "mosquitto.log").read_text(errors="replace")[-400:]
        self.kill()
        raise BrokerError(f"mosquitto does not start on port {self.port}: {tail}")

    def kill(self) -> None:
        """End it with SIGKILL; harmless twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        """Forget, while it is not running, every session and message it has kept."""
        for path in self._folder.glob("mosquitto.db*"):
            path.unlink()
