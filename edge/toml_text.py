"""A config written back as TOML, for a program that is started with it as its own file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.config import PatrolConfig


def patrol_as_toml(patrol: PatrolConfig) -> str:
    """Write a config so that `read_patrol` reads the same again, wherever the file lies.

    Relative paths start at the current folder, and are written as absolute ones.
    """
    table = patrol.model_dump(exclude_none=True)
    return "\n".join(_lines(table, "")) + "\n"


def _lines(table: Mapping[str, Any], path: str) -> Iterator[str]:
    """Plain values first: whatever follows a table's header belongs to it."""
    for key, value in table.items():
        if not isinstance(value, dict) and not _is_list_of_tables(value):
            # Strings, numbers, booleans and lists of them read the same in JSON and in TOML.
            yield f"{key} = {json.dumps(value, ensure_ascii=False, default=_absolute)}"
    for key, value in table.items():
        if isinstance(value, dict):
            yield f"\n[{path}{key}]"
            yield from _lines(value, f"{path}{key}.")
        elif _is_list_of_tables(value):
            for item in value:
                yield f"\n[[{path}{key}]]"
                yield from _lines(item, f"{path}{key}.")


def _is_list_of_tables(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], dict)


def _absolute(path: Path) -> str:
    return str(path.absolute())
