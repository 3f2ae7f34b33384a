from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.native import NativeCall, Ref, Size  # noqa: E402
from quantforge.frontends.torch.program import Program, call_native  # noqa: E402
from quantforge.graph import Graph, Op, Value  # noqa: E402
from tests.unit.frontends.torch.modules import Nested, Residual  # noqa: E402


def test_only_what_the_wanted_values_need_is_computed() -> None:
    graph = import_module(Residual().eval(), torch.zeros(2, 3, 6, 6))
    assert set(Program(graph, ["conv1"]).constants) == {"conv1.weight"}
    assert Program(graph, ["x"]).constants == ()


def test_sizes_of_a_run_come_from_its_inputs() -> None:
    graph = import_module(Nested(), (torch.zeros(2, 4, 3),), {"other": torch.zeros(2, 4, 3)})
    program = Program(graph, graph.outputs)
    inputs = {name: torch.zeros(5, 4, 3) for name in graph.inputs}
    assert list(program.sizes(inputs).values()) == [5]


def test_operators_that_fail_are_named() -> None:
    graph = import_module(Residual().eval(), torch.zeros(2, 3, 6, 6))
    program = Program(graph, graph.outputs)
    constants = {n: torch.from_numpy(np.asarray(graph.value(n).const)) for n in program.constants}
    with pytest.raises(InputError, match="Q1403 op 'head'"):
        program.run({"x": torch.zeros(2, 3, 12, 6)}, constants)


def test_opaque_operators_of_other_doors_are_refused() -> None:
    op = Op("opaque", "node", ("x",), ("y",), {"type": "NonZero"})
    graph = Graph("g", [Value("x", (2,)), Value("y", (2,))], [op], ["x"], ["y"])
    with pytest.raises(InputError, match="Q1406 op 'node': found NonZero"):
        Program(graph, ["y"])


def test_native_calls_get_their_tensors_and_sizes() -> None:
    symbol = pytest.importorskip("sympy").Symbol("s0")
    full = NativeCall(torch.ops.aten.full.default, ([Size(symbol * 2), 3], 1.0), {})
    assert call_native(full, [], {"s0": 2}).shape == (4, 3)
    roll = NativeCall(torch.ops.aten.roll.default, (Ref(0), [1], [0]), {})
    assert call_native(roll, [torch.tensor([1, 2, 3])], {}).tolist() == [3, 1, 2]
