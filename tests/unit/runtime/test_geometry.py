from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime.geometry import Windows, check_shape, spatial, windows_of
from quantforge.xmodel.model import Tensor, XOp
from tests.compiled_xmodels import attr


def op_with(kind: str = "conv2d-fix", shape: tuple[int, ...] = (1, 4, 4, 1), **attrs: Any) -> XOp:
    return XOp("c", kind, Tensor("c_t", shape), {}, {key: attr(value) for key, value in attrs.items()})


def test_attributes_come_width_first() -> None:
    windows = windows_of(op_with(kernel=(5, 3), stride=(2, 1), pad=(1, 2, 3, 4)), (10, 20))
    assert windows == Windows((3, 5), (1, 2), (1, 1), (3, 1), (4, 2))
    assert windows.counts((10, 20)) == (15, 10)
    assert spatial((1, 2, 3)) == (2, 1, 3)


def test_a_global_pool_covers_everything() -> None:
    windows = windows_of(op_with("pool-fix", **{"global": True}), (7, 5))
    assert windows.kernel == (7, 5)
    assert windows.counts((7, 5)) == (1, 1)


def test_transposed_sizes_and_stuffed_windows() -> None:
    windows = Windows((3, 3), (2, 2), (1, 1), (1, 1), (1, 1))
    assert windows.transposed_counts((2, 2)) == (3, 3)
    assert windows.stuffed() == Windows((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))


@pytest.mark.parametrize(
    ("mode", "shape", "begin", "end"),
    [
        ("FLOOR", (1, 2, 2, 1), (0, 0), (0, 0)),
        ("CEIL", (1, 3, 3, 1), (0, 0), (1, 1)),
        ("SAME", (1, 3, 3, 1), (0, 0), (1, 1)),
    ],
)
def test_pad_mode_of_float_operators(
    mode: str, shape: tuple[int, ...], begin: tuple[int, ...], end: tuple[int, ...]
) -> None:
    op = op_with("maxpool2d", shape, kernel=(2, 2), stride=(2, 2), pad=(0, 0, 0, 0), pad_mode=mode)
    windows = windows_of(op, (5, 5))
    assert (windows.begin, windows.end) == (begin, end)


@pytest.mark.parametrize(
    "attrs", [{}, {"kernel": (3,)}, {"kernel": (3, 3), "pad": (1, 1)}, {"kernel": (0, 3)}]
)
def test_incomplete_attributes_are_named(attrs: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"Q1203 c: found conv2d-fix with (kernel|pad)="):
        windows_of(op_with(**attrs), (4, 4))


def test_a_declared_shape_must_be_the_computed_one() -> None:
    check_shape(op_with(), (1, 4, 4, 1))
    with pytest.raises(
        InputError, match=r"Q1203 c: found output of shape \[1, 4, 4, 1\]; expected \[1, 4, 3, 1\]"
    ):
        check_shape(op_with(), np.array((1, 4, 3, 1)).tolist())
