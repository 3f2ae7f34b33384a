from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Value
from quantforge.ops.integer import IntTensor
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import in_onnx_runtime, in_ours, make_op, normal


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
@pytest.mark.parametrize("pads", [(0, 0, 1, 2, 0, 0, 2, 1), (0, 1, 0, 0, 0, 1, 0, 3)])
def test_pad_equals_onnx_runtime(mode: str, pads: tuple[int, ...]) -> None:
    x = normal(2, 3, 5, 4)
    value = [np.float32(1.5)] if mode == "constant" else []
    expected = in_onnx_runtime("Pad", [x, np.array(pads), *(np.asarray(v) for v in value)], mode=mode)[0]
    assert np.array_equal(in_ours("pad", [x], mode=mode, pads=pads, value=1.5)[0], expected)


def test_negative_pads_crop() -> None:
    x = normal(1, 1, 5, 4)
    pads = (0, 0, -1, 1, 0, 0, 0, -2)
    expected = in_onnx_runtime("Pad", [x, np.array(pads)])[0]
    assert np.array_equal(in_ours("pad", [x], pads=pads)[0], expected)


def test_integers_pad_with_the_zero_point_and_whole_steps() -> None:
    x = IntTensor.of([5], 0.5, 3)
    padded = spec("pad").integer(make_op("pad", pads=(1, 1)), [x])
    assert padded is not None and padded[0].data.tolist() == [3, 5, 3]
    padded = spec("pad").integer(make_op("pad", pads=(1, 0), value=2.0), [x])
    assert padded is not None and padded[0].data.tolist() == [7, 5]
    assert spec("pad").integer(make_op("pad", pads=(1, 0), value=0.3), [x]) is None


def test_the_published_symmetric_pad() -> None:
    """Row [1, 2, 3], left 2, right 1 (runtime fact sheet, 2.14)."""
    padded = spec("pad").integer(
        make_op("pad", pads=(2, 1), mode="symmetric"), [IntTensor.of([1, 2, 3], 1.0)]
    )
    assert padded is not None and padded[0].data.tolist() == [2, 1, 1, 2, 3, 3]


def test_refusals_and_symbolic_shapes() -> None:
    op = make_op("pad", pads=(0, 1, 0, 1))
    assert spec("pad").infer(op, [Value("x", ("b", 3))]) == [(("b", 5), "float32")]
    assert spec("pad").infer(op, [Value("x", (3, "w"))]) == [((3, None), "float32")]
    with pytest.raises(InputError, match="Q0404 the pad: found 4 pads for 3 axes; expected 6: all begins"):
        spec("pad").infer(op, [Value("x", (1, 2, 3))])
    with pytest.raises(InputError, match="Q0405 the pad: found attribute mode='mirror'"):
        in_ours("pad", [normal(2, 2)], pads=(0, 0, 0, 0), mode="mirror")
