"""The reader of TOML files: a mistake gives file, line, key, value, and what to do about it."""

from __future__ import annotations

import difflib
import re
import sys
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from edge.errors import SkywhistleError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""  # of a key: bare, or quoted and then anything
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"^\s*(\[{{1,2}})\s*({_NAME})\s*\]{{1,2}}\s*(#.*)?$")
_KEY = re.compile(rf"^\s*({_NAME})\s*=")
_MAX_BYTES = 256_000  # such a file is a page of text; more is the wrong file
# No key of ours has five parts, and the library's time grows with the square of their number.
_LONG_NAME = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}\s*\.\s*){{32}}")
_MOST_MISTAKES = 20  # that are told; looking for the line of each takes its time
_MOST_SHOWN = 200  # characters of a value

Place = tuple[int | str, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class TomlFile:
    """A TOML file as read, not yet judged by its keys."""

    path: Path
    text: str
    table: dict[str, Any]
    error: type[SkywhistleError]  # what a mistake in it is raised as

    def into(self, model: type[Model]) -> Model:
        """Turn the file into types.

        Raises:
            SkywhistleError: Of the kind `error`: an unknown or missing key, a wrong type, an
                impossible value; each mistake on a line of its own.
        """
        try:
            return model.model_validate(self.table)
        except ValidationError as error:
            found = error.errors(include_url=False)
            details = _deepest([_placed(detail) for detail in found[: 10 * _MOST_MISTAKES]])
            places = list(_places(self.text))
            sentences = [
                _sentence(self.path, places, model, detail) for detail in details[:_MOST_MISTAKES]
            ]
            if len(details) > _MOST_MISTAKES:
                sentences.append(f"{self.path}: and {len(found) - _MOST_MISTAKES} more")
            raise self.error("\n".join(sentences)) from error


def read_toml(path: Path, error: type[SkywhistleError], advice: str) -> TomlFile:
    """Read a TOML file.

    Args:
        path: The file.
        error: The kind of error to raise.
        advice: What to do where there is no such file.

    Raises:
        SkywhistleError: Of the kind `error`: missing, too large, not UTF-8, not TOML, or nested
            or named beyond all sense.
    """
    try:
        data = path.read_bytes()
    except OSError as refusal:
        raise error(f"{path}: cannot be read ({refusal.strerror}); {advice}") from refusal
    if len(data) > _MAX_BYTES:
        raise error(f"{path}: {len(data)} bytes are not such a file; {advice}")
    try:
        text = data.decode("utf-8")
        if _LONG_NAME.search(text):
            raise error(f"{path}: has a key of more than 32 parts; {advice}")
        table = tomllib.loads(text)
    except UnicodeDecodeError as refusal:
        raise error(f"{path}: is not UTF-8 text ({refusal}); save it as UTF-8") from refusal
    except ValueError as refusal:  # not TOML, or a number of thousands of digits
        raise error(f"{path}: is not TOML: {refusal}") from refusal
    except RecursionError as refusal:
        raise error(f"{path}: lists or tables nested too deeply for such a file") from refusal
    if _has_long_number(table):
        raise error(f"{path}: holds a whole number of more than 64 bits, which TOML has not")
    return TomlFile(path, text, table, error)


def line_of(text: str, place: Place) -> int:
    """Find the line (from 1) of a key in TOML text; its table's line when the key is not there."""
    return _line_among(_places(text), place)


def _line_among(places: Iterable[tuple[int, Place]], place: Place) -> int:
    best, best_depth = 1, 0
    for line, here in places:
        depth = _shared(here, place)
        if depth == len(here) and depth > best_depth:
            best, best_depth = line, depth
    return best


def law_broken(place: Place, message: str) -> PydanticCustomError:
    """Make the error of a law over several tables, to be told at the key that breaks it.

    Args:
        place: The key's full name, e.g. ("rule", 0, "inside").
        message: What is wrong and what to do.
    """
    return PydanticCustomError("law_broken", "{message}", {"place": place, "message": message})


def _has_long_number(value: Any) -> bool:
    """Find what the library takes, and what later nobody can even print."""
    if isinstance(value, dict):
        return any(map(_has_long_number, value.values()))
    if isinstance(value, list):
        return any(map(_has_long_number, value))
    return isinstance(value, int) and not -(2**63) <= value < 2**63


def _placed(detail: ErrorDetails) -> ErrorDetails:
    """Give the error of a law its own place: the library only knows who checked it."""
    if detail["type"] == "law_broken":
        detail["loc"] = (*detail["loc"], *detail["ctx"]["place"])
    return detail


def _deepest(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Drop what the library says of a list only because one of its items is wrong."""
    places = [detail["loc"] for detail in details]
    return [
        detail
        for detail in details
        if not any(
            len(place) > len(detail["loc"]) and place[: len(detail["loc"])] == detail["loc"]
            for place in places
        )
    ]


def _sentence(
    path: Path, places: list[tuple[int, Place]], model: type[BaseModel], detail: ErrorDetails
) -> str:
    place = tuple(part for part in detail["loc"] if not str(part).startswith("function-"))
    key = ".".join(str(part) for part in place) or "(the whole file)"
    where = f"{path}:{_line_among(places, place)}: {key}"
    if detail["type"] == "extra_forbidden":
        known = _known_keys(model, place[:-1])
        near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(sorted(known))}"
        return f"{where}: unknown key (value {_shown(detail)}); {hint}"
    if detail["type"] == "missing":
        return f"{where}: is missing; add it"
    message = detail["msg"].removeprefix("Value error, ")
    if isinstance(detail["input"], dict):  # a law over several keys: the sentence names them
        return f"{where}: {message}"
    return f"{where} = {_shown(detail)}: {message}"


def _shown(detail: ErrorDetails) -> str:
    """Return the value that is refused, cut where it is no line any more."""
    told = repr(detail["input"])
    return told if len(told) <= _MOST_SHOWN else f"{told[:_MOST_SHOWN]}…"


def _places(text: str) -> Iterable[tuple[int, Place]]:
    """Yield each line that opens a table or sets a key, with its full path."""
    table: Place = ()
    n_of_array: dict[Place, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _parts(header[2])
            if header[1] == "[[":
                n_of_array[table] = n_of_array.get(table, -1) + 1
                table = (*table, n_of_array[table])
            yield number, table
        elif key := _KEY.match(line):
            yield number, (*table, *_parts(key[1]))


def _parts(name: str) -> Place:
    return tuple(part.strip("\"'") for part in re.findall(_PART, name))


def _shared(here: Place, wanted: Place) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(here, wanted, strict=False)) if a != b),
        min(len(here), len(wanted)),
    )


def _known_keys(model: type[BaseModel], place: Place) -> list[str]:
    for part in place:
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
