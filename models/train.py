"""Trains the detector on the rendered set; stops and resumes at will.

Run: python -m models.train --set DIR --state DIR --minutes 55
Then: python -m models.export --state DIR --set DIR
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from models.augment import Lesson, teach_sample
from models.curves import draw_curves
from models.data import INPUT_WH, ShardSet
from models.evaluate import judge_all
from models.finder import training
from models.loss import detection_loss
from models.net import STRIDES, Net, cell_centres, grow_from
from models.split import LABELS

PEAK_RATE = 2.2e-3
WARM_STEPS = 60
AVERAGE = 0.998  # weight of the past in the averaged net that is exported
SAVE_EVERY_S = 120.0
SCORE_EVERY_S = 480.0
SCORED_PICTURES = 60  # a glance at the held-out set on the way
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Phase:
    """A stretch of the training.

    Attributes:
        until: Share of the training time at which it ends.
        lesson: How pictures are shown.
        batch: Pictures of each worker; the workers' gradients are averaged.
    """

    until: float
    lesson: Lesson
    batch: int


# Windows of the flying scale first: what a picture costs goes with its pixels, and most windows
# are cut where something is.  Then whole pictures, as in flight.
PHASES = (
    Phase(0.70, Lesson((448, 256), (0.6, 1.6), 0.3), 8),
    Phase(1.00, Lesson(INPUT_WH, (0.7, 1.35), 0.12), 6),
)


def phase_at(share: float) -> Phase:
    """Return the phase at a share of the training time."""
    return next((phase for phase in PHASES if share < phase.until), PHASES[-1])


def all_centres(size_wh: tuple[int, int]) -> Tensor:
    """Return the centres of every cell at an input size, shape (N, 2)."""
    width, height = size_wh
    return torch.cat([cell_centres(height // s, width // s, s) for s in STRIDES])


class Run:
    """One training run: nets, optimiser and how long it has been going."""

    def __init__(self, state: Path, start_from: Path | None = None) -> None:
        self.path = state / "run.pt"
        self.net = Net(len(LABELS))
        if start_from is not None and not self.path.exists():
            saved = torch.load(start_from, weights_only=True)
            log.info("%d tensors start from %s", grow_from(self.net, saved["average"]), start_from)
        self.net = self.net.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).eval()
        plain = [p for p in self.net.parameters() if p.ndim == 1]
        decayed = [p for p in self.net.parameters() if p.ndim > 1]
        self.optimiser = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.03}, {"params": plain, "weight_decay": 0.0}],
            lr=PEAK_RATE,
        )
        self.step, self.spent_s = 0, 0.0
        if self.path.exists():
            self._load()

    def _load(self) -> None:
        saved: dict[str, Any] = torch.load(self.path, weights_only=True)
        self.net.load_state_dict(saved["net"])
        self.average.load_state_dict(saved["average"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.step, self.spent_s = int(saved["step"]), float(saved["spent_s"])

    def save(self) -> None:
        """Write the state; the old file stands until the new one is whole."""
        scratch = self.path.with_suffix(".part")
        torch.save(
            {
                "net": self.net.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "spent_s": self.spent_s,
            },
            scratch,
        )
        scratch.replace(self.path)

    def blend(self) -> None:
        """Move the averaged net a little towards the trained one."""
        keep = min(AVERAGE, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for old, new in zip(
                self.average.state_dict().values(), self.net.state_dict().values(), strict=True
            ):
                if old.dtype.is_floating_point:
                    old.mul_(keep).add_(new, alpha=1 - keep)
                else:
                    old.copy_(new)


class Worker:
    """Computes gradients on one core: a replica that shares the weights, with its own gradients.

    One thread of work a core, without OpenMP's spinning between its many small operations: on a
    machine that does other things too this is several times faster than `torch.set_num_threads`.
    """

    def __init__(self, net: Net, seed: int, shards: ShardSet) -> None:
        self.net = copy.deepcopy(net)
        for mine, shared in zip(self.net.parameters(), net.parameters(), strict=True):
            mine.data = shared.data
        self._rng, self._shards = np.random.default_rng(seed), shards

    def gradients(self, phase: Phase) -> tuple[float, float]:
        """Do one batch; leaves the gradients in `net` and returns the two losses."""
        torch.set_num_threads(1)
        samples = [teach_sample(self._rng, self._shards, phase.lesson) for _ in range(phase.batch)]
        images = np.stack([sample.image_bgr[..., ::-1] for sample in samples])
        pictures = torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float().div_(255)
        self.net.train()
        self.net.zero_grad(set_to_none=True)
        boxes, logits = self.net(pictures.contiguous(memory_format=torch.channels_last))
        truths = [torch.from_numpy(sample.rows) for sample in samples]
        centres = all_centres(phase.lesson.size_wh)
        box_loss, label_loss = detection_loss(boxes, logits, centres, truths)
        (box_loss + label_loss).backward()
        return float(box_loss.detach()), float(label_loss.detach())


def _rate(share: float, step: int) -> float:
    warm = min(1.0, (step + 1) / WARM_STEPS)
    return PEAK_RATE * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


class Diary:
    """What the run wrote down on its way: losses and scores, one JSON line each, and a plot."""

    def __init__(self, state: Path) -> None:
        self._path, self._plot = state / "curve.jsonl", state / "curves.png"

    def write(self, line: dict[str, float]) -> None:
        """Add a line."""
        with self._path.open("a", encoding="utf-8") as curve:
            curve.write(json.dumps(line) + "\n")
        log.info("%s", line)

    def draw(self) -> None:
        """Draw the curves anew."""
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8").splitlines()
            draw_curves([json.loads(line) for line in lines], self._plot)


def train(folder: Path, state: Path, minutes: float, options: Options) -> None:
    """Train until `minutes` of training time are spent, counting earlier runs of the same state."""
    state.mkdir(parents=True, exist_ok=True)
    shards, held = ShardSet(folder, "train"), ShardSet(folder, "held")
    shards.refresh()
    held.refresh()
    if not shards.images:
        raise SystemExit(f"{folder} holds no train-*.npz; make them with models.render_set")
    run, diary = Run(state, options.start_from), Diary(state)
    seed = run.step * 8 + options.seed
    workers = [Worker(run.net, seed + i, shards) for i in range(options.n_workers)]
    started = saved_at = scored_at = time.monotonic()
    before = run.spent_s
    with ThreadPoolExecutor(options.n_workers) as pool:
        while run.spent_s < minutes * 60:
            _one_step(run, workers, pool, run.spent_s / (minutes * 60), diary)
            now = time.monotonic()
            run.spent_s = before + now - started
            if now - saved_at > SAVE_EVERY_S:
                shards.refresh()
                run.save()
                diary.draw()
                saved_at = now
            if now - scored_at > SCORE_EVERY_S:
                _glance(run, held, diary)
                scored_at = now
    run.save()
    _glance(run, held, diary)
    diary.draw()


def _glance(run: Run, held: ShardSet, diary: Diary) -> None:
    """Score the averaged net on a few held-out pictures."""
    if held.images:
        every = max(1, len(held.images) // SCORED_PICTURES)
        judged = judge_all(training(run.average), held, every)
        map50 = judged.scores([0.4] * len(LABELS)).map50
        line = {"step": run.step, "spent_s": round(run.spent_s), "map50": round(map50, 4)}
        diary.write(line)


def _one_step(
    run: Run, workers: list[Worker], pool: ThreadPoolExecutor, share: float, diary: Diary
) -> None:
    phase = phase_at(share)
    losses = list(pool.map(lambda worker: worker.gradients(phase), workers))
    for group in run.optimiser.param_groups:
        group["lr"] = _rate(share, run.step)
    for shared, *replicas in zip(
        run.net.parameters(), *(w.net.parameters() for w in workers), strict=True
    ):
        shared.grad = torch.stack([r.grad for r in replicas if r.grad is not None]).mean(0)
    nn.utils.clip_grad_norm_(run.net.parameters(), 10.0)
    run.optimiser.step()
    for shared_buffer, own in zip(run.net.buffers(), workers[0].net.buffers(), strict=True):
        shared_buffer.copy_(own)  # running means: one worker's are as good as another's
    run.blend()
    run.step += 1
    if run.step % 25 == 0:
        box, label = np.mean(losses, axis=0).round(4).tolist()
        diary.write({"step": run.step, "spent_s": round(run.spent_s), "box": box, "label": label})


@dataclass(frozen=True)
class Options:
    """What a run may be told.

    Attributes:
        n_workers: Threads, one a core.
        start_from: State file of an earlier run, whose weights a new run begins with.
        seed: Of the order and the changes of the pictures.
    """

    n_workers: int = 2
    start_from: Path | None = None
    seed: int = 0


def main() -> None:
    """Read the command line and train."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", type=Path, required=True, help="folder that render_set fills")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder for checkpoints, outside the repository"
    )
    parser.add_argument("--minutes", type=float, default=55.0)
    parser.add_argument("--workers", type=int, default=2, help="threads, one a core")
    parser.add_argument("--start-from", type=Path, help="run.pt of an earlier run")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    train(args.set, args.state, args.minutes, Options(args.workers, args.start_from))


if __name__ == "__main__":
    main()
