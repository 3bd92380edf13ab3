"""Boards whose geometry is known, found in pictures: chessboards and ChArUco boards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.records import FloatArray

GrayImage = NDArray[np.uint8]

# A board is looked for in a picture shrunk to this width; its corners are refined at full size.
SEARCH_WIDTH_PX = 1280
# Half the window in which a corner is refined, as a share of the distance to the next corner: a
# larger one takes in the neighbours of a slanted board, whose corners then pull (seen: 3 px).
WINDOW_SHARE = 0.2
WINDOW_PX = (3, 15)
REFINED = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 60, 1e-4)
# A part of a ChArUco board with fewer corners says more of its own pose than of the lens.
MIN_CORNERS = 8


@dataclass(frozen=True, slots=True)
class BoardView:
    """A board as one picture shows it."""

    name: str  # of the picture
    size_px: tuple[int, int]  # width, height
    board_m: FloatArray  # (N, 3), on the board, z = 0
    pixels_uv: FloatArray  # (N, 2), (0, 0) is the centre of the top-left pixel
    sharpness: float  # of the picture around the board; compares views of one video


class Board(Protocol):
    """What is held before the camera."""

    @property
    def words(self) -> str:
        """Describe it, for the calibration's file."""
        ...

    def find(self, gray: GrayImage, name: str, *, thorough: bool = True) -> BoardView | None:
        """Find it in a picture, shape (H, W); not thorough: fast, for one of many of a video."""
        ...


@dataclass(frozen=True)
class Chessboard:
    """A chessboard by its inner corners: a board of 10 × 7 squares has 9 × 6."""

    columns: int
    rows: int
    square_m: float = 0.025
    window_px: int | None = None  # half the refining window; None: by the size of the squares

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 3 or not self.square_m > 0.0:
            raise ConfigError(
                f"a chessboard of {self.columns}×{self.rows} inner corners, {self.square_m} m a "
                "square: count the corners where four squares meet, 3 or more each way"
            )

    @property
    def words(self) -> str:
        """Describe it."""
        size_mm = self.square_m * 1e3
        return f"chessboard, {self.columns}×{self.rows} inner corners, {size_mm:g} mm squares"

    @cached_property
    def corners_m(self) -> FloatArray:
        """Return the inner corners, row by row, shape (N, 3)."""
        grid = np.mgrid[0 : self.columns, 0 : self.rows].T.reshape(-1, 2) * self.square_m
        return np.column_stack((grid, np.zeros(len(grid))))

    def find(self, gray: GrayImage, name: str, *, thorough: bool = True) -> BoardView | None:
        """Find all of its corners, or none."""
        scale = min(1.0, SEARCH_WIDTH_PX / gray.shape[1])
        small = gray
        if scale < 1.0:
            small = np.asarray(
                cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
            )
        found = self._corners(small, thorough)
        if found is None:
            return None
        rough = (found + 0.5) / scale - 0.5
        pixels_uv = self._refined(gray, rough)
        size = (gray.shape[1], gray.shape[0])
        return BoardView(name, size, self.corners_m, pixels_uv, sharpness_of(gray, pixels_uv))

    def _corners(self, gray: GrayImage, thorough: bool) -> FloatArray | None:
        pattern = (self.columns, self.rows)
        flags = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
        if not thorough:
            flags |= cv2.CALIB_CB_FAST_CHECK
        is_found, corners = cv2.findChessboardCorners(gray, pattern, flags=flags)
        if not is_found and thorough:  # slower, and sees boards in noise and blur
            is_found, corners = cv2.findChessboardCornersSB(gray, pattern)
        return np.asarray(corners, np.float64).reshape(-1, 2) if is_found else None

    def _refined(self, gray: GrayImage, rough_uv: FloatArray) -> FloatArray:
        half = self.window_px
        if half is None:
            grid = rough_uv.reshape(self.rows, self.columns, 2)
            gaps = [np.linalg.norm(np.diff(grid, axis=axis), axis=2).min() for axis in (0, 1)]
            half = int(np.clip(WINDOW_SHARE * min(gaps), *WINDOW_PX))
        corners = np.ascontiguousarray(rough_uv, np.float32).reshape(-1, 1, 2)
        refined = cv2.cornerSubPix(gray, corners, (half, half), (-1, -1), REFINED)
        return np.asarray(refined, np.float64).reshape(-1, 2)


