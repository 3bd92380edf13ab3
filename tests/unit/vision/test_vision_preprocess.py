"""The one input tensor."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from edge.errors import ModelError
from edge.records import ImageArray
from edge.vision.letterbox import plan_letterbox
from edge.vision.manifest import ColourName, InputTable, ResizeName
from edge.vision.preprocess import ELEMENT_TYPES, InputTensor

MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)


def noise(height: int, width: int) -> ImageArray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def plainly(image_bgr: ImageArray, table: InputTable) -> np.ndarray:
    """Do the same in the plainest way, in double precision, as H×W×3."""
    size = (table.width_px, table.height_px)
    plan = plan_letterbox((image_bgr.shape[1], image_bgr.shape[0]), size, table.resize)
    canvas = np.full((table.height_px, table.width_px, 3), table.pad_value, np.float64)
    width, height = plan.resized_wh_px
    resized = cv2.resize(image_bgr, plan.resized_wh_px)
    canvas[plan.top_px : plan.top_px + height, plan.left_px : plan.left_px + width] = resized
    if table.colour == "rgb":
        canvas = canvas[:, :, ::-1]
    return (canvas - table.mean) / table.std * table.scale


@pytest.mark.parametrize(
    ("colour", "layout", "resize", "normal"),
    [
        *itertools.product(
            ("rgb", "bgr"),
            ("nchw", "nhwc"),
            ("letterbox_centre", "letterbox_top_left", "stretch"),
            ((1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), (1.0, MEAN, STD)),
        )
    ],
)
def test_the_tensor_is_what_the_plain_way_gives(
    colour: ColourName, layout: str, resize: ResizeName, normal: tuple
) -> None:
    """Every order of colours and axes, every resize: the fast way equals the plain way."""
    scale, mean, std = normal
    table = InputTable(
        width_px=96, height_px=64, colour=colour, layout=layout, resize=resize,
        scale=scale, mean=mean, std=std,
    )  # fmt: skip
    tensor = InputTensor(table, "tensor(float)")
    memory = tensor.array.ctypes.data
    for size in ((90, 160), (64, 96), (200, 50), (90, 160)):  # the stream changes size on the way
        image = noise(*size)
        before = image.copy()
        tensor.fill(image)
        got = tensor.array[0] if layout == "nhwc" else tensor.array[0].transpose(1, 2, 0)
        np.testing.assert_allclose(got, plainly(image, table), rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(image, before)
    assert tensor.array.ctypes.data == memory


@pytest.mark.parametrize(
    ("colour", "layout", "resize"),
    [
        *itertools.product(
            ("rgb", "bgr"), ("nchw", "nhwc"), ("letterbox_centre", "letterbox_top_left", "stretch")
        )
    ],
)
def test_a_tensor_of_bytes_holds_the_resized_picture_itself(
    colour: ColourName, layout: str, resize: ResizeName
) -> None:
    """A model that normalises inside gets the picture's bytes, however they are laid out."""
    table = InputTable(
        width_px=96, height_px=64, colour=colour, layout=layout, resize=resize, scale=1.0
    )
    tensor = InputTensor(table, "tensor(uint8)")
    for size in ((90, 160), (64, 96), (200, 50), (90, 160)):  # padded at the sides, above, nowhere
        image = noise(*size)
        tensor.fill(image)
        got = tensor.array[0] if layout == "nhwc" else tensor.array[0].transpose(1, 2, 0)
        np.testing.assert_array_equal(got, plainly(image, table))


def test_bytes_and_half_floats_are_given_where_the_model_takes_them() -> None:
    """A model that normalises inside gets bytes; a half-float model gets rounded halves."""
    image = noise(90, 160)
    raw = InputTable(width_px=96, height_px=64, scale=1.0)
    as_bytes = InputTensor(raw, "tensor(uint8)")
    as_bytes.fill(image)
    assert as_bytes.array.dtype == np.uint8
    np.testing.assert_array_equal(as_bytes.array[0].transpose(1, 2, 0), plainly(image, raw))
    table = InputTable(width_px=96, height_px=64)
    half = InputTensor(table, "tensor(float16)")
    half.fill(image)
    assert half.array.dtype == np.float16
    np.testing.assert_allclose(
        half.array[0].transpose(1, 2, 0), plainly(image, table), rtol=2e-3, atol=1e-4
    )


def test_an_input_that_is_no_picture_type_is_refused_with_the_types_that_are() -> None:
    """The message says what the model takes and what can be given."""
    with pytest.raises(ModelError, match=r"tensor\(int64\).*tensor\(float\)"):
        InputTensor(InputTable(width_px=96, height_px=64), "tensor(int64)")


@pytest.mark.parametrize("bad", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)])
def test_what_is_no_picture_is_refused(bad: np.ndarray) -> None:
    """Wrong shape or type says so instead of giving a wrong tensor."""
    with pytest.raises(ValueError, match="uint8 H×W×3"):
        InputTensor(InputTable(width_px=96, height_px=64), "tensor(float)").fill(bad)


def test_known_element_types_name_numpy_types() -> None:
    """Every element type on offer can be allocated and filled."""
    for name in ELEMENT_TYPES:
        InputTensor(InputTable(width_px=96, height_px=64), name).fill(noise(10, 10))
