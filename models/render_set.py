"""Renders the training set: a shard of pictures with boxes for each district; skips what is done.

Run: python -m models.render_set --out DIR --districts 40
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.split import HELD_OUT_FAMILY, HELD_OUT_SEEDS, LABELS, train_districts
from sim.camera import CameraModel, CameraPose, camera_pose
from sim.render import Look, Renderer, add_noise, open_context
from sim.truth import FrameBox, frame_boxes
from sim.world import District
from sim.world_layout import HALF_M

SHARD_WH = (640, 360)
log = logging.getLogger(__name__)
IGNORED = -1  # class of a box too hidden or too cut to teach either way
CAMERA_FILE = Path(__file__).resolve().parents[1] / "calibration/cameras/sim-720p.toml"


@dataclass(frozen=True)
class Portion:
    """How many pictures of a district are drawn at which size."""

    n_half: int = 44  # drawn at 640x360
    n_full: int = 14  # drawn at 1280x720 and shrunk as in flight


def random_pose(rng: np.random.Generator, district: District) -> CameraPose:
    """Look at a find, or anywhere, from a patrol's heights and angles."""
    height = float(rng.uniform(42, 88))
    pitch = -float(np.deg2rad(rng.uniform(56, 90)))
    yaw = float(rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.8 and district.finds:
        aim = np.array(district.finds[int(rng.integers(len(district.finds)))].reference_m)
        aim = aim + rng.normal(0, height * 0.2, 2)
    else:
        aim = rng.uniform(-HALF_M * 0.75, HALF_M * 0.75, 2)
    back = height / np.tan(-pitch)
    spot = np.array([aim[0] - back * np.sin(yaw), aim[1] - back * np.cos(yaw), height])
    roll = float(np.deg2rad(rng.normal(0, 1.0)))
    return camera_pose(spot, (roll, pitch, yaw))


def teaching_rows(boxes: list[FrameBox], scale: float) -> NDArray[np.float32]:
    """Turn boxes into rows, shape (N, 5): class or IGNORED, left, top, right, bottom."""
    rows = []
    for box in boxes:
        if box.find.kind != "violation":
            continue
        left, top, right, bottom = ((v + 0.5) * scale - 0.5 for v in box.box_xyxy)
        label = LABELS.index(box.find.name)
        if box.visible < 0.12 or max(right - left, bottom - top) < 4:
            continue
        if box.visible < 0.4 or max(right - left, bottom - top) < 9:
            label = IGNORED
        rows.append((label, left, top, right, bottom))
    return np.array(rows, np.float32).reshape(-1, 5)


def _pictures(
    rng: np.random.Generator, renderer: Renderer, count: int
) -> list[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    out = []
    for _ in range(count):
        pose = random_pose(rng, renderer.district)
        look = Look(exposure=float(rng.uniform(0.8, 1.4)), blur_px=tuple(rng.normal(0, 0.8, 2)))
        image = renderer.picture(pose, float(rng.uniform(0, 60)), look)
        rows = teaching_rows(frame_boxes(renderer, pose), SHARD_WH[0] / renderer.camera.width_px)
        if image.shape[1] != SHARD_WH[0]:
            image = _as_in_flight(rng, image)
        out.append((image, rows))
    return out


def _as_in_flight(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add noise, squeeze through a codec, and shrink as the flight program does."""
    noisy = add_noise(image, float(rng.uniform(0, 5)), rng)
    quality = int(rng.integers(12, 60))
    _, coded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, quality])
    back = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.resize(back, SHARD_WH, interpolation=cv2.INTER_LINEAR), np.uint8)


def render_shard(seed: int, family: str, portion: Portion, path: Path) -> None:
    """Render one district's pictures into one file; the file appears whole or not at all."""
    district = District.from_seed(seed, family)
    rng = np.random.default_rng([seed, 77])
    context = open_context()
    camera = CameraModel.load(CAMERA_FILE)
    pairs = []
    for model, samples, count in (
        (camera.scaled(0.5), 4, portion.n_half),
        (camera, 0, portion.n_full),
    ):
        pairs += _pictures(rng, Renderer(district, model, samples, context), count)
    context.release()
    order = rng.permutation(len(pairs))
    images = np.stack([pairs[i][0] for i in order])
    counts = np.array([len(pairs[i][1]) for i in order])
    rows = np.concatenate([pairs[i][1] for i in order])
    scratch = path.with_suffix(".part.npz")
    np.savez(scratch, images=images, counts=counts, rows=rows)
    scratch.replace(path)


def main() -> None:
    """Render what is missing, district by district."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--districts", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=2)
    parser.add_argument("--part", type=int, default=0, help="which part of the work, from 0")
    parser.add_argument("--parts", type=int, default=1, help="how many processes share it")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    jobs = [("held", seed, HELD_OUT_FAMILY) for seed in HELD_OUT_SEEDS[: args.held_out]]
    jobs += [("train", seed, family) for seed, family in train_districts(args.districts)]
    for part, seed, family in jobs[args.part :: args.parts]:
        path = args.out / f"{part}-{seed}-{family}.npz"
        if not path.exists():
            render_shard(seed, family, Portion(), path)
            log.info("rendered %s", path.name)


if __name__ == "__main__":
    main()
