from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("kind", "attrs", "options"),
    [
        ("leaky-relu", {"alpha": 0.1}, ["ConvertLeakyReluToDPUVersion"]),
        ("sigmoid", {}, ["ConvertSigmoidToHardSigmoid"]),
        ("hard-sigmoid", {}, ["ConvertHardSigmoidToDPUVersion", "AdjustHardSigmoid"]),
        ("avgpool2d", {"kernel": (3, 3)}, ["ConvertAvgPoolToDPUVersion"]),
        ("avgpool2d", {"kernel": (2, 2)}, []),
        ("avgpool2d", {"global": True}, ["ConvertAvgPoolToDPUVersion"]),
        ("reduction-mean", {}, ["ConvertReduceMeanToDPUVersion"]),
        ("hard-swish", {}, ["AdjustShiftSwish"]),
        ("relu", {}, []),
    ],
)
def test_each_step_that_is_left_out_is_named(kind: str, attrs: dict[str, Any], options: list[str]) -> None:
    notices = found(one(kind, **attrs))
    assert [notice.split(":")[0] for notice in notices] == [f"Q0705 option {option}" for option in options]
    assert all("found o; expected this step, which is not built yet" in notice for notice in notices)
    assert found(one(kind, **attrs), dpu=False) == []
    assert found(one(kind, **attrs), dict.fromkeys(options, False)) == []


def test_switching_the_simulation_off_silences_its_steps() -> None:
    assert found(one("sigmoid"), {"SimulateDPU": False}) == []
    notices = found(one("hard-sigmoid"), {"SimulateDPU": False})
    assert len(notices) == 1 and "AdjustHardSigmoid" in notices[0]


def test_operators_that_stay_float_are_not_simulated() -> None:
    graph = one("sigmoid")
    graph.set_value(replace(graph.value("o.out"), quant=None))
    assert found(graph) == []


def test_a_large_global_pool() -> None:
    net = Net(size=32)
    graph = quantized(net.done(net.add("avgpool2d", "g", ("x",), **{"global": True})))
    assert [notice.split(":")[0] for notice in found(graph)] == [
        "Q0705 option SplitLargeKernelPool",
        "Q0705 option ConvertAvgPoolToDPUVersion",
    ]
    graph.set_value(Value("x", ("batch", 3, "h", "w"), quant=graph.value("x").quant))
    assert len(found(graph)) == 1, "of unknown size: only that its mean is rounded"


def test_shifts_that_do_not_fit() -> None:
    net = Net()
    graph = quantized(net.done(net.conv("c", "x", 4, bias=False)), x=9, c_w=12, c_out=4)
    assert found(graph) == [
        "Q0705 option AdjustShiftCut: found c: shift_cut of 17 bits, not 0..16; expected this step, which is not "
        "built yet; try: extra_options={'AdjustShiftCut': False} once this is known; the model is valid without it"
    ]
    for switch in ("AdjustShiftCut", "IPULimitationCheck", "NPULimitationCheck"):
        assert found(graph, {switch: False}) == []


def test_many_operators_are_counted() -> None:
    net = Net()
    y = "x"
    for index in range(6):
        y = net.add("sigmoid", f"s{index}", (y,))
    assert "found s0, s1, s2, s3 and 2 more;" in found(quantized(net.done(y)))[0]


def test_an_option_without_effect() -> None:
    assert found(one("relu"), {"CLESteps": 3}) == [
        "Q0707 option CLESteps: found a value without effect; expected include_cle; try: leave it out, or set "
        "include_cle"
    ]
    assert len(found(one("relu"), {"SimulateDPU": False}, dpu=False)) == 1
