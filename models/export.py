"""Exports the averaged net to ONNX and writes its manifest.

Run: python -m models.export --state DIR --out models/NAME
Then: python -m models.report --model models/NAME --set DIR
"""

from __future__ import annotations

import argparse
import logging
from hashlib import sha256
from pathlib import Path

import onnx
import torch

from edge.vision.manifest import (
    HeadTable,
    InputTable,
    ModelManifest,
    ThresholdsTable,
    write_manifest,
)
from models.data import INPUT_WH
from models.evaluate import NMS_CONTAINED, NMS_IOU
from models.net import STRIDES, Exported, Net
from models.split import LABELS
from models.train import Run

OPSET = 17
MIN_SCORE = 0.25  # of the manifest; a patrol's rules ask for more, label by label
FILE = "detector.onnx"
log = logging.getLogger(__name__)


def export_onnx(net: Net, path: Path) -> None:
    """Write the net as one self-contained ONNX file with what readers of YOLO files look for."""
    width, height = INPUT_WH
    torch.onnx.export(
        Exported(net).eval(),
        (torch.zeros(1, height, width, 3, dtype=torch.uint8),),
        str(path),
        opset_version=OPSET,
        input_names=["images"],
        output_names=["output0"],
        dynamo=False,
    )
    model = onnx.load(str(path))
    names = "{" + ", ".join(f"{i}: '{name}'" for i, name in enumerate(LABELS)) + "}"
    fields = {
        "names": names,
        "stride": str(max(STRIDES)),
        "author": "Skywhistle",
        "task": "detect",
        "license": "Apache-2.0",
        "imgsz": f"[{height}, {width}]",
    }
    for key, value in fields.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def manifest_of(folder: Path) -> ModelManifest:
    """Describe the exported file in a folder; scores and advisory labels come with a report."""
    return ModelManifest(
        folder=folder,
        format=1,
        name=folder.name,
        file=FILE,
        sha256=sha256((folder / FILE).read_bytes()).hexdigest(),
        licence="Apache-2.0",
        labels=LABELS,
        input=InputTable(
            width_px=INPUT_WH[0],
            height_px=INPUT_WH[1],
            colour="bgr",
            layout="nhwc",
            scale=1.0,
            resize="letterbox_centre",
            pad_value=114,
        ),
        head=HeadTable(layout="yolov8", strides=STRIDES),
        thresholds=ThresholdsTable(
            min_score=MIN_SCORE, nms_iou=NMS_IOU, nms_contained=NMS_CONTAINED
        ),
    )


def main() -> None:
    """Export and write the manifest."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="its name is the model's")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    export_onnx(Run(args.state).average, args.out / FILE)
    log.info("wrote %s", write_manifest(manifest_of(args.out)))


if __name__ == "__main__":
    main()
