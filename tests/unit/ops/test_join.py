from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Value
from quantforge.ops.integer import IntTensor
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import in_onnx_runtime, in_ours, make_op, normal


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_concat_equals_onnx_runtime(axis: int) -> None:
    shapes = [[2, 3, 4] for _ in range(3)]
    for index, shape in enumerate(shapes):
        shape[axis] = index + 1
    arrays = [normal(*shape, seed=n) for n, shape in enumerate(shapes)]
    assert np.array_equal(
        in_ours("concat", arrays, axis=axis)[0], in_onnx_runtime("Concat", arrays, axis=axis)[0]
    )


def test_integers_share_the_finest_scale() -> None:
    op = make_op("concat", 2, axis=0)
    joined = spec("concat").integer(op, [IntTensor.of([1, 2], 0.5), IntTensor.of([3, 4], 0.125, 1)])
    assert joined is not None and joined[0].data.tolist() == [4, 8, 2, 3] and joined[0].scale == 0.125
    same = spec("concat").integer(op, [IntTensor.of([1], 0.3, 5), IntTensor.of([3], 0.3, 5)])
    assert same is not None and same[0].centered().data.tolist() == [-4, -2]
    assert spec("concat").integer(op, [IntTensor.of([1], 0.3), IntTensor.of([3], 0.7)]) is None
    assert spec("concat").integer(op, [IntTensor.of([1], 0.5), np.ones(1, np.float32)]) is None


def test_shapes() -> None:
    op = make_op("concat", 2, axis=1)
    joined = [Value("x", ("b", 3, None)), Value("y", ("b", 5, 7))]
    assert spec("concat").infer(op, joined) == [(("b", 8, 7), "float32")]
    assert spec("concat").infer(op, [Value("x", ("b", "c")), Value("y", ("a", 5))]) == [
        ((None, None), "float32")
    ]
    assert spec("concat").infer(op, [Value("x", None), Value("y", (1, 5))]) == [(None, "float32")]
    with pytest.raises(InputError, match=r"Q0404 the concat: found sizes \(2, 3\) on axis 0"):
        spec("concat").infer(op, [Value("x", (2, 5)), Value("y", (3, 5))])
