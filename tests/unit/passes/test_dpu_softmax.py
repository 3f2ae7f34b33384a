from __future__ import annotations

from quantforge.passes.dpu_softmax import dpu_softmaxes
from tests.unit.frontends.onnx.text_models import random

from .onnx_nets import kinds, net, same


def test_every_softmax_but_those_in_float() -> None:
    graph = net("[s] z = Softmax <axis = 1> (x) [t] y = Softmax <axis = 3> (z)")
    result = dpu_softmaxes(graph, {"t"})
    assert kinds(result.graph) == ["dpu-softmax", "softmax"]
    assert result.graph.ops[0].attrs == {"axis": 1} and result.changed == ("s",)
    same(graph, result.graph, random(1, 4, 6, 6), 0.01)
