"""Which districts a detector may learn from; the demo's and the exams' are never among them."""

from __future__ import annotations

LABELS = ("structure", "discharge", "floating_waste", "smoke", "waste_pile")

TRAIN_FAMILIES = ("dense_town", "industrial", "village", "suburb")
TRAIN_SEEDS = range(1000, 1400)
HELD_OUT_FAMILY = "suburb"  # scores during training come from seeds that are not trained on
HELD_OUT_SEEDS = range(2000, 2100)
DEMO_FAMILY = "riverside"  # neither the family nor the seed is ever trained on
DEMO_SEEDS = range(9000, 9100)


def train_districts(count: int) -> list[tuple[int, str]]:
    """Return the first `count` (seed, family) pairs to train on, families in turn."""
    if not 0 < count <= len(TRAIN_SEEDS):
        raise ValueError(f"count must be in [1, {len(TRAIN_SEEDS)}], got {count}")
    return [
        (seed, TRAIN_FAMILIES[i % len(TRAIN_FAMILIES)])
        for i, seed in enumerate(TRAIN_SEEDS[:count])
    ]
