"""Trains the detector on the rendered set; stops and resumes at will.

Run: python -m models.train --set DIR --state DIR --minutes 35
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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.data import INPUT_WH, ShardSet, teach_sample
from models.loss import detection_loss
from models.net import STRIDES, Net, cell_centres
from models.split import LABELS

BATCH = 8  # of each worker thread; their gradients are averaged
PEAK_RATE = 2.2e-3
WARM_STEPS = 60
AVERAGE = 0.997  # weight of the past in the averaged net that is exported
SAVE_EVERY_S = 90.0
log = logging.getLogger(__name__)


def all_centres() -> Tensor:
    """Return the centres of every cell at the input size, shape (N, 2)."""
    width, height = INPUT_WH
    return torch.cat([cell_centres(height // s, width // s, s) for s in STRIDES])


class Run:
    """One training run: nets, optimiser and how long it has been going."""

    def __init__(self, state: Path) -> None:
        self.path = state / "run.pt"
        self.net = Net(len(LABELS)).to(memory_format=torch.channels_last)
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
        self._rng, self._shards, self._centres = np.random.default_rng(seed), shards, all_centres()

    def gradients(self) -> tuple[float, float]:
        """Do one batch; leaves the gradients in `net` and returns the two losses."""
        torch.set_num_threads(1)
        pictures, truths = _batch(self._rng, self._shards)
        self.net.train()
        self.net.zero_grad(set_to_none=True)
        boxes, logits = self.net(pictures)
        box_loss, label_loss = detection_loss(boxes, logits, self._centres, truths)
        (box_loss + label_loss).backward()
        return float(box_loss.detach()), float(label_loss.detach())


def _batch(rng: np.random.Generator, shards: ShardSet) -> tuple[Tensor, list[Tensor]]:
    picks = rng.choice(len(shards.images), BATCH, p=shards.shares())
    samples = [teach_sample(rng, shards.images[i], shards.rows[i]) for i in picks]
    images = np.stack([image[..., ::-1] for image, _ in samples])
    pictures = torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float().div_(255)
    return pictures.contiguous(memory_format=torch.channels_last), [
        torch.from_numpy(r) for _, r in samples
    ]


def _rate(share: float, step: int) -> float:
    warm = min(1.0, (step + 1) / WARM_STEPS)
    return PEAK_RATE * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def train(folder: Path, state: Path, minutes: float, n_workers: int) -> None:
    """Train until `minutes` of training time are spent, counting earlier runs of the same state."""
    state.mkdir(parents=True, exist_ok=True)
    shards = ShardSet(folder, "train")
    shards.refresh()
    run = Run(state)
    workers = [Worker(run.net, run.step * 8 + i, shards) for i in range(n_workers)]
    started = saved_at = time.monotonic()
    before = run.spent_s
    with ThreadPoolExecutor(n_workers) as pool:
        while run.spent_s < minutes * 60:
            _one_step(run, workers, pool, run.spent_s / (minutes * 60), state)
            now = time.monotonic()
            run.spent_s = before + now - started
            if now - saved_at > SAVE_EVERY_S:
                shards.refresh()
                run.save()
                saved_at = now
    run.save()


def _one_step(
    run: Run, workers: list[Worker], pool: ThreadPoolExecutor, share: float, state: Path
) -> None:
    losses = list(pool.map(Worker.gradients, workers))
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
        line = {"step": run.step, "spent_s": round(run.spent_s), "box": box, "label": label}
        with (state / "curve.jsonl").open("a", encoding="utf-8") as curve:
            curve.write(json.dumps(line) + "\n")
        log.info("%s", line)


def main() -> None:
    """Read the command line and train."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", type=Path, required=True, help="folder that render_set fills")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder for checkpoints, outside the repository"
    )
    parser.add_argument("--minutes", type=float, default=35.0)
    parser.add_argument("--workers", type=int, default=2, help="threads, one a core")
    args = parser.parse_args()
    torch.set_num_threads(1)
    train(args.set, args.state, args.minutes, args.workers)


if __name__ == "__main__":
    main()
