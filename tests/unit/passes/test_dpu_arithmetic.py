import pytest

from quantforge.graph import Graph
from quantforge.passes.dpu_arithmetic import DpuArithmetic, with_dpu_arithmetic
from tests.networks import Net


def graph() -> Graph:
    net = Net()
    x = net.add("leaky-relu", "leaky", ("x",), alpha=0.1)
    x = net.add("hard-sigmoid", "hard", (x,), alpha=1 / 6, beta=0.5)
    return net.done(net.add("avgpool2d", "pool", (x,), kernel=(3, 3)))


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        (None, ()),
        (DpuArithmetic(), ("leaky", "pool", "hard")),
        (DpuArithmetic(leaky_relu=False), ("pool", "hard")),
        (DpuArithmetic(averages=False), ("leaky", "hard")),
        (DpuArithmetic(means=False), ("leaky", "pool", "hard")),
        (DpuArithmetic(averages=False, means=False), ("leaky", "hard")),
        (DpuArithmetic(hard_sigmoid=False), ("leaky", "pool")),
    ],
)
def test_each_option_has_its_operators(options: DpuArithmetic | None, changed: tuple[str, ...]) -> None:
    assert with_dpu_arithmetic(graph(), options).changed == changed


def test_float_operators_keep_their_arithmetic() -> None:
    assert with_dpu_arithmetic(graph(), DpuArithmetic(), {"leaky", "pool", "hard"}).changed == ()


def test_sigmoids_become_hard_ones_where_that_is_asked_for() -> None:
    net = Net()
    graph = net.done(net.add("sigmoid", "s", ("x",)), net.add("sigmoid", "t", ("x",)))
    assert with_dpu_arithmetic(graph, DpuArithmetic()).changed == ()
    result = with_dpu_arithmetic(graph, DpuArithmetic(sigmoid=True), {"t"})
    assert [op.kind for op in result.graph.ops] == ["hard-sigmoid", "sigmoid"]
    assert result.graph.op("s").attrs["alpha"] == 2731 / 16384
