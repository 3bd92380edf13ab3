"""Makes damaged inputs of good ones, knowing their format: what is hostile still looks like ours.

Plain flips seldom get past a checksum, a canonical encoding or a parser.  Each function here takes
bytes and a source of chance and returns other bytes; the same ones serve the short form under
pytest and the coverage-guided one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from random import Random
from typing import Any, Final, TypeAlias

import cbor2
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.link_frames import MAGICS, Header, frame_length, header_of

Mutator: TypeAlias = Callable[[bytes, Random], bytes]

INTEGERS: Final = (
    0, 1, 2, 23, 24, 255, 256, 1000, 1001, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32,
    2**48, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -1, -2, -181, -(2**31), -(2**63), -(2**64),
)  # fmt: skip
_FLOATS: Final = (0.0, -0.0, 0.5, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
_SIZES: Final = (0, 1, 4, 7, 8, 9, 15, 16, 17, 20, 24, 32, 33, 63, 64, 65, 96, 97)
# What stands for a value in text formats; some no parser should take, some it must.
WORDS: Final = (
    "0", "-1", "1e400", "-1e308", "1e-320", "nan", "inf", "-inf", "9" * 40, "9" * 5000, "0x10",
    "true", "false", "null", '""', '"a"', '"~nobody-of-this-name/x"', '"\\u0000"', '"../.."',
    '"\\ud800"', "[]", "{}", "[[]]", "[" * 200, "[" * 30000, "1979-05-27", "1979-05-27T07:32:00Z",
    "9999-12-31", "0000-00-00", "é", "\ufeff", "\0", "𝟗", "1_000", "0.1", "-0.0", "90.0000001",
    "180", "360", "NaN", "Infinity", '"' + "a" * 300 + '"',
)  # fmt: skip
_TOKEN: Final = re.compile(r'"[^"\n]{0,200}"|[-+]?\d[\d.eE+-]*|\b(?:true|false|null)\b')


def mutate_bytes(data: bytes, rng: Random) -> bytes:
    """Flip, set, cut, double, insert or drop bytes anywhere, one to four times."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, kind = rng.randrange(len(out) + 1), rng.randrange(7)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(out):
            out[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif kind == 2:
            del out[at : at + rng.choice((1, 1, 2, 4, 16, 256))]
        elif kind == 3:
            piece = out[at : at + rng.choice((1, 4, 32, 256))]
            out[at:at] = piece * rng.choice((1, 1, 2, 8))
        elif kind == 4:
            out[at:at] = rng.randbytes(rng.choice((1, 1, 2, 4, 16)))
        elif kind == 5:
            number = struct.pack(rng.choice((">", "<")) + "q", rng.choice(INTEGERS[:16]) % 2**63)
            size = rng.choice((1, 2, 4, 8))
            out[at : at + size] = number[:size]
        elif kind == 6 and rng.random() < 0.3:
            del out[at:]
    return bytes(out)


def mutate_cbor(data: bytes, rng: Random) -> bytes:
    """Change values of a CBOR item and encode it as the protocol wants; now and then only bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    try:
        item = cbor2.loads(data)
        for _ in range(rng.randint(1, 3)):
            item = _other_item(item, rng, 0)
        return cbor2.dumps(item, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError):
        return mutate_bytes(data, rng)


def _other_item(item: Any, rng: Random, depth: int) -> Any:
    """Return the item with one value in it, or itself, replaced."""
    if isinstance(item, bytes) and item and rng.random() < 0.4:
        return mutate_cbor(item, rng) if rng.random() < 0.5 else mutate_bytes(item, rng)
    if isinstance(item, dict) and rng.random() < 0.9:
        out = dict(item)
        kind = rng.random()
        if kind < 0.75 and out:
            key = rng.choice(list(out))
            out[key] = _other_item(out[key], rng, depth + 1)
        elif kind < 0.88 and out:
            del out[rng.choice(list(out))]
        else:
            out[rng.choice((*range(18), -1, "a", b"", 2**32))] = _any_item(rng, depth + 1)
        return out
    if isinstance(item, (list, tuple)) and rng.random() < 0.85:
        items = list(item)
        kind, at = rng.random(), rng.randrange(len(items) + 1)
        if kind < 0.75 and at < len(items):
            items[at] = _other_item(items[at], rng, depth + 1)
        elif kind < 0.87:
            del items[at : at + 1]
        else:
            items.insert(at, _any_item(rng, depth + 1))
        return items
    if isinstance(item, int) and not isinstance(item, bool) and rng.random() < 0.5:
        return item + rng.choice((-1, 1, 10, -10, 256))
    return _any_item(rng, depth)


def _any_item(rng: Random, depth: int) -> Any:
    kind = rng.randrange(9 if depth < 6 else 6)
    if kind <= 1:
        return rng.choice(INTEGERS)
    if kind == 2:
        return rng.choice(_FLOATS)
    if kind == 3:
        return rng.randbytes(rng.choice(_SIZES))
    if kind == 4:
        return rng.choice(("a", "é", "\0", "城", "\U0001f6a8", "~")) * rng.choice(_SIZES)
    if kind == 5:
        return rng.choice((None, True, False))
    if kind == 6:
        return [_any_item(rng, depth + 1) for _ in range(rng.randrange(6))]
    if kind == 7:
        return {rng.randrange(16): _any_item(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [rng.choice(INTEGERS) for _ in range(rng.choice(_SIZES))]


def mutate_text(data: bytes, rng: Random) -> bytes:
    """Change values, lines and characters of a text; now and then only bytes."""
    if rng.random() < 0.15:
        return mutate_bytes(data, rng)
    text = data.decode("utf-8", "replace")
    for _ in range(rng.randint(1, 3)):
        text = _other_value(text, rng) if rng.random() < 0.6 else _other_line(text, rng)
    return text.encode("utf-8", "replace")


def _other_value(text: str, rng: Random) -> str:
    tokens = list(_TOKEN.finditer(text))
    if not tokens:
        return text + rng.choice(WORDS)
    chosen = rng.choice(tokens)
    word = rng.choice(WORDS) if rng.random() < 0.8 else rng.choice(tokens)[0]
    return text[: chosen.start()] + word + text[chosen.end() :]


def _other_line(text: str, rng: Random) -> str:
    lines = text.split("\n")
    at, kind = rng.randrange(len(lines)), rng.randrange(5)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(at, rng.choice(lines))
    elif kind == 2:
        other = rng.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == 3:
        cut = rng.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:cut] + rng.choice((*"[]{}\",=.'#\0\\\r<>!&:;()~", *WORDS[:12]))
    else:
        cut = rng.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:cut] + lines[at][cut + 1 :]
    return "\n".join(lines)


def mutate_mavlink(data: bytes, rng: Random) -> bytes:
    """Change the content of a frame and give it the right checksum; now and then only bytes."""
    if rng.random() < 0.25:
        return mutate_bytes(data, rng)
    starts = [at for at in range(len(data)) if data[at] in MAGICS]
    rng.shuffle(starts)
    for at in starts:
        length = frame_length(data, at)
        if length is None or at + length > len(data):
            continue
        frame = data[at : at + length]
        if header_of(frame).message_id in mavlink.mavlink_map:
            return data[:at] + _other_frame(frame, rng) + data[at + length :]
    return mutate_bytes(data, rng)


def _other_frame(frame: bytes, rng: Random) -> bytes:
    """Return a version 2 frame with other content, now and then of another message."""
    header = header_of(frame)
    size = 10 if frame[0] == 0xFD else 6
    payload = bytearray(frame[size : size + frame[1]])
    number = header.message_id
    if rng.random() < 0.1:
        number = rng.choice(list(mavlink.mavlink_map))
    if rng.random() < 0.2:
        payload = bytearray(rng.randbytes(rng.choice((0, 1, 8, 30, len(payload), 255))))
    for _ in range(rng.randint(1, 4)):
        if payload:
            at = rng.randrange(len(payload))
            hostile = rng.choice(
                (b"\xff" * 4, b"\0" * 4, b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\x80")
            )
            piece = hostile if rng.random() < 0.5 else rng.randbytes(rng.choice((1, 2, 4)))
            payload[at : at + len(piece)] = piece[: len(payload) - at]
    system_id = rng.choice((header.system_id, 1, 255))
    return frame_of(number, bytes(payload), Header(number, system_id, header.component_id))


def frame_of(number: int, payload: bytes, header: Header) -> bytes:
    """Lay out a version 2 frame with the checksum that its message has."""
    body = bytes([len(payload), 0, 0, 0, header.system_id, header.component_id])
    body += number.to_bytes(3, "little") + payload
    seed = bytes([mavlink.mavlink_map[number].crc_extra])
    crc = mavlink.x25crc(bytearray(body + seed)).crc
    return b"\xfd" + body + struct.pack("<H", crc)
