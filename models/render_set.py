"""Renders the set: a shard of pictures with boxes for each district; skips what is done.

Run: python -m models.render_set --out DIR --districts 44
One process a core: add --parts 2 --part 0, and --parts 2 --part 1.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.augment import IGNORED, SPREAD_SHARE, SPREADING
from models.split import LABELS, exam_districts, held_districts, train_districts
from sim.camera import CameraModel, CameraPose, camera_pose
from sim.render.renderer import Look, Renderer, add_noise, open_context
from sim.truth import FrameBox, frame_boxes
from sim.world.distractors import LOOKS_LIKE
from sim.world.district import DEFAULT_COUNTS, District
from sim.world.layout import HALF_M
from sim.world.light import draw_daylight
from sim.world.terrain import MOST_RELIEF_M
from sim.world.violations import VIOLATIONS

SHARD_WH = (640, 360)
HEIGHTS_M = (38.0, 122.0)
PITCHES_DEG = (-90.0, -30.0)
# Lower and flatter than any patrol: take-off and landing, other people's pictures, a horizon.
LOW_HEIGHTS_M = (6.0, 45.0)
LOW_PITCHES_DEG = (-45.0, -3.0)
_LOW_SHARE = 0.4  # of the pictures to learn from; those to score on are a patrol's
_LEAST_CLEAR_M = 5.0  # nothing stands closer before a low camera: it is in no house and in no tree
_LOW_TRIES = 6
_FARTHEST_AIM_M = 160.0
_HILLY = 0.5  # share of the districts that are not flat
_BARE_EVERY = 4  # one training district in so many holds distractors only
_LEAST_VISIBLE, _TAUGHT_VISIBLE = 0.12, 0.4  # below: no box; between: a box that teaches nothing
_LEAST_PX, _TAUGHT_PX = 4.0, 9.0  # of the box's longer side, likewise
_TAUGHT_THIN_PX = 4.0  # of its shorter side: far off, a field of earth is a line
log = logging.getLogger(__name__)
CAMERA_FILE = Path(__file__).resolve().parents[1] / "calibration/cameras/sim-720p.toml"
Picture = tuple[NDArray[np.uint8], NDArray[np.float32]]


@dataclass(frozen=True)
class Portion:
    """How many pictures of a district are drawn at which size, each under a sky of its own."""

    n_half: int = 60  # drawn at 640x360
    n_full: int = 20  # drawn at 1280x720 and shrunk as in flight
    n_flight: int = 60  # of a flight's part: whole frames, as the exam's flights see them


@dataclass(frozen=True)
class Job:
    """One shard."""

    part: str  # train, held, exam or flight
    seed: int
    family: str
    has_violations: bool = True

    @property
    def file_name(self) -> str:
        """What its file is called."""
        return f"{self.part}-{self.seed}-{self.family}.npz"


def jobs(n_train: int, n_held: int, n_exam: int) -> list[Job]:
    """List the shards, those to score on first; now and then one without any violation."""
    out = [Job("held", *pair) for pair in held_districts(n_held)]
    out += [Job("exam", *pair) for pair in exam_districts(n_exam)]
    out += [Job("flight", *pair) for pair in exam_districts(2 * n_exam)[n_exam:]]
    for i, pair in enumerate(train_districts(n_train)):
        out.append(Job("train", *pair, has_violations=i % _BARE_EVERY != _BARE_EVERY - 1))
    return out


def patrol_pose(rng: np.random.Generator, district: District) -> CameraPose:
    """Look at a find, or anywhere, as the exam's flights do."""
    height, pitch = float(rng.uniform(45, 95)), float(np.deg2rad(rng.uniform(-90, -60)))
    return _pose(rng, district, (height, pitch, 1.7))


def low_pose(rng: np.random.Generator, renderer: Renderer) -> CameraPose | None:
    """Look along a street or over a yard, where nothing stands right before the camera."""
    for _ in range(_LOW_TRIES):
        height = float(np.exp(rng.uniform(*np.log(LOW_HEIGHTS_M))))
        pitch = float(np.deg2rad(rng.uniform(*LOW_PITCHES_DEG)))
        pose = _pose(rng, renderer.district, (height, pitch, 3.0))
        inside = float(np.abs(pose.position_m[:2]).max()) < HALF_M
        if inside and np.percentile(renderer.depth_m(pose), 2) > _LEAST_CLEAR_M:
            return pose
    return None


