"""Read `patrol.toml` into `PatrolConfig`, and say what of a change can fly at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from edge.config import PatrolConfig
from edge.errors import ConfigError
from edge.protocol.signing import PublicKey
from edge.toml_file import read_toml

_RELOADABLE = ("rule", "zone")


@dataclass(frozen=True, slots=True)
class Settings:
    """A config as read: its values, where it lies, and the hash that alerts carry."""

    patrol: PatrolConfig
    path: Path
    config_hash: bytes  # 8 bytes: of the SHA-256 of the file; see `reloaded` for the exception
    text_sha256: str = field(default="", compare=False)  # hex, of the text that was read
    # Who must have signed it and all that it names (see `signed.py`); none: nobody need.
    signers: Mapping[bytes, PublicKey] = field(default_factory=dict)


def read_settings(path: Path) -> Settings:
    """Read a patrol config.

    Raises:
        ConfigError: The file is missing, is not TOML, or holds an unknown key, a wrong type or an
            impossible value; each mistake on a line of its own with file, line, key and value.
    """
    file = read_toml(path, ConfigError, "give the path of a patrol.toml")
    patrol = file.into(PatrolConfig)
    return Settings(
        patrol=_with_absolute_paths(patrol, path),
        path=path,
        config_hash=_hash8(file.text),
        text_sha256=hashlib.sha256(file.text.encode()).hexdigest(),
    )


def read_patrol(path: Path) -> PatrolConfig:
    """Read a patrol config and return its values alone."""
    return read_settings(path).patrol


def restart_needed(old: PatrolConfig, new: PatrolConfig) -> list[str]:
    """Name the tables that changed and cannot be taken over while flying."""
    return [
        name
        for name in PatrolConfig.model_fields
        if name not in _RELOADABLE and getattr(old, name) != getattr(new, name)
    ]


def reloaded(flying: Settings, fresh: Settings) -> Settings:
    """Take over what can be taken over while flying: rules and zones.

    The hash is that of the fresh file where all of it flies now.  Where parts of it need a
    restart, no file holds what flies: then it is the hash of the values themselves, so that two
    alerts with one hash were always made by one config.
    """
    taken = {name: getattr(fresh.patrol, name) for name in _RELOADABLE}
    patrol = flying.patrol.model_copy(update=taken)
    is_whole = patrol == fresh.patrol
    config_hash = fresh.config_hash if is_whole else _hash8(patrol.model_dump_json())
    return replace(flying, patrol=patrol, config_hash=config_hash, text_sha256=fresh.text_sha256)


def _hash8(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def json_schema() -> str:
    """Return the JSON Schema of `patrol.toml`, for editors."""
    schema = PatrolConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Skywhistle patrol.toml"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _with_absolute_paths(model: PatrolConfig, config: Path) -> PatrolConfig:
    """Make each path in the config absolute: relative ones start at the config's folder."""

    def resolved(value: Any) -> Any:
        if isinstance(value, Path):
            return _absolute(value, config)
        if isinstance(value, BaseModel):
            return value.model_copy(
                update={name: resolved(getattr(value, name)) for name in type(value).model_fields}
            )
        if isinstance(value, tuple):
            return tuple(resolved(item) for item in value)
        return value

    absolute: PatrolConfig = resolved(model)
    cameras = tuple(
        camera.model_copy(update={"source": _absolute_source(camera.source, config)})
        for camera in absolute.camera
    )
    return absolute.model_copy(update={"camera": cameras})


def _absolute(path: Path, config: Path) -> Path:
    try:
        return (config.resolve().parent / path.expanduser()).resolve()
    except (RuntimeError, ValueError, OSError) as error:  # ~nobody, a zero byte, links in a circle
        raise ConfigError(f"{config}: {str(path)!r} is no path ({error}); correct it") from error


def _absolute_source(source: str, config: Path) -> str:
    if "://" in source or source == "mavlink" or source.startswith("gst:"):
        return source
    return str(_absolute(Path(source), config))
