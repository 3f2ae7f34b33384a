"""Export many small functions at once and hold ONNX Runtime against torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.onnx_export import to_onnx  # noqa: E402
from tests.unit.frontends.torch.calls import Calls  # noqa: E402


def exported(
    functions: list[Callable[..., Any]],
    *inputs: Any,
    parts: Mapping[str, Any] | None = None,
    batches: tuple[int, ...] = (2, 3),
    opsets: tuple[int | None, ...] = (None, 21),
) -> set[str]:
    """Names of the opaque ATen operators of `Calls`, whose results agree on batches of several sizes."""
    module = Calls(functions, parts).eval()
    graph = import_module(module, inputs)
    for batch, opset in product(batches, opsets):
        model = to_onnx(graph, opset=opset).SerializeToString()
        session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        more = tuple(torch.cat([item, item.flip(0)])[:batch] for item in inputs)
        feeds = {name: item.numpy() for name, item in zip(graph.inputs, more, strict=True)}
        found = dict(zip(graph.outputs, session.run(list(graph.outputs), feeds), strict=True))
        with torch.no_grad():
            want = [tensor.numpy() for tensor in module(*more)]
        for index, (name, tensor) in enumerate(zip(graph.native.returned, want, strict=True)):
            assert found[name].dtype == tensor.dtype, f"function {index}"
            np.testing.assert_allclose(
                found[name], tensor, rtol=1e-5, atol=1e-5, err_msg=f"function {index}", strict=True
            )
    return {str(op.attrs["type"]).removeprefix("aten.") for op in graph.ops if op.kind == "opaque"}
