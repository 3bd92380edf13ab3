"""What the lens solver finds on OpenCV's own chessboard pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from calibration.board import BoardView, Chessboard
from calibration.lens import fit_model, solve_lens
from edge.errors import BenchError

COLUMNS, ROWS = 9, 6
# Half the window in which OpenCV's tutorial refines corners; the published focal length is its.
TUTORIAL_WINDOW_PX = 11


@dataclass(frozen=True, slots=True)
class ChessboardFigures:
    """Focal length and what is left over, by our corners, and by the tutorial's."""

    fx_px: float  # as `calibrate lens` solves it: corners by the squares' size, outliers left out
    rms_px: float
    sigma_fx_px: float
    n_rejected: int
    tutorial_fx_px: float  # the same solver on the tutorial's corners, nothing left out
    tutorial_rms_px: float


def measure_chessboard(folder: Path) -> ChessboardFigures:
    """Solve the lens of `left*.jpg`, with Brown's model.

    Raises:
        BenchError: The pictures are not there.
        LensSetError: They do not determine a lens.
    """
    ours = solve_lens(_views(folder, None), "brown")
    tutorial = fit_model(_views(folder, TUTORIAL_WINDOW_PX), "brown", robust=False)
    return ChessboardFigures(
        fx_px=float(ours.fit.values[0]),
        rms_px=ours.fit.rms_px,
        sigma_fx_px=float(ours.fit.sigmas[0]),
        n_rejected=len(ours.rejected),
        tutorial_fx_px=float(tutorial.values[0]),
        tutorial_rms_px=tutorial.rms_px,
    )


def _views(folder: Path, window_px: int | None) -> list[BoardView]:
    board = Chessboard(COLUMNS, ROWS, window_px=window_px)
    pictures = sorted(folder.glob("left*.jpg"))
    if not pictures:
        raise BenchError(f"{folder}: holds no left*.jpg; give the folder of OpenCV's chessboards")
    grays = [(path, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)) for path in pictures]
    found = [
        board.find(np.asarray(gray, np.uint8), path.name)
        for path, gray in grays
        if gray is not None
    ]
    return [view for view in found if view is not None]
