"""Event codes and grid cells: decimal digits packed, other text as it is.

Cities number both with digits, leading zeros included (GB/T 30428).  A `1` is set before the
digits so that no zero is lost: "0102" travels as 10102.
"""

from __future__ import annotations

from typing import Any, Final

from edge.errors import ProtocolError
from edge.protocol.fields import as_text, bounded_text

MAX_EVENT_BYTES: Final = 8
MAX_CELL_DIGITS: Final = 20  # 1 and 20 digits take nine bytes
MAX_CELL_BYTES: Final = 20
_PACKED_CELL_MAX: Final = 9


def pack_event_code(code: str) -> int | str:
    """Pack digits into an integer."""
    if _is_digits(code) and len(code) <= MAX_EVENT_BYTES:
        return int("1" + code)
    return bounded_text(code, "event_code", MAX_EVENT_BYTES)


def unpack_event_code(value: Any) -> str:
    """Undo `pack_event_code`."""
    if isinstance(value, int) and not isinstance(value, bool):
        digits = str(value)
        if value < 10 or digits[0] != "1" or len(digits) > MAX_EVENT_BYTES + 1:
            raise ProtocolError(f"event_code: {value} is not 1 and then digits")
        return digits[1:]
    return as_text(value, "event_code", MAX_EVENT_BYTES)


def pack_grid_cell(cell: str) -> bytes | str:
    """Pack digits into bytes, big end first."""
    if _is_digits(cell) and len(cell) <= MAX_CELL_DIGITS:
        number = int("1" + cell)
        return number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bounded_text(cell, "grid_cell", MAX_CELL_BYTES)


def unpack_grid_cell(value: Any) -> str:
    """Undo `pack_grid_cell`."""
    if isinstance(value, bytes):
        digits = str(int.from_bytes(value, "big"))
        if not 1 <= len(value) <= _PACKED_CELL_MAX or value[0] == 0:
            raise ProtocolError(f"grid_cell: {len(value)} bytes are not packed digits")
        if digits[0] != "1" or not 2 <= len(digits) <= MAX_CELL_DIGITS + 1:
            raise ProtocolError(f"grid_cell: {digits} is not 1 and then digits")
        return digits[1:]
    return as_text(value, "grid_cell", MAX_CELL_BYTES)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
