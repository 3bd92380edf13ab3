"""Laws of choosing views and of saying what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.board import sharpness_of
from calibration.lens_views import Coverage, Lean, Verdict, ViewChoice, lean_of
from tests.unit.calibration.lens_rig import CAMERAS, SQUARE_M, poses, seen_views

BROWN = CAMERAS["brown"]


def test_nothing_is_missing_of_a_good_set() -> None:
    """Boards everywhere, tilted each way, fourteen of them."""
    coverage = Coverage.of(seen_views(BROWN, noise_px=0.1))
    assert coverage.next_pictures() == ""


def test_what_no_view_has_is_asked_for() -> None:
    """One view: all other places and the tilts that it does not have."""
    view = seen_views(BROWN, noise_px=0.0)[1]  # in the top left
    missing = Coverage.of([view]).next_pictures()
    assert "bottom right corner" in missing
    assert "top left" not in missing
    assert sum(lean.value in missing for lean in Lean) == 3
    assert len(Coverage.of([]).missing_places) == 9


@pytest.mark.parametrize(
    ("about_x", "about_y", "lean"),
    [(0.0, -0.5, Lean.LEFT), (0.0, 0.5, Lean.RIGHT), (-0.5, 0.0, Lean.BOTTOM),
     (0.5, 0.0, Lean.TOP), (0.02, -0.02, Lean.FACING)],
)  # fmt: skip
def test_a_tilt_is_told_by_the_side_that_is_nearer(
    about_x: float, about_y: float, lean: Lean
) -> None:
    """Whichever side of the board comes towards the camera is named."""
    pose = poses(BROWN, (8 * SQUARE_M, 5 * SQUARE_M))[0]
    view = seen_views(BROWN, noise_px=0.0)[0]
    cos, sin = np.cos([about_x, about_y]), np.sin([about_x, about_y])
    about_x_turn = np.array([[1, 0, 0], [0, cos[0], -sin[0]], [0, sin[0], cos[0]]])
    about_y_turn = np.array([[cos[1], 0, sin[1]], [0, 1, 0], [-sin[1], 0, cos[1]]])
    turn = about_y_turn @ about_x_turn
    middle = np.array([4 * SQUARE_M, 2.5 * SQUARE_M, 0.0])
    turned = replace(
        pose, camera_from_board=turn, board_in_camera_m=np.array([0, 0, 0.5]) - turn @ middle
    )
    depth = (view.board_m @ turn.T + turned.board_in_camera_m)[:, 2]
    uv = BROWN.project(view.board_m, turned)
    assert lean_of(replace(view, pixels_uv=uv)) is lean
    side = {Lean.LEFT: uv[:, 0].argmin(), Lean.RIGHT: uv[:, 0].argmax(),
            Lean.TOP: uv[:, 1].argmin(), Lean.BOTTOM: uv[:, 1].argmax()}  # fmt: skip
    if lean in side:
        assert depth[side[lean]] < depth.mean()


def test_a_video_gives_each_view_once_and_the_sharpest() -> None:
    """What hardly moved is one view; a blurred one is none; a sharper one takes its place."""
    first, second, *_ = seen_views(BROWN, noise_px=0.0)
    choice = ViewChoice()
    assert choice.offer(first) is Verdict.KEPT
    assert choice.offer(replace(first, name="again")) is Verdict.SAME
    assert choice.offer(replace(first, name="sharper", sharpness=1.5)) is Verdict.SHARPER
    assert choice.offer(replace(second, sharpness=0.2)) is Verdict.BLURRED
    assert choice.offer(second) is Verdict.KEPT
    assert [view.name for view in choice.views] == ["sharper", second.name]


def test_stills_are_all_taken() -> None:
    """Each was photographed on purpose."""
    first = seen_views(BROWN, noise_px=0.0)[0]
    choice = ViewChoice(is_picky=False)
    assert [choice.offer(first) for _ in range(3)] == [Verdict.KEPT] * 3


def test_a_picture_of_nothing_has_no_sharpness() -> None:
    """Not a number would win every comparison."""
    assert sharpness_of(np.zeros((50, 50), np.uint8), np.array([[5.0, 5.0], [40.0, 40.0]])) == 0.0
