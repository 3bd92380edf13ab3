"""Whether a picture is worth looking at, and how long to wait before trying a camera again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

import numpy as np

from edge.records import ImageArray

# One pixel in 256 is compared: 3,600 of a 720p picture, some 20 µs.  Sensor noise changes some of
# them in every picture of a camera that lives.
GRID_STEP_PX = 16

# Video black is 16 of 255 in limited range and 0 in full; after conversion both are near 0.  A
# lit scene at night still has lamps, hence the limit on the brightest pixel too.
BLACK_MEAN = 6.0
BLACK_MAX = 24


class Look(Enum):
    """Whether a picture is worth a detector's time."""

    GOOD = "good"
    BLACK = "black"
    FROZEN = "frozen"


class PictureWatch:
    """Judges pictures in their order.  Survives reconnects: a frozen picture may come back."""

    def __init__(self, frozen_after_s: float) -> None:
        self._frozen_after_ns = frozen_after_s * 1e9
        self._grid: ImageArray | None = None
        self._same_since_ns = 0
        self._bad_since_ns: int | None = None

    def look(self, image_bgr: ImageArray, mono_ns: int) -> Look:
        """Judge one picture (H×W×3) that came at `mono_ns`."""
        grid = image_bgr[::GRID_STEP_PX, ::GRID_STEP_PX].copy()  # a view would keep the frame alive
        if self._grid is None or not np.array_equal(grid, self._grid):
            self._grid = grid
            self._same_since_ns = mono_ns
        if int(grid.max()) <= BLACK_MAX and float(grid.mean()) <= BLACK_MEAN:
            look = Look.BLACK
        elif mono_ns - self._same_since_ns >= self._frozen_after_ns:
            look = Look.FROZEN
        else:
            look = Look.GOOD
        if look is Look.GOOD:
            self._bad_since_ns = None
        elif self._bad_since_ns is None:
            self._bad_since_ns = mono_ns if look is Look.BLACK else self._same_since_ns
        return look

    def bad_for_s(self, mono_ns: int) -> float:
        """How long no good picture has come although pictures did; 0.0 after a good one."""
        return 0.0 if self._bad_since_ns is None else (mono_ns - self._bad_since_ns) * 1e-9

    def reconnected(self, mono_ns: int) -> None:
        """Give a new connection its own time to show something good."""
        if self._bad_since_ns is not None:
            self._bad_since_ns = mono_ns


@dataclass
class Backoff:
    """Growing, randomised waits between tries: 0.5 s, 1 s, … 30 s, each ± 25 %."""

    first_s: float = 0.5
    most_s: float = 30.0
    tries: int = 0

    def next_s(self) -> float:
        """Seconds to wait before the next try."""
        # The power is capped so that years of tries do not overflow a float.
        wait_s = min(self.first_s * 2.0 ** min(self.tries, 16), self.most_s)
        self.tries += 1
        return min(wait_s * random.uniform(0.75, 1.25), self.most_s)

    def reset(self) -> None:
        """The connection held: the next failure is a first one."""
        self.tries = 0
