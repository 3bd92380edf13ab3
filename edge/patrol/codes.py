"""Event codes: what the city's own numbering calls each label."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from edge.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

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
    try:
        text = path.read_text(encoding="utf-8")
        codes = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f'{path}: not TOML, {error}; a line reads label = "code"') from error
    for label, code in codes.items():
        if not isinstance(code, str) or not 1 <= len(code) <= MAX_CODE_CHARACTERS:
            raise ConfigError(
                f"{path}{_line_of(text, label)}: {label} = {code!r} must be text in quotes, "
                f"1 to {MAX_CODE_CHARACTERS} characters"
            )
    return codes


def _line_of(text: str, label: str) -> str:
    """Return ", line N" of a key's first appearance; "" where it is spelled another way."""
    pattern = re.compile(rf"""\s*(\[+\s*)?["']?{re.escape(label)}["']?\s*[=.\]]""")
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.match(line):
            return f", line {number}"
    return ""
