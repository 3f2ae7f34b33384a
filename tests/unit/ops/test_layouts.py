from __future__ import annotations

import numpy as np

from quantforge.ops.layouts import (
    from_channels_first,
    layout_of,
    order,
    shape_from_channels_first,
    shape_to_channels_first,
    to_channels_first,
)
from tests.unit.ops.single_op import make_op


def test_there_and_back() -> None:
    x = np.zeros((2, 5, 4, 3))
    assert to_channels_first(x, "NHWC").shape == (2, 3, 5, 4)
    assert from_channels_first(to_channels_first(x, "NHWC"), "NHWC").shape == x.shape
    assert shape_to_channels_first(("b", 5, 4, 3), "NHWC") == ("b", 3, 5, 4)
    assert shape_from_channels_first(("b", 3, 5, 4), "NHWC") == ("b", 5, 4, 3)
    assert order("HWIO", "OIHW") == (3, 2, 0, 1)


def test_channels_come_first_by_default() -> None:
    assert [layout_of(make_op("x"), rank) for rank in (1, 2, 3)] == ["NCW", "NCHW", "NCDHW"]
    assert layout_of(make_op("x", layout="NHWC"), 2) == "NHWC"
