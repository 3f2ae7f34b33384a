from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.diagnostics import InputError
from quantforge.runtime.kernels.windows import exact_factor, exact_product, stuff_zeros
from quantforge.runtime.program import program_of
from quantforge.runtime.reference import ReferenceEngine
from quantforge.xmodel.model import Attr, XModel
from tests.compiled_xmodels import dpu_part, single

ROWS = np.arange(1, 10, dtype=np.int8).reshape(1, 3, 3, 1)


def run(model: XModel, x: np.ndarray[Any, Any]) -> Any:
    return ReferenceEngine(program_of(model, dpu_part(model))).run({"data0": x})["out"]


def test_conv2d_example() -> None:
    weights = np.array([[1, -1], [2, 0]], np.int8).reshape(1, 2, 2, 1)
    constants = {"weights": (weights, 1), "bias": (np.array([-3], np.int8), 2)}
    model = single(
        "conv2d-fix",
        [ROWS],
        [2],
        (1, 3, 3, 1),
        1,
        constants=constants,
        kernel=(2, 2),
        pad=(1, 0, 1, 0),
        stride=(1, 1),
    )
    assert run(model, ROWS)[0, :, :, 0].tolist() == [[-1, -1, 0], [-2, 0, 1], [-2, 2, 2]]


def test_transposed_example_is_not_flipped() -> None:
    x = np.array([[1, 2], [3, 4]], np.int8).reshape(1, 2, 2, 1)
    weights = np.arange(1, 10, dtype=np.int8).reshape(1, 3, 3, 1)
    model = single(
        "transposed-conv2d-fix", [x], [0], (1, 3, 3, 1), 0, constants={"weights": (weights, 0)},
        kernel=(3, 3), stride=(2, 2), pad=(1, 1, 1, 1),
    )  # fmt: skip
    assert run(model, x)[0, :, :, 0].tolist() == [[5, 16, 10], [26, 64, 36], [15, 36, 20]]


def test_depthwise_channels_count_the_multiplier_fastest() -> None:
    x = np.array([[1, 10]], np.int8).reshape(1, 1, 1, 2)
    weights = np.array([[1, 2], [3, 4]], np.int8).reshape(2, 1, 1, 2)
    model = single(
        "depthwise-conv2d-fix", [x], [0], (1, 1, 1, 4), 0, constants={"weights": (weights, 0)}, kernel=(1, 1)
    )
    assert run(model, x).reshape(-1).tolist() == [1, 3, 20, 40]


def test_average_example() -> None:
    model = single(
        "pool-fix", [ROWS], [0], (1, 3, 3, 1), 0, kernel=(3, 3), stride=(1, 1), pad=(1, 1, 1, 1), type="AVG"
    )
    assert run(model, ROWS)[0, :, :, 0].tolist() == [[1, 2, 2], [3, 5, 4], [3, 4, 3]]


