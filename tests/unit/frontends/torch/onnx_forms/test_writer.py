from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.frontends.torch.native import NativeCall, Ref, Size  # noqa: E402
from quantforge.frontends.torch.onnx_forms.writer import NoFormError, Writer, is_float  # noqa: E402
from quantforge.graph import Graph, Op, Value  # noqa: E402


def writer(target: Any, *args: Any, **kwargs: Any) -> Writer:
    values = [Value("x", ("batch", 4)), Value("i", (4,), "int64"), Value("y", ("batch", 4))]
    op = Op("opaque", "y", ("x", "i"), ("y",))
    return Writer(Graph("g", values, (), ("x", "i")), op, NativeCall(target, args, kwargs), {"s0": ("x", 0)})


def test_arguments_by_name_counted_axes_and_sizes() -> None:
    w = writer(torch.ops.aten.gather.default, Ref(0), -1, Ref(1))
    assert (w.value("self"), w.axis(), w.record(w.arg("index")).dtype, w.dtype) == (
        "x",
        1,
        "int64",
        "float32",
    )
    assert w.known_size(1) == 4
    with pytest.raises(NoFormError, match="axis 0 that depends on the run"):
        w.known_size(0)


def test_dtypes_as_torch_promotes_them() -> None:
    w = writer(torch.ops.aten.gt.Scalar, Ref(1), 1.5)
    assert w.common_dtype(Ref(1), 1.5) == "float32"
    assert w.common_dtype(Ref(1), 2) == "int64"
    assert w.common_dtype(Ref(0), Ref(1)) in ("float32", "float64")
    assert is_float("float16") and not is_float("int8")


def test_sizes_of_the_run_come_from_the_inputs() -> None:
    sympy = pytest.importorskip("sympy", reason="comes with torch")
    w = writer(torch.ops.aten.ones.default, [Size(2 * sympy.Symbol("s0")), 3])
    w.sizes(w.arg("size"))
    assert [op.attrs["type"] for op in w.graph.ops] == ["Shape", "Slice", "Mul", "Concat"]
    with pytest.raises(NoFormError, match="a size s9 that no input tells"):
        w.sizes([Size(sympy.Symbol("s9")), 1])


def test_what_an_opset_does_not_have_is_refused_with_the_opset_that_does() -> None:
    w = writer(torch.ops.aten.tril.default, Ref(0))
    w.opset = 13
    with pytest.raises(NoFormError, match="ask for opset_version=14"):
        w.node("Trilu", ["x"], upper=0)
    w.opset = 18
    w.node("ReduceMax", ["x"], axes=[1], keepdims=0)
    assert len(w.graph.ops[-1].inputs) == 2
