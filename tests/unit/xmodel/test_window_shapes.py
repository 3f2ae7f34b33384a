from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Tensor, XOp
from quantforge.xmodel.window_shapes import axis_of, conv_shape, pool_shape, whole
from tests.unit.xmodel.samples import attr

LINE = {"kernel": (3,), "stride": (1,), "pad_mode": "FLOOR"}


def op(kind: str, **attrs: Any) -> XOp:
    return XOp("op", kind, Tensor("op", (1,)), {}, {key: attr(value) for key, value in attrs.items()})


@given(
    size=st.integers(1, 12),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    pads=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_windows_are_those_that_can_be_counted(
    size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]
) -> None:
    made = op("conv1d", kernel=(kernel,), stride=(stride,), dilation=(dilation,), pad=pads, pad_mode="FLOOR")
    reach = (kernel - 1) * dilation
    starts = [at for at in range(0, size + sum(pads), stride) if at + reach < size + sum(pads)]
    call = lambda one: conv_shape(one, (2, size, 5), (7, kernel, 5), None)  # noqa: E731
    if not starts:
        with pytest.raises(InputError, match="Q0912"):
            call(made)
        return
    assert call(made) == (2, len(starts), 7)
    for mode, counted in (
        ("CEIL", len(starts) + (starts[-1] + reach + 1 < size + sum(pads))),
        ("VALID", len(starts)),
        ("SAME", len(range(0, size + sum(pads), stride))),
    ):
        made.attrs["pad_mode"] = attr(mode)
        assert call(made) == (2, counted, 7), mode


@given(
    size=st.integers(1, 8),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
    pads=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_a_transposed_convolution_reaches_what_its_inputs_touch(
    size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, int]
) -> None:
    touched = {i * stride + j * dilation for i in range(size) for j in range(kernel)}
    expected = max(touched) + 1 - sum(pads)
    made = op(
        "transposed-conv2d-fix",
        kernel=(1, kernel),
        stride=(1, stride),
        dilation=(1, dilation),
        pad=(0, 0, *pads),
    )
    if expected < 1:
        with pytest.raises(InputError, match="Q0912"):
            conv_shape(made, (1, size, 1, 5), (7, kernel, 1, 5), (7,))
    else:
        assert conv_shape(made, (1, size, 1, 5), (7, kernel, 1, 5), (7,)) == (1, expected, 1, 7)


def test_kernels_are_width_first_and_axes_height_first() -> None:
    made = op("conv2d", kernel=(5, 3), stride=(2, 1), pad=(1, 1, 0, 0), pad_mode="FLOOR")
    assert conv_shape(made, (1, 8, 9, 2), (4, 3, 5, 2), None) == (1, 6, 4, 4)
    deep = op("conv3d", kernel=(5, 3, 2), stride=(1, 1, 1), pad=(0, 0, 0, 0, 1, 0), pad_mode="FLOOR")
    assert conv_shape(deep, (1, 8, 9, 6, 2), (4, 3, 5, 2, 2), None) == (1, 6, 5, 6, 4)


def test_groups_and_depthwise_channels() -> None:
    geometry = {"kernel": (1, 1), "stride": (1, 1), "pad_mode": "FLOOR"}
    assert conv_shape(op("conv2d", **geometry, group=3), (1, 2, 2, 6), (9, 1, 1, 2), None)[-1] == 9
    assert conv_shape(op("depthwise-conv2d", **geometry), (1, 2, 2, 6), (2, 1, 1, 6), (12,))[-1] == 12
    for image, weights, bias in (
        ((1, 2, 2, 6), (9, 1, 1, 3), None),
        ((1, 2, 2, 6), (9, 1, 2, 6), None),
        ((1, 2, 6), (9, 1, 1, 6), None),
        ((1, 2, 2, 6), (9, 1, 1, 6), (8,)),
    ):
        with pytest.raises(InputError, match=r"Q0912 op \(conv2d\)"):
            conv_shape(op("conv2d", **geometry), image, weights, bias)


def test_transposed_modes() -> None:
    made = op("transposed-conv2d", kernel=(3, 3), stride=(2, 2), pad=(1, 1, 1, 1), pad_mode="SAME")
    assert conv_shape(made, (1, 4, 4, 1), (1, 3, 3, 1), None) == (1, 8, 8, 1)
    made.attrs["pad_mode"] = attr("VALID")
    assert conv_shape(made, (1, 4, 4, 1), (1, 3, 3, 1), None) == (1, 9, 9, 1)


def test_pools() -> None:
    geometry = {"kernel": (2, 3), "stride": (2, 2)}
    assert pool_shape(op("maxpool2d", **geometry, pad_mode="CEIL"), (1, 8, 7, 3)) == (1, 4, 4, 3)
    assert pool_shape(op("pool-fix", **geometry, type="MAX"), (1, 8, 7, 3)) == (1, 3, 3, 3)
    everything = {"kernel": (0, 0), "stride": (1, 1), "pad_mode": "FLOOR", "global": True}
    assert pool_shape(op("avgpool2d", **everything), (2, 5, 4, 3)) == (2, 1, 1, 3)
    with pytest.raises(InputError, match="Q0912"):
        pool_shape(op("maxpool1d", **LINE), (1, 8, 8, 3))


def test_open_attributes() -> None:
    assert whole(op("relu"), "group") is None and whole(op("relu", group=2), "group") == 2
    with pytest.raises(InputError, match=r"Q0912.*group = 'two'"):
        whole(op("relu", group="two"), "group")
    assert axis_of(op("relu"), -1, 3) == 2
    with pytest.raises(InputError, match=r"Q0912.*axis 3"):
        axis_of(op("relu"), 3, 3)
