"""Reads CSV tables with a header into columns of numbers and text; what is wrong is named."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import TableError

MAX_ROWS = 5_000_000


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        where: File and line, for messages.
        text: Columns of text.
        number: Columns of numbers, all finite; optional ones that are absent or empty are missing.
    """

    where: str
    text: Mapping[str, str]
    number: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table must and may hold; other columns are passed over."""

    text: Sequence[str]
    number: Sequence[str]
    optional: Sequence[str] = ()  # numbers


def read_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Read a table row by row; empty lines are passed over.

    Raises:
        TableError: It cannot be read, a column is missing, or a value is no finite number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream, skipinitialspace=True)
            names = [name.strip() for name in table.fieldnames or []]
            table.fieldnames = names
            _check_header(path, names, columns)
            for n_read, fields in enumerate(table):
                if n_read >= MAX_ROWS:
                    raise TableError(f"{path}: more than {MAX_ROWS} rows; split it")
                yield _row(f"{path}:{table.line_num}", fields, columns)
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror}); give a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path}: is no CSV text in UTF-8 ({error}); save it as such") from error


def _check_header(path: Path, names: Sequence[str], columns: Columns) -> None:
    missing = [name for name in (*columns.text, *columns.number) if name not in names]
    if missing:
        raise TableError(
            f"{path}: has no column {', '.join(missing)}; its first line must name "
            f"{','.join((*columns.text, *columns.number))}, and has {','.join(names) or 'nothing'}"
        )
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise TableError(f"{path}: names column {min(twice)} twice; keep one")


def _row(where: str, fields: Mapping[str | None, str | None], columns: Columns) -> Row:
    if None in fields:
        raise TableError(f"{where}: has more values than there are columns; look at its commas")
    text = {name: (fields[name] or "").strip() for name in columns.text}
    number = {name: _number(where, name, fields[name]) for name in columns.number}
    number |= {
        name: _number(where, name, value)
        for name in columns.optional
        if (value := fields.get(name)) and value.strip()
    }
    return Row(where, text, number)


def _number(where: str, name: str, value: str | None) -> float:
    try:
        number = float(value or "")
    except ValueError as error:
        raise TableError(f"{where}: {name} is {value!r}; write a number") from error
    if not math.isfinite(number):
        raise TableError(f"{where}: {name} is {value!r}; write a finite number")
    return number
