"""The alert on the wire."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ProtocolError
from edge.protocol.alert import (
    MAX_ALERT_BYTES,
    MAX_ALERT_PAYLOAD_BYTES,
    decode_alert,
    encode_alert,
)
from edge.protocol.cbor import encode_item
from edge.protocol.codes import (
    pack_event_code,
    pack_grid_cell,
    unpack_event_code,
    unpack_grid_cell,
)
from edge.protocol.messages import MessageKind, Stamp, seal
from edge.protocol.texts import fit_texts
from edge.records import Alert, Ellipse, Reading, TimeQuality, UtcNs, UtcTime
from tests.unit.protocol.alert_strategies import alerts
from tests.unit.protocol.alerts import typical_alert, worst_alert

WORST_STAMP = Stamp(2**32 - 1, 2**32 - 1)


def payload_bytes(alert: Alert, stamp: Stamp = WORST_STAMP) -> int:
    return len(seal(MessageKind.ALERT, stamp, encode_alert(alert), is_replay=True))


@given(alerts())
def test_every_alert_fits_once_its_texts_are_cut(alert: Alert) -> None:
    """No alert with possible numbers is lost to the size of its texts, and none exceeds 200."""
    fitted, _ = fit_texts(alert)
    assert payload_bytes(fitted) <= MAX_ALERT_PAYLOAD_BYTES


@given(alerts())
def test_a_decoded_alert_is_the_sent_one_within_the_wire_s_steps(alert: Alert) -> None:
    """Every field comes back, rounded by no more than half of its unit on the wire."""
    sent, _ = fit_texts(alert)
    got = decode_alert(encode_alert(sent))
    exact = ("kind", "incident_id", "revision", "label", "rule", "severity", "department")
    exact += ("event_code", "grid_cell", "model_hash", "config_hash", "evidence_hash", "flags")
    for name in exact:
        assert getattr(got, name) == getattr(sent, name), name
    for name, step in (
        ("lat_deg", 1e-7),
        ("lon_deg", 1e-7),
        ("ground_amsl_m", 0.1),
        ("score", 1e-3),
        ("threshold", 1e-3),
    ):
        assert abs(getattr(got, name) - getattr(sent, name)) <= step * 0.501, name
    for name, step, most in (
        ("extent_w_m", 0.1, 6553.5),
        ("extent_h_m", 0.1, 6553.5),
        ("gsd_m_per_px", 1e-3, 65.535),
        ("looks", 1, 65535),
        ("sync_error_ms", 1, 65535),
    ):
        assert abs(getattr(got, name) - min(getattr(sent, name), most)) <= step * 0.501, name
    assert (got.box_xyxy is None) == (sent.box_xyxy is None)
    assert got.box_xyxy is None or got.box_xyxy == pytest.approx(sent.box_xyxy, abs=0.51e-4)
    assert (got.reading is None) == (sent.reading is None)
    if sent.reading is not None and got.reading is not None:
        assert got.reading.value == pytest.approx(sent.reading.value, abs=0.51e-3)
        assert got.reading.unit == sent.reading.unit


@given(alerts())
def test_a_sent_time_is_the_known_one_to_the_millisecond(alert: Alert) -> None:
    """UTC is cut to ms, or stays unknown; its quality and the boot time are exact."""
    got = decode_alert(encode_alert(fit_texts(alert)[0])).time
    assert (got.quality, got.boot_ms) == (alert.time.quality, alert.time.boot_ms)
    known_ns = alert.time.utc_ns
    assert got.utc_ns == (None if known_ns is None else known_ns // 10**6 * 10**6)


@given(alerts())
def test_a_sent_ellipse_is_never_smaller_than_the_known_one(alert: Alert) -> None:
    """Rounding never claims more accuracy than there is, up to the bound where it saturates."""
    known, got = alert.ellipse, decode_alert(encode_alert(fit_texts(alert)[0])).ellipse
    assert got.a_m >= min(known.a_m, 6553.5) - 1e-6
    assert got.b_m >= min(known.b_m, 6553.5) - 1e-6
    assert got.a_m <= known.a_m + 0.1 + 1e-9
    turn = abs(got.azimuth_deg - known.azimuth_deg)
    assert min(turn, 180 - turn) <= 0.5


@given(alerts())
def test_encoding_what_was_decoded_changes_nothing(alert: Alert) -> None:
    """The desk's copy has the very bytes that the drone sent."""
    body = encode_alert(fit_texts(alert)[0])
    assert encode_alert(decode_alert(body)) == body


