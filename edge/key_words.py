"""What a config's keys are for, in words; each is read as `flight` and `uplink` read it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from edge.config import PatrolConfig
from edge.protocol.sealed import read_seal
from edge.protocol.signing import read_public_keys, read_signing_key


def _signing(patrol: PatrolConfig) -> str:
    path = patrol.signing.key_file
    if path is None:
        return "what is sent is not signed: no signing.key_file"
    return f"what is sent is signed by {read_signing_key(path, 'signing.key_file').key_id.hex()}"


def _commands(patrol: PatrolConfig) -> str:
    keys = read_public_keys(patrol.commands.keys, "commands.keys")
    return f"signed by {_ids(keys)} are obeyed" if keys else "none is obeyed: no commands.keys"


def _acks(patrol: PatrolConfig) -> str:
    keys = read_public_keys(patrol.acks.keys, "acks.keys")
    if not keys:
        return "anybody's at the broker are believed: no acks.keys"
    return f"signed by {_ids(keys)} are believed"


def _originals(patrol: PatrolConfig) -> str:
    path = patrol.privacy.originals_key
    if path is None:
        return "no whole frame is held: no privacy.originals_key"
    read_seal(path, "privacy.originals_key")
    return f"whole frames are held, sealed, for {patrol.privacy.keep_originals_days:g} days"


def _ids(keys: Iterable[bytes]) -> str:
    return ", ".join(key_id.hex() for key_id in keys)


KEYS_OF: Final[Mapping[str, Callable[[PatrolConfig], str]]] = {
    "signing": _signing,
    "commands": _commands,
    "acks": _acks,
    "originals": _originals,
}
