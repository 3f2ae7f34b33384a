from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.compiler.fusing.draft import NotOnDpuError
from quantforge.compiler.fusing.windows import Axis, transposed, window_attrs, windows
from quantforge.xmodel.model import Tensor, XOp
from tests.flat_xmodels import ints, text


@given(
    size=st.integers(1, 20), kernel=st.integers(1, 5), stride=st.integers(1, 4), dilation=st.integers(1, 3),
    begin=st.integers(0, 3), end=st.integers(0, 3),
)  # fmt: skip
def test_floor_windows_stay_and_reach_all_pads(
    size: int, kernel: int, stride: int, dilation: int, begin: int, end: int
) -> None:
    reach = (kernel - 1) * dilation + 1
    out = (size + begin + end - reach) // stride + 1
    if out < 1:
        return
    attrs = {
        "kernel": ints(kernel), "stride": ints(stride), "dilation": ints(dilation), "pad": ints(begin, end),
    }  # fmt: skip
    (axis,) = windows(XOp("c", "conv1d", Tensor("c", (1, out, 1)), {}, attrs), (1, size, 1))
    assert axis.begin == begin and axis.end <= end
    assert (size + axis.begin + axis.end - reach) // stride + 1 == out
    assert axis.end == 0 or axis.covered == size + axis.begin + axis.end


def test_axes_come_as_width_height_depth() -> None:
    attrs = {"kernel": ints(1, 2, 3), "stride": ints(1, 1, 1), "pad": ints(0, 0, 0, 0, 0, 0)}
    op = XOp("c", "conv3d", Tensor("c", (1, 9, 8, 5, 2)), {}, attrs)
    axes = windows(op, (1, 10, 8, 7, 2))
    assert [(axis.size, axis.out, axis.kernel) for axis in axes] == [(8, 8, 1), (10, 9, 2), (7, 5, 3)]
    assert window_attrs(axes)["kernel"].value == (1, 2, 3)
    assert "dilation" not in window_attrs(axes, dilation=False)


def test_same_puts_the_odd_pad_behind() -> None:
    attrs = {"kernel": ints(3, 3), "stride": ints(2, 2), "pad": ints(0, 0, 0, 0), "pad_mode": text("SAME")}
    op = XOp("c", "conv2d", Tensor("c", (1, 2, 2, 1)), {}, attrs)
    assert [(axis.begin, axis.end) for axis in windows(op, (1, 4, 4, 1))] == [(0, 1), (0, 1)]


def test_transposed_windows() -> None:
    attrs = {"kernel": ints(3, 3), "stride": ints(2, 2), "pad": ints(1, 1, 1, 1)}
    same = {**attrs, "pad": ints(0, 0, 0, 0), "pad_mode": text("SAME")}
    for given_attrs, size in ((attrs, 7), (attrs, 8), (same, 8)):
        op = XOp("c", "transposed-conv2d", Tensor("c", (1, size, size, 1)), {}, given_attrs)
        for axis in transposed(op, (1, 4, 4, 1)):
            assert (axis.size - 1) * 2 + 3 - axis.begin - axis.end == size
    wrong = XOp("c", "transposed-conv2d", Tensor("c", (1, 20, 20, 1)), {}, attrs)
    with pytest.raises(NotOnDpuError, match="20"):
        transposed(wrong, (1, 4, 4, 1))


def test_reach() -> None:
    assert (Axis(9, 4, 3, 2, 2, 0, 0).reach, Axis(9, 4, 3, 2, 2, 0, 0).covered) == (5, 11)
