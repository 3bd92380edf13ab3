"""What mosquitto is told: who may connect, and who may say what to whom."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.desk.authority import DASHBOARD, DESK
from edge.errors import KeysError
from edge.protocol.topics import DESK_ALERT, DESK_STATE, ROOT

DEFAULT_PORT: Final = 8883

_CONF: Final = """\
# Skywhistle's broker (mosquitto 2.0 or newer).  Start: mosquitto -c {folder}/mosquitto.conf
# The files in this folder belong to the user that mosquitto runs as: chown -R mosquitto: {folder}
# TLS 1.3 with a certificate from everybody; the certificate's name is the user, and so the drone.
listener {listener}
cafile {folder}/ca.crt
certfile {folder}/broker.crt
keyfile {folder}/broker.key
# Withdrawn certificates; after `skywhistle keys revoke` copy the new list here and start anew:
# on SIGHUP mosquitto reads the ACL again, but not this.
crlfile {folder}/crl.pem
tls_version tlsv1.3
require_certificate true
use_identity_as_username true
allow_anonymous false
acl_file {folder}/acl

# Sessions and what waits in them survive a restart; a session that nobody comes back to does not.
persistence true
persistence_location {state}/
autosave_interval 30
persistent_client_expiration 30d
max_queued_messages 10000

# The largest message of ours is a picture of 12 KiB.
max_packet_size 65536
max_keepalive 600
"""

_ACL: Final = f"""\
# Who may say what.  %u is the name in the certificate.
user {DESK}
topic read {ROOT}/+/up/#
topic write {ROOT}/+/dn/#
topic readwrite {ROOT}/{DESK}/#

# A dashboard of that name reads what the desk has committed, and nothing else.
user {DASHBOARD}
topic read {DESK_ALERT}
topic read {DESK_STATE}
topic deny {ROOT}/{DASHBOARD}/#

pattern write {ROOT}/%u/up/#
pattern read {ROOT}/%u/dn/#
"""


def write_broker_files(
    folder: Path, installed_at: Path, state: Path, *, address: str = "", port: int = DEFAULT_PORT
) -> None:
    """Write `mosquitto.conf` and `acl` beside the broker's certificate.

    Args:
        folder: The broker's folder of an authority.
        installed_at: Where that folder will lie on the broker's machine.
        state: Where mosquitto keeps its sessions.
        address: To listen on; empty: on all.
        port: To listen on.

    Raises:
        KeysError: The disk refuses.
    """
    listener = f"{port} {address}".strip()
    try:
        conf = _CONF.format(folder=installed_at, state=state, listener=listener)
        (folder / "mosquitto.conf").write_text(conf)
        (folder / "acl").write_text(_ACL)
        (folder / "acl").chmod(0o600)  # mosquitto warns of one that others may read
    except OSError as error:
        raise KeysError(f"{folder}: cannot be written ({error.strerror})") from error


def listener_port(folder: Path) -> int:
    """Return the port that the `mosquitto.conf` in a broker's folder listens on."""
    try:
        lines = (folder / "mosquitto.conf").read_text().splitlines()
    except OSError:
        return DEFAULT_PORT
    ports = [line.split()[1] for line in lines if line.startswith("listener ")]
    return int(ports[0]) if ports and ports[0].isdecimal() else DEFAULT_PORT