@pytest.mark.parametrize(("total", "expected"), [(1500, 31), (-1512, -31)])
def test_average_7x7_example(total: int, expected: int) -> None:
    x = np.full(49, total // 49, np.int64)
    x[0] += total - x.sum()
    pixels = x.astype(np.int8).reshape(1, 7, 7, 1)
    assert int(pixels.astype(np.int64).sum()) == total
    model = single("pool-fix", [pixels], [0], (1, 1, 1, 1), 0, kernel=(7, 7), stride=(1, 1), type="AVG")
    assert run(model, pixels).item() == expected


def test_a_maximum_of_negatives_next_to_padding() -> None:
    x = np.full((1, 2, 2, 1), -5, np.int8)
    model = single(
        "pool-fix", [x], [0], (1, 2, 2, 1), 0, kernel=(3, 3), stride=(1, 1), pad=(1, 1, 1, 1), type="MAX"
    )
    assert (run(model, x) == -5).all()


@pytest.mark.parametrize(("include", "corner"), [(True, 1), (False, 3)])
def test_exact_averages_count_padding_or_not(include: bool, corner: int) -> None:
    model = single(
        "pool-fix", [ROWS], [0], (1, 3, 3, 1), 0, kernel=(3, 3), stride=(1, 1), pad=(1, 1, 1, 1), type="AVG",
        avg_exact=True, count_include_pad=include,
    )  # fmt: skip
    assert run(model, ROWS)[0, 0, 0, 0] == corner  # 12 / 9 and 12 / 4


@settings(deadline=None)
@given(st.data())
def test_conv2d_against_python_integers(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    (kw, kh, sw, sh, dw, dh), (h, w) = data.draw(st.tuples(*[st.integers(1, 2)] * 6)), (4, 5)
    left, right, top, bottom = data.draw(st.tuples(*[st.integers(0, 2)] * 4))
    fi, fw, fb, fo = data.draw(st.tuples(*[st.integers(0, 8)] * 4))
    x = rng.integers(-128, 128, (1, h, w, 2)).astype(np.int8)
    weights, bias = (
        rng.integers(-128, 128, (3, kh, kw, 2)).astype(np.int8),
        rng.integers(-128, 128, 3).astype(np.int8),
    )
    oh, ow = (
        (h + top + bottom - (kh - 1) * dh - 1) // sh + 1,
        (w + left + right - (kw - 1) * dw - 1) // sw + 1,
    )
    model = single(
        "conv2d-fix", [x], [fi], (1, oh, ow, 3), fo, constants={"weights": (weights, fw), "bias": (bias, fb)},
        kernel=(kw, kh), stride=(sw, sh), dilation=(dw, dh), pad=(left, right, top, bottom),
    )  # fmt: skip
    found = run(model, x)
    for i, j, m in product(range(oh), range(ow), range(3)):
        total = Fraction(int(bias[m]), 2**fb)
        for a, b, c in product(range(kh), range(kw), range(2)):
            row, column = i * sh + a * dh - top, j * sw + b * dw - left
            if 0 <= row < h and 0 <= column < w:
                total += Fraction(int(x[0, row, column, c]) * int(weights[m, a, b, c]), 2 ** (fi + fw))
        assert found[0, i, j, m] == max(-128, min(127, floor(total * 2**fo + Fraction(1, 2))))


@given(st.integers(0, 2**32 - 1))
def test_transposed_scatters_the_flipped_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, weights = (
        rng.integers(-4, 5, (1, 3, 2, 2)).astype(np.int8),
        rng.integers(-4, 5, (2, 3, 2, 2)).astype(np.int8),
    )
    model = single(
        "transposed-conv2d-fix", [x], [0], (1, 7, 4, 2), 0, constants={"weights": (weights, 0)},
        kernel=(2, 3), stride=(2, 2), pad=(0, 0, 0, 0),
    )  # fmt: skip
    expected = np.zeros((1, 7, 4, 2), np.int64)
    for i, j, a, b in product(range(3), range(2), range(3), range(2)):
        expected[0, 2 * i + a, 2 * j + b] += weights[:, 2 - a, 1 - b].astype(np.int64) @ x[0, i, j]
    np.testing.assert_array_equal(run(model, x), np.clip(expected, -128, 127))


def test_large_sums_stay_exact() -> None:
    a = np.array([[2**40, 1]])
    assert exact_product(a, np.array([[2**21], [1]])).tolist() == [[2**61 + 1]]
    assert stuff_zeros(np.array([1, 2]).reshape(1, 2, 1), (3,)).reshape(-1).tolist() == [1, 0, 0, 2]
    assert exact_factor(np.array([4, 6])) is None


def test_contradictions_are_named() -> None:
    weights = {"weights": (np.zeros((1, 2, 2, 3), np.int8), 0)}
    model = single("conv2d-fix", [ROWS], [0], (1, 2, 2, 1), 0, constants=weights, kernel=(2, 2))
    with pytest.raises(InputError, match=r"Q1203 result: .*weights \[1, 2, 2, 3\] in 1 groups"):
        run(model, ROWS)
    model = single("pool-fix", [ROWS], [0], (1, 2, 2, 1), 0, kernel=(2, 2), type="MEDIAN")
    with pytest.raises(InputError, match=r"Q1203 result: .*'MEDIAN'"):
        run(model, ROWS)
    model.ops["result"].attrs["type"] = Attr("string", "MAX")
    model.ops["result"].tensor.shape = (1, 3, 3, 1)
    with pytest.raises(InputError, match=r"Q1203 result: .*\[1, 3, 3, 1\]"):
        run(model, ROWS)
