"""Kinds that the table does not list, brought to those that it does; and kinds that no DPU has."""

from __future__ import annotations

import pytest

from quantforge.inspection.operators import CHECKS, reasons_of
from quantforge.inspection.view import View
from quantforge.targets.dpu import DpuTarget, load_dpu
from quantforge.xmodel.catalogue import catalogue
from tests.unit.inspection.models import Build

ZCU102, U50, VEK280 = load_dpu("ZCU102"), load_dpu("DPUCAHX8H_ISA2_DWC"), load_dpu("VEK280")


def reasons(build: Build, name: str, target: DpuTarget = ZCU102) -> list[tuple[str, str]]:
    view = View(build.model)
    return [(reason.id, reason.rule) for reason in reasons_of(view, view.op(name), target)]


def test_convolutions() -> None:
    build = Build()
    build.conv(build.data((1, 32, 32, 8)), kernel=(16, 16))
    build.conv("x", "wide", kernel=(17, 3))
    assert reasons(build, "conv") == []
    assert reasons(build, "wide") == [("kernel_range", "conv2d.kernel")]


def test_computed_weights_and_wrong_ranks() -> None:
    build = Build()
    build.data((1, 8, 8, 8))
    build.data((4, 3, 3, 8), "w")
    window = {"kernel": (3, 3), "stride": (1, 1), "pad_mode": "FLOOR"}
    build.op("conv2d", "c", (1, 6, 6, 4), {"input": ("x",), "weights": ("w",)}, **window)
    build.data((8, 8, 8), "flat")
    build.op(
        "conv2d", "d", (6, 6, 4), {"input": ("flat",), "weights": (build.const("v", (4, 3, 3, 8)),)}, **window
    )
    build.op("maxpool2d", "p", (6, 6, 8), {"input": ("flat",)}, **window)
    for name in ("c", "d", "p"):
        assert reasons(build, name) == [("pattern_rejected", "tables 29, 30")]


def dense(inputs: int, outputs: int, image: tuple[int, ...] | None = None) -> Build:
    build = Build()
    x = build.data(image or (1, inputs))
    if image:
        x = build.op("reshape", "flat", (image[0], inputs), {"input": (x,)}, shape=(image[0], inputs))
    build.many("matmul", [x, build.const("w", (outputs, inputs))], "fc", (1, outputs), transpose_b=True)
    return build


def test_a_matrix_product_is_a_convolution_of_one_pixel() -> None:
    assert reasons(dense(4096, 10), "fc") == []
    assert reasons(dense(4097, 10), "fc") == [("input_channel", "conv2d.in_channel")]
    assert reasons(dense(16, 4097), "fc") == [("output_channel", "conv2d.out_channel")]


def test_a_product_of_a_flattened_image_is_a_convolution_over_all_of_it() -> None:
    assert reasons(dense(25088, 10, (1, 7, 7, 512)), "fc") == []
    assert reasons(dense(100352, 10, (1, 14, 14, 512)), "fc") == [("weight_bank", "conv2d.in_size")]
    # 17 columns are no kernel: judged as rows
    assert reasons(dense(17 * 1000, 10, (1, 1, 17, 1000)), "fc") == [("input_channel", "conv2d.in_channel")]


def test_products_that_are_no_convolution() -> None:
    build = Build()
    build.data((1, 5))
    build.data((5, 7), "y")
    build.many("matmul", ["x", "y"], "computed", (1, 7))
    build.many("matmul", ["x", build.const("w", (2, 5, 7))], "stacked", (2, 1, 7))
    build.many("matmul", ["x", build.const("v", (1, 7))], "turned", (5, 7), transpose_a=True)
    for name in ("computed", "stacked", "turned"):
        assert reasons(build, name) == [("pattern_rejected", "tables 29, 30")]


