"""Which districts a detector may learn from; the demo's and the exams' are never among them."""

from __future__ import annotations

LABELS = (  # in the order of their numbers on the wire
    "structure",
    "discharge",
    "floating_waste",
    "smoke",
    "waste_pile",
    "bare_soil",
    "open_pit",
)

TRAIN_FAMILIES = ("dense_town", "industrial", "village", "suburb")
TRAIN_SEEDS = range(1000, 1400)
# Scores on districts that were not trained on, of families that were.
HELD_OUT_SEEDS = range(2000, 2100)
# Scores on families that were never trained on: what an unknown city is to the detector.
EXAM_FAMILIES = ("riverside", "harbour", "terraces")
EXAM_SEEDS = range(9100, 9200)  # of the exam's flights
EXAM_PICTURE_SEEDS = range(9200, 9300)  # of single pictures for scoring
DEMO_FAMILY = "riverside"  # neither the family nor the seed is ever trained on
DEMO_SEEDS = range(9000, 9100)


def _in_turn(count: int, seeds: range, families: tuple[str, ...]) -> list[tuple[int, str]]:
    if not 0 < count <= len(seeds):
        raise ValueError(f"count must be in [1, {len(seeds)}], got {count}")
    return [(seed, families[i % len(families)]) for i, seed in enumerate(seeds[:count])]


def train_districts(count: int) -> list[tuple[int, str]]:
    """Return the first `count` (seed, family) pairs to train on, families in turn."""
    return _in_turn(count, TRAIN_SEEDS, TRAIN_FAMILIES)


def held_districts(count: int) -> list[tuple[int, str]]:
    """Return `count` (seed, family) pairs of trained families, none of them trained on."""
    return _in_turn(count, HELD_OUT_SEEDS, TRAIN_FAMILIES)


def exam_districts(count: int) -> list[tuple[int, str]]:
    """Return `count` (seed, family) pairs of families that training never sees."""
    return _in_turn(count, EXAM_PICTURE_SEEDS, EXAM_FAMILIES)
