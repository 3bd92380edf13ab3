"""No secret is ever said: not in logs, not in errors, not in what goes over the air."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timezone
from pathlib import Path

import pytest

from edge.desk.authority import Authority
from tests.aircraft import Child, skywhistle
from tests.brokers import Mosquitto
from tests.wire_ground import free_port

pytestmark = pytest.mark.system
PASSWORD = "correct-horse-battery-staple"
MAVLINK_KEY = os.urandom(32).hex()


def secrets_of(keys: Path) -> list[str]:
    """Return every line that only its owner may read: of key files, and the two of this test."""
    lines = [PASSWORD, MAVLINK_KEY]
    for path in keys.rglob("*.key"):
        lines += [line for line in path.read_text().splitlines() if not line.startswith("-----")]
    return lines


@pytest.fixture
def config(tmp_path: Path, repo: Path) -> Path:
    """An aircraft with every kind of secret, whose broker is real and refuses its password."""
    now = datetime.now(timezone.utc)
    keys = tmp_path / "keys"
    drone = Authority.create(keys, ["localhost"], now, 30).issue_drone("drone-1", now, 30)
    for name, text in (("password", PASSWORD), ("mavlink.key", MAVLINK_KEY)):
        (tmp_path / name).write_text(text + "\n")
        (tmp_path / name).chmod(0o600)
    path = tmp_path / "patrol.toml"
    path.write_text(
        'drone_id = "drone-1"\nstate_dir = "state"\n'
        f'[[camera]]\nid = "main"\nsource = "udp://:{free_port()}"\n'
        f'model = "{repo}/models/whistle-n-int8"\n'
        f'calibration = "{repo}/calibration/cameras/sim-720p.toml"\n'
        f'mount = "{repo}/calibration/mounts/nadir-fixed.toml"\n'
        '[[rule]]\nname = "shed"\nlabels = ["structure"]\n'
        f'[autopilot]\nurl = "udpin:127.0.0.1:{free_port()}"\nsigning_key_file = "mavlink.key"\n'
        '[mailbox]\npath = "mailbox.db"\n[evidence]\nfolder = "evidence"\n'
        f'[commands]\nkeys = ["{drone}/command.pub"]\n[signing]\nkey_file = "{drone}/sign.key"\n'
        f'[privacy]\noriginals_key = "{drone}/originals.pub"\n'
        '[mqtt]\nhost = "127.0.0.1"\nport = 1\ntls = false\n'
        'username = "drone-1"\npassword_file = "password"\n'
    )
    return path


def test_programs_that_log_everything_tell_no_secret(config: Path, tmp_path: Path) -> None:
    """Flight, uplink and check with --verbose, refused by the broker, name files only."""
    broker = Mosquitto(tmp_path / "broker", options=f"password_file {tmp_path}/passwords\n")
    (tmp_path / "passwords").write_text("")
    conf = tmp_path / "broker" / "mosquitto.conf"
    conf.write_text(conf.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    config.write_text(config.read_text().replace("port = 1", f"port = {broker.port}"))
    with broker:
        checked = skywhistle("--verbose", "check", str(config), "--seconds", "0.5")
        with (
            Child(tmp_path / "uplink.log", "--verbose", "uplink", str(config)) as uplink,
            Child(tmp_path / "flight.log", "--verbose", "flight", str(config)) as flight,
        ):
            uplink.wait_for("Not authorized")
            flight.wait_for("flight_started")
            logs = [uplink, flight]
            for child in logs:
                child.stop()
    said = "".join([checked.stdout, checked.stderr, *(child.text() for child in logs)])
    assert "Not authorized" in said
    kept = (tmp_path / "mailbox.db").read_bytes()
    for secret in secrets_of(tmp_path / "keys"):
        assert secret not in said
        assert secret.encode() not in kept
    assert shutil.which("mosquitto") is not None


@pytest.mark.parametrize("name", ["password", "mavlink.key"])
def test_a_refused_secret_is_not_shown(config: Path, name: str) -> None:
    """An error about a secret's file says which, what is wrong with its mode, and no more."""
    (config.parent / name).chmod(0o644)
    program = "uplink" if name == "password" else "flight"
    done = skywhistle(program, str(config))
    assert done.returncode == 2
    assert "chmod 600" in done.stderr
    assert PASSWORD not in done.stderr
    assert MAVLINK_KEY not in done.stderr
