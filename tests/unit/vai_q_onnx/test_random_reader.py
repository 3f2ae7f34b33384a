from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.calibration.data import InputInfo
from quantforge.diagnostics import InputError
from vai_q_onnx.random_reader import RandomDataReader

IMAGE = InputInfo("image", "float32", ("batch", 3, None, None))


def feeds(*inputs: InputInfo, shapes: Any = None, ranges: Any = None) -> dict[str, np.ndarray[Any, Any]]:
    reader = RandomDataReader(inputs, shapes, ranges)
    found = reader.get_next()
    assert found is not None and reader.get_next() is None
    return found


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (("n", 3, "h", "w"), (1, 3, 32, 32)),
        (("n", None, 8, 8), (1, 3, 8, 8)),
        (("n", None), (1, 16)),
        (("n", None, None), (1, 1, 1)),
        ((2, 5), (2, 5)),
        ((), (1,)),
        (None, (1,)),
    ],
)
def test_open_sizes_are_filled_in(shape: Any, expected: tuple[int, ...]) -> None:
    assert feeds(InputInfo("x", "float32", shape))["x"].shape == expected


@pytest.mark.parametrize(
    "shapes", [[1, 3, 24, 20], (1, 3, 24, 20), [[1, 3, 24, 20]], {"image": [1, 3, 24, 20]}, [-1, 3, 24, 20]]
)
def test_every_way_to_give_a_shape(shapes: Any) -> None:
    assert feeds(IMAGE, shapes=shapes)["image"].shape == (1, 3, 24, 20)


def test_shapes_of_several_inputs() -> None:
    other = InputInfo("mask", "int64", ("n", None))
    assert feeds(IMAGE, other, shapes=[[1, 3, 4, 4], [1, 7]])["mask"].shape == (1, 7)
    assert feeds(IMAGE, other, shapes={"mask": [1, 7]})["image"].shape == (1, 3, 32, 32)


def test_floats_are_below_one_and_integers_zero() -> None:
    found = feeds(IMAGE, InputInfo("ids", "int64", (1, 9)))
    assert found["image"].dtype == np.float32 and found["image"].min() >= 0 and found["image"].max() < 1
    assert found["image"].std() > 0.2
    assert found["ids"].dtype == np.int64 and not found["ids"].any()


def test_the_batch_is_the_same_every_time() -> None:
    assert np.array_equal(feeds(IMAGE)["image"], feeds(IMAGE)["image"])


def test_ranges() -> None:
    ids = InputInfo("ids", "int64", (1, 500))
    found = feeds(IMAGE, ids, ranges={"ids": [-2, 3], "image": [5.0, 6.0]})
    assert set(np.unique(found["ids"])) == {-2, -1, 0, 1, 2, 3}
    assert found["image"].min() >= 5 and found["image"].max() <= 6


@pytest.mark.parametrize(
    ("shapes", "ranges", "text"),
    [
        (
            {"imag": [1]},
            None,
            "random_data_reader_input_shape: found 'imag'; expected names of inputs: image",
        ),
        ([[1], [2]], None, "random_data_reader_input_shape: .*expected one shape for each of the 1 inputs"),
        ([1, 3, 0, 20], None, "random_data_reader_input_shape: .*expected positive sizes for input image"),
        ("1,3", None, "random_data_reader_input_shape: found '1,3'; expected a shape"),
        (None, {"imag": [0, 1]}, "RandomDataReaderInputDataRange'.: found 'imag'"),
        (None, {"image": [1, 0]}, "RandomDataReaderInputDataRange'.: .*lowest, highest. for input image"),
        (None, [0, 1], "RandomDataReaderInputDataRange'.: .*expected a dict"),
    ],
)
def test_what_does_not_fit_is_named(shapes: Any, ranges: Any, text: str) -> None:
    with pytest.raises(InputError, match=f"Q0702 .*{text}"):
        RandomDataReader([IMAGE], shapes, ranges)
