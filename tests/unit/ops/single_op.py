"""One operator at a time: in ONNX Runtime, and in the kernels of this project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import helper

from quantforge.graph import Array, Op, Value
from quantforge.graph.graph import Shape
from quantforge.ops.registry import spec

# float32 sums of a few hundred products, in an order we do not know: relative to the largest element
FLOAT32_SUM = 1e-5


def in_onnx_runtime(
    op_type: str, arrays: Sequence[Array | None], opset: int = 20, count: int = 1, **attrs: Any
) -> list[Array]:
    """The outputs of one node of the default domain."""
    names = [f"i{n}" if array is not None else "" for n, array in enumerate(arrays)]
    outputs = [f"o{n}" for n in range(count)]
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(names, arrays, strict=True)
        if array is not None
    ]
    unknown = [helper.make_empty_tensor_value_info(name) for name in outputs]
    node = helper.make_node(op_type, names, outputs, **attrs)
    graph = helper.make_graph([node], "single", inputs, unknown)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
    return [np.asarray(array) for array in session.run(None, feeds)]


def in_ours(kind: str, arrays: Sequence[Array | None], count: int = 1, **attrs: Any) -> list[Array]:
    """The outputs of the float kernel, after checking the shape rule against them, batch known and symbolic."""
    op = make_op(kind, len(arrays), count, **attrs)
    results = spec(kind).compute(op, arrays)
    assert len(results) == count
    for batch in (None, "batch"):
        values = [None if a is None else _value(n, a, batch) for n, a in enumerate(arrays)]
        typed = spec(kind).infer(op, values)
        assert len(typed) == count
        for (shape, dtype), result in zip(typed, results, strict=True):
            assert dtype == str(result.dtype)
            if shape is not None:
                agrees(shape, result.shape, exactly=batch is None)
    return results


def make_op(kind: str, inputs: int = 1, outputs: int = 1, **attrs: Any) -> Op:
    return Op(
        kind,
        f"the {kind}",
        tuple(f"i{n}" for n in range(inputs)),
        tuple(f"o{n}" for n in range(outputs)),
        attrs,
    )


def _value(index: int, array: Array, batch: str | None) -> Value:
    symbolic = batch is not None and index == 0 and array.ndim > 1
    shape: Shape = (batch, *array.shape[1:]) if symbolic else array.shape
    return Value(f"i{index}", shape, str(array.dtype), array if index else None)


def agrees(shape: Shape, real: tuple[int, ...], *, exactly: bool) -> None:
    assert len(shape) == len(real)
    for dim, size in zip(shape, real, strict=True):
        assert dim == size if exactly else (not isinstance(dim, int) or dim == size)


def assert_close(actual: Array, expected: Array, relative: float = FLOAT32_SUM) -> None:
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    bound = relative * max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0.0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


__all__ = ["agrees", "assert_close", "in_onnx_runtime", "in_ours", "make_op", "normal"]
