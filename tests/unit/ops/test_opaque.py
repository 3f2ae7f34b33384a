from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import UnsupportedError
from quantforge.graph import Value
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import in_onnx_runtime, in_ours, make_op


def test_an_opaque_operator_is_refused_by_name() -> None:
    op = make_op("opaque", type="Nms", domain="")
    with pytest.raises(UnsupportedError) as error:
        spec("opaque").compute(op, [np.zeros(1)])
    assert str(error.value) == (
        "Q0401 the opaque: found operator Nms, which the graph does not know; expected an operator with "
        "a reference kernel; try: run the model in its own framework, or pass the interpreter an evaluator for it"
    )
    assert spec("opaque").infer(op, [Value("x", (1,))]) == [(None, "float32")]


@pytest.mark.parametrize("to", ["int64", "int8", "float16", "bool", "float64"])
def test_cast_equals_onnx_runtime(to: str) -> None:
    from onnx import helper

    x = np.array([-2.7, -0.5, 0.0, 0.5, 3.9], np.float32)
    expected = in_onnx_runtime("Cast", [x], to=helper.np_dtype_to_tensor_dtype(np.dtype(to)))[0]
    assert np.array_equal(in_ours("cast", [x], to=to)[0], expected)
