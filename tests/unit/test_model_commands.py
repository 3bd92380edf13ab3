"""`skywhistle model`: bring a detector of your own, and bring it to INT8."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from edge.cli.main import app
from edge.errors import (
    CalibrationSetError,
    ConfigError,
    ModelFormatError,
    SkywhistleError,
)
from edge.vision.manifest import read_manifest
from tests.unit.vision.test_vision_quantize import layered_model, pictures, written
from tests.unit.vision.tiny_models import cell_model


def said(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=True)
    if result.exception is not None:
        raise result.exception
    return result.output


def stills(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index, picture in enumerate(pictures(count)):
        cv2.imwrite(str(folder / f"{index:03d}.png"), picture)
    return folder


def test_add_says_what_it_takes_the_file_for_and_draws_it(tmp_path: Path) -> None:
    """Layout, how sure and why, what the picture holds, and a drawing of it beside the model."""
    path = tmp_path / "eye.onnx"
    path.write_bytes(cell_model())
    frame = np.zeros((128, 128, 3), np.uint8)
    frame[32:64, 64:96] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / "frame.png"), frame)
    told = said("model", "add", path, "--into", tmp_path, "--labels", "red",
                "--picture", tmp_path / "frame.png")  # fmt: skip
    assert "taken for yolov8: likely, because its rows are the 64 cells of strides 8" in told
    assert "4 red" in told
    drawn = cv2.imread(str(tmp_path / "eye" / "looked.jpg"))
    assert drawn.shape == frame.shape
    assert np.abs(drawn.astype(int) - frame).max() > 100


def test_add_writes_nothing_when_there_is_no_picture_to_try_it_on(tmp_path: Path) -> None:
    """A second try with the right picture then works."""
    (tmp_path / "eye.onnx").write_bytes(cell_model())
    (tmp_path / "empty").mkdir()
    add = ("model", "add", tmp_path / "eye.onnx", "--into", tmp_path, "--labels", "red")
    with pytest.raises(SkywhistleError):
        said(*add, "--picture", tmp_path / "empty")
    assert not (tmp_path / "eye").exists()
    assert "taken for yolov8" in said(*add, "--picture", stills(tmp_path / "s", 1))


def test_quantize_writes_a_model_beside_the_old_one(tmp_path: Path) -> None:
    """From a folder of stills: a folder that flies, and what it costs and saves in words."""
    written(tmp_path / "m", layered_model())
    told = said("model", "quantize", tmp_path / "m", "--frames", stills(tmp_path / "s", 24))
    assert read_manifest(tmp_path / "m-int8").name == "tiny-int8"
    assert "agree on 6 others" in told
    assert "INT8 ÷ FP32 inference time, in turns, median of ten" in told


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    """Too few pictures, a broken model file, a picture that is none: each its own error."""
    written(tmp_path / "m", layered_model())
    with pytest.raises(CalibrationSetError, match="5 different picture"):
        said("model", "quantize", tmp_path / "m", "--frames", stills(tmp_path / "s", 5))
    whole = cell_model()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFormatError, match=r"broken\.onnx"):
        said("model", "add", broken, "--into", tmp_path)
    good = tmp_path / "good.onnx"
    good.write_bytes(whole)
    (tmp_path / "note.jpg").write_text("no picture")
    with pytest.raises(ConfigError, match=r"note\.jpg: is no picture"):
        said("model", "add", good, "--into", tmp_path, "--labels", "red", "--picture",
             tmp_path / "note.jpg")  # fmt: skip


@pytest.mark.parametrize("name", ["../../y", "a/b", "..", "", "x" * 33, "y\n"])
def test_a_models_name_never_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    """What is no plain name is refused with what is one, and nothing is written."""
    path = tmp_path / "eye.onnx"
    path.write_bytes(cell_model())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=r"1 to 32 letters.*--into"):
        said("model", "add", path, "--into", tmp_path / "a", "--labels", "red", "--name", name)
    assert sorted(tmp_path.rglob("*")) == before
