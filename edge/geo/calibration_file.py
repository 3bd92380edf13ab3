"""Reads a calibration's TOML file into a pydantic model, with errors that name file and key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.errors import CalibrationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class CalibrationTable(BaseModel):
    """A calibration file: unknown keys refused, text is never taken for a number."""

    # allow_inf_nan: TOML has `nan` and `inf`, and no calibration may.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Table = TypeVar("Table", bound=CalibrationTable)


def read_table(path: Path, table: type[Table]) -> Table:
    """Read one TOML file as `table`.

    Raises:
        CalibrationError: The file is missing, is not TOML, or a key is unknown, missing or wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(
            f"{path}: cannot be read ({error}); name an existing calibration file"
        ) from error
    try:
        return table.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise CalibrationError(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        raise CalibrationError(_sentence(path, error, table)) from error


def _sentence(path: Path, error: ValidationError, table: type[CalibrationTable]) -> str:
    """Say the first fault in one line: file, key, value, and what was expected."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "(whole file)"
    if first["type"] == "extra_forbidden":
        return f"{path}: unknown key `{key}`; known keys: {', '.join(table.model_fields)}"
    if first["type"] == "missing":
        return f"{path}: key `{key}` is missing; add it"
    return f"{path}: key `{key}` = {first['input']!r}: {first['msg']}; correct it"
