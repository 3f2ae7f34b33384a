from __future__ import annotations

from dataclasses import replace
from typing import Any

from quantforge.graph import Graph, QuantSpec, Value
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


def test_a_large_global_pool() -> None:
    net = Net(size=32)
    graph = quantized(net.done(net.add("avgpool2d", "g", ("x",), **{"global": True})))
    assert found(graph) == [
        "Q0705 option SplitLargeKernelPool: found g; expected this step, which is not built yet; try: "
        "extra_options={'SplitLargeKernelPool': False} once this is known; the model is valid without it"
    ]
    assert found(graph, dpu=False) == found(graph, {"SplitLargeKernelPool": False}) == []
    graph.set_value(Value("x", ("batch", 3, "h", "w"), quant=graph.value("x").quant))
    assert found(graph) == [], "of unknown size"


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
    net = Net(size=32)
    pools = [net.add("avgpool2d", f"g{index}", ("x",), **{"global": True}) for index in range(6)]
    assert "found g0, g1, g2, g3 and 2 more;" in found(quantized(net.done(*pools)))[0]


def test_an_option_without_effect() -> None:
    assert found(one("relu"), {"CLESteps": 3}) == [
        "Q0707 option CLESteps: found a value without effect; expected include_cle; try: leave it out, or set "
        "include_cle"
    ]
    for option in ("SimulateDPU", "ConvertAvgPoolToDPUVersion", "AdjustShiftBias"):
        assert len(found(one("relu"), {option: False}, dpu=False)) == 1
        assert found(one("relu"), {option: False}) == []
