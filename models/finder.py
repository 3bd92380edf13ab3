"""Reads a net that is still being trained as the flight program will read its export."""

from __future__ import annotations

import numpy as np
import torch

from edge.vision.manifest import InputTable
from edge.vision.preprocess import InputTensor
from edge.vision.suppress import suppress_overlaps
from models.data import INPUT_WH, ImageArray
from models.evaluate import FLOOR, NMS_IOU, Finder, FloatArray
from models.net import Exported, Net


def training(net: Net) -> Finder:
    """Return a net that is still being trained, fed and read as it will be in flight."""
    table = InputTable(
        width_px=INPUT_WH[0], height_px=INPUT_WH[1], colour="bgr", layout="nhwc", scale=1.0
    )
    tensor, exported = InputTensor(table, "tensor(uint8)"), Exported(net).eval()

    def find(image_bgr: ImageArray) -> FloatArray:
        letterbox = tensor.fill(image_bgr)
        with torch.no_grad():
            table_nx = exported(torch.from_numpy(tensor.array))[0].numpy().T
        best, label = table_nx[:, 4:].max(axis=1), table_nx[:, 4:].argmax(axis=1)
        hot = best >= FLOOR
        half = table_nx[hot, 2:4] / 2
        boxes = np.concatenate([table_nx[hot, :2] - half, table_nx[hot, :2] + half], axis=1)
        kept = suppress_overlaps(boxes, best[hot], label[hot], NMS_IOU)
        framed = letterbox.clip_to_frame(letterbox.frame_from_input(boxes[kept]))
        return np.column_stack([label[hot][kept], best[hot][kept], framed]).astype(np.float64)

    return find
