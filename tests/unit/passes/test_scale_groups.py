from __future__ import annotations

import numpy as np
import pytest

from quantforge.passes.equalize_layers import channel_groups
from quantforge.passes.scale_groups import scale_groups
from tests.networks import Net
from tests.unit.passes.test_equalize_layers import chain, output


@pytest.mark.parametrize("factors", [np.array([2.5]), np.array([0.5, 1.0, 3.0, 7.0])], ids=["one", "each"])
def test_the_function_stays_and_the_values_are_scaled(factors: np.ndarray) -> None:
    graph = chain()
    group = channel_groups(graph)[0][0]
    found = scale_groups(graph, {group: factors})
    np.testing.assert_allclose(output(graph), output(found.graph), rtol=1e-4, atol=1e-5)
    heads = found.graph.value("c1.w").const / graph.value("c1.w").const
    np.testing.assert_allclose(heads[:, 0, 0, 0], np.broadcast_to(factors, 4), rtol=1e-5)
    np.testing.assert_allclose(
        found.graph.value("c1.b").const, graph.value("c1.b").const * factors, rtol=1e-5
    )
    assert set(found.changed) == {"c1", "d"}


def test_residual_sums_and_factors_of_one() -> None:
    net = Net()
    first = net.add("relu", "r1", (net.conv("c1", "x", 4),))
    total = net.add("eltwise-add", "add", (net.conv("c2", first, 4), first))
    graph = net.done(net.conv("c3", total, 2))
    (group, *_) = channel_groups(graph)[0]
    found = scale_groups(graph, {group: np.array([4.0])})
    np.testing.assert_allclose(output(graph), output(found.graph), rtol=1e-4, atol=1e-4)
    assert scale_groups(graph, {group: np.ones(1)}).changed == ()
