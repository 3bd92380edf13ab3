"""Real brokers for tests: mosquitto as a child process, with TLS and ACL, and certificates."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest

from edge.config_delivery import MqttConfig
from edge.desk.broker import free_port

START_WAIT_S = 10.0
_ISSUING = threading.Lock()

TLS_CONF = """\
listener {port} 127.0.0.1
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
use_identity_as_username true
"""
PLAIN_CONF = "listener {port} 127.0.0.1\n"
ACL = """\
user desk
topic readwrite sw/v1/#
pattern write sw/v1/%u/up/#
pattern read sw/v1/%u/dn/#
"""


@dataclass(frozen=True)
class Authority:
    """A certificate authority in a folder, made with the openssl command."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> Authority:
        folder.mkdir(parents=True, exist_ok=True)
        authority = cls(folder)
        _openssl(
            *f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
            f" -subj /CN=test-authority -keyout {folder}/ca.key -out {folder}/ca.pem".split()
        )
        authority.issue("server", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        return authority

    def issue(self, name: str, extension: str = "") -> tuple[Path, Path]:
        """Make a certificate and key of common name `name`; asked again, give the same."""
        with _ISSUING:  # two flights of one test may ask at once
            certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
            if not certificate.exists():
                self._issue(name, extension)
            return certificate, key

    def _issue(self, name: str, extension: str) -> None:
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        _openssl(
            *f"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name}"
            f" -keyout {key} -out {request}".split()
        )
        extensions.write_text(extension + "\n")
        _openssl(
            *f"x509 -req -in {request} -CA {self.folder}/ca.pem -CAkey {self.folder}/ca.key"
            f" -CAcreateserial -days 2 -extfile {extensions} -out {certificate}".split()
        )
        key.chmod(0o600)


class Mosquitto:
    """A mosquitto on loopback for as long as the `with` block lasts.

    Args:
        folder: For its configuration and its persistence; not shared with another.
        authority: With one it asks for certificates, whose common name is the user, and keeps the
            ACL that a fleet would have; without one it lets everybody do everything.
        options: More lines for its configuration.
    """

    def __init__(self, folder: Path, authority: Authority | None = None, options: str = "") -> None:
        self.program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if self.program is None:
            pytest.skip("needs mosquitto: apt-get install mosquitto")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._authority = authority
        self._conf = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        lines = PLAIN_CONF if authority is None else TLS_CONF
        conf = lines.format(port=self.port, folder=authority.folder if authority else "")
        if authority is None:
            conf += "allow_anonymous true\n"
        else:
            (folder / "acl").write_text(ACL)
            (folder / "acl").chmod(0o600)
            conf += f"allow_anonymous false\nacl_file {folder}/acl\n"
        conf += f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n"
        conf += f"user root\n{options}"  # as root it would become another user, who reads nothing
        self._conf.write_text(conf)

    def config(self, name: str | None = None, **changes: object) -> MqttConfig:
        """Say how `name` reaches it."""
        fields: dict[str, object] = {"port": self.port, "tls": self._authority is not None}
        if self._authority is not None:
            fields["ca_file"] = self._authority.folder / "ca.pem"
            if name is not None:
                fields["cert_file"], fields["key_file"] = self._authority.issue(name)
        return MqttConfig(**(fields | changes))  # type: ignore[arg-type]

    def start(self) -> None:
        """Start, and wait until it accepts connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.program), "-c", str(self._conf)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_WAIT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"mosquitto does not start: {self._log.read_text()}")

    def stop(self) -> None:
        """End it politely; harmless twice."""
        self._end(kill=False)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(kill=True)

    def _end(self, *, kill: bool) -> None:
        if self._process is not None:
            if kill:
                self._process.kill()
            else:
                self._process.terminate()
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _openssl(*arguments: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command: apt-get install openssl")
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