def test_a_typical_alert_has_at_most_175_bytes() -> None:
    """The whole payload, envelope included, with a five-byte epoch and a long flight's seq."""
    assert payload_bytes(typical_alert(), Stamp(2**32 - 1, 70_000)) <= 175


def test_the_worst_alert_has_exactly_the_allowed_bytes() -> None:
    """With every number at its longest the texts get what is left of 200 bytes, and no more."""
    with pytest.raises(ProtocolError, match="shorten label, rule"):
        encode_alert(worst_alert())
    fitted, names = fit_texts(worst_alert())
    assert len(encode_alert(fitted)) == MAX_ALERT_BYTES
    assert set(names) == {"label", "rule", "department", "grid_cell"}
    assert len(fitted.label) >= 4
    assert len(fitted.rule) >= 4
    assert payload_bytes(fitted) == MAX_ALERT_PAYLOAD_BYTES


def test_a_class_of_ours_leaves_room_for_every_text() -> None:
    """With a numbered class and numeric codes nothing is cut, even at the worst."""
    alert = worst_alert(label="open_pit", event_code="99999999", grid_cell="9" * 20, reading=None)
    assert fit_texts(alert) == (alert, ())
    assert payload_bytes(alert) <= MAX_ALERT_PAYLOAD_BYTES


def test_unknown_keys_and_trailing_elements_are_ignored() -> None:
    """A drone with a later schema is understood as far as this one goes."""
    fields = cbor2.loads(encode_alert(typical_alert()))
    fields[99] = {"later": [1, 2]}
    fields[7].append(4711)
    fields[12] = 1 << 20
    assert decode_alert(encode_item(fields)) == decode_alert(encode_alert(typical_alert()))


def test_a_class_number_of_a_later_schema_keeps_its_number() -> None:
    """An alert of a class unknown here is not lost."""
    fields = cbor2.loads(encode_alert(typical_alert()))
    fields[5] = 31
    assert decode_alert(encode_item(fields)).label == "class-31"


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (0, 2, "schema"),
        (1, 4, "kind"),
        (1, True, "kind: expected an integer, got bool"),
        (2, b"short", "incident id: expected"),
        (2, "text", "incident id: expected bytes"),
        (3, -1, "revision"),
        (3, 1.5, "revision: expected an integer, got float"),
        (4, [1, 2, 3], "time: expected an array of 4"),
        (4, [1, 9, None, 0], "time quality"),
        (4, ["now", 0, None, 0], "utc"),
        (5, 0, "class"),
        (5, "", "label"),
        (5, "x" * 17, "label"),
        (6, [1001, 0, 0], "score"),
        (6, [0, 1001, 0], "threshold"),
        (7, [900_000_001, 0, 0, 1, 1, 0], "lat"),
        (7, [0, 0, 0, 1, 2, 0], "ellipse b"),  # b > a
        (7, [0, 0, 0, 1, 1, 180], "azimuth"),
        (7, None, "place"),
        (8, [1, 2, 65536], "gsd"),
        (9, b"1234567", "box: expected"),
        (9, bytes.fromhex("2711000000000000"), "box: must be"),
        (9, bytes.fromhex("0002000000010000"), "box: .* in order"),
        (10, ["", 1, "", "", ""], "rule"),
        (10, ["r", 5, "", "", ""], "severity"),
        (10, ["r", 1, "d" * 17, "", ""], "department"),
        (10, ["r", 1, "", 2, ""], "event_code"),
        (10, ["r", 1, "", "", b"\x00"], "grid_cell"),
        (11, b"1234567", "hashes"),
        (13, [1, "", 0], "reading unit"),
        (13, [1, 4, 0], "reading unit"),
        (13, ["1", 0, 0], "reading"),
    ],
)
def test_a_wrong_field_is_refused_by_name(key: int, value: Any, says: str) -> None:
    """The desk's reject tells which field is wrong."""
    fields = cbor2.loads(encode_alert(typical_alert()))
    fields[key] = value
    with pytest.raises(ProtocolError, match=says):
        decode_alert(encode_item(fields))


