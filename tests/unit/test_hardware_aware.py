from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantforge.compiler.compile import left_to_cpu
from quantforge.compiler.lower import lower
from quantforge.frontends.onnx import single_node
from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.hardware_aware import assign, with_layer_origins
from quantforge.passes.dpu_arithmetic import DpuArithmetic
from quantforge.quantization.placement import place
from quantforge.quantization.recipe import DPU_CNN
from quantforge.quantization.solve import solve
from quantforge.targets.dpu import load_dpu

TARGETS = ("DPUCZDX8G_ISA1_B4096", "DPUCVDX8G_ISA3_C32B3", "DPUCAHX8L_ISA0_SP")
CONV = {"kernel": (3, 3), "stride": (1, 1), "pads": (1, 1, 1, 1), "layout": "NCHW", "weight_layout": "OIHW"}


def convolution(name: str, source: str, result: str, values: list[Value]) -> Op:
    weights = np.random.default_rng(len(values)).normal(size=(4, 4, 3, 3)).astype(np.float32)
    values += [Value(f"{name}.weight", weights.shape, const=weights), Value(result, (1, 4, 6, 6))]
    return Op("conv2d", name, (source, f"{name}.weight"), (result,), CONV)


def network(between: str, behind: str) -> Graph:
    """conv, an operator, conv, an operator."""
    values = [Value("x", (1, 4, 6, 6)), Value("b", (1, 4, 6, 6)), Value("d", (1, 4, 6, 6))]
    ops = [
        convolution("first", "x", "a", values), Op(between, "between", ("a",), ("b",)),
        convolution("second", "b", "c", values), Op(behind, "behind", ("c",), ("d",)),
    ]  # fmt: skip
    return Graph("net", values, ops, ("x",), ("d",))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("kinds", "away"),
    [(("relu", "relu"), []), (("tanh", "relu"), ["between"]), (("sigmoid", "tanh"), ["between", "behind"])],
)
def test_inspector_quantizer_and_compiler_agree(target: str, kinds: tuple[str, str], away: list[str]) -> None:
    graph, dpu = network(*kinds), load_dpu(target)
    found = assign(graph, DPU_CNN, dpu, single_node)
    assert list(found.on_cpu) == away
    assert [verdict.origin for verdict in found.inspection.on_cpu] == away
    places = place(graph, found.recipe)
    assert [row.op for row in places.floats] == away
    spec = QuantSpec.power_of_two(DPU_CNN.activations.format, 4)
    quantized = solve(graph, places, found.recipe, lambda group, rule: spec)
    # what a convolution reads is rounded, whoever computed it; what only the caller reads is not
    assert quantized.value("b").quant is not None
    assert (quantized.value("d").quant is None) == ("behind" in away)
    model = lower(with_layer_origins(quantized), node_of=single_node)
    left = {
        model.ops[name].get("origin") for name in left_to_cpu(model, dpu) if model.ops[name].kind != "const"
    }
    assert left == set(away)


def test_results_that_are_only_gathered_stay_on_the_cpu_with_their_reason() -> None:
    graph = network("relu", "relu")
    graph.set_value(Value("e", (1, 8, 6, 6)))
    graph.add_op(Op("concat", "join", ("b", "d"), ("e",), {"axis": 1}))
    graph.outputs = ("e",)
    found = assign(graph, DPU_CNN, load_dpu(TARGETS[0]), single_node)
    assert list(found.on_cpu) == ["join"] and found.on_cpu["join"][0].rule == "Q0509"
    assert found.inspection.devices["e"] == "CPU"


@pytest.mark.parametrize(("slope", "away"), [(0.1, []), (0.2, ["between"])])
def test_the_constants_of_the_hardware_count(slope: float, away: list[str]) -> None:
    graph = network("relu", "relu")
    graph.replace_op(Op("leaky-relu", "between", ("a",), ("b",), {"alpha": slope}))
    recipe = replace(DPU_CNN, dpu_arithmetic=DpuArithmetic())
    assert list(assign(graph, recipe, load_dpu(TARGETS[0]), single_node).on_cpu) == away
    exact = replace(DPU_CNN, dpu_arithmetic=None)
    assert list(assign(graph, exact, load_dpu(TARGETS[0]), single_node).on_cpu) == ["between"]


def test_operators_say_their_layer() -> None:
    graph = network("relu", "relu")
    named = with_layer_origins(graph)
    assert [op.origin.names for op in named.ops] == [("first",), ("between",), ("second",), ("behind",)]
    assert graph.ops[0].origin.names == ()
