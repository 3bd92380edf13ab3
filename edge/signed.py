"""Which files a flight may be flown with: a list of their hashes, signed by who has checked them.

Beside `patrol.toml` lies `patrol.toml.signed`: every file that the config names (models by their
manifest, which holds the weights' hash), with its SHA-256, and one Ed25519 signature over all.
Whether a signature is required is not said in the config, which whoever changes it could change,
but on the command line that starts the program (`--signed-by`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from edge.config import PatrolConfig
from edge.errors import OutputError, SignatureError, UnsignedError
from edge.protocol.cbor import encode_item
from edge.protocol.signing import PublicKey, Purpose, SigningKey
from edge.settings import Settings
from edge.toml_file import read_toml

SUFFIX: Final = ".signed"
_MODEL_FILE: Final = "model.toml"
# Secrets, and what the flight itself writes: neither is anybody's to vouch for.
_NOT_SIGNED: Final = frozenset(
    {"state_dir", "path", "folder", "key_file", "ack_key_file", "password_file", "signing_key_file"}
)


class SignedFiles(BaseModel):
    """`patrol.toml.signed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str  # id of the key, hex
    signature: str  # hex
    files: dict[str, str]  # path, relative to the config's folder → SHA-256, hex


def sign_files(settings: Settings, key: SigningKey) -> Path:
    """Vouch for a config and all that it names, as they are now.

    Returns:
        The list that was written.

    Raises:
        UnsignedError: A file that the config names is not there.
        OutputError: The list cannot be written.
    """
    files = dict(sorted(_hashes(settings).items()))
    signature = key.sign(Purpose.MANIFEST, encode_item(files))
    lines = [
        "# Written by `skywhistle keys sign`; a change to any of these files makes it void.",
        f'key = "{key.key_id.hex()}"',
        f'signature = "{signature.hex()}"',
        "",
        "[files]",
        *(f'{json.dumps(name)} = "{digest}"' for name, digest in files.items()),
    ]
    path = list_of(settings.path)
    try:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    return path


def require_signed(settings: Settings, signers: Mapping[bytes, PublicKey]) -> None:
    """See that one of the signers vouches for the config and all that it names.

    Raises:
        UnsignedError: There is no list, nobody who counts has signed it, or a file is not in it,
            or has changed since.
    """
    path = list_of(settings.path)
    mend = f"have it signed again: skywhistle keys sign {settings.path} --key KEY"
    listed = read_toml(path, UnsignedError, mend).into(SignedFiles)
    try:
        signer = signers[bytes.fromhex(listed.key)]
        signature = bytes.fromhex(listed.signature)
        signer.verify(Purpose.MANIFEST, encode_item(dict(listed.files)), signature)
    except KeyError:
        raise UnsignedError(
            f"{path}: signed by key {listed.key}, which is none of those required; {mend}"
        ) from None
    except (ValueError, SignatureError) as error:
        raise UnsignedError(f"{path}: {error}; {mend}") from error
    for name, digest in _hashes(settings).items():
        if name not in listed.files:
            raise UnsignedError(f"{name}: named by {settings.path}, but not in {path}; {mend}")
        if listed.files[name] != digest:
            raise UnsignedError(f"{name}: has changed since {path} was signed; {mend}")


def list_of(config: Path) -> Path:
    """Return where the signed list of a config lies."""
    return config.with_name(config.name + SUFFIX)


def _hashes(settings: Settings) -> dict[str, str]:
    base = settings.path.resolve().parent
    # Of the config itself what counts is the text that was read, not what lies there by now.
    hashes = {settings.path.resolve().name: settings.text_sha256}
    for path in set(_named_by(settings.patrol)):
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise UnsignedError(
                f"{path}: named by {settings.path}, cannot be read ({error.strerror})"
            ) from error
        name = path.relative_to(base) if path.is_relative_to(base) else path
        hashes[name.as_posix()] = digest
    return hashes


def _named_by(patrol: PatrolConfig) -> Iterator[Path]:
    """Yield every file that a config names as input."""

    def walk(value: Any) -> Iterator[Path]:
        if isinstance(value, Path):
            yield value
        elif isinstance(value, BaseModel):
            for name in type(value).model_fields:
                if name == "model":
                    yield getattr(value, name) / _MODEL_FILE
                elif name not in _NOT_SIGNED:
                    yield from walk(getattr(value, name))
        elif isinstance(value, tuple):
            for item in value:
                yield from walk(item)

    yield from walk(patrol)
