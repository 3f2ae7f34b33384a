"""The arithmetic and the limits of a DPU, and the switch of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import vai_q_onnx
from quantforge.graph import Array
from quantforge.passes.dpu_arithmetic import DpuArithmetic
from quantforge.passes.dpu_structure import DpuStructure
from quantforge.quantization.recipe import ShiftLimits
from tests.unit.frontends.onnx.text_models import model, random, run
from vai_q_onnx.dpu_options import ADJUSTED, REWRITTEN, SIMULATED, arithmetic_of, limits_of, structure_of
from vai_q_onnx.options import Options, checked_extra

LAYERS = {
    "ConvertLeakyReluToDPUVersion": "LeakyRelu <alpha = 0.2> (x)",
    "ConvertSigmoidToHardSigmoid": "Sigmoid (x)",
    "ConvertHardSigmoidToDPUVersion": "HardSigmoid <alpha = 0.16666667> (x)",
    "ConvertAvgPoolToDPUVersion": "AveragePool <kernel_shape = [3, 3], strides = [1, 1], pads = [0, 0, 0, 0]> (r)",
    "ConvertReduceMeanToDPUVersion": "ReduceMean <axes = [2, 3], keepdims = 1> (r)",
}
SHAPES = {"ConvertAvgPoolToDPUVersion": "4,4", "ConvertReduceMeanToDPUVersion": "1,1"}
EXACT = {
    "ConvertLeakyReluToDPUVersion": lambda x: np.where(x < 0, 51 / 256 * x, x),
    "ConvertSigmoidToHardSigmoid": lambda x: np.clip(x + 3, 0, 6) * 2731 / 16384,
    "ConvertHardSigmoidToDPUVersion": lambda x: np.clip(x + 3, 0, 6) * 2731 / 16384,
    "ConvertAvgPoolToDPUVersion": lambda x: 7 / 64 * windows(np.maximum(x, 0)).sum((-1, -2)),
    "ConvertReduceMeanToDPUVersion": lambda x: 7 / 256 * np.maximum(x, 0).sum((2, 3), keepdims=True),
}


def windows(x: Array) -> Array:
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))


def options(extra: dict[str, Any] | None = None, dpu: bool = True) -> Options:
    return Options(enable_dpu=dpu, extra=checked_extra(extra))


class Reader:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.left = [2 * random(*shape, seed=seed) for seed in range(3)]

    def get_next(self) -> dict[str, Array] | None:
        return {"x": self.left.pop()} if self.left else None


def quantized(folder: Path, text: str, shape: tuple[int, ...], extra: Any = None, **arguments: Any) -> str:
    path = str(folder / "quantized.onnx")
    proto = model(text, **arguments)
    reader = Reader(shape)
    vai_q_onnx.quantize_static(proto, path, reader, enable_dpu=True, extra_options=extra, print_summary=False)
    onnx.checker.check_model(path, full_check=True)
    return path


def scales(path: str) -> dict[str, float]:
    proto = onnx.load(path)
    params = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
    return {name.removesuffix("_scale"): float(a) for name, a in params.items() if name.endswith("_scale")}


AS_MEANS = {"ConvertReduceMeanToGlobalAvgPool": False}  # a mean would be a pool otherwise


@pytest.mark.parametrize("name", LAYERS)
def test_each_operator_computes_as_a_dpu_does(name: str, tmp_path: Path) -> None:
    first = "r = Relu (x)" if name in SHAPES else ""  # a pool alone only moves data
    text = f"agraph (float[n,2,6,6] x) => (float[n,2,{SHAPES.get(name, '6,6')}] y) {{ {first} y = {LAYERS[name]} }}"
    path = quantized(tmp_path, text, (2, 2, 6, 6), AS_MEANS)
    x, steps = 2 * random(4, 2, 6, 6, seed=9), scales(path)
    step = steps["y"]
    stored = np.clip(np.rint(x.astype(np.float64) / steps["x"]), -128, 127) * steps["x"]
    if first:
        stored = np.clip(np.rint(stored / step), -128, 127) * step
    want = np.clip(np.rint(EXACT[name](stored) / step), -128, 127) * step
    got = run(path, {"x": x})[0]
    assert (np.abs(got - want) > step / 2).mean() < 0.01, "but for halves that float32 rounds elsewhere"
    written = Path(path).read_bytes()
    off = run(quantized(tmp_path, text, (2, 2, 6, 6), {name: False, **AS_MEANS}), {"x": x})[0]
    if name not in ("ConvertLeakyReluToDPUVersion", "ConvertHardSigmoidToDPUVersion"):  # less than a step
        assert np.abs(off - got).max() >= step
    assert Path(path).read_bytes() != written
    for switches in (dict.fromkeys(SIMULATED, False), {"SimulateDPU": False}):
        again = run(quantized(tmp_path, text, (2, 2, 6, 6), {**switches, **AS_MEANS}), {"x": x})[0]
        np.testing.assert_array_equal(again, off)


def test_operators_in_float_keep_their_arithmetic(tmp_path: Path) -> None:
    text = """agraph (float[n,2,6,6] x) => (float[n,2,6,6] y) {
        [a] h = LeakyRelu <alpha = 0.1> (x)
        [b] y = Sigmoid (h)
    }"""
    path = str(tmp_path / "quantized.onnx")
    arguments = {"nodes_to_exclude": ["b"], "enable_dpu": True, "print_summary": False}
    vai_q_onnx.quantize_static(model(text), path, Reader((1, 2, 6, 6)), **arguments)  # type: ignore[arg-type]
    nodes = {node.name: node for node in onnx.load(path).graph.node}
    assert nodes["b"].op_type == "Sigmoid"
    assert nodes["a"].attribute[0].f == 26 / 256


SWITCHES = dict(zip(ADJUSTED, ("cut", "bias", "read", "write", "hard_sigmoid", "hard_swish"), strict=True))


@pytest.mark.parametrize("name", ADJUSTED)
def test_each_limit_has_its_switch(name: str) -> None:
    on, off = limits_of(options()), limits_of(options({name: False}))
    assert on == ShiftLimits(read=True, write=True, leaky_bias=True) and off is not None
    assert [key for key in vars(on) if getattr(on, key) != getattr(off, key)] == [SWITCHES[name]]


@pytest.mark.parametrize("name", ["IPULimitationCheck", "NPULimitationCheck"])
def test_all_limits_have_one(name: str) -> None:
    assert limits_of(options({name: False})) is None
    assert limits_of(options(dpu=False)) is None


def test_the_arithmetic_is_that_of_the_options() -> None:
    assert arithmetic_of(options()) == DpuArithmetic(every_slope=True, sigmoid=True)
    assert arithmetic_of(options({"SimulateDPU": False})) is arithmetic_of(options(dpu=False)) is None


def test_positions_move_until_shifts_fit(tmp_path: Path) -> None:
    text = """agraph (float[n,2,6,6] x) => (float[n,2,6,6] y) {
        [c] h = Conv <kernel_shape = [1, 1]> (x, w)
        [s] y = Add (x, h)
    }"""
    weights = {"w": (2.0**-20 * random(2, 2, 1, 1)).astype(np.float32)}
    found = {}
    for name in ("AdjustShiftRead", "AdjustShiftWrite"):
        extra = {name: False}
        found[name] = scales(quantized(tmp_path, text, (2, 2, 6, 6), extra, **weights))
    assert found["AdjustShiftRead"]["h"] < found["AdjustShiftRead"]["x"] / 128
    assert found["AdjustShiftWrite"]["h"] == found["AdjustShiftWrite"]["x"] / 128


def test_how_the_graph_is_written_is_that_of_the_options() -> None:
    assert structure_of(options()) == DpuStructure() and structure_of(options(dpu=False)) is None
    for name, field in REWRITTEN.items():
        other = not checked_extra(None)[name]
        assert structure_of(options({name: other})) == DpuStructure(**{field: other})


NORM = """m = ReduceMean <axes = [2, 3]> (r) d = Sub (r, m) s = Mul (d, d) v = ReduceMean <axes = [2, 3]> (s)
    e = Add (v, eps) o = Sqrt (e) y = Div (d, o)"""
LENGTH = "s = Mul (r, r) t = ReduceSum (s, axes) e = Max (t, eps) o = Sqrt (e) y = Div (r, o)"
CHANGES = {  # option -> (body behind r = relu(x), shape of y, its constants, operators without and with it)
    "ConvertBNToConv": ("y = BatchNormalization (r, g, b, m, v)", "4,6,6", "gbmv", "BatchNormalization", "Conv"),
    "ConvertReduceMeanToGlobalAvgPool": (
        "y = ReduceMean <axes = [2, 3]> (r)", "4,1,1", "", "ReduceMean", "GlobalAveragePool",
    ),
    "SplitLargeKernelPool": ("y = GlobalAveragePool (r)", "4,1,1", "", "GlobalAveragePool", "AveragePool"),
    "ConvertSplitToSlice": (
        "p, q = Split <axis = 1> (r) y = Concat <axis = 1> (q, p)", "4,6,6", "", "Split", "Slice",
    ),
    "FuseInstanceNorm": (NORM, "4,6,6", ("eps",), "Sqrt", "InstanceNormalization"),
    "FuseL2Norm": (LENGTH, "4,6,6", ("eps", "axes"), "Sqrt", "LpNormalization"),
    "ConvertClipToRelu": ("y = Clip (r, low, high)", "4,6,6", ("low", "high"), "Clip", "Relu"),
    "ConvertSoftmaxToDPUVersion": ("y = Softmax <axis = 1> (r)", "4,6,6", "", "Softmax", "Pow"),
}  # fmt: skip
CONSTANTS = {
    "g": random(4, seed=1), "b": random(4, seed=2), "m": random(4, seed=3), "v": random(4, seed=4) ** 2 + 1,
    "eps": np.float32(1e-9), "axes": np.array([1]), "low": np.float32(0), "high": np.float32(2),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_of_the_graph_on_and_off(name: str, tmp_path: Path) -> None:
    body, shape, names, without, with_it = CHANGES[name]
    side = 40 if name == "SplitLargeKernelPool" else 6
    text = f"agraph (float[n,4,{side},{side}] x) => (float[n,{shape}] y) {{ r = LeakyRelu (x) {body} }}"
    used = {key: CONSTANTS[key] for key in names}
    x = 2 * random(3, 4, side, side, seed=9)
    want = run(model(text, **used), {"x": x})[0]
    plain = {"SimulateDPU": name == "ConvertSoftmaxToDPUVersion"}
    for on in (False, True):
        path = quantized(tmp_path, text, (2, 4, side, side), {name: on, **plain}, **used)
        types = [node.op_type for node in onnx.load(path).graph.node]
        assert (with_it in types) == on
        assert (without in types) == (not on or name == "SplitLargeKernelPool")
        got = run(path, {"x": x})[0]
        limit = 0.2 if name == "FuseL2Norm" else 0.01  # short vectors are rough before they are stretched
        near = ((got - want) ** 2).sum() < limit * (want**2).sum()
        assert near == (on or name != "FuseL2Norm"), "the sum of squares of small numbers is stored as 0"


def test_a_softmax_computes_in_bfloat16(tmp_path: Path) -> None:
    text = "agraph (float[n,10] x) => (float[n,10] y) { y = Softmax (x) }"
    on = quantized(tmp_path, text, (8, 10), {"ConvertSoftmaxToDPUVersion": True})
    casts = [node for node in onnx.load(on).graph.node if node.op_type == "Cast"]
    assert sum(node.attribute[0].i == onnx.TensorProto.BFLOAT16 for node in casts) == 6
    no_simulation = {"ConvertSoftmaxToDPUVersion": True, "SimulateDPU": False}
    off = quantized(tmp_path, text, (8, 10), no_simulation)
    assert "Softmax" in [node.op_type for node in onnx.load(off).graph.node]


@pytest.mark.parametrize("aligned", [True, False])
def test_align_concat(aligned: bool, tmp_path: Path) -> None:
    text = """agraph (float[n,2,4,4] x) => (float[n,4,4,4] y) {
        [a] p = Relu (x)
        [b] q = Conv <kernel_shape = [1, 1]> (x, w)
        [c] y = Concat <axis = 1> (p, q)
    }"""
    weights = {"w": 30 * random(2, 2, 1, 1)}
    found = scales(quantized(tmp_path, text, (2, 2, 4, 4), {"AlignConcat": aligned}, **weights))
    if aligned:
        assert found["p"] == found["q"] == found["y"]
    else:
        assert found["p"] < found["q"] and set(found) >= {"p", "q", "y"}


@pytest.mark.parametrize("aligned", [True, False])
def test_align_pool(aligned: bool, tmp_path: Path) -> None:
    text = """agraph (float[n,2,6,6] x) => (float[n,2,1,1] y) {
        [a] p = Conv <kernel_shape = [1, 1]> (x, w)
        [b] y = GlobalAveragePool (p)
    }"""
    found = scales(quantized(tmp_path, text, (2, 2, 6, 6), {"AlignPool": aligned}, w=random(2, 2, 1, 1)))
    assert (found["p"] == found["y"]) == aligned
    assert found["y"] <= found["p"]


def test_a_bias_in_front_of_a_leaky_relu_is_not_shifted_right(tmp_path: Path) -> None:
    text = """agraph (float[n,2,4,4] x) => (float[n,2,4,4] y) {
        [c] p = Conv <kernel_shape = [1, 1]> (x, w, b)
        [l] y = LeakyRelu <alpha = 0.1> (p)
    }"""
    constants = {"w": 4 * random(2, 2, 1, 1), "b": np.array([1e-6, -1e-6], np.float32)}
    path = quantized(tmp_path, text, (2, 2, 4, 4), **constants)
    proto = onnx.load(path)
    params = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    step = {
        node.output[0]: params[node.input[1]]
        for node in proto.graph.node
        if node.op_type == "DequantizeLinear"
    }
    weight = next(float(a) for name, a in step.items() if name.startswith("w"))
    bias = next(float(a) for name, a in step.items() if name == "b" or name.startswith("b_"))
    assert bias >= weight * scales(path)["x"], "shift_bias is at least 0"
