from __future__ import annotations

from dataclasses import replace
from typing import Any

from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import INT8
from tests.networks import Net
from vai_q_onnx.notices import notices_of
from vai_q_onnx.options import Options, checked_extra


def quantized(graph: Graph, **positions: int) -> Graph:
    for value in graph.values:
        if value.dtype == "float32":
            spec = QuantSpec.power_of_two(INT8, positions.get(value.name.replace(".", "_"), 5))
            graph.set_value(replace(value, quant=spec))
    return graph


def found(graph: Graph, extra: dict[str, Any] | None = None, dpu: bool = True) -> list[str]:
    return [str(n) for n in notices_of(graph, Options(enable_dpu=dpu, extra=checked_extra(extra)))]


def one(kind: str, **attrs: Any) -> Graph:
    net = Net(size=6)
    return quantized(net.done(net.add(kind, "o", ("x",), **attrs)))


def test_shifts_that_do_not_fit() -> None:
    net = Net()
    graph = quantized(net.done(net.conv("c", "x", 4, bias=False)), x=9, c_w=12, c_out=4)
    assert found(graph) == [
        "Q0715 option AdjustShiftCut: found c: shift_cut of 17 bits, not 0..16; expected shifts within their bounds; "
        "try: extra_options={'AdjustShiftCut': False} once this is known, or keep these operators in float"
    ]
    for switch in ("AdjustShiftCut", "IPULimitationCheck", "NPULimitationCheck"):
        assert found(graph, {switch: False}) == []


def test_many_operators_are_counted() -> None:
    net = Net()
    graph = net.done(*(net.conv(f"c{index}", "x", 4, bias=False) for index in range(6)))
    far = {f"c{index}_out": -12 for index in range(6)}
    assert "found c0: shift_cut of 22 bits, not 0..16, c1" in found(quantized(graph, **far))[0]
    assert "and 2 more;" in found(quantized(graph, **far))[0]


def test_hard_sigmoids_and_products_are_looked_at() -> None:
    net = Net()
    gate = net.add("hard-sigmoid", "h", ("x",), alpha=1 / 6)
    graph = quantized(net.done(net.add("eltwise-mul", "m", ("x", gate))), x=16, h_out=5, m_out=3)
    rows = found(graph)
    assert "AdjustShiftSwish: found m: shift_swish of 18 bits, not 0..15" in rows[0]
    assert "h: hard_sigmoid_in of 16 bits, not 0..15" in "".join(rows)
    assert "h: hard_sigmoid_out of 5 bits, not 7..127" in "".join(rows)
    assert len(found(graph, {"AdjustHardSigmoid": False})) == 1


def test_an_option_without_effect() -> None:
    assert found(one("relu"), {"CLESteps": 3}) == [
        "Q0707 option CLESteps: found a value without effect; expected include_cle; try: leave it out, or set "
        "include_cle"
    ]
    for option in ("SimulateDPU", "ConvertAvgPoolToDPUVersion", "AdjustShiftBias"):
        assert len(found(one("relu"), {option: False}, dpu=False)) == 1
        assert found(one("relu"), {option: False}) == []
