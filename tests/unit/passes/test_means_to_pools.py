from __future__ import annotations

import pytest

from quantforge.passes.means_to_pools import means_to_pools
from tests.unit.frontends.onnx.text_models import random

from .onnx_nets import kinds, net, same


@pytest.mark.parametrize("axes", ["2, 3", "-1, -2", "3, 2"])
def test_a_mean_over_the_image_becomes_a_pool(axes: str) -> None:
    graph = net(f"y = ReduceMean <axes = [{axes}]> (x)", y="1,4,1,1")
    result = means_to_pools(graph)
    assert kinds(result.graph) == ["avgpool2d"] and result.graph.ops[0].attrs["kernel"] == (6, 6)
    assert result.graph.ops[0].origin.made_by == "means-to-pools"
    same(graph, result.graph, random(1, 4, 6, 6))


@pytest.mark.parametrize("attrs", ["axes = [1, 2]", "axes = [2, 3], keepdims = 0", "axes = [3]"])
def test_other_means_stay(attrs: str) -> None:
    result = means_to_pools(net(f"y = ReduceMean <{attrs}> (x)", y="a,b"))
    assert kinds(result.graph) == ["reduction-mean"] and result.notes == ()


def test_a_named_mean_stays() -> None:
    graph = net("y = ReduceMean <axes = [2, 3]> (x)", y="1,4,1,1")
    assert means_to_pools(graph, lambda op: True).changed == ()
