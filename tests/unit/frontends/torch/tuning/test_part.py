from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.tuning.part import put_back, reduced_to, runnable_part  # noqa: E402
from quantforge.graph import Graph, QuantSpec  # noqa: E402
from quantforge.numerics.formats import INT8  # noqa: E402
from tests.networks import Net  # noqa: E402


def network() -> Graph:
    net = Net()
    first = net.add("relu", "r", (net.conv("c1", "x", 4),))
    boxes = net.conv("c2", first, 2)
    odd = net.add("opaque", "nms", (boxes,), type="Elsewhere")
    return net.done(net.conv("c3", first, 3), net.add("relu", "late", (odd,)))


def test_what_torch_cannot_run_and_what_follows_is_left_out() -> None:
    part = runnable_part(network())
    assert {op.name for op in part.ops} == {"c1", "r", "c2", "c3"}
    assert set(part.outputs) == {"c3.out", "c2.out"}


def test_a_graph_that_runs_is_its_own_part() -> None:
    net = Net()
    graph = net.done(net.conv("c1", "x", 4))
    assert runnable_part(graph) is graph


def test_reduced_and_put_back() -> None:
    graph = network()
    part = reduced_to(graph, ["c2.out"])
    assert {op.name for op in part.ops} == {"c1", "r", "c2"}
    assert not part.has_value("c3.w")
    value = part.value("c2.w")
    part.set_value(replace(value, const=np.zeros_like(value.const)))
    part.set_value(replace(part.value("r.out"), quant=QuantSpec.power_of_two(INT8, 4)))
    found = put_back(graph, part)
    assert not np.any(found.value("c2.w").const)
    assert found.value("r.out").quant is not None
    assert found.value("c1.w").const is graph.value("c1.w").const
    assert np.any(graph.value("c2.w").const)