@pytest.mark.parametrize(
    ("kind", "axis", "target", "found"),
    [
        ("reduction_mean", (1, 2), ZCU102, []),
        ("reduction_mean", (-3, -2), ZCU102, []),
        ("reduction_mean", (1,), ZCU102, []),
        ("reduction_mean", (1, 2), U50, [("kernel_range", "pool.kernel")]),
        ("reduction_mean", (3,), ZCU102, [("pattern_rejected", "tables 29, 30")]),
        ("reduction_mean", (), ZCU102, [("pattern_rejected", "tables 29, 30")]),
        ("reduction_max", (1, 2), ZCU102, []),
        ("reduction_max", (3,), ZCU102, []),
        ("reduction_max", (3,), U50, [("engine_missing", "reduction_max.supported")]),
        ("reduction_max", (1, 3), ZCU102, [("pattern_rejected", "tables 29, 30")]),
        ("reduction_max", (0,), ZCU102, [("pattern_rejected", "reduction_max.axis")]),
    ],
)
def test_means_and_maxima(kind: str, axis: tuple[int, ...], target: DpuTarget, found: list) -> None:
    build = Build()
    build.data((1, 9, 9, 64))
    build.op(kind, "r", (1, 1, 1, 64), {"input": ("x",)}, axis=axis, keep_dims=True)
    assert reasons(build, "r", target) == found


def test_argmax_needs_the_table_and_the_target() -> None:
    build = Build()
    build.data((1, 4, 4, 64))
    build.op("argmax", "a", (1, 4, 4, 1), {"input": ("x",)}, axis=3)
    assert reasons(build, "a") == []
    older = load_dpu("0x0101000016010407")
    assert not older.argmax
    assert reasons(build, "a", older) == [("engine_missing", "argmax.supported")]


def scaled(shape: tuple[int, ...], factor: tuple[int, ...]) -> Build:
    build = Build()
    build.data(shape)
    build.many("mul", ["x", build.const("c", factor)], "m", shape)
    return build


@pytest.mark.parametrize(
    ("shape", "factor", "target", "found"),
    [
        ((1, 4, 4, 64), (64,), ZCU102, []),
        ((1, 4, 4, 64), (1,), ZCU102, []),
        ((1, 4, 4, 64), (1, 1, 1, 64), U50, []),
        ((1, 4, 4, 64), (4, 4, 64), ZCU102, []),
        ((1, 4, 4, 64), (4, 4, 64), U50, [("engine_missing", "mul.supported")]),
        ((1, 4, 4, 64), (4, 1), ZCU102, [("pattern_rejected", "eltwise.shape")]),
        ((1, 16, 64), (1,), ZCU102, [("pattern_rejected", "mul.constant")]),
        ((1, 4, 4, 64), (64,), load_dpu("DPUCAHX8H_ISA2"), [("engine_missing", "depthwise-conv2d.supported")]),
        ((1, 4, 4, 64), (64,), load_dpu("DPUCAHX8L_ISA0"), [("kernel_range", "depthwise-conv2d.kernel")]),
    ],
)  # fmt: skip
def test_products_with_constants(shape: tuple, factor: tuple, target: DpuTarget, found: list) -> None:
    assert reasons(scaled(shape, factor), "m", target) == found


def test_factors_are_better_in_another_layer() -> None:
    view = View(scaled((1, 4, 4, 64), (64,)).model)
    (reason,) = reasons_of(view, view.op("m"), load_dpu("DPUCAHX8L_ISA0"))
    assert reason.fix == "fold the factors into the layer before or behind it"


def test_sums_and_products_of_tensors() -> None:
    build = Build()
    x, y = build.data((1, 4, 4, 8)), build.data((1, 1, 1, 8), "y")
    build.many("add", [x, x], "same", (1, 4, 4, 8))
    build.many("mul", [x, y], "gate", (1, 4, 4, 8))
    build.many("add", [x, x, x], "three", (1, 4, 4, 8))
    assert reasons(build, "same") == []
    assert reasons(build, "gate") == [("pattern_rejected", "eltwise.shape")]
    assert reasons(build, "three") == []
    assert reasons(build, "three", VEK280) == [("partition_msg", "eltwise.arity")]


