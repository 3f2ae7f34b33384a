from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.xmodel.model import Attr
from tests.flat_xmodels import VERSAL, Net, check_same, compiled, ints, kinds, text, window


def one_conv(**settings: object) -> Net:
    net = Net(seed=3)
    x = net.data("x", (1, 7, 6, 5), 5)
    conv = net.conv("conv", x, 8, **settings)  # type: ignore[arg-type]
    net.fix(net.relu(conv), 3)
    return net


@settings(deadline=None, max_examples=25)
@given(
    kernel=st.integers(1, 4), stride=st.integers(1, 3), pad=st.integers(0, 2), out=st.integers(0, 6),
    bias=st.integers(-1, 9), rounding=st.sampled_from(["DPU_ROUND", "PY3_ROUND", "STD_ROUND"]),
    kind=st.sampled_from(["conv2d", "depthwise-conv2d", "transposed-conv2d", "transposed-depthwise-conv2d"]),
)  # fmt: skip
def test_convolutions_are_exact(
    kernel: int, stride: int, pad: int, out: int, bias: int, rounding: str, kind: str
) -> None:
    net = Net(seed=kernel, rounding=rounding)
    x = net.data("x", (1, 6, 7, 5), 5)
    pad = min(pad, kernel - 1)
    conv = net.conv(
        "conv", x, 4, kernel, stride=stride, pad=pad, kind=kind, positions=(7, None if bias < 0 else bias)
    )
    net.fix(net.relu(conv), out)
    model, _ = check_same(net.done())
    assert kinds(model) == ["data-fix", "upload", f"{kind}-fix", "download", "fix2float"]


def test_names_attributes_and_shifts() -> None:
    model, _ = check_same(one_conv().done())
    conv = model.ops["conv"]
    assert conv.tensor.name == "conv_relu_fix_download_0"
    assert model.ops["conv_download_0"].tensor.name == "conv_relu_fix"
    assert model.ops["conv_relu_fix_"].kind == "fix2float"
    assert {key: conv.get(key) for key in ("nonlinear", "shift_cut", "shift_bias", "pad_mode", "group")} == {
        "nonlinear": "RELU", "shift_cut": 9, "shift_bias": 6, "pad_mode": "FLOOR", "group": 1,
    }  # fmt: skip
    assert model.ops["conv_w"].kind == "const-fix" and model.ops["conv_w"].tensor.name == "conv_w_fix"
    assert len(model.ops["conv_w"].get("data")) == 8 * 9 * 5


def test_pads_that_no_window_reaches_are_cut_off() -> None:
    model, _ = check_same(one_conv(stride=2).done())
    assert model.ops["conv"].get("pad") == (1, 0, 1, 1)  # 6 columns, 7 rows


