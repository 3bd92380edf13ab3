"""Where a frame lies in the model's input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.vision.letterbox import plan_letterbox
from edge.vision.manifest import ResizeName

RESIZES: tuple[ResizeName, ...] = ("letterbox_centre", "letterbox_top_left", "stretch")
sides = st.integers(1, 5000)
input_sides = st.integers(32, 1280)
fractions = st.floats(-0.2, 1.2)


@given(
    frame=st.tuples(sides, sides),
    size=st.tuples(input_sides, input_sides),
    resize=st.sampled_from(RESIZES),
    corners=st.tuples(fractions, fractions, fractions, fractions),
)
def test_there_and_back_is_the_same_pixel(
    frame: tuple[int, int],
    size: tuple[int, int],
    resize: ResizeName,
    corners: tuple[float, float, float, float],
) -> None:
    """Any frame, any input, any resize: a box comes back within a thousandth of a pixel."""
    plan = plan_letterbox(frame, size, resize)
    boxes = np.array([corners]) * np.array([*frame, *frame])
    back = plan.frame_from_input(plan.input_from_frame(boxes))
    np.testing.assert_allclose(back, boxes, atol=1e-3)


@given(
    frame=st.tuples(sides, sides),
    size=st.tuples(input_sides, input_sides),
    resize=st.sampled_from(RESIZES),
)
def test_the_whole_frame_is_the_whole_of_its_place_in_the_input(
    frame: tuple[int, int], size: tuple[int, int], resize: ResizeName
) -> None:
    """The frame's outer edges land on whole input pixels, inside the input."""
    plan = plan_letterbox(frame, size, resize)
    whole = np.array([[-0.5, -0.5, frame[0] - 0.5, frame[1] - 0.5]])
    x0, y0, x1, y1 = plan.input_from_frame(whole)[0]
    width, height = plan.resized_wh_px
    assert (x0, y0) == pytest.approx((plan.left_px, plan.top_px), abs=1e-6)
    assert (x1, y1) == pytest.approx((plan.left_px + width, plan.top_px + height), abs=1e-6)
    assert plan.left_px >= 0 and plan.left_px + width <= size[0]
    assert plan.top_px >= 0 and plan.top_px + height <= size[1]


@given(
    boxes=st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 4), max_size=5),
    frame=st.tuples(sides, sides),
)
def test_clipped_boxes_lie_in_the_frame(boxes: list, frame: tuple[int, int]) -> None:
    """Nothing is left outside of the outermost pixels' centres."""
    clipped = plan_letterbox(frame, (64, 64), "stretch").clip_to_frame(
        np.array(boxes, np.float64).reshape(-1, 4)
    )
    assert (clipped >= 0).all()
    assert (clipped[:, 0::2] <= frame[0] - 1).all()
    assert (clipped[:, 1::2] <= frame[1] - 1).all()


def test_letterboxes_are_placed_as_their_models_were_trained() -> None:
    """720p into a square: 640 × 360, in the middle or at the top."""
    centre = plan_letterbox((1280, 720), (640, 640), "letterbox_centre")
    assert (centre.resized_wh_px, centre.left_px, centre.top_px) == ((640, 360), 0, 140)
    corner = plan_letterbox((1280, 720), (640, 640), "letterbox_top_left")
    assert (corner.resized_wh_px, corner.left_px, corner.top_px) == ((640, 360), 0, 0)


def test_a_frame_without_sides_is_refused() -> None:
    """An empty picture is an error, not a division by zero."""
    with pytest.raises(ValueError, match="positive"):
        plan_letterbox((0, 720), (640, 640), "stretch")
