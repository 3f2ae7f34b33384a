from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import UnsupportedError  # noqa: E402
from quantforge.frontends.torch.fake_quantize import FakeQuantizer  # noqa: E402
from quantforge.frontends.torch.onnx_export import to_onnx  # noqa: E402
from quantforge.frontends.torch.vai_domain import DOMAIN, with_vai_nodes  # noqa: E402
from quantforge.graph import Graph, Op, QuantSpec, Value  # noqa: E402
from quantforge.graph.quantize import fake_quantize_value  # noqa: E402
from quantforge.numerics.formats import INT8, UINT8, IntFormat  # noqa: E402
from quantforge.numerics.rounding import Rounding  # noqa: E402
from tests.unit.frontends.torch.test_onnx_export import EDGES, stored  # noqa: E402


def opened(model: Any) -> Any:
    onnx.checker.check_model(model, full_check=True)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("form", [INT8, UINT8, *map(IntFormat, (3, 11, 16, 24))], ids=str)
@pytest.mark.parametrize("mode", list(Rounding), ids=str)
def test_any_width_and_rounding_as_in_torch(mode: Rounding, form: IntFormat) -> None:
    noise = np.random.default_rng(0).normal(size=47).astype(np.float32) * 10
    for scale, zero in ((0.125, 0), (0.1, 0), (0.1, 200)) if not form.signed else ((0.125, 0), (0.1, 0)):
        ties = (np.arange(-290, 290, dtype=np.float32) / 2) * np.float32(scale)
        x = np.concatenate([np.array(EDGES, np.float32), noise, ties]).reshape(-1, 4)
        spec = QuantSpec(form, (scale,), (zero,), None, mode)
        want = FakeQuantizer(spec)(torch.from_numpy(x)).numpy()
        np.testing.assert_array_equal(opened(to_onnx(stored(spec), vai=True)).run(None, {"x": x})[0], want)


def weighted(bits: int) -> Graph:
    """y = x w, with a scale for each column of w and a wide constant added."""
    generator = np.random.default_rng(0)
    data = generator.normal(size=(4, 3)).astype(np.float32)
    spec = QuantSpec(IntFormat(5), (0.1, 0.2, 0.05), (0, 0, 0), 1, Rounding.HALF_AWAY)
    wide = QuantSpec(IntFormat(bits), (2.0**-12,), (0,), None, Rounding.HALF_AWAY)
    bias = generator.normal(size=3).astype(np.float32)
    values = [
        Value("x", ("batch", 4), quant=QuantSpec.power_of_two(INT8, 4, Rounding.HALF_UP)),
        Value("w", (4, 3), "float32", data, spec),
        Value("b", (3,), "float32", bias, wide),
        Value("p", ("batch", 3)),
        Value("y", ("batch", 3)),
    ]
    ops = [Op("matmul", "m", ("x", "w"), ("p",)), Op("eltwise-add", "a", ("p", "b"), ("y",))]
    return Graph("g", values, ops, ["x"], ["y"])


@pytest.mark.parametrize("bits", [12, 32])
def test_parameters_keep_their_float_data(bits: int) -> None:
    graph = weighted(bits)
    model = to_onnx(graph, vai=True)
    kinds = [node.op_type for node in model.graph.node if node.domain == DOMAIN]
    assert kinds == ["QuantizeLinear", "DequantizeLinear"] * (3 if bits == 12 else 2)
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    np.testing.assert_array_equal(held["w"], graph.value("w").const)
    assert held["w_scale"].shape == (1, 3) and held["w_axis"] == 1 and held["w_method"] == 3
    assert (held["w_valmin"], held["w_valmax"]) == (-16, 15) and held["x_axis"] == -1
    x = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
    stored_x = np.asarray(fake_quantize_value(x, graph.value("x").quant))  # type: ignore[arg-type]
    w, b = (np.asarray(fake_quantize_value(v.const, v.quant)) for v in map(graph.value, "wb"))  # type: ignore[arg-type]
    np.testing.assert_allclose(opened(model).run(None, {"x": x})[0], stored_x @ w + b, rtol=1e-6, atol=1e-7)


def test_wide_activations_are_refused() -> None:
    spec = QuantSpec(IntFormat(25), (0.5,))
    with pytest.raises(UnsupportedError, match=r"Q0602.*int25"):
        with_vai_nodes(stored(spec))
