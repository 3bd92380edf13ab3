"""Whether a message is what its drone vouched for, as the desk takes it in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from edge.config_delivery import DeskConfig
from edge.errors import ConfigError, ProtocolError, SignatureError
from edge.protocol.media import decode_media
from edge.protocol.messages import Envelope, MessageKind
from edge.protocol.signing import PublicKey, SigningKey, read_public_keys, read_signing_key
from edge.protocol.status import StatusState, decode_status
from edge.protocol.topics import check_drone_id
from edge.protocol.vouch import Statement, digest_of

# By drone, then by the key's id: a drone's former keys stay, for what it signed with them.
DroneKeys: TypeAlias = Mapping[str, Mapping[bytes, PublicKey]]


@dataclass(frozen=True, slots=True)
class DeskKeys:
    """What a desk checks drones' messages by, and signs its acks with."""

    drones: DroneKeys = field(default_factory=dict)  # whoever has a key here must sign
    ack: SigningKey | None = None  # None: acks go unsigned


def read_desk_keys(config: DeskConfig) -> DeskKeys:
    """Read what the config names.

    Raises:
        ConfigError: A key is missing or none, or a secret one is readable by others.
    """
    path = config.ack_key_file
    ack = None if path is None else read_signing_key(path, "desk.ack_key_file")
    return DeskKeys(read_drone_keys(config.drone_keys), ack)


def read_drone_keys(folder: Path | None) -> dict[str, dict[bytes, PublicKey]]:
    """Read the drones' public keys, `<drone>.pub`, as `skywhistle keys` lays them out.

    Former keys are `<drone>.<anything>.pub`.

    Raises:
        ConfigError: There is no such folder, it holds no key, or a file that is none of a drone.
    """
    if folder is None:
        return {}
    files: dict[str, list[Path]] = {}
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".pub")
        for path in paths:
            files.setdefault(check_drone_id(path.name.partition(".")[0]), []).append(path)
    except OSError as error:
        raise ConfigError(
            f"desk.drone_keys {folder}: cannot be read ({error.strerror}); see `skywhistle keys`"
        ) from error
    except ProtocolError as error:
        raise ConfigError(f"desk.drone_keys {path}: {error}") from error
    if not files:  # then every drone could be forged, which is not what was meant
        raise ConfigError(f"desk.drone_keys {folder}: holds no <drone>.pub; see `skywhistle keys`")
    return {drone: read_public_keys(paths, "desk.drone_keys") for drone, paths in files.items()}


def vouched_for(drone_id: str, envelope: Envelope, keys: DroneKeys) -> Statement | None:
    """Check what a drone says of its message.

    A drone whose key is known must sign everything but its last will, which the broker publishes.
    A signature of a drone whose key is not known is kept for who may know it later.

    Returns:
        The statement; None where nobody vouches for the message, and nobody need.

    Raises:
        SignatureError: It must be signed and is not, or the signature does not fit.
        ProtocolError: The statement is of another message.
    """
    known = keys.get(drone_id)
    if envelope.voucher is None:
        if known is not None and not _is_last_will(envelope):
            raise SignatureError(f"not signed, though {drone_id} has a key here")
        return None
    if known is not None:
        envelope.voucher.verify(known)
    said = envelope.voucher.read()
    stamp = envelope.stamp
    if (said.epoch, said.seq, said.kind) != (stamp.epoch, stamp.seq, int(envelope.kind)):
        raise SignatureError("the signature is of another message")
    if said.digest != digest_of(_content(envelope)):
        raise SignatureError("the message is not what was signed")
    return said


def _content(envelope: Envelope) -> bytes:
    """Return what the digest is of."""
    is_picture = envelope.kind is MessageKind.MEDIA
    return decode_media(envelope.body).image_webp if is_picture else envelope.body


def _is_last_will(envelope: Envelope) -> bool:
    if envelope.kind is not MessageKind.STATUS:
        return False
    state = decode_status(envelope.body, envelope.stamp.epoch).state
    return state in (StatusState.OFFLINE, StatusState.CHECK)
