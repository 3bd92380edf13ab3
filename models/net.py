"""A small anchor-free detector: CSP backbone, pyramid both ways, boxes decoded in the graph."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)
# Channels at strides 4, 8, 16, 32.  The fine levels cost the time, the coarse ones hold the
# parameters: depth goes where cells are few.
WIDTHS = (32, 64, 96, 128)


def _conv(
    c_in: int, c_out: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.03),
        nn.ReLU(inplace=True),  # onnxruntime fuses it into the convolution; SiLU it does not
    )


class _Csp(nn.Module):  # type: ignore[misc]
    """Half of the channels go through residual pairs of convolutions, half pass by."""

    def __init__(self, c_in: int, c_out: int, depth: int, residual: bool = True) -> None:
        super().__init__()
        half = c_out // 2
        self.enter = _conv(c_in, c_out, 1)
        self.pairs = nn.ModuleList(
            nn.Sequential(_conv(half, half), _conv(half, half)) for _ in range(depth)
        )
        self.leave = _conv(c_out + half * depth, c_out, 1)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.enter(x).chunk(2, 1))
        for pair in self.pairs:
            last = parts[-1]
            parts.append(last + pair(last) if self.residual else pair(last))
        return self.leave(torch.cat(parts, 1))


class _Context(nn.Module):  # type: ignore[misc]
    """Pools over growing windows, so that the coarsest cells know their surroundings."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = _conv(channels, channels // 2, 1)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.leave = _conv(channels * 2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        return self.leave(torch.cat(parts, 1))


class _Head(nn.Module):  # type: ignore[misc]
    """Four distances to the box's sides, in strides, and one logit a class."""

    def __init__(self, channels: int, n_classes: int, prior: float = 0.01) -> None:
        super().__init__()
        self.enter = _conv(channels, 48, 1)  # the finest level costs most, so it is narrowed first
        self.box = nn.Sequential(_conv(48, 32), nn.Conv2d(32, 4, 1))
        self.label = nn.Sequential(_conv(48, 48), nn.Conv2d(48, n_classes, 1))
        last_box, last_label = self.box[-1], self.label[-1]
        nn.init.constant_(last_box.bias, 1.5)
        # Start by calling nearly every cell empty (focal-loss prior), or the first steps explode.
        nn.init.constant_(last_label.bias, -float(torch.logit(torch.tensor(1 - prior))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shared = self.enter(x)
        return self.box(shared), self.label(shared)


class Net(nn.Module):  # type: ignore[misc]
    """The detector.

    Input: shape (B, 3, H, W), RGB, 0 to 1, H and W multiples of 32.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        w2, w3, w4, w5 = WIDTHS
        self.n_classes = n_classes
        self.stem = nn.Sequential(_conv(3, 16, 3, 2), _conv(16, w2, 3, 2), _Csp(w2, w2, 1))
        self.down3 = nn.Sequential(_conv(w2, w3, 3, 2), _Csp(w3, w3, 2))
        self.down4 = nn.Sequential(_conv(w3, w4, 3, 2), _Csp(w4, w4, 2))
        self.down5 = nn.Sequential(_conv(w4, w5, 3, 2), _Csp(w5, w5, 3), _Context(w5))
        self.up = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.top4 = _Csp(w5 + w4, 80, 1, residual=False)
        self.top3 = _Csp(80 + w3, 64, 1, residual=False)
        self.step4 = _conv(64, 64, 3, 2)
        self.bottom4 = _Csp(64 + 80, 80, 1, residual=False)
        self.step5 = _conv(80, 80, 3, 2)
        self.bottom5 = _Csp(80 + w5, 96, 2, residual=False)
        self.heads = nn.ModuleList(_Head(c, n_classes) for c in (64, 80, 96))

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the three pyramid levels, finest first."""
        c3 = self.down3(self.stem(x))
        c4 = self.down4(c3)
        c5 = self.down5(c4)
        p4 = self.top4(torch.cat([self.up(c5), c4], 1))
        p3 = self.top3(torch.cat([self.up(p4), c3], 1))
        n4 = self.bottom4(torch.cat([self.step4(p3), p4], 1))
        n5 = self.bottom5(torch.cat([self.step5(n4), c5], 1))
        return [p3, n4, n5]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes x1 y1 x2 y2 in input pixels, (B, N, 4), and logits, (B, N, classes)."""
        boxes, logits = [], []
        for level, head, stride in zip(self.features(x), self.heads, STRIDES, strict=True):
            sides, label = head(level)
            centres = cell_centres(level.shape[2], level.shape[3], stride).to(x.device)
            reach = nn.functional.softplus(sides.flatten(2).transpose(1, 2)) * stride
            boxes.append(torch.cat([centres - reach[..., :2], centres + reach[..., 2:]], 2))
            logits.append(label.flatten(2).transpose(1, 2))
        return torch.cat(boxes, 1), torch.cat(logits, 1)


def cell_centres(rows: int, cols: int, stride: int) -> Tensor:
    """Return the centres of a level's cells in input pixels, shape (rows * cols, 2), x then y.

    The top-left pixel's outer corner is (0, 0), as the usual YOLO decoders have it.
    """
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(cols) + 0.5, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], 1) * stride


class Exported(nn.Module):  # type: ignore[misc]
    """The detector as it flies.

    Input: shape (B, H, W, 3), uint8, the frame's own BGR: the channels' order and the scale to
    0 .. 1 live in the first convolution's weights, so that the flight loop only resizes.
    Output: shape (B, 4 + classes, N): cx cy w h in pixels, then a score for each class.
    """

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)
        first = self.net.stem[0][0]
        first.weight.data = first.weight.data.flip(1) / 255.0

    def forward(self, images: Tensor) -> Tensor:
        boxes, logits = self.net(images.permute(0, 3, 1, 2).float())
        low, high = boxes[..., :2], boxes[..., 2:]
        table = torch.cat([(low + high) / 2, high - low, logits.sigmoid()], 2)
        return table.transpose(1, 2)


def grow_from(net: Net, weights: dict[str, Tensor]) -> int:
    """Start from the weights of a smaller net of this kind; return how many tensors took them.

    A tensor takes what overlaps from its first corner on.  Where layers were added, the columns
    that read them start at zero, so that the net begins by saying what the smaller one said.
    """
    taken = 0
    with torch.no_grad():
        for name, own in net.state_dict().items():
            given = weights.get(name)
            if given is None or given.ndim != own.ndim:
                continue
            corner = tuple(slice(min(a, b)) for a, b in zip(own.shape, given.shape, strict=True))
            if ".leave.0." in name and own.shape != given.shape:
                own.zero_()
            own[corner] = given[corner]
            taken += 1
    return taken
