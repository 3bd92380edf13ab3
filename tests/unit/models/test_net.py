"""The net: what it exports is what it was taught, and it can grow."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from models.augment import Lesson  # noqa: E402
from models.data import INPUT_WH  # noqa: E402
from models.loss import detection_loss  # noqa: E402
from models.net import STRIDES, Exported, Net, cell_centres, grow_from  # noqa: E402
from models.train import PHASES, all_centres, phase_at  # noqa: E402


def _picture() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (1, 64, 96, 3)).astype(np.uint8)


def test_the_export_eats_the_frames_own_bytes() -> None:
    """BGR bytes in rows give what the trained net says of RGB planes from 0 to 1."""
    net, picture = Net(7).eval(), _picture()
    planes = torch.from_numpy(picture[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        boxes, logits = net(planes)
        table = Exported(net).eval()(torch.from_numpy(picture))[0].T
    assert torch.allclose(table[:, 4:], logits[0].sigmoid(), atol=1e-5)
    assert torch.allclose(table[:, :2], (boxes[0, :, :2] + boxes[0, :, 2:]) / 2, atol=1e-3)


def test_exporting_leaves_the_trained_net_as_it_is() -> None:
    """The folded weights belong to the export alone."""
    net = Net(7)
    before = net.stem[0][0].weight.clone()
    Exported(net)
    assert torch.equal(net.stem[0][0].weight, before)


def test_growing_classes_keeps_what_the_known_ones_say() -> None:
    """A net with more classes begins with the old one's answers."""
    small, big = Net(5).eval(), Net(7).eval()
    assert grow_from(big, small.state_dict()) == len(big.state_dict())
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        (old_boxes, old), (boxes, new) = small(x), big(x)
    assert torch.allclose(old_boxes, boxes, atol=1e-4)
    assert torch.allclose(old, new[..., :5], atol=1e-5)


def test_there_is_a_cell_for_every_answer() -> None:
    """The centres that teach are those that the net predicts around."""
    for phase in PHASES:
        width, height = phase.lesson.size_wh
        assert width % max(STRIDES) == height % max(STRIDES) == 0
        assert len(all_centres((width, height))) == sum(
            len(cell_centres(height // s, width // s, s)) for s in STRIDES
        )


def test_training_ends_on_the_size_that_flies() -> None:
    """What comes last is whole pictures at the flying input."""
    assert phase_at(0.0) is PHASES[0]
    assert phase_at(0.999).lesson.size_wh == phase_at(2.0).lesson.size_wh == INPUT_WH
    assert isinstance(PHASES[0].lesson, Lesson)


def test_a_few_steps_teach_one_picture() -> None:
    """The loss of a picture with one box falls when the net is taught on it."""
    torch.manual_seed(0)
    net = Net(7).train()
    x, truth = torch.rand(2, 3, 64, 96), torch.tensor([[2.0, 20, 10, 60, 50]])
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3)
    losses = []
    for _ in range(12):
        boxes, logits = net(x)
        box, label = detection_loss(boxes, logits, all_centres((96, 64)), [truth, truth])
        optimiser.zero_grad()
        (box + label).backward()
        optimiser.step()
        losses.append(float((box + label).detach()))
    assert losses[-1] < 0.7 * losses[0]