def test_batch_normalization_as_factors() -> None:
    build = Build()
    x, c = build.data((1, 4, 4, 8)), build.const("c", (8,))
    build.op("scale", "s", (1, 4, 4, 8), {"input": (x,), "scale": (c,)}, axis=-1)
    build.op("scale", "t", (1, 4, 4, 8), {"input": (x,), "scale": (c,)}, axis=1)
    assert reasons(build, "s") == []
    assert reasons(build, "t") == [("pattern_rejected", "tables 29, 30")]


def test_bilinear_resizes_need_a_depthwise_engine() -> None:
    build = Build()
    build.data((1, 4, 4, 8))
    build.op("resize", "r", (1, 8, 8, 8), {"input": ("x",)}, mode="BILINEAR")
    assert reasons(build, "r") == []
    assert reasons(build, "r", load_dpu("DPUCAHX8H_ISA2")) == [("engine_missing", "resize.engine")]


def test_transposes_stay_when_memory_does() -> None:
    build = Build()
    build.data((1, 1, 4, 8))
    build.unary("transpose", "x", "still", order=(0, 2, 1, 3))
    build.unary("transpose", "x", "moved", order=(0, 1, 3, 2))
    build.unary("transpose", "x", "wrong", order=(0, 1, 4, 2))
    assert reasons(build, "still") == []
    assert reasons(build, "wrong") == [("pattern_rejected", "transpose")]
    assert reasons(build, "moved") == [("pattern_rejected", "transpose")]


def test_blocks_channels_slices_and_pads() -> None:
    build = Build()
    x = build.data((1, 4, 4, 2048))
    build.unary("reorg", x, "r", scale=2, reverse=False)
    build.unary("gstiling", x, "t", stride=2, reverse=True)
    build.unary("pixel-shuffle", x, "up", scale=2, upscale=True)
    build.unary("pixel-shuffle", x, "down", scale=2, upscale=False)
    build.many("correlation1d_elemwise", [x, x], "c", (1, 4, 4, 8), pad_size=1)
    build.unary("strided_slice", x, "s", strides=(1, 1, 1, 2))
    build.unary("pad", x, "p", paddings=(0,) * 8, mode="REFLECT")
    assert reasons(build, "r") == [("input_channel", "reorg.forward")]
    assert reasons(build, "t") == reasons(build, "up") == reasons(build, "c") == []
    assert reasons(build, "down") == [("input_channel", "reorg.forward")]
    assert reasons(build, "c", U50) == [("engine_missing", "correlation1d_elemwise.supported")]
    assert reasons(build, "s") == [("stride_range", "strided_slice.stride")]
    assert reasons(build, "p") == [("pad_mode", "pad.mode")]


@pytest.mark.parametrize(
    "kind", ["softmax", "sigmoid", "tanh", "sub", "div", "exp", "stack", "prelu", "conv1d"]
)
def test_kinds_of_xir_that_no_dpu_has(kind: str) -> None:
    build = Build()
    build.unary(kind, build.data((1, 4, 4, 8)), "op")
    view = View(build.model)
    (reason,) = reasons_of(view, view.op("op"), ZCU102)
    assert (reason.id, reason.rule, str(reason)) == (
        "no_dpu_pattern",
        f"{kind}.supported",
        f"{kind}; supported: on no DPU",
    )
    assert reason.fix


@pytest.mark.parametrize("kind", ["onnx:NonMaxSuppression", "PPScatterV2"])
def test_kinds_that_xir_has_not(kind: str) -> None:
    build = Build()
    build.unary(kind, build.data((1, 4, 4, 8)), "op")
    view = View(build.model)
    (reason,) = reasons_of(view, view.op("op"), ZCU102)
    assert (reason.id, reason.found) == ("not_representable", kind.removeprefix("onnx:"))


def test_everything_that_is_checked_is_an_operator_of_xir() -> None:
    assert set(CHECKS) <= set(catalogue())