@pytest.mark.parametrize(("mode", "out"), [("SAME", (4, 3)), ("VALID", (3, 2)), ("CEIL", (4, 3))])
def test_other_pad_modes_become_explicit_pads(mode: str, out: tuple[int, int]) -> None:
    net = Net()
    x = net.data("x", (1, 7, 6, 5), 5)
    weights = net.random("w", (4, 3, 3, 5), 7)
    pads = 1 if mode == "CEIL" else 0
    attrs = window(3, 2, pads) | {"dilation": ints(1, 1), "pad_mode": text(mode)}
    net.fix(net.op("conv", "conv2d", [x], (1, *out, 4), attrs, weights=weights), 4)
    model, _ = compiled(net.done())
    conv = model.ops["conv"]
    left, right, top, bottom = conv.get("pad")
    assert ((6 + left + right - 3) // 2 + 1, (7 + top + bottom - 3) // 2 + 1) == out[::-1]
    assert (left, top) == {"SAME": (0, 1), "VALID": (0, 0), "CEIL": (1, 1)}[mode]


@pytest.mark.parametrize(
    ("kind", "attrs", "word"),
    [
        ("relu6", {}, "RELU6"),
        ("leaky-relu", {"alpha": Attr("float", 26 / 256)}, "LEAKYRELU"),
    ],
)
def test_activations_of_the_engine_are_fused(kind: str, attrs: dict[str, Attr], word: str) -> None:
    net = Net()
    conv = net.conv("conv", net.data("x", (1, 5, 5, 3), 4), 4)
    net.fix(net.relu(conv, kind, attrs), 3)
    model, _ = check_same(net.done())
    assert model.ops["conv"].get("nonlinear") == word


def test_a_leaky_relu_of_another_slope_stays_on_the_cpu() -> None:
    net = Net()
    conv = net.conv("conv", net.data("x", (1, 5, 5, 3), 4), 4)
    net.fix(net.relu(conv, "leaky-relu", {"alpha": Attr("float", 0.2)}), 3)
    model, report = compiled(net.done())
    assert "conv2d" in kinds(model)
    assert "leaky-relu" in report.reasons["conv"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"position": -6}, "shift_cut 18 is not within 0..16"),
        ({"bits": 16}, "quantized to 16 bits"),
        ({"bits": 8, "signed": False}, "quantized to 8 bits"),
    ],
)
def test_what_the_registers_do_not_hold_goes_to_the_cpu(change: dict[str, int], reason: str) -> None:
    net = Net()
    conv = net.conv("conv", net.data("x", (1, 5, 5, 3), 5), 4)
    net.fix(conv, change.pop("position", 3), **change)  # type: ignore[arg-type]
    model, report = compiled(net.done())
    assert "conv2d" in kinds(model) and "upload" not in kinds(model)
    assert reason in report.reasons["conv"]


def test_weights_without_a_fix_keep_a_convolution_on_the_cpu() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 5)
    weights = net.const("w", np.ones((4, 1, 1, 3)))
    attrs = window(1, 1, 0) | {"pad_mode": text("FLOOR")}
    net.fix(net.op("conv", "conv2d", [x], (1, 5, 5, 4), attrs, weights=weights), 4)
    assert "weights are not a quantized constant" in compiled(net.done())[1].reasons["conv"]


@pytest.mark.parametrize("fixed", [True, False])
def test_zero_padding_goes_into_the_convolution(fixed: bool) -> None:
    net = Net()
    x = net.data("x", (1, 6, 6, 3), 5)
    attrs = {"paddings": ints(0, 0, 1, 2, 2, 0, 0, 0), "mode": text("CONSTANT")}
    padded = net.op("pad", "pad", [x], (1, 9, 8, 3), attrs)
    if fixed:
        padded = net.fix(padded, 5)
    net.fix(net.conv("conv", padded, 4, pad=0), 4)
    model, _ = check_same(net.done())
    assert model.ops["conv"].get("pad") == (2, 0, 1, 2)
    assert "pad-fix" not in kinds(model)


def test_padding_wider_than_a_window_stays_an_operator() -> None:
    net = Net()
    x = net.data("x", (1, 4, 4, 3), 5)
    attrs = {"paddings": ints(0, 0, 3, 3, 3, 3, 0, 0), "mode": text("CONSTANT")}
    padded = net.fix(net.op("pad", "pad", [x], (1, 10, 10, 3), attrs), 5)
    net.fix(net.conv("conv", padded, 4, pad=0), 4)
    assert "pad-fix" in kinds(check_same(net.done())[0])


@pytest.mark.parametrize("transposed", [True, False])
def test_a_matrix_product_is_a_convolution(transposed: bool) -> None:
    net = Net()
    x = net.data("x", (1, 20), 5)
    weights = net.random("w", (7, 20) if transposed else (20, 7), 7)
    bias = net.random("b", (7,), 5)
    attrs = {"transpose_a": Attr("bool", False), "transpose_b": Attr("bool", transposed)}
    net.op("fc", "matmul", [x, weights], (1, 7), attrs, bias=bias)
    net.fix("fc", 2)
    model, _ = check_same(net.done("fc_fix"))
    conv = model.ops["fc(TransferMatMulToConv2d)"]
    assert conv.kind == "conv2d-fix" and conv.tensor.shape == (1, 1, 1, 7)
    assert model.ops[conv.args["weights"][0]].name == "w(reshaped)"
    assert model.ops["fc_fix(MoveReshape)_reshaped"].tensor.shape == (1, 7)


