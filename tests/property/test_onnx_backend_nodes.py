"""The node tests that ship with onnx, through import, emission, lowering and a session.

Each model is tried as it is and with every input but the first made constant (as weights are). Its emitted form
and its lowered form (every op written from its kind and attributes alone) must compute the same, up to what other
fusions of the runtime may change: 1e-5, or 2e-3 for half precision.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from quantforge.frontends.onnx import OnnxExecutor, import_model, to_proto
from quantforge.frontends.onnx.native import ORT_ERRORS
from tests.unit.frontends.onnx.text_models import run

# Node tests of the operators in the kind table; pools are left to the unit tests (onnx needs 13 s to make them).
MODULES = [
    "conv", "convtranspose", "globalmaxpool", "globalaveragepool", "gemm", "matmul", "add", "sum", "sub",
    "mul", "div", "min", "max", "pow", "relu", "clip", "leakyrelu", "prelu", "sigmoid", "hardsigmoid",
    "hardswish", "swish", "tanh", "gelu", "elu", "selu", "mish", "softplus", "exp", "log", "sqrt", "abs",
    "neg", "reciprocal", "erf", "softmax", "logsoftmax", "batch_normalization", "layernormalization",
    "instance_normalization", "groupnormalization", "reducemean", "reducemax", "reducemin", "reducesum",
    "argmax", "concat", "split", "pad", "resize", "reshape", "flatten", "squeeze", "unsqueeze", "transpose",
    "slice", "gather", "expand", "tile", "depthtospace", "spacetodepth", "identity", "dropout", "where",
    "lpnormalization", "upsample", "if_", "loop", "scan", "lstm",
]  # fmt: skip
# They have random outputs, or rest on inputs that a runtime accepts against the specification.
NOT_COMPARABLE = (
    "bernoulli",
    "train",
    "affine_grid_2d",
    "ai_onnx_ml",
    "string",
    "regex",
    "strnorm",
    "label_encoder",
)


def cases(modules: Iterable[str]) -> list[Any]:
    node = importlib.import_module("onnx.backend.test.case.node")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            importlib.import_module(f"onnx.backend.test.case.node.{name}")
    return list(node._NodeTestCases)


def variants(case: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    """(model, feeds) as given, and with the inputs after the first made constant."""
    if case.model is None or any(word in case.name for word in NOT_COMPARABLE):
        return
    feeds = {i.name: a for i, a in zip(case.model.graph.input, case.data_sets[0][0], strict=True)}
    if not feeds or not all(isinstance(a, np.ndarray) and a.dtype != object for a in feeds.values()):
        return
    yield case.model, feeds
    if len(feeds) > 1:
        fixed = onnx.ModelProto()
        fixed.CopyFrom(case.model)
        first, *rest = feeds
        fixed.graph.initializer.extend(numpy_helper.from_array(feeds[name], name) for name in rest)
        del fixed.graph.input[1:]
        yield fixed, {first: feeds[first]}


def check(proto: Any, feeds: dict[str, Any]) -> tuple[int, int]:
    """(1, 1 if every op had a kind) when the model runs in ONNX Runtime and is one we read, else (0, 0)."""
    try:
        want = run(proto, feeds)
    except ORT_ERRORS:
        return 0, 0
    if proto.opset_import[0].version < 7 or any(a.dtype == object for a in want):
        return 0, 0
    if any(not output.type.HasField("tensor_type") or (node.op_type == "Scan" and proto.opset_import[0].version < 9)
           for output in proto.graph.output for node in proto.graph.node):  # fmt: skip
        return 0, 0
    graph = import_model(proto)
    made = to_proto(graph)
    onnx.checker.check_model(made)
    for a, b in zip(want, run(made, feeds), strict=True):
        same(b, a)
    observed = OnnxExecutor(threads=1).session(graph, graph.outputs).run(feeds)
    for a, name in zip(want, graph.outputs, strict=True):
        same(observed[name], a)
    if any(op.kind == "opaque" for op in graph.ops):
        return 1, 0
    for op in graph.ops:
        graph.replace_op(replace(op, origin=replace(op.origin, native=None)))
    lowered = to_proto(graph)
    onnx.checker.check_model(lowered)
    for a, b in zip(want, run(lowered, feeds), strict=True):
        same(b, a)
    return 1, 1


def same(got: Any, want: Any) -> None:
    assert got.shape == want.shape and got.dtype == want.dtype
    tolerance = 2e-3 if want.dtype.itemsize == 2 else 1e-5
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def tally(names: Iterable[str], expanded: bool) -> tuple[int, int]:
    """How many models ran, and were also lowered; `expanded`: with function bodies written out."""
    ort.set_default_logger_severity(4)
    ran = lowered = 0
    for case in cases(names):
        if "_expanded" in case.name and not expanded:
            continue
        for proto, feeds in variants(case):
            try:
                one, two = check(proto, feeds)
            except Exception as error:
                raise AssertionError(f"{case.name} with {len(feeds)} inputs: {error}") from error
            ran, lowered = ran + one, lowered + two
    return ran, lowered


def test_node_models_of_the_kind_table() -> None:
    ran, lowered = tally(MODULES, expanded=False)
    assert ran >= 500 and lowered >= 350, (ran, lowered)


@pytest.mark.slow
def test_all_node_models() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("onnx.backend.test.case.node").collect_testcases(None)
    ran, lowered = tally((), expanded=True)
    assert ran >= 1500 and lowered >= 600, (ran, lowered)
