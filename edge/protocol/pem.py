"""Keys in PEM files, as `skywhistle keys` writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization

from edge.errors import ConfigError
from edge.protocol.credentials import check_secret


def read_secret_pem(path: Path, key: str, kind: Any, name: str) -> Any:
    """Read a secret key, which nobody else may read.

    Args:
        path: The file.
        key: The config's key that names it, for the message.
        kind: Its class, an abstract one, which no type checker takes for a type.
        name: Of the kind, for the message.

    Raises:
        ConfigError: It is missing, readable by others, or of another kind.
    """
    if path.suffix == ".pub":
        raise ConfigError(f"{key} {path}: is the public half; name the .key that it was made with")
    check_secret(path, key)
    return _read(
        path, key, kind, name, lambda data: serialization.load_pem_private_key(data, password=None)
    )


def read_public_pem(path: Path, key: str, kind: Any, name: str) -> Any:
    """Read a public key; arguments and errors are those of `read_secret_pem`."""
    return _read(path, key, kind, name, serialization.load_pem_public_key)


def _read(path: Path, key: str, kind: Any, name: str, load: Callable[[bytes], Any]) -> Any:
    try:
        found = load(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{key} {path}: is no key ({error}); see `skywhistle keys`") from error
    if not isinstance(found, kind):
        raise ConfigError(f"{key} {path}: is no {name} key; `skywhistle keys` makes one")
    return found
