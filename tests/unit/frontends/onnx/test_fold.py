"""Folding: what becomes constant, what must stay."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.frontends.onnx import import_model
from quantforge.frontends.onnx.fold import captured_names

from .text_models import kinds, model, random, round_trip


def test_padding_computed_as_torch_does() -> None:
    text = """g (float[2,3] x) => (y) <int64[2] p = {1, 2}, int64[1] n = {2}, int64[2] two = {-1, 2},
      int64[1] s = {-1}, int64[1] a = {0}, int64[1] e = {-9223372036854775807}, int64[1] flat = {-1}> {
      z = ConstantOfShape(n)
      zi = Cast<to = 7>(z)
      c = Concat<axis = 0>(p, zi)
      r = Reshape(c, two)
      v = Slice(r, s, e, a, s)
      t = Transpose<perm = [1, 0]>(v)
      f = Reshape(t, flat)
      y = Pad(x, f)
    }"""
    graph = round_trip(model(text), {"x": random(2, 3)})
    assert kinds(graph) == ["pad"]
    assert graph.ops[0].attrs["pads"] == (0, 1, 0, 2)


def test_expand_and_slice_by_a_free_batch() -> None:
    text = """g (float[N,1] x) => (y, z) <int64 i = {0}, int64[1] at = {0}, int64[1] four = {4}> {
      s = Shape(x)
      n = Gather(s, i)
      u = Unsqueeze(n, at)
      t = Concat<axis = 0>(u, four)
      y = Expand(x, t)
      z = Slice(x, at, u, at)
    }"""
    graph = round_trip(model(text), {"x": random(3, 1)})
    assert kinds(graph) == ["expand", "strided-slice"]
    assert graph.ops[0].attrs["shape"] == (1, 4)


def test_a_shape_shared_by_two_reshapes_gets_two_constants() -> None:
    text = """g (float[N,6] x, float[M,2,3] z) => (y, v) <int64 i = {0}, int64[1] at = {0}, int64[2] r = {2, 3}> {
      s = Shape(x)
      n = Gather(s, i)
      u = Unsqueeze(n, at)
      t = Concat<axis = 0>(u, r)
      y = Reshape(x, t)
      v = Reshape(z, t)
    }"""
    graph = round_trip(model(text), {"x": random(2, 6), "z": random(2, 2, 3)})
    assert [op.attrs["shape"] for op in graph.ops] == [(0, 2, 3), (-1, 2, 3)]


def test_a_reshape_with_two_unknowns_stays_dynamic() -> None:
    text = """g (float[N,4] x, int64[2] t) => (y) { y = Reshape(x, t) }"""
    graph = round_trip(model(text), {"x": random(2, 4), "t": np.array([4, 2])})
    assert kinds(graph) == ["opaque"]


def test_expanding_constants_are_not_blown_up() -> None:
    text = "g (float[1] x) => (y) <int64[2] t = {60000, 60000}> { e = Expand(k, t) m = ReduceMax(e) y = Add(x, m) }"
    graph = import_model(model(text, k=np.ones(1, np.float32)))
    assert "expand" in kinds(graph)


def test_quantized_weights_and_random_numbers_are_not_folded() -> None:
    text = """g (float[2,2] x) => (y) <int8[2,2] w = {1, 2, 3, 4}, float s = {0.5}> {
      d = DequantizeLinear(w, s)
      r = RandomUniformLike<seed = 1.0>(d)
      m = Add(d, r)
      y = MatMul(x, m)
    }"""
    types = [op.attrs.get("type") for op in import_model(model(text)).ops]
    assert types[:2] == ["DequantizeLinear", "RandomUniformLike"]


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int32])
def test_folding_keeps_dtypes(dtype: type[np.generic]) -> None:
    name = {np.float16: "float16", np.float64: "double", np.int32: "int32"}[dtype]
    text = f"g ({name}[4] x) => ({name}[4] y) {{ c = Concat<axis = 0>(k, k) d = Mul(c, c) y = Add(x, d) }}"
    graph = round_trip(model(text, k=np.array([1, 2], dtype)), {"x": np.ones(4, dtype)})
    assert kinds(graph) == ["eltwise-add"] and graph.value("d").dtype == np.dtype(dtype).name


def test_a_constant_graph_output_keeps_its_node() -> None:
    graph = round_trip(model("g (float[1] x) => (y, z) { y = Relu(x) z = Sqrt(k) }", k=np.ones(2, np.float32)),
                       {"x": random(1)})  # fmt: skip
    assert kinds(graph) == ["relu", "sqrt"]


@pytest.mark.parametrize("opset", [9, 13])
def test_captured_names_skip_what_the_subgraph_makes(opset: int) -> None:
    text = """g (bool c, float[2] x) => (y) {
      y = If(c) <then_branch = a () => (float[2] p) { t = Add(x, k) p = Neg(t) },
                 else_branch = b () => (float[2] q) { q = Neg(x) }>
    }"""
    proto = model(text, opset=opset, k=np.ones(2, np.float32))
    assert captured_names(proto.graph.node[0]) == ("x", "k")