def random_pose(rng: np.random.Generator, district: District) -> CameraPose:
    """Look at a find, or anywhere, from a patrol's heights and angles and somewhat beyond."""
    height = float(np.exp(rng.uniform(*np.log(HEIGHTS_M))))
    # Half of the pictures near the pitches that patrols fly, the others anywhere.
    steep = rng.uniform(-90, -52) if rng.random() < 0.5 else rng.uniform(*PITCHES_DEG)
    return _pose(rng, district, (height, float(np.deg2rad(steep)), 3.0))


def _pose(
    rng: np.random.Generator, district: District, view: tuple[float, float, float]
) -> CameraPose:
    """Draw a pose from height over the ground looked at, pitch, and the roll's sigma in degrees."""
    height, pitch, roll_deg = view
    yaw = float(rng.uniform(0, 2 * np.pi))
    aim = _aim(rng, district, height)
    # A camera that looks along the ground aims at what is some way off, not at the horizon.
    back = min(height / np.tan(-pitch), _FARTHEST_AIM_M)
    spot = aim - back * np.array([np.sin(yaw), np.cos(yaw)])
    terrain = district.terrain
    up = max(height + float(terrain.up_m(*aim)), _LEAST_CLEAR_M + float(terrain.up_m(*spot)))
    spot = np.array([*spot, up])
    roll = float(np.deg2rad(rng.normal(0, roll_deg)))
    return camera_pose(spot, (roll, pitch, yaw))


def _aim(rng: np.random.Generator, district: District, height_m: float) -> NDArray[np.float64]:
    """Draw a point to look at: mostly near a find, the kinds of find in fair shares."""
    if rng.random() < 0.85 and district.finds:
        names = sorted({find.name for find in district.finds})
        worth = np.array([3.0 if name in VIOLATIONS else 1.0 for name in names])
        name = str(rng.choice(names, p=worth / worth.sum()))
        alike = [find for find in district.finds if find.name == name]
        middle = np.array(alike[int(rng.integers(len(alike)))].reference_m)
        return np.asarray(middle + rng.normal(0, height_m * 0.2, 2))
    return rng.uniform(-HALF_M * 0.75, HALF_M * 0.75, 2)


def teaching_rows(boxes: list[FrameBox], scale: float) -> NDArray[np.float32]:
    """Turn boxes into rows, shape (N, 5): class or IGNORED, left, top, right, bottom."""
    rows = []
    for box in boxes:
        # What only the register tells from a violation is taught as one.
        name = LOOKS_LIKE.get(box.find.name, box.find.name)
        if name not in LABELS:
            continue
        left, top, right, bottom = ((v + 0.5) * scale - 0.5 for v in box.box_xyxy)
        label = LABELS.index(name)
        shortest, longest = sorted((right - left, bottom - top))
        if box.visible < _LEAST_VISIBLE or longest < _LEAST_PX:
            continue
        spreads = name in SPREADING and shortest * longest > SPREAD_SHARE * np.prod(SHARD_WH)
        seen = box.visible >= _TAUGHT_VISIBLE or spreads
        if not seen or longest < _TAUGHT_PX or shortest < _TAUGHT_THIN_PX:
            label = IGNORED
        rows.append((label, left, top, right, bottom))
    return np.array(rows, np.float32).reshape(-1, 5)


def seen_rows(boxes: list[FrameBox]) -> NDArray[np.float32]:
    """Turn boxes of a whole frame into rows; what nobody need find there is IGNORED."""
    rows = []
    for box in boxes:
        name = LOOKS_LIKE.get(box.find.name, box.find.name)
        if name in LABELS:
            rows.append((LABELS.index(name) if box.is_seen else IGNORED, *box.box_xyxy))
    return np.array(rows, np.float32).reshape(-1, 5)


