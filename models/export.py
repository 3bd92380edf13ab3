"""Exports the averaged net to ONNX with its manifest, and scores it on held-out districts.

Run: python -m models.export --state DIR --set DIR --out models/first-eye
"""

from __future__ import annotations

import argparse
import hashlib
import logging
from pathlib import Path

import onnx
import torch

from models.data import INPUT_WH, ShardSet
from models.evaluate import Scores, score
from models.net import STRIDES, Exported, Net
from models.split import LABELS
from models.train import Run

OPSET = 17
log = logging.getLogger(__name__)

_MANIFEST = """\
# Written by models/export.py; the hash and the scores belong to the file beside it.
format = 1
name = "{name}"
file = "detector.onnx"
sha256 = "{sha256}"
licence = "Apache-2.0"
labels = [{labels}]

[input]
width_px = {width}
height_px = {height}
colour = "rgb"
layout = "nchw"
scale = 0.00392156862745098
mean = [0.0, 0.0, 0.0]
std = [1.0, 1.0, 1.0]
resize = "letterbox_centre"
pad_value = 114

[head]
layout = "yolov8"
strides = [{strides}]

[thresholds]
min_score = 0.25
nms_iou = 0.4
"""

_SCORES = """
# On rendered pictures of districts that were not trained on, IoU 0.5, at score {at}.
[scores]
{scores}
"""


def export_onnx(net: Net, path: Path) -> None:
    """Write the net as one self-contained ONNX file with what readers of YOLO files look for."""
    width, height = INPUT_WH
    torch.onnx.export(
        Exported(net).eval(),
        (torch.zeros(1, 3, height, width),),
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


def _score_lines(scores: Scores) -> str:
    lines = [f"map50 = {scores.map50:.3f}"]
    for label, row in scores.by_label.items():
        figures = (("ap50", row.ap50), ("recall", row.recall), ("precision", row.precision))
        inline = ", ".join(f"{name} = {value:.3f}" for name, value in figures)
        lines.append(f"{label} = {{ {inline} }}")
    return "\n".join(lines)


def main() -> None:
    """Export, score, and write the manifest."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "first-eye")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    run = Run(args.state)
    path = args.out / "detector.onnx"
    export_onnx(run.average, path)
    _write_manifest(args.out, None)
    held = ShardSet(args.set, "held")
    held.refresh()
    _write_manifest(args.out, score(args.out, held))


def _write_manifest(folder: Path, scores: Scores | None) -> None:
    path = folder / "detector.onnx"
    text = _MANIFEST.format(
        name=folder.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        labels=", ".join(f'"{label}"' for label in LABELS),
        width=INPUT_WH[0],
        height=INPUT_WH[1],
        strides=", ".join(map(str, STRIDES)),
    )
    if scores is not None:
        text += _SCORES.format(at=scores.at_score, scores=_score_lines(scores))
    (folder / "model.toml").write_text(text, encoding="utf-8")
    log.info("wrote %s\n%s", folder / "model.toml", text)


if __name__ == "__main__":
    main()
