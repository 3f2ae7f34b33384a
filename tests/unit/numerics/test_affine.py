from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from quantforge.diagnostics import InputError, explain
from quantforge.numerics.affine import dequantize, fake_quantize, quantize
from quantforge.numerics.formats import INT8, INT16, INT32, UINT8, UINT16, IntFormat
from quantforge.numerics.rounding import Rounding

ONNX_TYPES = {
    INT8: TensorProto.INT8,
    UINT8: TensorProto.UINT8,
    INT16: TensorProto.INT16,
    UINT16: TensorProto.UINT16,
}
# 0.1 is no dyadic number, 3e-39 is denormal, 1e30 makes every ratio tiny
SCALES = [1.0, 0.1, 2.0**-7, 0.0123, 3e-39, 1e30]


@cache
def session(format: IntFormat, axis: int | None) -> onnxruntime.InferenceSession:
    """x, scale, zero_point -> QuantizeLinear -> q -> DequantizeLinear -> y."""
    attrs = {} if axis is None else {"axis": axis}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], **attrs),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], **attrs),
    ]
    shape = ["n"] if axis is None else ["a", "b", "c"]
    slices: list[Any] = [] if axis is None else ["k"]
    kind = ONNX_TYPES[format]
    inputs = [("x", TensorProto.FLOAT, shape), ("s", TensorProto.FLOAT, slices), ("z", kind, slices)]
    outputs = [("q", kind, shape), ("y", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(
        nodes,
        "qdq",
        [helper.make_tensor_value_info(*spec) for spec in inputs],
        [helper.make_tensor_value_info(*spec) for spec in outputs],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def numbers_for(format: IntFormat, scale: float, zero_point: int) -> np.ndarray:
    """Ties and their neighbours over and beyond the range, noise, denormals, infinities: float32."""
    halves = (
        np.linspace(2 * (format.qmin - zero_point) - 5, 2 * (format.qmax - zero_point) + 5, 999).round() / 2
    )
    random = np.random.default_rng(7)
    with np.errstate(over="ignore"):
        ties = halves.astype(np.float32) * np.float32(scale)
        noise = random.normal(0, format.qmax / 2, 1001).astype(np.float32) * np.float32(scale)
    near = [np.nextafter(ties, np.float32(np.inf)), np.nextafter(ties, np.float32(-np.inf))]
    special = np.array([np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 3.4e38, -3.4e38], np.float32)
    return np.concatenate([ties, *near, noise, special])


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("format", ONNX_TYPES, ids=str)
def test_onnx_runtime_gives_the_same_bits(format: IntFormat, scale: float) -> None:
    for zero_point in (0, format.qmin, format.qmax, (format.qmin + format.qmax) // 2 + 3):
        x = numbers_for(format, scale, zero_point)
        feed = {"x": x, "s": np.asarray(scale, np.float32), "z": np.asarray(zero_point, format.storage)}
        q, y = session(format, None).run(None, feed)
        ours = quantize(x, scale, zero_point, format=format)
        assert ours.dtype == q.dtype
        assert np.array_equal(ours, q)
        assert dequantize(ours, scale, zero_point).tobytes() == y.tobytes()
        assert fake_quantize(x, scale, zero_point, format=format).tobytes() == y.tobytes()


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("format", ONNX_TYPES, ids=str)
def test_onnx_runtime_gives_the_same_bits_per_axis(format: IntFormat, axis: int) -> None:
    random = np.random.default_rng(3)
    x = random.normal(0, 50, (3, 4, 5)).astype(np.float32)
    scale = random.uniform(0.001, 2, x.shape[axis]).astype(np.float32)
    zero_point = random.integers(format.qmin, format.qmax, x.shape[axis]).astype(format.storage)
    q, y = session(format, axis).run(None, {"x": x, "s": scale, "z": zero_point})
    assert np.array_equal(quantize(x, scale, zero_point, format=format, axis=axis), q)
    assert dequantize(q, scale, zero_point, axis=axis).tobytes() == y.tobytes()
    assert fake_quantize(x, scale, zero_point, format=format, axis=axis).tobytes() == y.tobytes()


def test_infinity_saturates() -> None:
    ends = [np.inf, -np.inf]
    assert quantize(ends, 1.0, format=INT8).tolist() == [127, -128]
    assert quantize(ends, 1.0, format=IntFormat(8, narrow=True)).tolist() == [127, -127]
    assert quantize(ends, 1.0, 7, format=UINT8).tolist() == [255, 0]
    assert quantize(ends, 1.0, format=INT32).tolist() == [2**31 - 1, -(2**31)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_extremes_of_int32_are_exact(dtype: type) -> None:
    x = np.array([2.0**31, 2.0**31 - 128, -(2.0**31), 2.0**40, -(2.0**40)], dtype)
    expected = [2**31 - 1, 2**31 - 128, -(2**31), 2**31 - 1, -(2**31)]
    assert quantize(x, 1.0, format=INT32).tolist() == expected
    assert quantize(x, 1.0, format=IntFormat(32, signed=False)).tolist() == [
        2**31,
        2**31 - 128,
        0,
        2**32 - 1,
        0,
    ]


def test_int32_differences_round_once() -> None:
    q = np.array([2**31 - 1, -(2**31)], np.int32)
    assert dequantize(q, 1.0, [-(2**31)]).tolist() == [2.0**32, 0.0]
    assert dequantize(q, 1.0, dtype=np.float64).tolist() == [2.0**31 - 1, -(2.0**31)]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_dtype_is_kept(dtype: type) -> None:
    x = np.array([0.3, -0.7], dtype)
    fake = fake_quantize(x, 0.25, format=INT8)
    assert fake.dtype == dtype
    assert fake.tolist() == [0.25, -0.75]
    assert dequantize(np.array([1], np.int8), 0.25, dtype=dtype).dtype == dtype


def test_no_negative_zero_comes_back() -> None:
    assert not np.signbit(fake_quantize([-0.1, -0.0], 1.0, format=INT8)).any()


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1, 2, 3)])
def test_shapes_are_kept(shape: tuple[int, ...]) -> None:
    x = np.zeros(shape, np.float32)
    assert quantize(x, 0.5, format=INT8).shape == shape
    assert fake_quantize(x, 0.5, format=INT8).shape == shape
    assert dequantize(np.zeros(shape, np.int8), 0.5).shape == shape


def test_the_argument_is_left_alone() -> None:
    x = np.array([1.25, 300.0], np.float32)
    for mode in Rounding:
        fake_quantize(x, 1.0, format=INT8, rounding=mode)
    assert x.tolist() == [1.25, 300.0]


def test_nan_is_refused() -> None:
    with pytest.raises(InputError, match="Q0305 conv1: found NaN in 2 of 3 values; expected numbers"):
        quantize([1.0, np.nan, np.nan], 1.0, format=INT8, where="conv1")
    with pytest.raises(InputError, match="Q0305"):
        fake_quantize([np.nan], 1.0, format=INT32)
    assert explain("Q0305").title == "NaN has no integer"


@pytest.mark.parametrize("scale", [0.0, -1.0, np.inf, np.nan, 1e-60])
def test_the_scale_is_checked(scale: float) -> None:
    with pytest.raises(
        InputError, match=r"Q0306 w: found the scale .*; expected a positive, finite float32"
    ) as error:
        quantize(np.ones(2, np.float32), [1.0, scale], format=INT8, axis=0, where="w")
    assert str(scale) in str(error.value)
    with pytest.raises(InputError, match="Q0306"):
        dequantize(np.ones(2, np.int8), scale)
    assert explain("Q0306").title == "A scale is positive and finite"


@pytest.mark.parametrize("zero_point", [-1, 256, 0.5])
def test_the_zero_point_is_checked(zero_point: float) -> None:
    expected = rf"Q0307 w: found the zero point {zero_point}; expected an integer from 0 to 255 \(uint8\)"
    with pytest.raises(InputError, match=expected):
        quantize([1.0], 1.0, zero_point, format=UINT8, where="w")
    assert explain("Q0307").title == "The zero point is not an integer of its format"


@pytest.mark.parametrize(
    ("scale", "axis", "text"),
    [
        ([1.0, 2.0], None, "2 parameters and no axis; expected one parameter"),
        ([1.0, 2.0], 2, r"axis 2; expected an axis of the shape \(2, 3\)"),
        ([1.0, 2.0], 1, r"parameters of shape \(2,\); expected 3 of them, one per slice along axis 1"),
    ],
)
def test_lengths_are_checked(scale: list[float], axis: int | None, text: str) -> None:
    with pytest.raises(InputError, match=f"Q0308 w: found {text}"):
        quantize(np.ones((2, 3)), scale, format=INT8, axis=axis, where="w")
    with pytest.raises(InputError, match=f"Q0308 w: found {text}"):
        dequantize(np.ones((2, 3), np.int8), scale, axis=axis, where="w")
    assert explain("Q0308").title == "Scales and zero points do not fit the tensor"


def test_onnx_runtime_dequantizes_int32_biases_to_the_same_bits() -> None:
    node = helper.make_node("DequantizeLinear", ["q", "s"], ["y"], axis=0)
    inputs = [("q", TensorProto.INT32, ["n"]), ("s", TensorProto.FLOAT, ["n"])]
    graph = helper.make_graph(
        [node],
        "bias",
        [helper.make_tensor_value_info(*spec) for spec in inputs],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    run = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run
    random = np.random.default_rng(5)
    q = np.append(random.integers(-(2**31), 2**31, 500), [2**31 - 1, -(2**31), 2**24 + 1]).astype(np.int32)
    scale = random.uniform(1e-6, 1, q.size).astype(np.float32)
    [y] = run(None, {"q": q, "s": scale})
    assert dequantize(q, scale, axis=0).tobytes() == y.tobytes()
