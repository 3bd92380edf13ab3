"""Reads a calibration's TOML file into a pydantic model."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from edge.errors import CalibrationError
from edge.toml_file import read_toml


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
    return read_toml(path, CalibrationError, "name an existing calibration file").into(table)
