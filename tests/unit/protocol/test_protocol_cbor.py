"""The CBOR that this protocol allows."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ProtocolError
from edge.protocol.cbor import decode_item, encode_item, item_end

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.binary(max_size=20) | st.text()
)
ITEMS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(0, 99) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(ITEMS)
def test_what_is_encoded_is_decoded_the_same(item: object) -> None:
    """Encoding and decoding are inverse for everything a message may hold, up to the depth."""
    data = encode_item(item)
    try:
        assert decode_item(data, 10_000) == item
    except ProtocolError as error:
        assert "deeper" in str(error)


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    """No input raises anything but ProtocolError, and nothing decoded is encoded differently."""
    try:
        item = decode_item(data, 1000)
    except ProtocolError:
        return
    assert encode_item(item) == data


@given(ITEMS, st.binary(min_size=1, max_size=5))
def test_the_end_of_an_item_is_found_without_decoding_it(item: object, rest: bytes) -> None:
    """Concatenated messages can be told apart."""
    data = encode_item(item)
    try:
        assert item_end(data + rest, 0) == len(data)
    except ProtocolError as error:
        assert "deeper" in str(error)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (cbor2.dumps(cbor2.CBORTag(4711, 1)), "tag 4711"),
        (bytes.fromhex("d81c81d81d00"), "tag 28"),  # a list that holds itself
        (bytes.fromhex("a101d81c80"), "tag 28"),
        (bytes.fromhex("c11a514b67b0"), "tag 1"),  # a date
        (bytes.fromhex("c249010000000000000000"), "tag 2"),  # a big number
        (bytes.fromhex("9f01ff"), "indefinite"),
        (bytes.fromhex("5f4101ff"), "indefinite"),
        (bytes.fromhex("a201020103"), "key comes twice"),
        (bytes.fromhex("a202010102"), "deterministically"),  # keys not sorted
        (bytes.fromhex("1801"), "deterministically"),  # a longer head than needed
        (bytes.fromhex("fb3ff0000000000000"), "deterministically"),  # a wider float than needed
        (bytes.fromhex("0102"), "1 bytes follow"),
        (bytes.fromhex("f7"), "simple value 23"),  # undefined
        (bytes.fromhex("f820"), "simple value"),
        (bytes.fromhex("1c"), "reserved"),
        (bytes.fromhex("19ff"), "cut short"),
        (bytes.fromhex("5a7fffffff00"), "cut short"),
        (bytes.fromhex("9b7fffffffffffffff00"), "cut short"),
        (bytes.fromhex("bb7fffffffffffffff00"), "cut short"),
        (bytes.fromhex("61ff"), "not CBOR"),  # not UTF-8
        (b"", "cut short"),
        (b"\x81" * 50 + b"\x00", "nested deeper"),
        (encode_item(list(range(200))), "at most"),
    ],
)
def test_what_the_protocol_does_not_allow_is_refused_by_name(data: bytes, says: str) -> None:
    """Tags, indefinite lengths, doubled keys, trailing bytes and depth never reach a decoder."""
    with pytest.raises(ProtocolError, match=says):
        decode_item(data, 100)
