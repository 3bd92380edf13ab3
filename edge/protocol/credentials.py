"""Passwords, certificates and keys for the broker: read once, at the start, with their modes."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

from edge.config_delivery import MqttConfig
from edge.errors import ConfigError

_GROUP_AND_OTHERS: Final = 0o077
_OTHERS: Final = 0o007


class _ClosingSocket(ssl.SSLSocket):
    """Closes itself when the handshake fails: paho leaves it open, one at each try."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:  # ssl.SSLError is one
            self.close()
            raise


def read_password(config: MqttConfig) -> str | None:
    """Read the password file, one line, which nobody else may read.

    Raises:
        ConfigError: Missing, or its mode is wider than 600.
    """
    if config.password_file is None:
        return None
    check_secret(config.password_file, "mqtt.password_file")
    try:
        return config.password_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"mqtt.password_file {config.password_file}: {error}") from error


def tls_context(config: MqttConfig) -> ssl.SSLContext | None:
    """Build what TLS needs; None where it is off.

    Raises:
        ConfigError: A certificate or key file cannot be used.
    """
    if not config.tls:
        return None
    for name in ("ca_file", "cert_file", "key_file"):
        path = getattr(config, name)
        if path is not None and not path.is_file():
            raise ConfigError(
                f"mqtt.{name} {path}: is no file; `skywhistle keys` makes it, or correct the path"
            )
    try:
        context = ssl.create_default_context(
            cafile=None if config.ca_file is None else str(config.ca_file)
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.sslsocket_class = _ClosingSocket
        if config.cert_file is not None and config.key_file is not None:
            check_secret(config.key_file, "mqtt.key_file")
            context.load_cert_chain(config.cert_file, config.key_file)
    except (OSError, ssl.SSLError) as error:
        files = [str(f) for f in (config.ca_file, config.cert_file, config.key_file) if f]
        raise ConfigError(f"mqtt: {' or '.join(files)} cannot be used: {error}") from error
    return context


def check_secret(path: Path, key: str) -> None:
    """Refuse a secret that others may read."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigError(
            f"{key} {path}: {error.strerror}; name a file that is there, mode 600 "
            "(`skywhistle keys` makes keys)"
        ) from error
    if mode & (_OTHERS if _is_credential(path) else _GROUP_AND_OTHERS):
        raise ConfigError(f"{key} {path} may be read by others; run `chmod 600 {path}`")


def _is_credential(path: Path) -> bool:
    """Tell whether systemd has put a file there for this service (`LoadCredential=`).

    It may let the service's user in by an access list, and then the group's bits show that list.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return folder is not None and path.is_relative_to(folder)
