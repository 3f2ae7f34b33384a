from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.deploy import deployable  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.run import TorchExecutor  # noqa: E402
from quantforge.graph import Graph  # noqa: E402


class Sized(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = torch.nn.Parameter(torch.randn(1, 1, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        token = self.token.expand(x.shape[0], -1, -1)
        return torch.cat([token, x], 1) + torch.full((x.shape[0], 1, 1), 2.0) + torch.full_like(token, 3.0)


class Expanded(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(0, keepdim=True).expand(x.shape[0], -1)


class Ranked(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, indices = torch.topk(x, 2, dim=1)
        return values * 2, indices


def opaque(graph: Graph) -> list[str]:
    return [str(op.attrs["type"]) for op in graph.ops if op.kind == "opaque"]


def test_tensors_of_the_size_of_the_batch_become_constants() -> None:
    graph = import_module(Sized(), torch.zeros(2, 3, 4))
    found = deployable(graph)
    assert opaque(graph) and not opaque(found)
    x = np.random.default_rng(0).normal(size=(1, 3, 4)).astype(np.float32)
    answers = [TorchExecutor().session(g, g.outputs).run({"x": x})[g.outputs[0]] for g in (graph, found)]
    np.testing.assert_array_equal(*answers)


def test_expand_to_one_sample_is_nothing() -> None:
    graph = import_module(Expanded(), torch.zeros(2, 4))
    found = deployable(graph)
    assert opaque(graph) == ["aten.expand"] and found.ops[-1].kind == "identity"
    assert found.value(found.outputs[0]).shape == (1, 4)


def test_calls_become_custom_operators_with_their_arguments() -> None:
    graph = import_module(Ranked(), torch.zeros(2, 8))
    found = [op for op in deployable(graph).ops if op.kind == "opaque"]
    assert [op.outputs for op in found] == [("topk",), ("topk.1",)]
    for index, op in enumerate(found):
        assert op.attrs["type"] == "aten::topk" and op.attrs["domain"] == "custom"
        assert (
            op.attrs["attr.k"] == 2 and op.attrs["attr.dim"] == 1 and op.attrs["attr.torch_output"] == index
        )
        assert json.loads(str(op.attrs["attr.torch_arguments"])) == {"self": {"tensor": 0}, "k": 2, "dim": 1}


def test_a_graph_without_such_calls_is_left_alone() -> None:
    graph = import_module(torch.nn.ReLU(), torch.zeros(2, 8))
    assert deployable(graph) is graph
