"""What the detector is taught with: task-aligned assignment, box overlap and soft class targets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

TOP_CELLS = 9  # how many cells teach one box
OVERLAP_POWER = 4.0
SCORE_POWER = 0.75
BOX_WEIGHT = 2.5


def giou(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and generalised IoU of boxes x1 y1 x2 y2, broadcasting over leading axes."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    both = (high - low).clamp(min=0).prod(-1)
    areas = (first[..., 2:] - first[..., :2]).prod(-1) + (second[..., 2:] - second[..., :2]).prod(
        -1
    )
    union = areas - both + 1e-7
    hull = torch.maximum(first[..., 2:], second[..., 2:]) - torch.minimum(
        first[..., :2], second[..., :2]
    )
    around = hull.clamp(min=0).prod(-1) + 1e-7
    iou = both / union
    return iou, iou - (around - union) / around


@dataclass(frozen=True)
class Taught:
    """What each cell of one picture should say.

    Attributes:
        cells: Shape (P,), indices of cells that own a box.
        boxes: Shape (P, 4), the box each owns.
        labels: Shape (P,), its class.
        weight: Shape (P,), 0 to 1, how well the cell fits: the class target.
    """

    cells: Tensor
    boxes: Tensor
    labels: Tensor
    weight: Tensor


@torch.no_grad()  # type: ignore[untyped-decorator]
def assign(boxes: Tensor, logits: Tensor, centres: Tensor, truth: Tensor) -> Taught:
    """Give each true box its best cells.

    Args:
        boxes: Shape (N, 4), predicted.
        logits: Shape (N, classes).
        centres: Shape (N, 2), of the cells.
        truth: Shape (T, 5): class, x1 y1 x2 y2; T > 0.
    """
    labels, true_boxes = truth[:, 0].long(), truth[:, 1:]
    iou, _ = giou(boxes[None], true_boxes[:, None])
    scores = logits.sigmoid()[:, labels].T
    inside = torch.cat(
        [centres[None] - true_boxes[:, None, :2], true_boxes[:, None, 2:] - centres[None]], 2
    )
    align = scores.clamp(min=1e-6) ** SCORE_POWER * iou.clamp(min=1e-6) ** OVERLAP_POWER
    align = align * (inside.amin(2) > 0)
    best, cells = align.topk(min(TOP_CELLS, align.shape[1]), dim=1)
    chosen = torch.zeros_like(align).scatter_(1, cells, (best > 0).float())
    contest = iou * chosen  # a cell wanted by two boxes goes to the one it overlaps more
    owner = contest.argmax(0)
    owned = chosen.sum(0) > 0
    cell = owned.nonzero().flatten()
    box = owner[cell]
    peak_align = (align * chosen).amax(1)
    peak_iou = (iou * chosen).amax(1)
    weight = align[box, cell] / (peak_align[box] + 1e-9) * peak_iou[box].clamp(min=0.1)
    return Taught(cell, true_boxes[box], labels[box], weight)


def detection_loss(
    boxes: Tensor, logits: Tensor, centres: Tensor, truths: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the box loss and the class loss of a batch.

    Args:
        boxes: Shape (B, N, 4).
        logits: Shape (B, N, classes).
        centres: Shape (N, 2).
        truths: B tensors, shape (T, 5); class -1 marks ground that teaches nothing.
    """
    target, mask = torch.zeros_like(logits), torch.ones_like(logits)
    box_loss, total = logits.new_zeros(()), 0.0
    for i, truth in enumerate(truths):
        for ignored in truth[truth[:, 0] < 0]:
            within = (centres > ignored[1:3]).all(1) & (centres < ignored[3:5]).all(1)
            mask[i, within] = 0.0
        wanted = truth[truth[:, 0] >= 0]
        if not len(wanted):
            continue
        taught = assign(boxes[i].detach(), logits[i].detach(), centres, wanted)
        target[i, taught.cells, taught.labels] = taught.weight
        mask[i, taught.cells] = 1.0
        _, overlap = giou(boxes[i, taught.cells], taught.boxes)
        box_loss = box_loss + ((1 - overlap) * taught.weight).sum()
        total += float(taught.weight.sum())
    scores = logits.detach().sigmoid()
    focus = torch.where(
        target > 0, target, 0.75 * scores**2
    )  # varifocal: easy empty cells hardly count
    raw = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    label_loss = (raw * focus * mask).sum()
    scale = max(total, 1.0)
    return BOX_WEIGHT * box_loss / scale, label_loss / scale