def test_a_flattened_image_becomes_the_window() -> None:
    net = Net()
    x = net.fix(net.conv("conv", net.data("x", (1, 6, 5, 3), 5), 4), 4)
    flat = net.fix(net.op("flat", "reshape", [x], (1, 120), {"shape": ints(1, 120)}), 4)
    weights = net.random("w", (3, 120), 8)
    attrs = {"transpose_a": Attr("bool", False), "transpose_b": Attr("bool", True)}
    net.fix(net.op("fc", "matmul", [flat, weights], (1, 3), attrs), 2)
    model, _ = check_same(net.done())
    conv = model.ops["fc(TransferMatMulToConv2d)"]
    assert conv.get("kernel") == (5, 6) and conv.args["input"] == ("conv",)


def test_rows_of_a_sequence_are_pixels() -> None:
    net = Net()
    x = net.data("x", (1, 9, 8), 5)
    weights = net.random("w", (8, 4), 7)
    attrs = {"transpose_a": Attr("bool", False), "transpose_b": Attr("bool", False)}
    net.fix(net.op("fc", "matmul", [x, weights], (1, 9, 4), attrs), 3)
    model, _ = check_same(net.done())
    assert model.ops["fc(TransferMatMulToConv2d)"].tensor.shape == (1, 1, 9, 4)


def test_factors_per_channel_are_a_depthwise_convolution() -> None:
    net = Net()
    x = net.data("x", (1, 4, 5, 6), 5)
    attrs = {"axis": Attr("int32", 3)}
    scaled = net.op(
        "bn", "scale", [x], (1, 4, 5, 6), attrs, scale=net.random("s", (6,), 6), bias=net.random("o", (6,), 4)
    )
    net.fix(scaled, 4)
    one = net.op("mul", "mul", ["bn_fix", net.random("half", (1,), 7)], (1, 4, 5, 6))
    net.fix(one, 5)
    many = net.op("muls", "mul", [net.random("many", (1, 1, 6), 7), "mul_fix"], (1, 4, 5, 6))
    net.fix(many, 5)
    model, _ = check_same(net.done())
    assert kinds(model).count("depthwise-conv2d-fix") == 3


def test_a_convolution_of_volumes() -> None:
    net = Net()
    x = net.data("x", (1, 4, 4, 3, 5), 5)
    weights = net.random("w", (6, 2, 2, 2, 5), 7)
    attrs = {
        "kernel": ints(2, 2, 2), "stride": ints(1, 1, 1), "dilation": ints(1, 1, 1),
        "pad": ints(0, 0, 0, 0, 0, 0), "pad_mode": text("FLOOR"),
    }  # fmt: skip
    net.fix(net.op("conv", "conv3d", [x], (1, 3, 3, 2, 6), attrs, weights=weights), 4)
    model, _ = check_same(net.done(), VERSAL)
    assert (
        model.ops["conv"].kind == "conv3d-fix"
        and model.ops["conv"].get("workload") == 3 * 3 * 2 * 6 * 2 * 8 * 5
    )


def test_groups() -> None:
    net = Net()
    x = net.data("x", (1, 4, 4, 6), 5)
    attrs = window(1, 1, 0) | {"pad_mode": text("FLOOR"), "group": Attr("int32", 2)}
    net.fix(net.op("conv", "conv2d", [x], (1, 4, 4, 8), attrs, weights=net.random("w", (8, 1, 1, 3), 7)), 4)
    assert check_same(net.done())[0].ops["conv"].get("group") == 2
