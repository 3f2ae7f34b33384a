from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from quantforge.frontends.onnx.block_functions import (
    DOMAIN,
    store_attributes,
    store_function,
    store_functions,
)
from quantforge.frontends.onnx.emit import to_proto
from quantforge.frontends.onnx.run import OnnxExecutor
from quantforge.graph import Array, Graph, Op, Value
from quantforge.ops.fake_quantize import named_format, stored
from quantforge.ops.interpreter import Interpreter
from tests.property.test_block_float import NAMES


def reading(name: str, axis: int, shape: tuple[Any, ...]) -> Graph:
    attrs = {"format": name, "axis": axis}
    op = Op("fake-quantize", "q", ("x",), ("y",), attrs)
    return Graph("g", [Value("x", shape), Value("y", shape)], [op], ["x"], ["y"])


def in_onnx(graph: Graph) -> Any:
    model = to_proto(graph)
    onnx.checker.check_model(model, full_check=True)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def hard(count: int) -> Array:
    """Any bits, and blocks whose exponents lie close together, for all exponents there are."""
    generator = np.random.default_rng(0)
    bits = generator.integers(0, 2**32, (128, count), dtype=np.uint32).view(np.float32)
    exponents = np.arange(0, 255)[:, None] - generator.integers(0, 14, (255, count))
    mantissas = generator.integers(0, 2**23, (255, count), dtype=np.uint32)
    close = (np.clip(exponents, 0, 254).astype(np.uint32) << np.uint32(23) | mantissas).view(np.float32)
    signs = np.where(generator.random((255, count)) < 0.5, np.float32(-1), np.float32(1))
    return np.concatenate([bits, close * signs, np.zeros((1, count), np.float32)])


@pytest.mark.parametrize("name", [*NAMES, "bfloat16", "float16"])
def test_onnx_runtime_stores_as_defined_bit_for_bit(name: str) -> None:
    form = named_format(name)
    block = getattr(form, "block_size", 4)
    for size in (2 * block, 2 * block + 3):
        x = hard(size)
        found = in_onnx(reading(name, 1, ("batch", size))).run(None, {"x": x})[0]
        want = stored(x, form, 1)
        np.testing.assert_array_equal(found, want)
        real = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(found[real]), np.signbit(want[real]))


@pytest.mark.parametrize("axis", [-1, 0, 1, 2, 3])
@pytest.mark.parametrize("name", ["mx6", "bfp13", "mxfp6_e3m2"])
def test_any_axis_and_unknown_sizes(name: str, axis: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 35, 3, 5)).astype(np.float32)
    want = stored(x, named_format(name), axis)
    for shape in (x.shape, ("a", "b", "c", "d"), (None, 35, 3, 5)):
        np.testing.assert_array_equal(in_onnx(reading(name, axis, shape)).run(None, {"x": x})[0], want)


def test_functions_are_named_after_their_format() -> None:
    for name, size, expected in (("mx6-block32", 40, "Mx6Block32Padded"), ("mx6", 32, "Mx6")):
        graph = reading(name, -1, ("batch", size))
        model = to_proto(graph)
        assert [(f.domain, f.name) for f in model.functions] == [(DOMAIN, expected)]
        assert model.graph.node[0].op_type == expected
        assert store_attributes(graph.op("q"), ("batch", size)) == {"axis": 1, "after": 2}
    plain = reading("bfloat16", 1, ("batch", None))
    assert store_function(plain.op("q"), None).name == "Bfloat16" and not store_attributes(
        plain.op("q"), None
    )
    assert [function.name for function in store_functions(plain, 18)] == ["Bfloat16"]


def test_the_graph_in_onnx_runtime_and_in_the_interpreter() -> None:
    x = np.random.default_rng(0).normal(size=(3, 20)).astype(np.float32)
    graph = reading("mx4", 1, (3, 20))
    found = [
        executor.session(graph, ["y"]).run({"x": x})["y"] for executor in (OnnxExecutor(), Interpreter())
    ]
    np.testing.assert_array_equal(*found)
