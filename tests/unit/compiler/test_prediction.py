"""Predictions of compiled models: every layer counted once, bytes where tensors cross the memory ports."""

from __future__ import annotations

import pytest

from quantforge.compiler.prediction import predict
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import XModel
from quantforge.xmodel.read import read_xmodel
from tests.compiled_digits import compiled

KV260 = load_dpu("KV260")


@pytest.fixture(scope="module")
def model() -> XModel:
    return read_xmodel(compiled("PY3_ROUND"))


def test_layers_are_the_operators_that_do_something(model: XModel) -> None:
    found = predict(model, KV260)
    silent = ("upload", "download", "reshape-fix", "const-fix")
    dpu = [part for part in model.root.children if part.get("device") == "DPU"]
    expected = [name for part in dpu for name in part.all_ops() if model.ops[name].kind not in silent]
    assert sorted(name for name, _ in found.layers) == sorted(expected)
    workloads = {name: layer.workload for name, layer in found.layers if layer.workload}
    assert workloads == {name: op.get("workload") for name, op in model.ops.items() if op.get("workload")}


def test_what_enters_and_leaves_crosses_the_ports(model: XModel) -> None:
    layers = dict(predict(model, KV260).layers)
    (entry,) = (op for op in model.ops.values() if op.kind == "upload")
    reader = next(name for name, op in model.ops.items() if entry.name in op.producers)
    assert layers[reader].traffic.load >= 64
    *_, last = layers.values()
    assert last.traffic.save == 10
    assert sum(layer.traffic.save == 0 for layer in layers.values()) >= 8  # the rest stays on chip


def test_a_faster_clock_and_more_cores(model: XModel) -> None:
    slow, fast = predict(model, KV260, 150), predict(model, KV260, 300)
    assert slow.latency_ms == pytest.approx(2 * fast.latency_ms)
    assert fast.fps == pytest.approx(1000 / fast.latency_ms)
    assert "300 MHz" in fast.text() and "1 core" in fast.text()


def test_without_a_clock_there_is_no_prediction(model: XModel) -> None:
    unknown = next(t for t in map(load_dpu, ("DPUCZDX8G_ISA1_B512", "DPUCADF8H_ISA0")) if not t.frequency_mhz)
    with pytest.raises(InputError, match="Q1020"):
        predict(model, unknown)


def test_a_model_that_is_all_on_the_cpu_costs_the_dpu_nothing() -> None:
    found = predict(XModel("cpu"), KV260)
    assert found.latency_ms == 0.0 and found.fps == 0.0 and found.layers == ()
