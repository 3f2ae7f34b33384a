from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.ops.integer import IntTensor
from quantforge.ops.nonlinear import sigmoid
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import assert_close, in_onnx_runtime, in_ours, make_op, normal

X = normal(2, 3, 8) * 4


@pytest.mark.parametrize(
    ("kind", "native", "attrs"),
    [
        ("sigmoid", "Sigmoid", {}),
        ("tanh", "Tanh", {}),
        ("gelu", "Gelu", {"approximate": "none"}),
        ("gelu", "Gelu", {"approximate": "tanh"}),
        ("elu", "Elu", {"alpha": 0.7}),
        ("selu", "Selu", {}),
        ("mish", "Mish", {}),
        ("softplus", "Softplus", {}),
        ("exp", "Exp", {}),
        ("erf", "Erf", {}),
        ("abs", "Abs", {}),
        ("neg", "Neg", {}),
        ("reciprocal", "Reciprocal", {}),
        ("softmax", "Softmax", {"axis": 1}),
        ("softmax", "Softmax", {"axis": -1}),
        ("log-softmax", "LogSoftmax", {"axis": 1}),
    ],
)
def test_float_kernels_equal_onnx_runtime(kind: str, native: str, attrs: dict[str, Any]) -> None:
    assert_close(in_ours(kind, [X], **attrs)[0], in_onnx_runtime(native, [X], **attrs)[0], 1e-6)


def test_functions_of_positive_numbers_equal_onnx_runtime() -> None:
    for kind, native in (("log", "Log"), ("sqrt", "Sqrt")):
        assert_close(in_ours(kind, [np.abs(X)])[0], in_onnx_runtime(native, [np.abs(X)])[0], 1e-6)


def test_swish_is_x_times_sigmoid() -> None:
    assert_close(in_ours("swish", [X])[0], X * in_onnx_runtime("Sigmoid", [X])[0], 1e-6)


def test_large_arguments_do_not_overflow() -> None:
    assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]
    big = np.array([[1e4, -1e4]], np.float32)
    assert in_ours("softmax", [big], axis=1)[0].tolist() == [[1.0, 0.0]]
    assert in_ours("softplus", [big])[0].tolist() == [[1e4, 0.0]]


def test_neg_and_abs_are_exact_on_integers() -> None:
    x = IntTensor.of([-3, 5], 0.3, 1)
    negated, absolute = (spec(kind).integer(make_op(kind), [x]) for kind in ("neg", "abs"))
    assert negated is not None and negated[0].data.tolist() == [4, -4]
    assert absolute is not None and absolute[0].data.tolist() == [4, 4]
    assert spec("sigmoid").integer(make_op("sigmoid"), [x]) is None


def test_an_unknown_approximation_is_refused() -> None:
    with pytest.raises(
        InputError, match="Q0405 the gelu: found attribute approximate='fast'; expected one of none, tanh"
    ):
        in_ours("gelu", [X], approximate="fast")
