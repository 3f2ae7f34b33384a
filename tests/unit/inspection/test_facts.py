"""Windows as a DPU would run them, and multiplications."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.inspection import facts
from quantforge.inspection.view import View
from quantforge.xmodel.shapes import infer_shape
from tests.unit.inspection.models import Build, attr


def pool(mode: str, size: int, kernel: int, stride: int, pad: int) -> tuple[facts.Facts, int]:
    """Facts of a square pool over an image of `size`, and the size of its result by XIR's rules."""
    build = Build()
    build.data((1, size, size, 8))
    build.op(
        "maxpool2d", "pool", (1, 1, 1, 8), {"input": ("x",)},
        kernel=(kernel, kernel), stride=(stride, stride), pad=(pad,) * 4, pad_mode=mode,
    )  # fmt: skip
    op = build.model.ops["pool"]
    shape = infer_shape(build.model, op)
    assert shape is not None
    op.tensor.shape = shape
    return facts.pool_facts(View(build.model), op), shape[1]


@given(
    st.sampled_from(["FLOOR", "CEIL", "SAME", "VALID"]), st.integers(6, 40), st.integers(1, 6), st.integers(1, 5),
    st.integers(0, 3),
)  # fmt: skip
def test_pads_end_where_the_last_window_does(
    mode: str, size: int, kernel: int, stride: int, pad: int
) -> None:
    if mode in ("SAME", "VALID"):
        pad = 0
    found, out = pool(mode, size, kernel, stride, min(pad, kernel - 1))
    covered = (out - 1) * stride + kernel
    assert found["pad_left"] + size + found["pad_right"] >= covered
    assert found["pad_right"] in (0, covered - size - found["pad_left"])
    assert found["pad_left"] >= 0
    if mode == "SAME":
        assert abs(found["pad_right"] - found["pad_left"]) <= 1


def test_pads_that_no_window_reaches_are_cut_off() -> None:
    found, out = pool("FLOOR", 8, 2, 2, 1)
    assert (out, found["pad_left"], found["pad_right"]) == (5, 1, 1)
    found, out = pool("FLOOR", 7, 2, 2, 1)
    assert (out, found["pad_left"], found["pad_right"]) == (4, 1, 0)


def test_a_global_pool_has_a_kernel_of_the_size_of_its_input() -> None:
    build = Build()
    build.data((1, 7, 5, 8))
    build.op(
        "avgpool2d", "p", (1, 1, 1, 8), {"input": ("x",)}, kernel=(1, 1), stride=(1, 1), **{"global": True}
    )
    found = facts.pool_facts(View(build.model), build.model.ops["p"])
    assert (found["kernel_w"], found["kernel_h"], found["whole"]) == (5, 7, True)


def test_a_convolution() -> None:
    build = Build()
    build.conv(build.data((1, 9, 7, 8)), out=24, kernel=(5, 3), stride=2, group=1)
    found = facts.convolution_facts(View(build.model), build.model.ops["conv"])
    assert {key: found[key] for key in ("kernel_w", "kernel_h", "stride_w", "ic", "oc", "group", "whole")} == {
        "kernel_w": 5, "kernel_h": 3, "stride_w": 2, "ic": 8, "oc": 24, "group": 1, "whole": False,
    }  # fmt: skip
    assert (found["pad_left"], found["pad_right"], found["pad_top"], found["pad_bottom"]) == (2, 2, 1, 1)


def test_a_convolution_behind_a_padding() -> None:
    build = Build()
    x = build.data((1, 8, 8, 8))
    padded = build.unary("pad", x, "pad", paddings=(0, 0, 2, 1, 3, 0, 0, 0), mode="CONSTANT")
    build.model.ops[padded].tensor.shape = (1, 11, 11, 8)
    build.conv(padded, kernel=(5, 5), pad=(0, 0, 0, 0))
    op = build.model.ops["conv"]
    plain = facts.convolution_facts(View(build.model), op)
    assert (plain["pad_left"], plain["pad_top"]) == (0, 0)
    taken = facts.convolution_facts(View(build.model), op, ((3, 0), (2, 1)))
    assert [taken[key] for key in ("pad_left", "pad_right", "pad_top", "pad_bottom")] == [3, 0, 2, 1]
    assert facts.paddings(build.model.ops["pad"]) == ((0, 0), (2, 1), (3, 0), (0, 0))


def test_a_depthwise_convolution_has_a_group_per_channel() -> None:
    build = Build()
    build.conv(build.data((1, 8, 8, 8)), kind="depthwise-conv2d", out=16)
    found = facts.convolution_facts(View(build.model), build.model.ops["conv"])
    assert (found["ic"], found["oc"], found["group"]) == (8, 16, 8)


