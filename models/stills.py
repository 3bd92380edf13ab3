"""Writes pictures of the rendered set as files, for `skywhistle model quantize` and for looking at.

Run: python -m models.stills --set DIR --out DIR --count 200
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import cv2
import numpy as np

from models.data import ShardSet

log = logging.getLogger(__name__)


def write_stills(pictures: ShardSet, out: Path, count: int) -> list[Path]:
    """Write `count` pictures, spread over the whole set, as PNG; return their paths."""
    out.mkdir(parents=True, exist_ok=True)
    picks = np.unique(np.linspace(0, len(pictures.images) - 1, count).astype(int))
    paths = [out / f"still-{i:05d}.png" for i in picks]
    for path, i in zip(paths, picks, strict=True):
        cv2.imwrite(str(path), pictures.images[int(i)])
    return paths


def main() -> None:
    """Read the command line and write."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", default="train", choices=("train", "held", "exam"))
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    pictures = ShardSet(args.set, args.part)
    pictures.refresh()
    if not pictures.images:
        raise SystemExit(f"{args.set} holds no {args.part}-*.npz; make them with models.render_set")
    log.info("wrote %d pictures", len(write_stills(pictures, args.out, args.count)))


if __name__ == "__main__":
    main()
