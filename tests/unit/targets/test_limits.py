from __future__ import annotations

from dataclasses import replace

from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import INT8, UINT8
from quantforge.targets.limits import broken_limits
from quantforge.targets.load import Shifts, load_target
from tests.networks import Net


def shifts() -> Shifts:
    found = load_target("dpu").shifts
    assert found is not None
    return found


def with_positions(graph: Graph, **positions: int) -> Graph:
    for name, position in positions.items():
        value = graph.value(name.replace("_", "."))
        graph.set_value(replace(value, quant=QuantSpec.power_of_two(INT8, position)))
    return graph


def broken(graph: Graph) -> list[str]:
    return [str(limit) for limit in broken_limits(graph, shifts())]


def conv() -> Graph:
    net = Net()
    return net.done(net.add("relu", "r", (net.conv("c", "x", 4),)))


def test_shift_cut_looks_behind_a_fused_activation() -> None:
    assert broken(with_positions(conv(), x=5, c_w=7, r_out=4)) == []
    assert broken(with_positions(conv(), x=5, c_w=7, r_out=13)) == ["c: shift_cut of -1 bits, not 0..16"]
    assert broken(with_positions(conv(), x=9, c_w=12, r_out=4)) == ["c: shift_cut of 17 bits, not 0..16"]


def test_both_ends_of_the_bounds_are_legal() -> None:
    for out in (12, -4):
        assert broken(with_positions(conv(), x=5, c_w=7, r_out=out)) == []


def eltwise(kind: str) -> Graph:
    net = Net()
    return net.done(net.add(kind, "a", (net.conv("c", "x", 4), net.conv("d", "x", 4))))


def test_shifts_of_sums_and_products() -> None:
    far = {"c_out": 12, "d_out": 4, "a_out": 12}
    assert broken(with_positions(eltwise("eltwise-add"), **far)) == [
        "a: shift_read of 8 bits, not 0..7",
        "a: shift_write of -8 bits, not -7..25",
    ]
    assert broken(with_positions(eltwise("eltwise-sub"), c_out=4, d_out=11, a_out=11)) == []
    assert broken(with_positions(eltwise("eltwise-mul"), c_out=1, d_out=1, a_out=3)) == [
        "a: shift_write of -1 bits, not 0..32"
    ]


def test_a_zero_point_of_128_counts_and_a_float_scale_does_not() -> None:
    graph = with_positions(conv(), x=9, c_w=12)
    for scale, expected in ((2.0**-4, 1), (0.3, 0)):
        spec = QuantSpec(UINT8, (scale,), (128,))
        graph.set_value(replace(graph.value("r.out"), quant=spec))
        assert len(broken(graph)) == expected


def test_what_is_not_quantized_is_passed_over() -> None:
    assert broken(conv()) == []
    assert broken(with_positions(conv(), x=40)) == []


def test_shifts_of_biases() -> None:
    def biased(position: int, *, leaky: bool = False) -> list[str]:
        net = Net()
        hidden = net.conv("c", "x", 4)
        graph = net.done(net.add("leaky-relu" if leaky else "relu", "r", (hidden,)))
        return broken(with_positions(graph, x=5, c_w=7, r_out=4, c_b=position))

    assert biased(12) == biased(20) == biased(-3) == []  # shift_bias of 0, -8 and 15, with shift_cut 8
    assert biased(21) == ["c: shift_bias of -9 bits, not -8..15"]
    assert biased(-4) == ["c: shift_bias of 16 bits, not -8..15"]
    assert biased(13, leaky=True) == ["c: shift_bias of -1 bits, not 0..15"]


def test_hard_sigmoids_and_swishes() -> None:
    net = Net()
    gate = net.add("hard-sigmoid", "h", ("x",), alpha=1 / 6)
    graph = net.done(net.add("eltwise-mul", "m", ("x", gate)))
    assert broken(with_positions(graph, x=15, h_out=7, m_out=7)) == []
    assert broken(with_positions(graph, x=16, h_out=6, m_out=6)) == [
        "h: hard_sigmoid_in of 16 bits, not 0..15",
        "h: hard_sigmoid_out of 6 bits, not 7..127",
        "m: shift_swish of 16 bits, not 0..15",
    ]
    assert "h: hard_sigmoid of -1 bits, not 0..31" in broken(with_positions(graph, x=0, h_out=15, m_out=7))