def transposed(pad: tuple[int, ...], out: int) -> facts.Facts:
    build = Build()
    x = build.data((1, 4, 4, 8))
    w = build.const("w", (6, 3, 3, 8))
    build.op(
        "transposed-conv2d", "t", (1, out, out, 6), {"input": (x,), "weights": (w,)},
        kernel=(3, 3), stride=(2, 2), dilation=(1, 1), pad=pad, pad_mode="FLOOR",
    )  # fmt: skip
    return facts.convolution_facts(View(build.model), build.model.ops["t"])


def test_pads_of_a_transposed_convolution_are_what_is_cut_off() -> None:
    found = transposed((1, 0, 1, 0), 8)
    assert [found[key] for key in ("pad_left", "pad_right")] == [1, 0]
    assert (
        transposed((1, 1, 1, 1), 10)["pad_right"] == -2
    )  # larger than the whole: an illegal pad, not a crash


def test_output_padding_is_seen_when_the_operator_has_it() -> None:
    build = Build()
    build.conv(build.data((1, 4, 4, 8)), kind="transposed-conv2d", output_padding=(1, 0))
    found = facts.convolution_facts(View(build.model), build.model.ops["conv"])
    assert (found["output_padding_w"], found["output_padding_h"]) == (1, 0)


def test_shapes_of_sums() -> None:
    build = Build()
    x = build.data((1, 4, 4, 8))
    build.many("add", [x, build.const("c", (4, 4, 8))], "same", (1, 4, 4, 8))
    build.many("add", [x, build.const("d", (8,))], "other", (1, 4, 4, 8))
    view = View(build.model)
    assert facts.eltwise_facts(view, view.op("same"))["same_shape"]
    found = facts.eltwise_facts(view, view.op("other"))
    assert (found["same_shape"], found["shapes"]) == (False, "[1, 4, 4, 8] and [8]")


def test_scales_of_resizes_are_exact() -> None:
    build = Build()
    build.data((1, 3, 4, 8))
    build.op("resize", "r", (1, 8, 8, 8), {"input": ("x",)}, mode="NEAREST")
    found = facts.resize_facts(View(build.model), build.model.ops["r"])
    assert (found["scale_w"], found["scale_h"]) == (Fraction(2), Fraction(8, 3))


def test_small_ones() -> None:
    build = Build()
    build.data((1, 4, 4, 8))
    build.unary("pad", "x", "p", paddings=(0,) * 8, mode="CONSTANT", constant_values=attr([0.0, 2.0]))
    build.unary("strided_slice", "x", "s", begin=(0, 0, 0, 0), end=(1, 4, 4, 8), strides=(1, 2, 2, 4))
    build.unary("reorg", "x", "r", scale=2, reverse=True)
    view = View(build.model)
    assert facts.pad_facts(view, view.op("p"))["value_most"] == 2
    assert facts.slice_facts(view, view.op("s")) == {"stride_batch": 1, "stride_channel": 4}
    assert facts.block_facts(view, view.op("r")) == {"ic": 8, "scale": 2, "reverse": True}
    assert facts.axis_facts(view, view.op("s"), -1) == {"axis": 3, "rank": 4, "ic": 8}
    assert facts.reduction_facts((1, 6, 5, 8), (1,))["kernel_h"] == 6
    assert facts.reduction_facts((1, 6, 5, 8), (1,))["kernel_w"] == 1
    assert facts.pointwise_facts(8)["group"] == 8


@pytest.mark.parametrize(
    ("kind", "out", "macs"),
    [
        ("conv2d", 16, 8 * 8 * 16 * 9 * 8),
        ("depthwise-conv2d", 16, 8 * 8 * 9 * 16),
        ("conv2d-fix", 4, 8 * 8 * 4 * 9 * 8),
    ],
)
def test_multiplications_of_windows(kind: str, out: int, macs: int) -> None:
    build = Build()
    build.conv(build.data((1, 8, 8, 8)), kind=kind, out=out)
    view = View(build.model)
    assert facts.multiplications(view, view.op("conv")) == macs


def test_multiplications_of_other_products() -> None:
    build = Build()
    x = build.data((3, 5))
    build.many("matmul", [x, build.const("w", (7, 5))], "m", (3, 7), transpose_b=True)
    build.unary("relu", "m")
    view = View(build.model)
    assert facts.multiplications(view, view.op("m")) == 3 * 7 * 5
    assert facts.multiplications(view, view.op("relu")) == 0
    build = Build()
    build.conv(build.data((1, 4, 4, 8)), kind="transposed-conv2d", out=6, kernel=(2, 2), stride=2)
    view = View(build.model)
    assert facts.multiplications(view, view.op("conv")) == 4 * 4 * 6 * 4 * 8
