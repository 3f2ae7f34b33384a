from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import pytorch_nndct  # noqa: E402
from pytorch_nndct.apis import load_vai_ops  # noqa: E402
from pytorch_nndct.vai_ops import EXTENSIONS  # noqa: E402
from quantforge.frontends.torch.vai_domain import METHODS  # noqa: E402
from quantforge.graph import QuantSpec  # noqa: E402
from quantforge.graph.quantize import fake_quantize_value  # noqa: E402
from quantforge.numerics.formats import IntFormat  # noqa: E402

FLOAT, INT32, INT8 = 1, 6, 3


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a stand-in for onnxruntime_extensions was given."""
    found: dict[str, Any] = {}

    def onnx_op(op_type: str, inputs: list[int], outputs: list[int]) -> Callable[[Any], Any]:
        def keep(function: Any) -> Any:
            found[op_type] = SimpleNamespace(run=function, inputs=inputs, outputs=outputs)
            return function

        return keep

    module = ModuleType(EXTENSIONS)
    module.onnx_op = onnx_op  # type: ignore[attr-defined]
    module.PyCustomOpDef = SimpleNamespace(dt_float=FLOAT, dt_int32=INT32, dt_int8=INT8)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, EXTENSIONS, module)
    return found


def test_both_operators_are_registered_and_compute_the_definition(registered: dict[str, Any]) -> None:
    assert load_vai_ops()
    quantize, dequantize = registered["vai::QuantizeLinear"], registered["vai::DequantizeLinear"]
    assert quantize.inputs == [FLOAT, INT32, INT32, FLOAT, INT8, INT8, INT8] and quantize.outputs == [FLOAT]
    assert dequantize.inputs == [FLOAT, FLOAT, INT8, INT8]
    x = (np.arange(-40, 40, dtype=np.float32) / 8).reshape(4, 20)
    for mode, number in METHODS.items():
        for scale, axis in (([0.25], -1), ([0.25, 0.5, 0.1, 1.0], 0)):
            spec = QuantSpec(IntFormat(4), tuple(scale), (0,) * len(scale), None if axis < 0 else axis, mode)
            steps, zero, at = (
                np.array(scale, np.float32),
                np.zeros(len(scale), np.int8),
                np.array([axis], np.int8),
            )
            q = quantize.run(x, np.array([-8]), np.array([7]), steps, zero, np.array([number], np.int8), at)
            assert q.dtype == np.float32 and q.min() >= -8 and q.max() <= 7 and (q == np.round(q)).all()
            np.testing.assert_array_equal(dequantize.run(q, steps, zero, at), fake_quantize_value(x, spec))


def test_both_imports_of_the_documents() -> None:
    assert pytorch_nndct.load_vai_ops is load_vai_ops


def test_without_the_package_nothing_is_needed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, EXTENSIONS, None)
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        assert not load_vai_ops()
    assert "Q1482 load_vai_ops: found no package onnxruntime_extensions" in caplog.text
