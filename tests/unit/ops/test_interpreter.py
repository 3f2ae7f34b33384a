from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.graph import Array, Graph, Op, QuantSpec, Value
from quantforge.graph.execution import Executor
from quantforge.graph.text import parse_graph
from quantforge.numerics.formats import BFLOAT16, INT8, INT32, UINT8, Format, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.ops.infer import infer_shapes
from quantforge.ops.interpreter import Interpreter
from tests.unit.ops.single_op import assert_close, normal

NET = """
graph "net"
input %x: float32[batch,3,8,8]
%c1: float32 = conv2d(%x, %w1, %b1) pads=(1, 1, 1, 1)  # "Conv"
%r1: float32 = relu(%c1)  # "Relu"
%c2: float32 = conv2d(%r1, %w2, %b2) pads=(1, 1, 1, 1)  # "Conv2"
%a: float32 = eltwise-add(%r1, %c2)  # "Add"
%r2: float32 = leaky-relu(%a) alpha=0.1015625  # "LeakyRelu"
%p: float32 = maxpool2d(%r2) kernel=(2, 2) stride=(2, 2)  # "MaxPool"
%g: float32 = avgpool2d(%p) global=true  # "GlobalAveragePool"
%f: float32 = flatten(%g) axis=1  # "Flatten"
%y: float32 = inner-product(%f, %w3, %b3) weight_layout="IO"  # "Gemm"
output %y
"""
NATIVE = {"Conv2": "Conv"}
CONSTANTS = {
    "w1": normal(8, 3, 3, 3, seed=1) / 4,
    "b1": normal(8, seed=2),
    "w2": normal(8, 8, 3, 3, seed=3) / 8,
    "b2": normal(8, seed=4),
    "w3": normal(8, 5, seed=5),
    "b3": normal(5, seed=6),
}
X = normal(4, 3, 8, 8, seed=7)


def network() -> Graph:
    graph = parse_graph(NET)
    for name, data in CONSTANTS.items():
        graph.set_value(Value(name, data.shape, "float32", data))
    return infer_shapes(graph)