@pytest.mark.parametrize("key", [2, 4, 5, 6, 7, 10])
def test_a_missing_field_is_refused_by_name(key: int) -> None:
    """What has no default must be there."""
    fields = cbor2.loads(encode_alert(typical_alert()))
    del fields[key]
    with pytest.raises(ProtocolError, match=f"key {key}"):
        decode_alert(encode_item(fields))


@given(st.binary(max_size=220))
def test_any_bytes_are_an_alert_or_refused(data: bytes) -> None:
    """Nothing that arrives raises anything but ProtocolError."""
    with contextlib.suppress(ProtocolError):
        decode_alert(data)


@given(st.data())
def test_a_damaged_alert_is_decoded_or_refused(data: st.DataObject) -> None:
    """One changed byte anywhere raises nothing but ProtocolError."""
    body = bytearray(encode_alert(typical_alert()))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        decode_alert(bytes(body))


@pytest.mark.parametrize(
    "changes",
    [
        {"ground_amsl_m": math.nan},
        {"ground_amsl_m": 9000.0},
        {"score": 1.5},
        {"score": math.nan},
        {"threshold": -0.1},
        {"looks": -1},
        {"revision": 65536},
        {"extent_w_m": math.nan},
        {"gsd_m_per_px": -1.0},
        {"box_xyxy": (0.5, 0.0, 0.4, 1.0)},
        {"box_xyxy": (0.0, 0.0, 1.1, 1.0)},
        {"box_xyxy": (math.nan, 0.0, 1.0, 1.0)},
        {"model_hash": b"four"},
        {"rule": ""},
        {"label": ""},
        {"label": "\ud800"},
        {"time": UtcTime(UtcNs(-1), TimeQuality.GNSS)},
        {"time": UtcTime(None, TimeQuality.NONE, 2**32)},
        {"reading": Reading(math.inf, "ppm", 1)},
        {"reading": Reading(5e6, "ppm", 1)},
        {"sync_error_ms": -1},
    ],
)
def test_what_cannot_be_sent_truly_is_refused(changes: dict[str, Any]) -> None:
    """A wrong value is never sent as another one."""
    with pytest.raises(ProtocolError):
        encode_alert(typical_alert(**changes))


def test_errors_and_extents_saturate() -> None:
    """A size or an error too large for the wire is sent as the largest, not refused."""
    alert = typical_alert(
        ellipse=Ellipse(1e9, 1e9, 0.0),
        extent_w_m=math.inf,
        gsd_m_per_px=1e9,
        looks=10**9,
        sync_error_ms=10**9,
    )
    got = decode_alert(encode_alert(alert))
    assert (got.ellipse.a_m, got.ellipse.b_m) == (6553.5, 6553.5)
    assert (got.extent_w_m, got.gsd_m_per_px) == (6553.5, 65.535)
    assert (got.looks, got.sync_error_ms) == (65535, 65535)


@given(st.text("0123456789", max_size=20))
def test_digits_keep_their_leading_zeros(digits: str) -> None:
    """Packing event codes and grid cells loses nothing, and saves bytes."""
    assert unpack_grid_cell(pack_grid_cell(digits)) == digits
    assert unpack_event_code(pack_event_code(digits[:8])) == digits[:8]


def test_other_codes_travel_as_text() -> None:
    """A city may letter its codes; full-width digits are not digits."""
    for code in ("A-01", "", "０１", "1" * 8):
        assert unpack_event_code(pack_event_code(code)) == code
        assert unpack_grid_cell(pack_grid_cell(code)) == code


def test_texts_are_cut_between_characters() -> None:
    """A cut department is still text."""
    fitted, names = fit_texts(replace(typical_alert(), department="城市管理综合行政执法局"))
    assert fitted.department == "城市管理综"
    assert names == ("department",)
