"""The wire format, frozen: golden bytes, and the CDDL beside the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import cbor2
import pytest

from edge.protocol.alert import decode_alert, encode_alert
from edge.protocol.messages import MessageKind, Stamp, open_envelope, seal
from edge.protocol.text import alert_as_dict
from edge.protocol.texts import fit_texts
from edge.records import Alert, AlertFlags, AlertKind, Ellipse, Reading, TimeQuality, UtcTime
from tests.unit.protocol.alerts import typical_alert, worst_alert

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "alerts"
STAMP = Stamp(0x1234_5678, 1000)

ALERTS: dict[str, Alert] = {
    "typical": typical_alert(),
    "worst": fit_texts(worst_alert())[0],
    "smallest": Alert(
        kind=AlertKind.NEW,
        incident_id=bytes(16),
        revision=1,
        label="smoke",
        lat_deg=0.0,
        lon_deg=0.0,
        ground_amsl_m=0.0,
        ellipse=Ellipse(0.1, 0.1, 0.0),
        time=UtcTime(None, TimeQuality.NONE),
        score=0.0,
        threshold=0.0,
        looks=1,
        rule="r",
        severity=1,
    ),
    "own_label": typical_alert(
        kind=AlertKind.END,
        revision=4,
        label="vehicle",
        event_code="A-7",
        grid_cell="north bank",
        flags=AlertFlags(coarse=True, cut=True),
        time=UtcTime(None, TimeQuality.NONE, 5000),
    ),
    "gas": typical_alert(
        label="pm25",
        box_xyxy=None,
        evidence_hash=b"",
        extent_w_m=0.0,
        extent_h_m=0.0,
        gsd_m_per_px=0.0,
        reading=Reading(87.25, "µg/m³", 60),
    ),
}


@pytest.mark.parametrize("name", ALERTS)
def test_the_bytes_are_those_that_were_agreed(name: str, request: pytest.FixtureRequest) -> None:
    """A change of the wire format shows here, and is made only on purpose."""
    payload = seal(MessageKind.ALERT, STAMP, encode_alert(ALERTS[name]))
    golden_hex, golden_json = GOLDEN / f"{name}.hex", GOLDEN / f"{name}.json"
    if request.config.getoption("--update-golden", default=False):
        golden_hex.write_text(payload.hex() + "\n")
        text = json.dumps(alert_as_dict(ALERTS[name]), ensure_ascii=False, indent=1)
        golden_json.write_text(text + "\n", encoding="utf-8")
    assert payload.hex() == golden_hex.read_text().strip()
    decoded = decode_alert(open_envelope(bytes.fromhex(golden_hex.read_text())).body)
    assert alert_as_dict(decoded) == json.loads(golden_json.read_text(encoding="utf-8"))


def test_the_typical_alert_is_what_the_schema_says() -> None:
    """Read with a plain CBOR library, as somebody else's program would, by alert.cddl alone."""
    head, epoch, seq, body = cbor2.loads(bytes.fromhex((GOLDEN / "typical.hex").read_text()))
    assert (head, epoch, seq) == (1, 0x1234_5678, 1000)
    assert body == {
        2: bytes.fromhex("018f3c2a5b6e7d8090a1b2c3d4e5f607"),
        4: [1_789_000_123_456, 3, 432_100, 12],
        5: 1,
        6: [812, 500, 30],
        7: [315_701_234, 1_203_012_345, 52, 34, 21, 57],
        8: [123, 61, 34],
        9: bytes.fromhex("101b0cf914031168"),
        10: ["new-shed", 2, "城管", 10101, (1_320206001001007).to_bytes(7, "big")],
        11: b"modelsha" + b"confgsha" + b"evidence",
    }


def test_the_cddl_names_every_key_that_is_sent(repo: Path) -> None:
    """The schema beside the code lists the very keys that the code writes."""
    cddl = (repo / "edge" / "protocol" / "alert.cddl").read_text(encoding="utf-8")
    table = cddl[cddl.index("alert = {") : cddl.index("* uint => any")]
    named = {int(key) for key in re.findall(r"^\s*\??\s*(\d+) =>", table, re.MULTILINE)}
    sent = {key for alert in ALERTS.values() for key in cbor2.loads(encode_alert(alert))}
    assert sent | {0} == named  # key 0, the schema, is left out while it is 1


def test_figures_of_size(capsys: pytest.CaptureFixture[str]) -> None:
    """Median and largest stay within DESIGN's bounds; the figures are printed."""
    sizes = {n: len(seal(MessageKind.ALERT, STAMP, encode_alert(a))) for n, a in ALERTS.items()}
    with capsys.disabled():
        print(f"\nalert payload bytes: {sizes}")  # noqa: T201
    assert max(sizes.values()) <= 200
    assert sorted(sizes.values())[len(sizes) // 2] <= 175
