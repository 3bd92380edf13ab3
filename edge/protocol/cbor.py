"""CBOR as this protocol allows it: deterministic, no tags, shallow, bounded, nothing after it.

The bytes are walked before the library decodes them, so that no tag (dates, big numbers, shared
references 28 and 29, which can build cyclic lists) ever reaches a decoder that would build it.
"""

from __future__ import annotations

from typing import Any, Final

import cbor2

from edge.errors import ProtocolError

MAX_DEPTH: Final = 6  # ours nest three deep; the rest is room for later schemas
_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLE_ALLOWED: Final = frozenset({20, 21, 22})  # false, true, null
_FLOAT_INFO: Final = frozenset({25, 26, 27})
_INDEFINITE: Final = 31


def encode_item(value: object) -> bytes:
    """Encode deterministically (RFC 8949 section 4.2: shortest heads, sorted keys)."""
    return cbor2.dumps(value, canonical=True)


def decode_item(data: bytes, max_bytes: int) -> Any:
    """Decode one whole item.

    Raises:
        ProtocolError: Too long, cut short, followed by more bytes, tagged, too deep, of
            indefinite length, or not deterministically encoded (a key that comes twice is not).
    """
    if len(data) > max_bytes:
        raise ProtocolError(f"{len(data)} bytes, at most {max_bytes} are allowed here")
    end = item_end(data, 0)
    if end != len(data):
        raise ProtocolError(f"{len(data) - end} bytes follow the message at offset {end}")
    try:
        value = cbor2.loads(data)
        again = encode_item(value)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as error:
        raise ProtocolError(f"not CBOR that can be read: {error}") from error
    if again != data:
        raise ProtocolError("not deterministically encoded, or a map key comes twice")
    return value


def item_end(data: bytes, at: int, depth: int = 0) -> int:
    """Find where the item that starts at `at` ends, refusing what the protocol does not allow."""
    if depth > MAX_DEPTH:
        raise ProtocolError(f"nested deeper than {MAX_DEPTH} at offset {at}")
    major, argument, after = read_head(data, at)
    if major in (_UINT, _NINT, _SIMPLE):
        return after
    if major in (_BYTES, _TEXT):
        if argument > len(data) - after:
            raise ProtocolError(f"string at offset {at} is cut short")
        return after + argument
    if major == _TAG:
        raise ProtocolError(f"tag {argument} at offset {at}: the schema names no tags")
    items = argument * 2 if major == _MAP else argument
    if items > len(data) - after:  # each item takes a byte at least
        raise ProtocolError(f"container at offset {at} is cut short")
    for _ in range(items):
        after = item_end(data, after, depth + 1)
    return after


def read_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Read an item's head: (major type, argument, offset after the head)."""
    if at >= len(data):
        raise ProtocolError(f"cut short at offset {at}")
    major, info = data[at] >> 5, data[at] & 0x1F
    if info == _INDEFINITE:
        raise ProtocolError(f"indefinite length at offset {at}")
    if 28 <= info <= 30:  # reserved by RFC 8949
        raise ProtocolError(f"reserved head {data[at]:#04x} at offset {at}")
    if info < 24:
        argument, after = info, at + 1
    else:
        after = at + 1 + (1 << (info - 24))
        if after > len(data):
            raise ProtocolError(f"cut short at offset {at}")
        argument = int.from_bytes(data[at + 1 : after], "big")
    is_allowed = info in _FLOAT_INFO or argument in _SIMPLE_ALLOWED
    if major == _SIMPLE and (info == 24 or not is_allowed):
        raise ProtocolError(f"simple value {argument} at offset {at} is not allowed")
    return major, argument, after