@dataclass(frozen=True)
class CharucoBoard:
    """A ChArUco board: a chessboard with a marker in each white square; part of it is enough."""

    columns: int  # squares
    rows: int
    square_m: float
    marker_m: float
    dictionary: str = "DICT_5X5_100"

    def __post_init__(self) -> None:
        if min(self.columns, self.rows) < 3 or not 0.0 < self.marker_m < self.square_m:
            raise ConfigError(
                f"a ChArUco board of {self.columns}×{self.rows} squares of {self.square_m} m with "
                f"markers of {self.marker_m} m: it has 3 squares or more each way, and its markers "
                "are smaller than its squares"
            )
        if not self.dictionary.startswith("DICT_") or not hasattr(cv2.aruco, self.dictionary):
            known = ", ".join(n for n in dir(cv2.aruco) if n.startswith("DICT_"))
            raise ConfigError(f"{self.dictionary!r} is no ArUco dictionary; known here: {known}")
        needed, there = self.columns * self.rows // 2, len(self._dictionary.bytesList)
        if needed > there:
            raise ConfigError(
                f"{self.columns}×{self.rows} squares need {needed} markers, {self.dictionary} has "
                f"{there}; take fewer squares, or a larger dictionary such as DICT_5X5_1000"
            )

    @property
    def words(self) -> str:
        """Describe it."""
        return (
            f"ChArUco, {self.columns}×{self.rows} squares of {self.square_m * 1e3:g} mm, markers "
            f"of {self.marker_m * 1e3:g} mm, {self.dictionary}"
        )

    @property
    def _dictionary(self) -> Any:
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))

    @cached_property
    def _board(self) -> Any:
        size = (self.columns, self.rows)
        return cv2.aruco.CharucoBoard(size, self.square_m, self.marker_m, self._dictionary)

    @cached_property
    def _detector(self) -> Any:
        return cv2.aruco.CharucoDetector(self._board)

    def find(self, gray: GrayImage, name: str, *, thorough: bool = True) -> BoardView | None:
        """Find those of its corners that are in the picture."""
        corners, ids, _, _ = self._detector.detectBoard(gray)
        if ids is None or len(ids) < MIN_CORNERS:
            return None
        of_board = np.asarray(self._board.getChessboardCorners(), np.float64)[ids.ravel()]
        if min(len(set(of_board[:, axis].round(6))) for axis in (0, 1)) < 2:
            return None  # one line of corners has no pose
        pixels_uv = np.asarray(corners, np.float64).reshape(-1, 2)
        size = (gray.shape[1], gray.shape[0])
        return BoardView(name, size, of_board, pixels_uv, sharpness_of(gray, pixels_uv))

    def drawn(self, square_px: int) -> GrayImage:
        """Draw it, to be printed."""
        size = (self.columns * square_px, self.rows * square_px)
        return np.asarray(self._board.generateImage(size), np.uint8)


def sharpness_of(gray: GrayImage, pixels_uv: FloatArray) -> float:
    """Return how steep the edges around points are, against the contrast there."""
    low = np.maximum(np.floor(pixels_uv.min(axis=0)).astype(int), 0)
    high = np.ceil(pixels_uv.max(axis=0)).astype(int) + 1
    part = gray[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    contrast = float(part.std()) if part.size else 0.0
    if contrast == 0.0:
        return 0.0
    return float(cv2.Laplacian(part, cv2.CV_32F).std()) / contrast
