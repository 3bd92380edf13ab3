"""Read `patrol.toml` into `PatrolConfig`: a mistake gives file, line, key, value and what to do."""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import sys
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edge.config import PatrolConfig
from edge.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_HEADER = re.compile(r"^\s*(\[{1,2})\s*([^\]]+?)\s*\]{1,2}\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-\"'.]+)\s*=")
_RELOADABLE = ("rule", "zone")
_MAX_BYTES = 1_000_000  # a config is a page of text; more is the wrong file


@dataclass(frozen=True, slots=True)
class Settings:
    """A config as read: its values, where it lies, and the hash that alerts carry."""

    patrol: PatrolConfig
    path: Path
    config_hash: bytes  # 8 bytes: of the SHA-256 of the file; see `reloaded` for the exception


def read_settings(path: Path) -> Settings:
    """Read a patrol config.

    Raises:
        ConfigError: The file is missing, is not TOML, or holds an unknown key, a wrong type or an
            impossible value; each mistake on a line of its own with file, line, key and value.
    """
    text = _read_text(path)
    table = _parse(path, text)
    try:
        patrol = PatrolConfig.model_validate(table)
    except ValidationError as error:
        details = _deepest(error.errors())
        sentences = [_sentence(path, text, detail) for detail in details]
        raise ConfigError("\n".join(sentences)) from error
    base = path.resolve().parent
    return Settings(
        patrol=_with_absolute_paths(patrol, base),
        path=path,
        config_hash=_hash8(text),
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
    return Settings(patrol, flying.path, config_hash)


def _hash8(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]


def json_schema() -> str:
    """Return the JSON Schema of `patrol.toml`, for editors."""
    schema = PatrolConfig.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Skywhistle patrol.toml"
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); give the path of a patrol.toml"
        ) from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path}: {len(data)} bytes is no config; give the path of a patrol.toml")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text ({error}); save it as UTF-8") from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _deepest(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Drop what the library says of a list only because one of its items is wrong."""
    locs = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if not any(
            len(loc) > len(detail["loc"]) and loc[: len(detail["loc"])] == detail["loc"]
            for loc in locs
        )
    ]


def _sentence(path: Path, text: str, detail: ErrorDetails) -> str:
    loc = tuple(part for part in detail["loc"] if not str(part).startswith("function-"))
    key = ".".join(str(part) for part in loc) or "(the whole file)"
    where = f"{path}:{line_of(text, loc)}: {key}"
    if detail["type"] == "extra_forbidden":
        known = _known_keys(loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(sorted(known))}"
        return f"{where}: unknown key (value {detail['input']!r}); {hint}"
    if detail["type"] == "missing":
        return f"{where}: is missing; add it"
    message = detail["msg"].removeprefix("Value error, ")
    if isinstance(detail["input"], dict):  # a law over several keys: the sentence names them
        return f"{where}: {message}"
    return f"{where} = {detail['input']!r}: {message}"


def line_of(text: str, loc: tuple[int | str, ...]) -> int:
    """Find the line (from 1) of a key in TOML text; its table's line when the key is not there."""
    wanted = _without_trailing_index(loc)
    best, best_depth = 1, 0
    for line, here in _places(text):
        depth = _shared(here, wanted)
        if depth == len(here) and depth > best_depth:
            best, best_depth = line, depth
    return best


def _without_trailing_index(loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return loc[:-1] if len(loc) > 2 and isinstance(loc[-1], int) else loc


def _places(text: str) -> Iterable[tuple[int, tuple[int | str, ...]]]:
    """Yield each line that opens a table or sets a key, with its full path."""
    table: tuple[int | str, ...] = ()
    n_of_array: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name = header[2].strip()
            table = tuple(part.strip(" \"'") for part in name.split("."))
            if header[1] == "[[":
                n_of_array[name] = n_of_array.get(name, -1) + 1
                table = (*table, n_of_array[name])
            yield number, table
        elif key := _KEY.match(line):
            yield number, (*table, *(part.strip("\"'") for part in key[1].split(".")))


def _shared(here: tuple[int | str, ...], wanted: tuple[int | str, ...]) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(here, wanted, strict=False)) if a != b),
        min(len(here), len(wanted)),
    )


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = PatrolConfig
    for part in loc:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)


def _with_absolute_paths(model: PatrolConfig, base: Path) -> PatrolConfig:
    """Make each path in the config absolute: relative ones start at the config's folder."""

    def resolved(value: Any) -> Any:
        if isinstance(value, Path):
            return (base / value.expanduser()).resolve()
        if isinstance(value, BaseModel):
            return value.model_copy(
                update={name: resolved(getattr(value, name)) for name in type(value).model_fields}
            )
        if isinstance(value, tuple):
            return tuple(resolved(item) for item in value)
        return value

    absolute: PatrolConfig = resolved(model)
    cameras = tuple(
        camera.model_copy(update={"source": _absolute_source(camera.source, base)})
        for camera in absolute.camera
    )
    return absolute.model_copy(update={"camera": cameras})


def _absolute_source(source: str, base: Path) -> str:
    if "://" in source or source == "mavlink" or source.startswith("gst:"):
        return source
    return str((base / Path(source).expanduser()).resolve())
