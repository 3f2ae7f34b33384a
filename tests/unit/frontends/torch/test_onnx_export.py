from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.fake_quantize import FakeQuantizer  # noqa: E402
from quantforge.frontends.torch.onnx_export import DOMAIN, export_onnx, to_onnx  # noqa: E402
from quantforge.graph import Graph, Op, QuantSpec, Value  # noqa: E402
from quantforge.numerics.formats import INT8, UINT8, IntFormat  # noqa: E402
from quantforge.numerics.rounding import Rounding  # noqa: E402

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
