"""What a model is fed besides the picture.

Exports of RT-DETR, D-FINE and their kin scale their boxes to a size that they are told with every
picture, in an input of its own.  It is told the model's own input size, width first as their
post-processing multiplies, so that boxes come in input pixels like everybody else's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import ModelLayoutError
from edge.vision.heads import Array

_SIZE_TYPES: dict[str, type[np.generic]] = {
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(float)": np.float32,
}


@dataclass(frozen=True, slots=True)
class ModelInputs:
    """A session's inputs, told apart; both are ONNX Runtime's own descriptions."""

    picture: Any
    size: Any | None  # None: the model asks for none

    def feed(self, picture: Array, input_wh_px: tuple[int, int]) -> dict[str, Array]:
        """Return what `session.run` takes."""
        feed = {str(self.picture.name): picture}
        if self.size is not None:
            feed[str(self.size.name)] = np.array([input_wh_px], _SIZE_TYPES[self.size.type])
        return feed


def model_inputs(session: Any, path: Path) -> ModelInputs:
    """Tell the picture from the size, if the model wants to be told one.

    Raises:
        ModelLayoutError: Inputs that nothing here can fill; lists them.
    """
    inputs = session.get_inputs()
    pictures = [one for one in inputs if len(one.shape) == 4]
    others = [one for one in inputs if len(one.shape) != 4]
    if len(pictures) == 1 and not others:
        return ModelInputs(pictures[0], None)
    if len(pictures) == 1 and len(others) == 1 and _is_size(others[0]):
        return ModelInputs(pictures[0], others[0])
    seen = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
    raise ModelLayoutError(
        f"{path} has {len(inputs)} inputs ({seen}); a detector takes one picture, "
        "[1, 3, H, W] or [1, H, W, 3], and may take orig_target_sizes [1, 2] beside it"
    )


def _is_size(described: Any) -> bool:
    is_pair = len(described.shape) == 2 and described.shape[1] == 2
    return is_pair and "size" in described.name.lower() and described.type in _SIZE_TYPES
