"""What views of a board are worth: which parts of the picture and which tilts are still missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

import cv2
import numpy as np

from calibration.board import BoardView
from edge.records import FloatArray

EDGE = 0.2  # of the picture's side: what counts as its corner or side
PLACES = (
    ("top left corner", "top", "top right corner"),
    ("left side", "middle", "right side"),
    ("bottom left corner", "bottom", "bottom right corner"),
)
CORNERS = frozenset({PLACES[0][0], PLACES[0][2], PLACES[2][0], PLACES[2][2]})
# Depth across the board, relative to its distance: below this it faces the camera.
LEAN = 0.12
GOOD_VIEWS = 12
MAX_VIEWS = 60  # more of one video add time and no knowledge
# Two views of a video that differ less than this in place, size and lean are one view.
DIFFERENT = 0.08
# Against the median of those kept: motion blur.
BLURRED = 0.5


class Lean(Enum):
    """How a board is turned, as the camera sees it."""

    FACING = "facing the camera"
    LEFT = "its left side nearer"
    RIGHT = "its right side nearer"
    TOP = "its top nearer"
    BOTTOM = "its bottom nearer"


class Verdict(Enum):
    """What became of a view that was offered."""

    KEPT = "kept"
    SHARPER = "replaces a less sharp one"
    SAME = "like one that is there"
    BLURRED = "blurred"
    FULL = "enough views are there"


def slant_of(view: BoardView) -> FloatArray:
    """Return how much farther the board's right and lower ends are, (2,), of its distance."""
    homography, _ = cv2.findHomography(view.board_m[:, :2], view.pixels_uv)
    if homography is None:
        return np.zeros(2)
    flat = np.column_stack((view.board_m[:, :2], np.ones(len(view.board_m))))
    depth = flat @ np.asarray(homography)[2]  # up to one factor
    centred = view.pixels_uv - view.pixels_uv.mean(axis=0)
    slope, *_ = np.linalg.lstsq(centred, depth / depth.mean() - 1.0, rcond=None)
    slant: FloatArray = slope * np.ptp(view.pixels_uv, axis=0)
    return slant


def lean_of(view: BoardView) -> Lean:
    """Say which side of a board is nearer."""
    right, down = slant_of(view)
    if max(abs(right), abs(down)) < LEAN:
        return Lean.FACING
    if abs(right) > abs(down):
        return Lean.LEFT if right > 0.0 else Lean.RIGHT
    return Lean.TOP if down > 0.0 else Lean.BOTTOM


def places_of(view: BoardView) -> set[str]:
    """Return the names of the parts of the picture where the board's corners are."""
    share = (view.pixels_uv + 0.5) / view.size_px
    cells = np.digitize(share, (EDGE, 1.0 - EDGE))
    return {PLACES[row][column] for column, row in cells.tolist()}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a set of views has and lacks."""

    n_views: int
    places: frozenset[str]
    leans: frozenset[Lean]

    @classmethod
    def of(cls, views: Sequence[BoardView]) -> Coverage:
        """Look at a set of views."""
        places = frozenset[str]().union(*(places_of(view) for view in views))
        return cls(len(views), places, frozenset(lean_of(view) for view in views))

    @property
    def missing_places(self) -> list[str]:
        """Return the parts of the picture where no board has been."""
        return [place for row in PLACES for place in row if place not in self.places]

    @property
    def missing_leans(self) -> list[Lean]:
        """Return the tilts that no view has."""
        return [lean for lean in Lean if lean not in self.leans | {Lean.FACING}]

    def next_pictures(self) -> str:
        """Say what to photograph next; "" where nothing is missing."""
        wanted = []
        if self.missing_places:
            wanted.append("the board in the picture's " + ", ".join(self.missing_places))
        if self.missing_leans:
            tilts = ", ".join(lean.value for lean in self.missing_leans)
            wanted.append(f"the board tilted by 20 to 45 degrees, {tilts}")
        if not wanted and self.n_views < GOOD_VIEWS:
            wanted.append(f"{GOOD_VIEWS - self.n_views} more, near and far, tilted each way")
        return "; ".join(wanted)


@dataclass(slots=True)
class ViewChoice:
    """Chooses sharp and different views out of a video, as they come; takes all stills."""

    is_picky: bool = True  # False: pictures that were each taken on purpose
    views: list[BoardView] = field(default_factory=list)

    def offer(self, view: BoardView) -> Verdict:
        """Keep a view, or say why not."""
        if not self.is_picky:
            self.views.append(view)
            return Verdict.KEPT
        if self.views:
            usual = float(np.median([kept.sharpness for kept in self.views]))
            if view.sharpness < BLURRED * usual:
                return Verdict.BLURRED
        gaps = [float(np.abs(_where(view) - _where(kept)).max()) for kept in self.views]
        if gaps and min(gaps) < DIFFERENT:
            twin = int(np.argmin(gaps))
            if view.sharpness <= 1.1 * self.views[twin].sharpness:
                return Verdict.SAME
            self.views[twin] = view
            return Verdict.SHARPER
        if len(self.views) >= MAX_VIEWS:
            return Verdict.FULL
        self.views.append(view)
        return Verdict.KEPT


def _where(view: BoardView) -> FloatArray:
    """Return a view's place, size and lean, each as a share of the picture, shape (6,)."""
    size = np.array(view.size_px, dtype=np.float64)
    place = view.pixels_uv.mean(axis=0) / size
    return np.concatenate((place, np.ptp(view.pixels_uv, axis=0) / size, slant_of(view)))
