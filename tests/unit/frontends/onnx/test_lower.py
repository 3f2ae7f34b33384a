"""Kinds to nodes, for ops without a native node; the whole table is in test_backend_nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from quantforge.diagnostics import UnsupportedError
from quantforge.frontends.onnx import to_proto
from quantforge.frontends.onnx.lower import _RULES as RULES
from quantforge.graph import Graph, Op, Value
from quantforge.ops.registry import KINDS, spec

from .text_models import random, run

SHAPES: dict[str, Any] = {"inner-product": lambda s: (*s[:-1], 5), "reduction-mean": lambda s: s[:1]}


def one(
    kind: str, shape: tuple[int, ...] = (2, 4), consts: tuple[Any, ...] = (), **attrs: Any
) -> tuple[Any, Any]:
    """The model and the output of a graph with a single made op."""
    names = tuple(f"k{i}" for i in range(len(consts)))
    values = [
        Value("x", shape),
        *(Value(n, c.shape, "float32", c) for n, c in zip(names, consts, strict=True)),
    ]
    op = Op(kind, "op", ("x", *names), ("y",), attrs)
    result = SHAPES.get(kind, lambda shape: shape)(shape)
    graph = Graph("one", [*values, Value("y", result)], [op], ["x"], ["y"])
    proto = to_proto(graph)
    onnx.checker.check_model(proto, full_check=True)
    return proto, run(proto, {"x": random(*shape)})[0]


def test_clips() -> None:
    x = random(2, 4)
    np.testing.assert_array_equal(one("relu6")[1], np.clip(x, 0, 6))
    np.testing.assert_array_equal(one("clip", max=0.5)[1], np.minimum(x, np.float32(0.5)))
    np.testing.assert_array_equal(one("clip", min=-0.5, max=0.5)[1], np.clip(x, -0.5, 0.5))


def test_two_node_forms() -> None:
    x, w, b = random(2, 3, 4), random(5, 4, seed=1), random(5, seed=2)
    np.testing.assert_allclose(one("swish", (2, 3, 4))[1], x / (1 + np.exp(-x)), rtol=1e-5)
    deep = one("inner-product", (2, 3, 4), (w, b), weight_layout="OI")
    assert [n.op_type for n in deep[0].graph.node] == ["Transpose", "MatMul", "Add"]
    np.testing.assert_allclose(deep[1], x @ w.T + b, rtol=1e-4, atol=1e-5)
    flat = one("inner-product", (2, 4), (w.T.copy(), b), weight_layout="IO")
    assert [n.op_type for n in flat[0].graph.node] == ["Gemm"]


def test_group_normalization_needs_no_new_operator() -> None:
    x, gamma, beta = random(2, 6, 4, 3), random(6, seed=1), random(6, seed=2)
    proto, found = one("groupnorm", (2, 6, 4, 3), (gamma, beta), groups=3, epsilon=1e-3)
    assert proto.opset_import[0].version == 17
    rows = x.reshape(2, 3, -1).astype(np.float64)
    normal = (rows - rows.mean(-1, keepdims=True)) / np.sqrt(rows.var(-1, keepdims=True) + 1e-3)
    want = normal.reshape(x.shape) * gamma[:, None, None] + beta[:, None, None]
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-5)
    with pytest.raises(UnsupportedError, match=r"Q0605.*unknown rank"):
        to_proto(Graph("g", [Value("x"), Value("y")], [Op("groupnorm", "op", ("x", "x", "x"), ("y",), {"groups": 1})],
                       ["x"], ["y"]))  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "shape", "attrs", "nodes"),
    [
        ("avgpool2d", (2, 3, 9, 8), {"kernel": (3, 3), "stride": (2, 1), "pads": (1, 1, 1, 1)}, ["Conv"]),
        ("avgpool1d", (2, 3, 9), {"kernel": (3,)}, ["Conv"]),
        ("avgpool2d", (2, 3, 3, 3), {"global": True}, ["ReduceSum", "Mul"]),
        ("reduction-mean", (2, 3, 3, 3), {"axes": (2, 3), "keepdims": True}, ["ReduceSum", "Mul"]),
    ],
)
def test_a_dpus_averages_are_exact(
    kind: str, shape: tuple[int, ...], attrs: dict[str, Any], nodes: list[str]
) -> None:
    """Stored numbers, whose ties an average rounded to float32 would miss."""
    op = Op(kind, "op", ("x",), ("y",), {**attrs, "dpu_factor": (7, 6)})
    x = (np.random.default_rng(0).integers(-128, 128, shape) / 16).astype(np.float32)
    (want,) = spec(kind).compute(op, [x])
    model = to_proto(Graph("one", [Value("x", shape), Value("y", want.shape)], [op], ["x"], ["y"]))
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == nodes
    np.testing.assert_array_equal(run(model, {"x": x})[0], want)


def test_newer_operators_raise_the_opset() -> None:
    assert one("gelu", approximate="tanh")[0].opset_import[0].version == 20
    assert one("relu")[0].opset_import[0].version == 17


def test_reductions_follow_the_opset() -> None:
    np.testing.assert_allclose(
        one("reduction-mean", axes=(1,), keepdims=False)[1], random(2, 4).mean(1), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("kind", "attrs", "found"),
    [
        ("maxpool2d", {"layout": "NHWC"}, "layout NHWC"),
        ("conv2d", {"layout": "NCHW", "weight_layout": "HWIO"}, "weight layout HWIO"),
        ("transpose", {}, "no attribute 'order'"),
        ("opaque", {"type": "Odd"}, "an opaque op without its node"),
        ("unheard-of", {}, "no rule for this kind"),
    ],
)
def test_what_onnx_cannot_express(kind: str, attrs: dict[str, Any], found: str) -> None:
    with pytest.raises(UnsupportedError, match=rf"Q0605 op 'op' \({kind}\): found {found}"):
        one(kind, (1, 2, 3, 3), **attrs)


def test_every_kind_of_the_operator_table_has_a_rule() -> None:
    assert set(KINDS) - set(RULES) == {"opaque"}
