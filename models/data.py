"""The rendered set in memory: pictures, boxes, and how often each picture is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.split import LABELS

ImageArray = NDArray[np.uint8]
FloatArray = NDArray[np.float32]
# Half of the frame's 1280x720, less what the speed budget took; multiples of the coarsest stride.
INPUT_WH = (608, 352)
_WORTH_WITHOUT_BOX = 3.0  # a picture of distractors only, beside one with the commonest class
# What is found worst is shown more often: the classes whose AP50 on held-out pictures was lowest.
_HARD = {"smoke": 3.0, "bare_soil": 3.0, "open_pit": 2.0, "waste_pile": 2.0}


@dataclass(frozen=True)
class Sample:
    """A picture, BGR, and its boxes: rows of class, left, top, right, bottom (pixel corners)."""

    image_bgr: ImageArray
    rows: FloatArray


@dataclass
class ShardSet:
    """Pictures and boxes of every shard in a folder; `refresh` takes in what is new there."""

    folder: Path
    part: str  # train, held or exam
    images: list[ImageArray] = field(default_factory=list)
    rows: list[NDArray[np.float32]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    _shares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def refresh(self) -> None:
        """Load shards that are new."""
        for path in sorted(self.folder.glob(f"{self.part}-*.npz")):
            if path.name in self.taken or path.name.endswith(".part.npz"):
                continue
            with np.load(path) as shard:
                ends = np.cumsum(shard["counts"])[:-1]
                self.images += list(shard["images"])
                self.rows += np.split(shard["rows"], ends)
            self.taken.add(path.name)

    def shares(self) -> NDArray[np.float64]:
        """Return how often each picture is shown: those with the rarer classes more often."""
        if len(self._shares) != len(self.images):
            per_label = np.bincount(
                [int(v) for rows in self.rows for v in rows[:, 0] if v >= 0], minlength=len(LABELS)
            )
            hard = np.array([_HARD.get(name, 1.0) for name in LABELS])
            worth = per_label.max() / np.maximum(per_label, 1) * hard
            best = [
                max((worth[int(v)] for v in r[:, 0] if v >= 0), default=_WORTH_WITHOUT_BOX)
                for r in self.rows
            ]
            weights = np.sqrt(np.array(best))
            self._shares = weights / weights.sum()
        return self._shares

    def draw(self, rng: np.random.Generator, count: int) -> list[int]:
        """Draw the numbers of `count` pictures."""
        return [int(i) for i in rng.choice(len(self.images), count, p=self.shares())]
