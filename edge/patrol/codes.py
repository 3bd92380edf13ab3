"""Event codes: what the city's own numbering calls each label."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge.errors import ConfigError
from edge.toml_file import line_of, read_toml

# What flies when the config names no file; a city edits a copy of it.
DEFAULT_EVENT_CODES = Path(__file__).with_name("event_codes.toml")
MAX_CODE_CHARACTERS = 8


def read_event_codes(path: Path | None = None) -> Mapping[str, str]:
    """Read a mapping file, `label = "code"` a line.

    Args:
        path: The city's file; None for the one that comes with the package.

    Raises:
        ConfigError: The file is missing, not TOML, or a code is not text of 1 to 8 characters.
    """
    path = path or DEFAULT_EVENT_CODES
    file = read_toml(path, ConfigError, 'give the path of a file of lines label = "code"')
    for label, code in file.table.items():
        if not isinstance(code, str) or not 1 <= len(code) <= MAX_CODE_CHARACTERS:
            raise ConfigError(
                f"{path}:{line_of(file.text, (label,))}: {label} = {code!r}: must be text in "
                f"quotes, 1 to {MAX_CODE_CHARACTERS} characters"
            )
    return file.table