def _frames(rng: np.random.Generator, renderer: Renderer, count: int) -> list[Picture]:
    """Draw whole frames as the exam's flights see them."""
    out = []
    for _ in range(count):
        pose = patrol_pose(rng, renderer.district)
        look = Look(exposure=float(rng.uniform(1.0, 1.25)), blur_px=_motion_px(rng))
        noisy = add_noise(renderer.picture(pose, float(rng.uniform(0, 60)), look), 1.5, rng)
        out.append(
            (_coded(noisy, int(rng.integers(35, 60))), seen_rows(frame_boxes(renderer, pose)))
        )
    return out


def _pictures(
    rng: np.random.Generator, renderer: Renderer, count: int, low_share: float
) -> list[Picture]:
    out = []
    for _ in range(count):
        low = low_pose(rng, renderer) if rng.random() < low_share else None
        pose = low or random_pose(rng, renderer.district)
        look = Look(exposure=float(rng.uniform(0.75, 1.35)), blur_px=_motion_px(rng))
        image = renderer.picture(pose, float(rng.uniform(0, 60)), look)
        rows = teaching_rows(frame_boxes(renderer, pose), SHARD_WH[0] / renderer.camera.width_px)
        out.append((_as_in_flight(rng, image), rows))
    return out


def _motion_px(rng: np.random.Generator) -> tuple[float, float]:
    right, down = rng.normal(0, 1.0, 2) * (rng.random() < 0.5)
    return float(right), float(down)


def _as_in_flight(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Add noise, squeeze through a codec, and shrink as the flight program does."""
    noisy = add_noise(image, float(rng.uniform(0, 4)), rng)
    is_shrunk = image.shape[1] != SHARD_WH[0]
    quality = int(rng.integers(14, 70) if is_shrunk else rng.integers(35, 95))
    back = _coded(noisy, quality)
    if not is_shrunk:
        return back
    return np.asarray(cv2.resize(back, SHARD_WH, interpolation=cv2.INTER_LINEAR), np.uint8)


def _coded(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def render_shard(job: Job, portion: Portion, path: Path) -> None:
    """Render one district's pictures into one file; the file appears whole or not at all."""
    counts = {
        name: count
        for name, count in DEFAULT_COUNTS.items()
        if job.has_violations or name not in VIOLATIONS
    }
    rng = np.random.default_rng([job.seed, 77])
    relief_m = float(rng.uniform(0, MOST_RELIEF_M)) if rng.random() < _HILLY else 0.0
    district = District.from_seed(job.seed, job.family, counts, relief_m)
    context = open_context()
    camera = CameraModel.load(CAMERA_FILE)
    if job.part == "flight":
        _save(rng, _frames(rng, Renderer(district, camera, 4, context), portion.n_flight), path)
        context.release()
        return
    pairs: list[Picture] = []
    low_share = _LOW_SHARE if job.part == "train" else 0.0
    for model, samples, count in (
        (camera.scaled(0.5), 4, portion.n_half),
        (camera, 0, portion.n_full),
    ):
        under = replace(district, daylight=draw_daylight(rng))
        pairs += _pictures(rng, Renderer(under, model, samples, context), count, low_share)
    context.release()
    _save(rng, pairs, path)


def _save(rng: np.random.Generator, pairs: list[Picture], path: Path) -> None:
    order = rng.permutation(len(pairs))
    images = np.stack([pairs[i][0] for i in order])
    counts = np.array([len(pairs[i][1]) for i in order])
    rows = np.concatenate([pairs[i][1] for i in order])
    scratch = path.with_suffix(".part.npz")
    np.savez(scratch, images=images, counts=counts, rows=rows)
    scratch.replace(path)


def main() -> None:
    """Render what is missing, district by district."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--districts", type=int, default=44, help="to train on")
    parser.add_argument("--held-out", type=int, default=4)
    parser.add_argument("--exam", type=int, default=3)
    parser.add_argument("--part", type=int, default=0, help="which part of the work, from 0")
    parser.add_argument("--parts", type=int, default=1, help="how many processes share it")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    for job in jobs(args.districts, args.held_out, args.exam)[args.part :: args.parts]:
        path = args.out / job.file_name
        if not path.exists():
            render_shard(job, Portion(), path)
            log.info("rendered %s", path.name)


if __name__ == "__main__":
    main()
