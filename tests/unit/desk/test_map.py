"""The map: a picture is laid where its corners are, and what is drawn is drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.desk.map import FOUND, MapAlert, MapContents, MapOutline, Mosaic, draw_map, mosaic_of
from edge.records import Ellipse

SQUARE = ((-10.0, 10.0), (10.0, 10.0), (10.0, -10.0), (-10.0, -10.0))


def test_a_frame_lies_on_the_ground_by_its_corners() -> None:
    """The picture's top left lies at the footprint's first corner: north-west here."""
    image = np.zeros((80, 80, 3), np.uint8)
    image[:40, :40] = (0, 0, 255)  # red, top left
    mosaic = Mosaic(-10.0, -10.0, 10.0, 10.0, m_per_px=0.25)
    mosaic.lay(image, SQUARE)
    rgba = mosaic.rgba()
    assert tuple(rgba[20, 20]) == (255, 0, 0, 255)
    assert tuple(rgba[60, 60][:3]) == (0, 0, 0)


def test_a_place_shows_the_frame_that_saw_it_nearest_to_its_middle() -> None:
    """Of two frames over one place, the one that has it in its middle is shown."""
    mosaic = Mosaic(-10.0, -10.0, 30.0, 10.0)
    white, grey = np.full((80, 80, 3), 255, np.uint8), np.full((80, 80, 3), 90, np.uint8)
    shifted = [(east + 12.0, north) for east, north in SQUARE]
    for image, footprint in ((white, SQUARE), (grey, shifted)):
        mosaic.lay(image, footprint)
    row = mosaic.rgba()[40, :, 0]
    assert row[40] == 255  # the first one's middle, at east 0
    assert row[88] == 90  # the second one's middle, at east 12


def test_what_nobody_saw_is_transparent_and_odd_footprints_are_left_out() -> None:
    """A mosaic claims nothing about ground outside the frames, nor of a clipped footprint."""
    mosaic = Mosaic(-20.0, -20.0, 20.0, 20.0)
    mosaic.lay(np.full((8, 8, 3), 255, np.uint8), SQUARE[:3])
    assert mosaic.rgba()[..., 3].max() == 0


def test_the_map_shows_alerts_truth_and_track(tmp_path: Path) -> None:
    """The file is a picture, and it holds the colours of what was drawn."""
    path = tmp_path / "sub" / "map.png"
    contents = MapContents(
        title="A title",
        subtitle="with figures",
        track=[(-20.0, 0.0), (20.0, 0.0)],
        footprints=[SQUARE],
        alerts=[MapAlert("structure", 0.0, 0.0, Ellipse(3.0, 1.0, 30.0), "shed")],
        truth=[MapOutline(SQUARE, FOUND)],
    )
    draw_map(contents, path)
    image = cv2.imread(str(path))
    assert image is not None
    assert image.shape[0] > 500
    yellow = np.all(np.abs(image.astype(int) - (0, 204, 255)) < 12, axis=2)
    green = np.all(np.abs(image.astype(int) - (80, 152, 26)) < 12, axis=2)
    assert yellow.sum() > 200
    assert green.sum() > 200


def test_an_empty_flight_still_has_a_map(tmp_path: Path) -> None:
    """Nothing seen is a result, not an error."""
    draw_map(MapContents("none", "", (), (), ()), tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_a_flight_however_wide_has_a_mosaic_that_fits_into_memory() -> None:
    """Both sides stay within a few thousand pixels; the first and the last frame are laid."""
    image = np.full((90, 160, 3), 200, np.uint8)
    near, far = (
        [(east, 90.0), (east + 160.0, 90.0), (east + 160.0, 0.0), (east, 0.0)]
        for east in (0.0, 30_000.0)
    )
    mosaic = mosaic_of([(image, near), (image, far)], [near, far])
    assert mosaic is not None
    rgba = mosaic.rgba()
    assert max(rgba.shape[:2]) <= 2000
    assert rgba[:, :20, 3].any()
    assert rgba[:, -20:, 3].any()


def test_nothing_seen_is_no_mosaic() -> None:
    """Without a frame, or without ground in any, there is no backdrop."""
    corners = [(0.0, 9.0), (16.0, 9.0), (16.0, 0.0), (0.0, 0.0)]
    assert mosaic_of([], [corners]) is None
    assert mosaic_of([(np.zeros((9, 16, 3), np.uint8), [])], [[]]) is None
