from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.onnx.block_functions import DOMAIN  # noqa: E402
from quantforge.frontends.torch.fake_quantize import FakeQuantizer  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.onnx_export import OPSETS, export_onnx, to_onnx  # noqa: E402
from quantforge.frontends.torch.run import TorchExecutor  # noqa: E402
from quantforge.graph import Graph, Op, QuantSpec, Value  # noqa: E402
from quantforge.numerics.formats import INT8, UINT8, IntFormat  # noqa: E402
from quantforge.numerics.rounding import Rounding  # noqa: E402
from tests.unit.frontends.torch.modules import Mixed  # noqa: E402

EDGES = [
    0.0,
    -0.0,
    1e-40,
    3.4e38,
    -3.4e38,
    0.0625,
    -0.0625,
    0.1875,
    -0.1875,
    0.3125,
    15.9375,
    -16.0625,
    0.062499996,
]


def stored(spec: QuantSpec) -> Graph:
    """x to y = x in the form of `spec`."""
    values = [Value("x", ("batch", 4)), Value("y", ("batch", 4), quant=spec)]
    return Graph("g", values, [Op("identity", "i", ("x",), ("y",))], ["x"], ["y"])


@pytest.mark.parametrize("form", [INT8, UINT8, IntFormat(4), IntFormat(16)], ids=str)
@pytest.mark.parametrize("mode", list(Rounding), ids=str)
def test_onnx_runtime_rounds_as_torch_does(mode: Rounding, form: IntFormat, tmp_path: Path) -> None:
    zero = 0 if form.signed else 7
    for scale in (0.125, 0.1):
        spec = QuantSpec(form, (scale,), (zero,), None, mode)
        path = export_onnx(stored(spec), tmp_path / "g.onnx")
        onnx.checker.check_model(path, full_check=True)
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        noise = np.random.default_rng(0).normal(size=50).astype(np.float32) * 10
        ties = (np.arange(-300, 300, dtype=np.float32) / 2) * np.float32(scale)
        x = np.concatenate([np.array(EDGES, np.float32), noise, ties])[: 4 * 160].reshape(-1, 4)
        want = FakeQuantizer(spec)(torch.from_numpy(x)).numpy()
        np.testing.assert_array_equal(session.run(None, {"x": x})[0], want)


def test_ties_to_even_need_no_function_and_the_batch_may_be_fixed() -> None:
    spec = QuantSpec.power_of_two(INT8, 3)
    model = to_onnx(stored(spec), batch=2)
    assert not model.functions and model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 2
    rounded = to_onnx(stored(replace(spec, rounding=Rounding.HALF_UP)))
    assert [function.name for function in rounded.functions] == ["RoundHalfUp"]
    assert [node.op_type for node in rounded.graph.node if node.domain == DOMAIN] == ["RoundHalfUp"]
    assert rounded.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


@pytest.fixture(scope="module")
def mixed() -> Graph:
    """One of many operators each; every activation is stored."""
    graph = import_module(Mixed().eval(), torch.zeros(2, 4, 8, 8))
    spec = QuantSpec(UINT8, (2.0**-4,), (128,), None, Rounding.HALF_UP)
    for value in graph.values:
        if value.is_float and not value.is_const:
            graph.set_value(replace(value, quant=spec))
    return graph


@pytest.mark.parametrize("vai", [False, True])
@pytest.mark.parametrize("opset", [opset for opset in OPSETS if opset > 13])  # hard-swish needs 14
def test_every_opset_gives_the_same_numbers(mixed: Graph, opset: int, vai: bool) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 8, 8)).astype(np.float32)
    model = to_onnx(mixed, opset=opset, vai=vai)
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == opset
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    want = TorchExecutor().session(mixed, mixed.outputs).run({"x": x})[mixed.outputs[0]]
    np.testing.assert_allclose(session.run(None, {"x": x})[0], want, atol=2**-4)


def test_an_opset_too_old_for_the_model_is_refused() -> None:
    graph = import_module(torch.nn.GELU(), torch.zeros(2, 4))
    with pytest.raises(
        InputError, match=r"Q1479 opset_version.*found 19; expected 20 or newer for this model"
    ):
        to_onnx(graph, opset=19)


def test_opsets_nobody_runs_are_refused() -> None:
    for opset in (12, 27):
        with pytest.raises(InputError, match=r"Q1479.*expected 13 to 26"):
            to_onnx(stored(QuantSpec.power_of_two(INT8, 3)), opset=opset)
