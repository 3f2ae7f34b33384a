"""Capture many small functions at once and hold the graph against torch and the reference kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.run import TorchExecutor  # noqa: E402
from quantforge.graph import Graph  # noqa: E402
from quantforge.graph.verify import verify  # noqa: E402
from quantforge.ops.interpreter import Interpreter  # noqa: E402


class Calls(torch.nn.Module):
    """Each function on all inputs; the results in order."""

    def __init__(self, functions: list[Callable[..., Any]], parts: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.functions = functions
        for name, part in (parts or {}).items():
            if isinstance(part, torch.nn.Module):
                self.add_module(name, part)
            else:
                self.register_buffer(name, part)

    def forward(self, *inputs: Any) -> Any:
        return [function(self, *inputs) for function in self.functions]


def random(*shape: int, seed: int = 0) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def captured(
    functions: list[Callable[..., Any]], *inputs: Any, parts: Mapping[str, Any] | None = None, batch: int = 3
) -> Graph:
    """The graph of `Calls`, checked on a batch of another size against torch and the reference kernels."""
    module = Calls(functions, parts).eval()
    graph = import_module(module, inputs)
    verify(graph)
    more = tuple(torch.cat([item, item])[:batch] if item.ndim else item for item in inputs)
    feeds = {name: item.numpy() for name, item in zip(graph.inputs, more, strict=True)}
    with torch.no_grad():
        want = [tensor.numpy() for tensor in module(*more)]
    names = graph.native.returned
    fast = TorchExecutor().session(graph, graph.outputs).run(feeds)
    for index, (name, tensor) in enumerate(zip(names, want, strict=True)):
        assert fast[name].dtype == tensor.dtype
        np.testing.assert_allclose(fast[name], tensor, rtol=1e-4, atol=1e-5, err_msg=f"function {index}")
    if all(op.kind != "opaque" for op in graph.ops):
        slow = Interpreter().session(graph, graph.outputs).run(feeds)
        for index, (name, tensor) in enumerate(zip(names, want, strict=True)):
            np.testing.assert_allclose(slow[name], tensor, rtol=1e-4, atol=1e-4, err_msg=f"function {index}")
    return graph


def producers(graph: Graph) -> list[str]:
    """The kind of the op behind each result, identities passed over; "const" and "input" for values without one."""
    found = []
    for name in graph.native.returned:
        op = graph.producer(name)
        while op is not None and op.kind == "identity":
            name, op = op.inputs[0], graph.producer(op.inputs[0])
        found.append(op.kind if op is not None else "const" if graph.value(name).is_const else "input")
    return found
