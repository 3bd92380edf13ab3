"""Reading a decoded map or array field by field: each refusal names the field."""

from __future__ import annotations

from typing import Any

from edge.errors import ProtocolError

U16_MAX = 0xFFFF
U32_MAX = 0xFFFF_FFFF
U64_MAX = 0xFFFF_FFFF_FFFF_FFFF


def as_map(value: Any, name: str) -> dict[Any, Any]:
    """Check that it is a map."""
    if not isinstance(value, dict):
        raise ProtocolError(f"{name}: expected a map, got {_kind(value)}")
    return value


def as_array(value: Any, name: str, at_least: int) -> list[Any]:
    """Check that it is an array of at least so many items; later schemas may append."""
    if not isinstance(value, (list, tuple)) or len(value) < at_least:
        raise ProtocolError(f"{name}: expected an array of {at_least}, got {_kind(value)}")
    return list(value)


def as_int(value: Any, name: str, low: int, high: int) -> int:
    """Check that it is an integer (not a boolean) in [low, high]."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProtocolError(f"{name}: expected an integer, got {_kind(value)}")
    if not low <= value <= high:
        raise ProtocolError(f"{name}: must be in [{low}, {high}], got {value}")
    return value


def as_int_or_none(value: Any, name: str, low: int, high: int) -> int | None:
    """Check that it is null or an integer in [low, high]."""
    return None if value is None else as_int(value, name, low, high)


def as_bytes(value: Any, name: str, sizes: tuple[int, ...]) -> bytes:
    """Check that it is a byte string of one of the sizes."""
    if not isinstance(value, bytes):
        raise ProtocolError(f"{name}: expected bytes, got {_kind(value)}")
    if len(value) not in sizes:
        raise ProtocolError(f"{name}: expected {sizes} bytes, got {len(value)}")
    return value


def as_text(value: Any, name: str, max_bytes: int, min_bytes: int = 0) -> str:
    """Check that it is text of at most so many bytes of UTF-8."""
    if not isinstance(value, str):
        raise ProtocolError(f"{name}: expected text, got {_kind(value)}")
    return bounded_text(value, name, max_bytes, min_bytes)


def bounded_text(text: str, name: str, max_bytes: int, min_bytes: int = 0) -> str:
    """Check the size of a text in UTF-8, both ways of the wire."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise ProtocolError(f"{name}: {text!r} is not Unicode text") from error
    if not min_bytes <= size <= max_bytes:
        raise ProtocolError(
            f"{name}: {text!r} takes {size} bytes, allowed are {min_bytes} to {max_bytes}"
        )
    return text


def required(fields: dict[Any, Any], key: int, name: str) -> Any:
    """Take a field that must be there."""
    if key not in fields:
        raise ProtocolError(f"{name} (key {key}) is missing")
    return fields[key]


def _kind(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f"an array of {len(value)}"
    return f"{type(value).__name__} {str(value)[:40]}"
