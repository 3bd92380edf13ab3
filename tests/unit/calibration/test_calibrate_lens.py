"""Laws of `skywhistle calibrate lens` and `board`, as they are called."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from calibration.board import CharucoBoard, GrayImage
from calibration.lens_pictures import open_pictures
from edge.cli.main import app
from edge.errors import LensSetError, VideoConfigError
from edge.geo.camera import read_intrinsics
from tests.unit.calibration.lens_rig import (
    CAMERAS,
    SQUARE_M,
    chessboard_drawing,
    chessboard_wh_m,
    photographs,
)

BROWN = CAMERAS["brown"]
SQUARE_MM = str(SQUARE_M * 1e3)


@pytest.fixture(scope="module")
def pictures() -> list[GrayImage]:
    """Photographs of a chessboard of 9 × 6 inner corners."""
    return list(photographs(BROWN, chessboard_drawing(9, 6), chessboard_wh_m(9, 6)))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["calibrate", *arguments])


def lens(source: Path | str, folder: Path, *more: str) -> Result:
    """Calibrate a camera named `cam` into a folder."""
    out = ["--out", str(folder / "cam.toml"), "--plot", str(folder / "cam.png")]
    return run("lens", str(source), "--id", "cam", "--square-mm", SQUARE_MM, *out, *more)


def store(pictures: list[GrayImage], folder: Path) -> Path:
    folder.mkdir()
    for i, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"still-{i:02}.png"), picture)
    return folder


def test_a_folder_of_stills_becomes_a_calibration(
    pictures: list[GrayImage], tmp_path: Path
) -> None:
    """The file loads and is the camera's; the residuals are drawn; it says what it did."""
    stills = store([*pictures, np.full((480, 640), 90, np.uint8)], tmp_path / "stills")
    done = lens(stills, tmp_path, "--model", "brown", "--about", "4:3 video")
    assert done.exit_code == 0, done.output
    camera = read_intrinsics(tmp_path / "cam.toml")
    assert camera.fx_px == pytest.approx(520.0, abs=1.5)
    assert "still-14.png: no board found" in done.output
    assert "still missing" in done.output
    text = (tmp_path / "cam.toml").read_text("utf-8")
    assert "4:3 video" in text
    assert str(tmp_path) not in text  # no path of this machine
    assert cv2.imread(str(tmp_path / "cam.png")) is not None
    again = lens(stills, tmp_path)
    assert again.exit_code != 0
    assert "--overwrite" in str(again.exception)


def test_a_video_is_chosen_from(pictures: list[GrayImage], tmp_path: Path) -> None:
    """Of a board that rests, a view each; names say when in the video they were."""
    path = tmp_path / "board.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 8.0, (640, 480))
    for picture in pictures:
        for _ in range(6):
            writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    writer.release()
    done = lens(path, tmp_path, "--model", "brown")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "cam.toml").read_text("utf-8")
    assert 10 <= text.count("board.mp4@") <= 14
    assert read_intrinsics(tmp_path / "cam.toml").fx_px == pytest.approx(520.0, abs=3.0)


def test_a_pattern_takes_what_it_names(pictures: list[GrayImage], tmp_path: Path) -> None:
    """Other stills of the folder are left alone; a pattern of nothing is told."""
    stills = store(pictures[:3], tmp_path / "stills")
    opened = open_pictures(f"{stills}/still-0[02].png", 1.0)
    assert [name for name, _ in opened.images] == ["still-00.png", "still-02.png"]
    with pytest.raises(VideoConfigError, match="no still matches"):
        open_pictures(f"{stills}/x*.png", 1.0)


def test_pictures_without_a_board_are_refused(tmp_path: Path) -> None:
    """Nothing is written, and it says what to photograph."""
    stills = store([np.full((480, 640), 90, np.uint8)] * 2, tmp_path / "stills")
    refused = lens(stills, tmp_path)
    assert isinstance(refused.exception, LensSetError)
    assert "in 0 pictures" in str(refused.exception)
    assert not (tmp_path / "cam.toml").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--board", "circles"), "chessboard or charuco"),
        (("--model", "magic"), "one of auto, brown"),
        (("--board", "charuco", "--marker-mm", "99"), "smaller than its squares"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(
    more: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """Before any picture is looked at."""
    refused = lens(tmp_path, tmp_path, *more)
    assert said in str(refused.exception)


def test_a_board_that_needs_more_markers_than_there_are_is_refused(tmp_path: Path) -> None:
    """Before it is drawn, with what to take instead."""
    refused = run("board", str(tmp_path / "b.png"), "--columns", "40", "--rows", "40")
    assert "need 800 markers, DICT_5X5_100 has 100" in str(refused.exception)
    assert not (tmp_path / "b.png").exists()


def test_a_name_that_is_no_file_s_is_refused(tmp_path: Path) -> None:
    """An id goes into topics and file names."""
    refused = run("lens", str(tmp_path), "--id", "../x")
    assert "letters, digits" in str(refused.exception)


def test_a_drawn_board_is_found(tmp_path: Path) -> None:
    """What `calibrate board` draws is what `calibrate lens` looks for, all of it."""
    path = tmp_path / "board.png"
    assert run("board", str(path), "--columns", "9", "--rows", "6").exit_code == 0
    gray = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), np.uint8)
    rimmed = np.pad(gray, 60, constant_values=255)
    view = CharucoBoard(9, 6, 0.024, 0.018).find(rimmed, "drawn")
    assert view is not None
    assert len(view.pixels_uv) == 8 * 5


def test_without_matplotlib_the_calibration_is_written(
    pictures: list[GrayImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The picture is missing, and how to get it is said; the camera is whole."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = lens(store(pictures[:9], tmp_path / "stills"), tmp_path, "--model", "brown")
    assert done.exit_code == 0, done.output
    assert "install the extra `demo`" in done.output
    assert "[demo]'" in done.output  # as it must be typed
    assert read_intrinsics(tmp_path / "cam.toml").camera_id == "cam"
