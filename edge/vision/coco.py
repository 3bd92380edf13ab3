"""The 80 class names of COCO in the order that detectors number them, from cocodataset.org."""

from __future__ import annotations

_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite,
baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork,
knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake,
chair, couch, potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard,
cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear,
hair drier, toothbrush
"""
COCO_LABELS: tuple[str, ...] = tuple(name.strip() for name in _NAMES.split(","))

# COCO's own category ids run to 90 with gaps; models trained by id (RF-DETR's, torchvision's) have
# a column for each gap.
_GAPS = frozenset({0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
_IN_ORDER = iter(COCO_LABELS)
COCO_LABELS_BY_ID: tuple[str, ...] = tuple(
    f"unused-{number}" if number in _GAPS else next(_IN_ORDER) for number in range(91)
)
