from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.native import NativeModule  # noqa: E402
from quantforge.frontends.torch.quantizer import ModuleQuantizer  # noqa: E402
from quantforge.frontends.torch.recipes import dpu_recipe  # noqa: E402
from quantforge.frontends.torch.scope import (  # noqa: E402
    Stubs,
    begins_scope,
    keep_float_inputs,
    mark_begin,
    mark_end,
    outside_ops,
    scoped,
)
from quantforge.graph import Graph  # noqa: E402
from quantforge.graph.text import parse_graph  # noqa: E402
from quantforge.quantization.placement import place  # noqa: E402
from quantforge.quantization.recipe import DPU_CNN  # noqa: E402

CHAIN = """
graph "chain"
input %x: float32[1,4]
%a: float32[1,4] = relu(%x)  # "a" from nothing
%b: float32[1,4] = identity(%a)  # "b" from nothing
%c: float32[1,4] = sigmoid(%b)  # "c" from nothing
%d: float32[1,4] = identity(%c)  # "d" from nothing
%y: float32[1,4] = tanh(%d)  # "y" from nothing
output %y
"""


class Middle(nn.Module):
    """Float, quantized, float; what enters the quantized part is also read in float, and so is a table."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.middle, self.last = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        inner = mark_begin({"x": x, "shift": 1})
        y = mark_end((torch.relu(self.middle(inner["x"])) + torch.arange(4.0) * 0.5, None))[0]
        return self.last(y) + x


def outside(graph: Graph) -> tuple[str, ...]:
    assert isinstance(graph.native, NativeModule)
    return graph.native.outside


def quantizer_of(module: nn.Module, x: Any) -> ModuleQuantizer:
    quantizer = ModuleQuantizer(module, x, None, dpu_recipe())
    with torch.no_grad():
        quantizer.observed_module()(x)
    quantizer.solve()
    return quantizer


def test_marks_are_the_identity_outside_of_an_export() -> None:
    x = torch.ones(2, requires_grad=True)
    found = mark_end(mark_begin([x, {"y": x}, None]))
    assert found[0] is x and found[1]["y"] is x and found[2] is None


def test_marks_pass_gradients_when_they_are_kept_as_calls() -> None:
    x = torch.ones(2, requires_grad=True)
    torch.ops.quantforge.quant_stub(torch.ops.quantforge.dequant_stub(x)).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [1, 1]


def test_which_calls_are_marks() -> None:
    assert begins_scope(torch.ops.quantforge.quant_stub.default) is True
    assert begins_scope(torch.ops.quantforge.dequant_stub.default) is False
    assert begins_scope(torch.ops.aten.relu.default) is None and begins_scope(len) is None


def test_inside_is_what_a_begin_reaches_until_an_end() -> None:
    graph = parse_graph(CHAIN)
    assert outside_ops(graph, Stubs()) == ()
    assert outside_ops(graph, Stubs(("b",), ("d",))) == ("a", "d", "y")
    assert outside_ops(graph, Stubs(("b",))) == ("a",)
    assert outside_ops(graph, Stubs((), ("d",))) == ("d", "y")


def test_what_computes_constants_for_the_inside_joins_it() -> None:
    class Ramp(nn.Module):
        def forward(self, x: Any) -> Any:
            y = mark_begin(x)
            return mark_end(y * torch.rand(4)) * torch.rand(4)

    graph = import_module(Ramp(), torch.zeros(2, 4))
    assert [op.name for op in graph.ops if op.name not in outside(graph)] == ["quant_stub", "rand", "mul"]


def test_only_what_lies_between_the_marks_carries_specs() -> None:
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    quantizer = quantizer_of(Middle().eval(), x)
    graph = quantizer.graph
    assert graph is not None
    assert [op.name for op in graph.ops if op.name in outside(graph)] == [
        "first", "quant_stub", "last", "add_1"
    ]  # fmt: skip
    quantized = {value.name for value in graph.values if value.quant is not None}
    assert {"middle.weight", "middle.bias", "quant_stub", "relu"} < quantized
    assert not quantized & {"first", "first.weight", "last.weight", "last", "x", graph.outputs[0]}


def test_a_value_that_is_read_in_float_too_stays_whole_there() -> None:
    torch.manual_seed(0)
    module, x = Middle().eval(), torch.randn(8, 4)
    nn.init.zeros_(module.last.weight)
    nn.init.zeros_(module.last.bias)
    with torch.no_grad():
        torch.testing.assert_close(quantizer_of(module, x).quantized_module()(x), module(x))


def test_a_begin_whose_input_nobody_else_reads_needs_no_cast() -> None:
    graph = parse_graph(CHAIN)
    assert keep_float_inputs(graph, Stubs(("b",)), outside_ops(graph, Stubs(("b",)))) == ()
    graph.outputs = ("y", "a")
    assert keep_float_inputs(graph, Stubs(("b",)), ()) == ("b",)
    assert graph.op("b").kind == "cast"


def test_names_with_the_signs_of_patterns_match_themselves_only() -> None:
    class Starred(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("fc*", nn.Linear(4, 4))
            self.add_module("fc1", nn.Linear(4, 4))

        def forward(self, x: Any) -> Any:
            x = getattr(self, "fc*")(x)
            return self.fc1(mark_begin(x))

    graph = import_module(Starred().eval(), torch.zeros(2, 4))
    recipe = scoped(DPU_CNN, graph)
    assert outside(graph) == ("fc*",)
    assert [found.op for found in place(graph, recipe).floats] == ["fc*"]


def test_without_marks_the_recipe_is_as_it_was() -> None:
    assert scoped(DPU_CNN, import_module(nn.ReLU(), torch.zeros(2, 4))) is DPU_CNN


def test_several_pairs_and_a_module_inside_called_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            x = mark_end(self.fc(mark_begin(x)))
            x = torch.sigmoid(self.fc(x))
            return mark_end(self.fc(mark_begin(x)))

    graph = import_module(Twice().eval(), torch.zeros(2, 4))
    assert [name for name in outside(graph) if "stub" not in name] == ["fc_1", "sigmoid"]
    assert np.array_equal(graph.op("fc").inputs[1], graph.op("fc_2").inputs[1])
