"""The functions against the numerics, bit for bit, in ONNX Runtime, with and without its optimizations."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from quantforge.frontends.onnx.vitis_functions import (
    DEQUANTIZE,
    QUANTIZE,
    VAI,
    Uses,
    uses_of,
    vitis_functions,
)
from quantforge.graph import Array
from quantforge.numerics.affine import dequantize, quantize
from quantforge.numerics.formats import BFLOAT16, FLOAT16, IntFormat
from quantforge.numerics.lowfloat import fake_quantize_float

from .text_models import random

BFLOAT = helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)
EDGES = [0.0, -0.0, np.inf, -np.inf, 3.4e38, -3.4e38, 65519.0, 65520.0, 1e-40, 1.01171875, 0.5, 1.5, -2.5]
X = np.concatenate([random(500), random(500) * 1e4, random(200) * 1e9, EDGES]).astype(np.float32)
ALL = {"uint8": 128, "int8": -3, "uint16": 7, "int16": 0, "uint32": 1 << 31, "int32": -5}


def both(opset: int, zero: Array, scale: Array, others: tuple[Array, ...] = (), axis: int = 1) -> Any:
    """The model x -> q -> y; `others` are zero points of further operators, which make the functions more general."""
    names = [f"z{i}" for i in range(1 + len(others))]
    arrays: dict[str, Array] = {"s": scale, **dict(zip(names, (zero, *others), strict=True))}
    nodes = []
    for name in names:
        nodes += [
            helper.make_node(QUANTIZE, ["x", "s", name], [f"q{name}"], domain=VAI, axis=axis),
            helper.make_node(DEQUANTIZE, [f"q{name}", "s", name], [f"y{name}"], domain=VAI, axis=axis),
        ]
    functions = vitis_functions(nodes, arrays, opset)
    rank = ["N"] if scale.ndim == 0 else ["N", 3]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, rank)],
        [helper.make_tensor_value_info("yz0", 1, rank)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(VAI, 1)]
    proto = helper.make_model(graph, functions=functions, opset_imports=imports, ir_version=10)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def results(proto: Any, x: Array) -> list[Array]:
    found = []
    levels = ort.GraphOptimizationLevel
    for level in (levels.ORT_DISABLE_ALL, levels.ORT_ENABLE_ALL):
        options = ort.SessionOptions()
        options.graph_optimization_level, options.intra_op_num_threads = level, 1
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found.append(session.run(["yz0"], {"x": x})[0])
    return found


@pytest.mark.parametrize("dtype", ALL)
@pytest.mark.parametrize(
    "others", [(), ("uint8",), ("int32",), ("float16", "uint32"), ("bfloat16",)], ids=str
)
def test_integers(dtype: str, others: tuple[str, ...]) -> None:
    width = np.dtype(dtype).itemsize
    scale = np.asarray({1: 0.05, 2: 1e-3, 4: 2.0**-20}[width], np.float32)
    zero = np.asarray(ALL[dtype], dtype)
    more = tuple(np.zeros((), BFLOAT if other == "bfloat16" else other) for other in others)
    form = IntFormat(8 * width, signed=dtype.startswith("i"))
    stored = quantize(X, scale, zero, format=form)
    want = dequantize(stored, scale, zero)
    for found in results(both(21, zero, scale, more), X):
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("others", [(), ("int8",), ("int32", "uint16"), ("float16", "bfloat16")], ids=str)
@pytest.mark.parametrize("form", [FLOAT16, BFLOAT16], ids=str)
def test_floats(form: Any, others: tuple[str, ...]) -> None:
    dtype = BFLOAT if form == BFLOAT16 else np.float16
    more = tuple(np.zeros((), BFLOAT if other == "bfloat16" else other) for other in others)
    scale = np.ones((), np.float32)
    for found in results(both(17, np.zeros((), dtype), scale, more), X):
        np.testing.assert_array_equal(found, fake_quantize_float(X, form))


@pytest.mark.parametrize("dtype", ["int8", "int32"])
@pytest.mark.parametrize("axis", [0, 1])
def test_scales_along_an_axis(dtype: str, axis: int) -> None:
    x, scale = random(3, 3) * 50, np.array([0.5, 0.25, 0.0625], np.float32)
    zero, form = np.array([1, -2, 3], dtype), IntFormat(8 * np.dtype(dtype).itemsize)
    stored = quantize(x, scale, zero, format=form, axis=axis)
    for found in results(both(17, zero, scale, axis=axis), x):
        np.testing.assert_array_equal(found, dequantize(stored, scale, zero, axis=axis))


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(["int8", "uint16", "int32"]),
    st.floats(2.0**-24, 4.0, width=32),
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20),
)
def test_any_numbers(dtype: str, step: float, numbers: list[float]) -> None:
    x, scale = np.array(numbers, np.float32), np.asarray(step, np.float32)
    form = IntFormat(8 * np.dtype(dtype).itemsize, signed=dtype.startswith("i"))
    want = dequantize(quantize(x, scale, 0, format=form), scale, 0)
    for found in results(both(17, np.zeros((), dtype), scale, (np.zeros((), "uint32"),)), x):
        np.testing.assert_array_equal(found, want)


def test_small_integers_are_the_standards_operator() -> None:
    small = vitis_functions(
        [helper.make_node(QUANTIZE, ["x", "s", "z"], ["q"], domain=VAI)], zeros("int8"), 13
    )
    assert [node.op_type for node in small[0].node] == ["QuantizeLinear"]
    middle = vitis_functions(
        [helper.make_node(QUANTIZE, ["x", "s", "z"], ["q"], domain=VAI)], zeros("int16"), 17
    )
    assert "CastLike" in [node.op_type for node in middle[0].node], "16 bits need opset 21"


def zeros(dtype: str) -> dict[str, Array]:
    return {"z": np.zeros((), dtype)}


def test_an_unknown_zero_point_gets_the_function_for_all_types() -> None:
    node = helper.make_node(QUANTIZE, ["x", "s", "computed"], ["q"], domain=VAI)
    names = [inner.op_type for inner in vitis_functions([node], {}, 17)[0].node]
    assert {"Expand", "Where", "Round"} <= set(names)
    assert vitis_functions([helper.make_node(QUANTIZE, ["x"], ["q"])], {}, 17) == [], "another domain"


@pytest.mark.parametrize(
    ("dtypes", "opset"),
    [(["int8"], 13), (["int8", "uint16"], 21), (["int16", "int32"], 15), (["float16"], 15)],
)
def test_least_opset(dtypes: list[str], opset: int) -> None:
    uses = Uses()
    for dtype in dtypes:
        uses |= uses_of(np.dtype(dtype))
    assert uses.least_opset == opset
    assert uses.native(opset) == (opset != 15)
