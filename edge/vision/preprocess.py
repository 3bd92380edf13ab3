"""From a picture to the model's input, in memory that is allocated once per frame size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.records import ImageArray
from edge.vision.letterbox import Letterbox, plan_letterbox
from edge.vision.manifest import InputTable

# ONNX Runtime's names of the element types that a picture may have.
ELEMENT_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}


class InputTensor:
    """The one input tensor; `fill` writes a picture into it.

    Planar float input costs a resize, a split into planes and one multiplication; on 720p into
    640 x 384 that was 0.75 ms of CPU, where `cv2.dnn.blobFromImage` took 6.4 ms.
    """

    def __init__(self, table: InputTable, element_type: str) -> None:
        dtype = ELEMENT_TYPES.get(element_type)
        if dtype is None:
            raise ModelError(
                f"the model's input is {element_type}; pictures can be given as "
                f"{', '.join(ELEMENT_TYPES)}: export it with one of these"
            )
        # OpenCV's workers spin for a while after each job, on a core that the inference behind the
        # resize needs: 2 ms of 24 a frame on two cores (measured).  For the whole process.
        cv2.setNumThreads(1)
        self._table = table
        self._is_planar = table.layout == "nchw"
        size = (table.height_px, table.width_px)
        shape = (1, 3, *size) if self._is_planar else (1, *size, 3)
        self.array: NDArray[Any] = np.zeros(shape, dtype)
        per_channel = (3, 1, 1) if self._is_planar else (3,)
        std, mean = np.array(table.std), np.array(table.mean)
        self._factor = (table.scale / std).astype(np.float32).reshape(per_channel)
        self._offset = (-table.scale * mean / std).astype(np.float32).reshape(per_channel)
        self._has_offset = bool(self._offset.any())
        self._is_identity = not self._has_offset and bool((self._factor == 1.0).all())
        # The model takes the frame's own bytes: the resize writes straight into the tensor.
        self._takes_frames = (
            dtype is np.uint8
            and self._is_identity
            and not self._is_planar
            and table.colour == "bgr"
        )
        self._letterbox: Letterbox | None = None

    def fill(self, image_bgr: ImageArray) -> Letterbox:
        """Resize, place and normalise a picture; return where it lies in the input.

        Args:
            image_bgr: Shape (H, W, 3), uint8; H and W may differ from call to call.

        Raises:
            ValueError: not a picture.
        """
        if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
            raise ValueError(f"need uint8 H×W×3, got {image_bgr.dtype} {image_bgr.shape}")
        frame_wh = (image_bgr.shape[1], image_bgr.shape[0])
        letterbox = self._letterbox
        if letterbox is None or letterbox.frame_wh_px != frame_wh:
            letterbox = self._letterbox = self._replan(frame_wh)
        if self._takes_frames:
            cv2.resize(image_bgr, letterbox.resized_wh_px, dst=self._window)
            return letterbox
        if frame_wh == letterbox.resized_wh_px:
            resized = image_bgr
        else:
            resized = self._resized
            cv2.resize(image_bgr, letterbox.resized_wh_px, dst=resized)
        self._normalise(self._window, self._reordered_from(resized))
        return letterbox

    def _replan(self, frame_wh_px: tuple[int, int]) -> Letterbox:
        """Lay out memory for frames of a new size, and the padding, once."""
        table = self._table
        plan = plan_letterbox(frame_wh_px, (table.width_px, table.height_px), table.resize)
        width, height = plan.resized_wh_px
        self._resized = np.empty((height, width, 3), np.uint8)
        pad = np.full((3, 1, 1) if self._is_planar else (1, 1, 3), table.pad_value, np.uint8)
        self._normalise(self.array[0], np.broadcast_to(pad, self.array.shape[1:]))
        rows = slice(plan.top_px, plan.top_px + height)
        columns = slice(plan.left_px, plan.left_px + width)
        if self._is_planar:
            self._reordered = np.empty((3, height, width), np.uint8)
            planes = list(self._reordered)
            self._planes_bgr = planes if table.colour == "bgr" else planes[::-1]
            self._window = self.array[0, :, rows, columns]
        else:
            self._reordered = np.empty((height, width, 3), np.uint8)
            self._window = self.array[0, rows, columns, :]
        return plan

    def _reordered_from(self, resized: ImageArray) -> NDArray[np.uint8]:
        """Bring the channels into the tensor's order, still as bytes: a quarter of the traffic."""
        if self._is_planar:
            cv2.split(resized, self._planes_bgr)
        elif self._table.colour == "rgb":
            cv2.cvtColor(resized, cv2.COLOR_BGR2RGB, dst=self._reordered)
        else:
            return resized
        return self._reordered

    def _normalise(self, target: NDArray[Any], pixels: NDArray[np.uint8]) -> None:
        """Write ((pixel - mean) / std) * scale into a view of the tensor."""
        if self._is_identity:
            np.copyto(target, pixels)
        elif target.dtype == np.float32:
            np.multiply(pixels, self._factor, out=target)  # converts on the way: one pass
            if self._has_offset:
                np.add(target, self._offset, out=target)
        else:  # half floats and scaled bytes: through single precision, then rounded once
            exact = pixels * self._factor + self._offset
            if target.dtype == np.uint8:
                exact = np.clip(np.rint(exact), 0, 255)
            np.copyto(target, exact, casting="unsafe")