def in_onnx_runtime(graph: Graph) -> dict[str, Array]:
    """Every value of `network`, in ONNX Runtime."""
    nodes = []
    for op in graph.ops:
        attrs = {key: value for key, value in op.attrs.items() if key in ("pads", "alpha", "axis")}
        if op.kind == "maxpool2d":
            attrs |= {"kernel_shape": (2, 2), "strides": (2, 2)}
        nodes.append(helper.make_node(NATIVE.get(op.name, op.name), op.inputs, op.outputs, **attrs))
    outputs = [op.outputs[0] for op in graph.ops]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3, 8, 8])],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            [numpy_helper.from_array(data, name) for name, data in CONSTANTS.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return dict(zip(outputs, session.run(outputs, {"x": X}), strict=True))


def run(graph: Graph, observe: Sequence[str], mode: str = "float") -> Mapping[str, Array]:
    executor: Executor = Interpreter(mode)  # type: ignore[arg-type]
    return executor.session(graph, observe).run({"x": X})


def quantized(graph: Graph, specs: dict[str, QuantSpec]) -> Graph:
    graph = graph.copy()
    for name, spec in specs.items():
        graph.set_value(replace(graph.value(name), quant=spec))
    return graph


def dpu(position: int, form: Format = INT8) -> QuantSpec:
    return QuantSpec.power_of_two(form, position, Rounding.HALF_UP)


DPU = {
    "x": dpu(5), "w1": dpu(7), "b1": dpu(5), "r1": dpu(4), "w2": dpu(8), "b2": dpu(6), "r2": dpu(3), "p": dpu(3),
    "g": dpu(3), "f": dpu(3), "w3": dpu(5), "b3": dpu(5), "y": dpu(2),
}  # fmt: skip


def test_float_mode_equals_onnx_runtime_at_every_value() -> None:
    graph = network()
    expected = in_onnx_runtime(graph)
    actual = run(graph, list(expected))
    for name in expected:
        assert_close(actual[name], expected[name])


def test_power_of_two_graphs_give_the_same_in_both_modes_bit_for_bit() -> None:
    graph = quantized(network(), DPU)
    names = [name for name in DPU if not graph.value(name).is_const]
    real, exact = run(graph, names), run(graph, names, "integer")
    for name in names:
        assert np.array_equal(real[name], exact[name]), name
    assert_close(exact["y"], run(network(), ["y"])["y"], relative=0.1)


def test_values_between_fused_operators_stay_exact_accumulators() -> None:
    """c1 carries no spec: relu applies to the accumulator, and rounding happens once, at r1."""
    graph = quantized(network(), DPU)
    session = Interpreter("integer").session(graph, ["x", "w1", "b1", "c1", "r1"])
    stored = session.run_integers({"x": X})
    assert {name: str(stored[name].dtype) for name in stored} == {
        "x": "int8", "w1": "int8", "b1": "int8", "c1": "float32", "r1": "int8",
    }  # fmt: skip
    patch, weights = stored["x"][0, :, :3, :3].astype(int), stored["w1"][4].astype(int)
    acc = int((patch * weights).sum()) + (int(stored["b1"][4]) << 7)
    assert stored["c1"][0, 4, 1, 1] == acc / 2**12
    assert stored["r1"][0, 4, 1, 1] == min(127, (max(0, acc) + 128) >> 8)


@pytest.mark.parametrize("per_channel", [False, True])
def test_float_scales_and_zero_points_agree_within_one_step(per_channel: bool) -> None:
    graph = network()
    scale = tuple(float(s) for s in np.abs(CONSTANTS["w1"]).max(axis=(1, 2, 3)) / 127)
    weight_scale = scale if per_channel else (max(scale),)
    axis = 0 if per_channel else None
    bias_scale = tuple(0.031 * s for s in weight_scale)
    zero = (0,) * len(weight_scale)
    specs = {
        "x": QuantSpec(UINT8, (0.031,), (127,)),
        "w1": QuantSpec(INT8, weight_scale, zero, axis),
        "b1": QuantSpec(INT32, bias_scale, zero, axis),
        "r1": QuantSpec(UINT8, (0.02,), (0,)),
        "r2": QuantSpec(UINT8, (0.05,), (30,)),
        "g": QuantSpec(UINT8, (0.02,), (10,)),
    }
    graph = quantized(graph, specs)
    names = ["r1", "r2", "g"]
    real, exact = run(graph, names), run(graph, names, "integer")
    for name in names:
        step = specs[name].scale[0]
        off = np.abs(real[name] - exact[name])
        assert off.max() <= 1.001 * step, name
        assert (off > 0.5 * step).mean() < 0.05, name


def test_float_formats_round_in_both_modes() -> None:
    graph = quantized(network(), {"r1": QuantSpec(BFLOAT16), "x": dpu(5)})
    real, exact = run(graph, ["r1", "y"]), run(graph, ["r1", "y"], "integer")
    assert np.array_equal(real["r1"], exact["r1"])
    assert not (real["r1"].view(np.uint32) & 0xFFFF).any()


def test_observing_inputs_and_constants_and_nothing() -> None:
    graph = quantized(network(), {"w1": dpu(2, IntFormat(4))})
    found = run(graph, ["x", "w1"])
    assert np.array_equal(found["x"], X)
    assert np.array_equal(found["w1"], np.clip(np.floor(CONSTANTS["w1"] * 4 + 0.5), -8, 7) / 4)
    assert run(graph, []) == {}


def test_one_value_read_twice_and_an_output_read_again() -> None:
    graph = Graph("g", [Value(n, (2,)) for n in ("x", "a", "b")], inputs=["x"], outputs=["a", "b"])
    graph.add_op(Op("eltwise-add", "add", ("x", "x"), ("a",)))
    graph.add_op(Op("eltwise-mul", "mul", ("a", "x"), ("b",)))
    found = Interpreter().session(graph, ["a", "b"]).run({"x": np.array([1, 2], np.float32)})
    assert found["a"].tolist() == [2, 4] and found["b"].tolist() == [2, 8]


def opaque_graph() -> Graph:
    graph = Graph("g", [Value("x", (2,)), Value("y")], inputs=["x"], outputs=["y"])
    graph.add_op(Op("opaque", "n_ms", ("x", ""), ("y",), {"type": "Custom"}))
    return graph


def test_an_opaque_operator_is_refused_or_evaluated() -> None:
    feeds = {"x": np.ones(2, np.float32)}
    with pytest.raises(UnsupportedError, match="Q0401 n_ms: found operator Custom"):
        Interpreter().session(opaque_graph(), ["y"]).run(feeds)

    def evaluate(op: Op, arrays: Sequence[Array | None]) -> Sequence[Array]:
        assert op.attrs["type"] == "Custom" and arrays[1] is None and arrays[0] is not None
        return [arrays[0] * 3]

    found = Interpreter(evaluate_opaque=evaluate).session(opaque_graph(), ["y"]).run(feeds)
    assert found["y"].tolist() == [3, 3]


def test_an_unknown_name_cannot_be_observed() -> None:
    with pytest.raises(InputError, match="Q0409 net: found no value 'z'; expected a value of the graph"):
        Interpreter().session(network(), ["z"])


@pytest.mark.parametrize(
    ("feeds", "text"),
    [
        ({}, r"Q0406 net: found no data for input 'x' among \[\]; expected x: float32\['batch', 3, 8, 8\]"),
        ({"x": X.astype(np.float64)}, r"Q0406 input x: found float64\[4, 3, 8, 8\]; expected float32"),
        ({"x": X.transpose(0, 2, 3, 1)}, r"Q0406 input x: found float32\[4, 8, 8, 3\]"),
        ({"x": X[0]}, r"Q0406 input x: found float32\[3, 8, 8\]"),
    ],
)
def test_feeds_must_fit(feeds: dict[str, Array], text: str) -> None:
    with pytest.raises(InputError, match=text):
        Interpreter().session(network(), ["y"]).run(feeds)


def test_a_nan_is_named_by_its_value() -> None:
    with pytest.raises(InputError, match="Q0305 x: found NaN in 1 of"):
        bad = X.copy()
        bad[0, 0, 0, 0] = np.nan
        Interpreter("integer").session(quantized(network(), DPU), ["y"]).run({"x": bad})
