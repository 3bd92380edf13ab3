"""The bench's JSON, its table, and the small parts that it shares with the demo."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edge.bench.figures import (
    METHOD,
    PROMISED,
    Figures,
    LoopFigures,
    StartFigures,
    as_json,
    rows,
)
from edge.bench.geo_pose import measure_sitl
from edge.bench.loop import Round, Turn
from edge.bench.sizes import worst_alert, worst_alert_bytes
from edge.config import CameraConfig, DistrictConfig, PatrolConfig, RuleConfig, ZoneConfig
from edge.config_delivery import MqttConfig
from edge.errors import BenchError
from edge.protocol.alert import MAX_ALERT_PAYLOAD_BYTES, decode_alert, encode_alert
from edge.settings import read_patrol
from edge.toml_text import patrol_as_toml

EMPTY = Figures(
    machine="two cores",
    onnxruntime="1.0",
    opencv="5.0",
    model=None,
    model_hash=None,
    flight=None,
    threads=None,
    spinning=None,
    load_before=0.5,
    alert_bytes_max=200,
    alert_bytes_worst_built=200,
    unavailable={"loop": "no flight"},
)
LOOP = LoopFigures(1.1, 1.2, 0.95, 0.9, 30.0, 2.5, 33.0, 27.5, 2.5, 30.0, 31.0, 5, 40)


def test_every_promised_figure_is_in_the_json_even_when_it_is_null() -> None:
    """A reader finds each name; what was not measured is null and has its reason."""
    read = json.loads(as_json(EMPTY))
    assert set(PROMISED) <= set(read)
    assert read["cpu_ratio"] is None
    assert read["unavailable"] == {"loop": "no flight"}
    assert set(METHOD) <= set(PROMISED)


def test_measured_figures_stand_flat_under_their_names() -> None:
    """The parts are for the code; the JSON has one level."""
    read = json.loads(as_json(replace(EMPTY, loop=LOOP)))
    assert (read["cpu_ratio"], read["rate_ratio"], read["inference_ms"]) == (1.1, 0.95, 30.0)
    assert "loop" not in read


def test_a_figure_that_is_no_number_becomes_null() -> None:
    """JSON has no NaN: a figure that is none is null, never a broken file."""
    read = json.loads(as_json(replace(EMPTY, start=StartFigures(float("nan"), 1.0, 3))))
    assert read["start_s"] is None


@pytest.mark.parametrize(
    ("cpu_ratio", "rate_ratio", "met"),
    [(1.15, 0.90, True), (1.151, 0.899, False)],
)
def test_targets_are_met_at_their_edge_and_missed_beyond(
    cpu_ratio: float, rate_ratio: float, met: bool
) -> None:
    """`≤` and `≥` hold at equality; what was not measured is neither met nor missed."""
    loop = replace(LOOP, cpu_ratio=cpu_ratio, rate_ratio=rate_ratio)
    by_name = {row.name: row for row in rows(replace(EMPTY, loop=loop))}
    assert by_name["CPU ÷ (decode + inference)"].is_met is met
    assert by_name["frames/s ÷ bare loop"].is_met is met
    assert by_name["start to first inference"].is_met is None


def test_a_round_compares_the_loop_with_the_sum_of_its_parts() -> None:
    """CPU over CPU of decode and inference; rate over rate is wall over wall, turned round."""
    one = Round(Turn(2.3, 1.25), Turn(0.4, 0.4), Turn(1.6, 1.0), Turn(2.0, 1.0))
    assert one.cpu_ratio == pytest.approx(1.15)
    assert one.rate_ratio == pytest.approx(0.8)


def test_the_worst_alert_is_whole_and_fits() -> None:
    """Every field of the worst alert arrives, and its payload uses the limit up to some bytes."""
    alert = worst_alert()
    assert decode_alert(encode_alert(alert)).incident_id == alert.incident_id
    assert alert.reading is not None
    assert alert.box_xyxy is not None
    assert MAX_ALERT_PAYLOAD_BYTES - 4 <= worst_alert_bytes() <= MAX_ALERT_PAYLOAD_BYTES


def test_a_config_written_as_toml_reads_the_same_again(tmp_path: Path) -> None:
    """Lists of tables, quotes, floats, absent values and paths survive the way through a file."""
    folder = tmp_path / "zön \"e's\\"
    patrol = PatrolConfig(
        drone_id="d-1",
        state_dir=folder,
        camera=(
            CameraConfig(id="a", source="mavlink", model=folder, calibration=folder, mount=folder),
            CameraConfig(
                id="b", source="udp://:5600", model=folder, calibration=folder, mount=folder
            ),
        ),
        rule=(
            RuleConfig(name="r", labels=("烟", 'a"b'), min_score=1e-5, inside=("z",)),
            RuleConfig(name="s", labels=("x",), max_size_m=3.0),
        ),
        zone=(ZoneConfig(name="z", file=folder / "z.geojson"),),
        district=DistrictConfig(origin_lat_deg=-31.5, origin_lon_deg=120.25),
        mqtt=MqttConfig(port=1883, tls=False),
    )
    absolute = patrol.model_copy(
        update={
            "mailbox": patrol.mailbox.model_copy(update={"path": tmp_path / "m.db"}),
            "evidence": patrol.evidence.model_copy(update={"folder": tmp_path / "e"}),
        }
    )
    path = tmp_path / "patrol.toml"
    path.write_text(patrol_as_toml(absolute), encoding="utf-8")
    assert read_patrol(path) == absolute


def test_logs_that_are_not_there_are_named(tmp_path: Path) -> None:
    """A figure on recorded data says which file it lacks."""
    with pytest.raises(BenchError, match=r"ardupilot-sitl-tuned\.tlog.*not shipped"):
        measure_sitl(tmp_path)
