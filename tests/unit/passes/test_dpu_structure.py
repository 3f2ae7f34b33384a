from __future__ import annotations

import numpy as np
import pytest

from quantforge.passes.dpu_structure import DpuStructure, kept_by, with_dpu_structure
from quantforge.passes.pipeline import Preparation, prepare
from tests.unit.frontends.onnx.text_models import random

from .onnx_nets import kinds, net, same

BODY = """
    [m1] m = ReduceMean <axes = [2, 3]> (x)
    [a1] d = Add (x, m)
    [s1] a, b = Split <axis = 1> (d)
    [c1] y = Concat <axis = 1> (b, a)
"""


def test_each_step_has_its_switch() -> None:
    graph = net(BODY, "1,4,40,40", "1,4,40,40")
    assert with_dpu_structure(graph, None).graph is graph
    found = with_dpu_structure(graph, DpuStructure())
    pools = ["avgpool2d", "avgpool2d"]
    slices = ["strided-slice", "strided-slice", "concat"]
    assert kinds(found.graph) == [*pools, "eltwise-add", *slices]
    same(graph, found.graph, random(1, 4, 40, 40))
    off = {"large_pools": pools[:1], "means": ["reduction-mean"]}
    for name, first in off.items():
        rest = with_dpu_structure(graph, DpuStructure(**{name: False}))
        assert kinds(rest.graph) == [*first, "eltwise-add", *slices]
    assert kinds(with_dpu_structure(graph, DpuStructure(splits=False)).graph)[-2:] == ["split", "concat"]


def test_named_operators_stay() -> None:
    graph = net(BODY, "1,4,40,40", "1,4,40,40")
    found = with_dpu_structure(graph, DpuStructure(), ("s?", "m1"))
    assert kinds(found.graph) == ["reduction-mean", "eltwise-add", "split", "concat"]
    assert [kept_by(("c*",))(op) for op in graph.ops] == [False, False, False, True]


@pytest.mark.parametrize("fold", [True, False])
def test_batch_normalizations_of_their_own(fold: bool) -> None:
    rows = {name: np.abs(random(4, seed=i)) + 1 for i, name in enumerate("gbmv")}
    graph = net("r = Relu (x) [n] y = BatchNormalization (r, g, b, m, v)", **rows)
    for batch_norms, kind in ((True, "depthwise-conv2d"), (False, "batchnorm")):
        options = Preparation(fold_batch_norm=fold, dpu_structure=DpuStructure(batch_norms=batch_norms))
        found = prepare(graph, options).graph
        assert kinds(found) == ["relu", kind]
        same(graph, found, random(1, 4, 6, 6))
    named = Preparation(dpu_structure=DpuStructure(), named=("n",))
    assert kinds(prepare(graph, named).graph) == ["relu", "batchnorm"]
