from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.graph import Array, Shape, Value
from quantforge.ops.integer import IntTensor
from quantforge.ops.registry import spec
from tests.unit.ops.single_op import in_onnx_runtime, in_ours, make_op, normal

I64 = np.int64
CASES: list[tuple[str, str, tuple[int, ...], list[Any], dict[str, Any], dict[str, Any]]] = [
    ("reshape", "Reshape", (2, 3, 4), [(0, -1)], {}, {"shape": (0, -1)}),
    ("reshape", "Reshape", (2, 3, 4), [(-1, 6)], {}, {"shape": (-1, 6)}),
    ("reshape", "Reshape", (2, 3, 4), [(4, 6)], {}, {"shape": (4, 6)}),
    ("flatten", "Flatten", (2, 3, 4), [], {"axis": 1}, {"axis": 1}),
    ("flatten", "Flatten", (2, 3, 4), [], {"axis": 0}, {"axis": 0}),
    ("flatten", "Flatten", (2, 3, 4), [], {"axis": -1}, {"axis": -1}),
    ("flatten", "Flatten", (2, 3, 4), [], {"axis": 3}, {"axis": 3}),
    ("squeeze", "Squeeze", (2, 1, 4, 1), [(1, -1)], {}, {"axes": (1, -1)}),
    ("unsqueeze", "Unsqueeze", (2, 3), [(0, -1)], {}, {"axes": (0, -1)}),
    ("transpose", "Transpose", (2, 3, 4), [], {"perm": [2, 0, 1]}, {"order": (2, 0, 1)}),
    ("transpose", "Transpose", (2, 3, 4), [], {}, {}),
    ("expand", "Expand", (2, 1, 4), [(3, 1)], {}, {"shape": (3, 1)}),
    ("expand", "Expand", (2, 1), [(5, 2, 3)], {}, {"shape": (5, 2, 3)}),
    ("tile", "Tile", (2, 3), [(1, 3)], {}, {"repeats": (1, 3)}),
    ("pixel-shuffle", "DepthToSpace", (2, 12, 3, 5), [], {"blocksize": 2}, {"scale": 2}),
    ("pixel-shuffle", "DepthToSpace", (2, 12, 3, 5), [], {"blocksize": 2, "mode": "CRD"},
     {"scale": 2, "mode": "CRD"}),
    ("space-to-depth", "SpaceToDepth", (2, 3, 4, 6), [], {"blocksize": 2}, {"scale": 2}),
    ("identity", "Identity", (2, 3), [], {}, {}),
    ("dropout", "Dropout", (2, 3), [], {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "native", "shape", "extra", "theirs", "ours"), CASES)
def test_moves_equal_onnx_runtime(
    kind: str,
    native: str,
    shape: tuple[int, ...],
    extra: list[Any],
    theirs: dict[str, Any],
    ours: dict[str, Any],
) -> None:
    x = normal(*shape)
    expected = in_onnx_runtime(native, [x, *(np.array(e, I64) for e in extra)], **theirs)[0]
    assert np.array_equal(in_ours(kind, [x], **ours)[0], expected)
    integers = np.arange(x.size).reshape(shape)
    exact = spec(kind).integer(make_op(kind, **ours), [IntTensor.of(integers, 0.3, 7)])
    assert exact is not None and exact[0].scale == 0.3 and exact[0].zero_point == 7
    assert np.array_equal(exact[0].data, in_ours(kind, [integers], **ours)[0])


@pytest.mark.parametrize(
    ("begin", "end", "axes", "strides"),
    [
        ((1,), (3,), (1,), (1,)),
        ((0, -2), (2**31, 2**63 - 1), (0, 2), (1, 1)),
        ((-1,), (-(2**31),), (2,), (-1,)),
        ((3,), (0,), (-1,), (-2,)),
        ((-100,), (2,), (1,), (1,)),
        ((100,), (-100,), (1,), (-1,)),
        ((5,), (2,), (1,), (1,)),
    ],
)
def test_slices_equal_onnx_runtime(
    begin: tuple[int, ...], end: tuple[int, ...], axes: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    x = normal(2, 5, 4)
    expected = in_onnx_runtime("Slice", [x, *(np.array(a, I64) for a in (begin, end, axes, strides))])[0]
    assert np.array_equal(
        in_ours("strided-slice", [x], begin=begin, end=end, axes=axes, strides=strides)[0], expected
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("indices", [np.array(1), np.array([0, -1]), np.array([[0, 1], [1, 0]])])
def test_gather_equals_onnx_runtime(axis: int, indices: Array) -> None:
    x = normal(2, 3, 4)
    expected = in_onnx_runtime("Gather", [x, indices], axis=axis)[0]
    assert np.array_equal(in_ours("gather", [x, indices], axis=axis)[0], expected)
    exact = spec("gather").integer(
        make_op("gather", 2, axis=axis), [IntTensor.of(np.arange(24).reshape(2, 3, 4), 1), indices]
    )
    assert exact is not None and exact[0].shape == expected.shape


@pytest.mark.parametrize(("axis", "sizes"), [(1, (2, 3)), (-1, (1, 1, 2)), (1, None), (2, None)])
def test_split_equals_onnx_runtime(axis: int, sizes: tuple[int, ...] | None) -> None:
    x, count = normal(2, 5, 4), len(sizes) if sizes else 2
    if sizes:
        theirs, ours = ([x, np.array(sizes)], {}), {"sizes": sizes}
    else:
        theirs, ours = ([x], {"num_outputs": count}), {}
    expected = in_onnx_runtime("Split", theirs[0], count=count, axis=axis, **theirs[1])
    actual = in_ours("split", [x], count=count, axis=axis, **ours)
    assert all(np.array_equal(a, b) for a, b in zip(actual, expected, strict=True))
    exact = spec("split").integer(
        make_op("split", 1, count, axis=axis, **ours), [IntTensor.of(np.ones((2, 5, 4)), 1)]
    )
    assert exact is not None and [part.shape for part in exact] == [part.shape for part in expected]


def test_a_per_slice_scale_follows_its_axis_or_has_no_exact_form() -> None:
    x = IntTensor.of(np.ones((2, 3, 4)), [1.0, 2.0, 4.0], axis=1)
    moved = spec("transpose").integer(make_op("transpose", order=(1, 2, 0)), [x])
    assert moved is not None and moved[0].axis == 0
    assert spec("reshape").integer(make_op("reshape", shape=(-1,)), [x]) is None
    assert spec("split").integer(make_op("split", 1, 2, axis=0), [x]) is None


@pytest.mark.parametrize(
    ("kind", "shape", "attrs", "expected"),
    [
        ("reshape", ("b", 16, 4, 4), {"shape": (-1, 256)}, ("b", 256)),
        ("reshape", ("b", 16, 4, 4), {"shape": (0, -1)}, ("b", 256)),
        ("reshape", ("b", 16, 4, 4), {"shape": (-1, 128)}, (None, 128)),
        ("reshape", ("b", "h", 4), {"shape": (0, -1)}, ("b", None)),
        ("flatten", ("b", 16, 1, 1), {"axis": 1}, ("b", 16)),
        ("flatten", ("b", "c", 1, 1), {"axis": 1}, ("b", "c")),
        ("flatten", ("b", "c", 2, 1), {"axis": 1}, ("b", None)),
        ("tile", ("b", 3), {"repeats": (1, 2)}, ("b", 6)),
        ("tile", ("b", 3), {"repeats": (2, 2)}, (None, 6)),
        ("expand", ("b", 1), {"shape": (1, 4)}, ("b", 4)),
        ("strided-slice", ("b", 8), {"begin": (0, 2), "end": (2**63 - 1, 6), "axes": (0, 1)}, ("b", 4)),
        ("strided-slice", ("b", 8), {"begin": (1,), "end": (4,), "axes": (0,)}, (None, 8)),
        ("pixel-shuffle", ("b", 8, "h", 3), {"scale": 2}, ("b", 2, None, 6)),
        ("transpose", ("b", 8, 3), {"order": (0, 2, 1)}, ("b", 3, 8)),
        ("squeeze", ("b", 1, 3, 1), {}, ("b", 3)),
    ],
)
def test_symbolic_shapes(kind: str, shape: Shape, attrs: dict[str, Any], expected: Shape) -> None:
    assert spec(kind).infer(make_op(kind, **attrs), [Value("x", shape)]) == [(expected, "float32")]


@pytest.mark.parametrize(
    ("kind", "shape", "attrs", "text"),
    [
        ("reshape", (2, 3), {"shape": (4, 2)}, "found 6 elements"),
        ("reshape", (2, 3), {"shape": (4, -1)}, "found 6 elements"),
        ("pixel-shuffle", (1, 3, 2, 2), {"scale": 2}, "found 3 channels; expected a multiple of 4"),
        ("space-to-depth", (1, 3, 3, 2), {"scale": 2}, "found 3 x 2 positions; expected multiples of 2"),
        ("split", (2, 3), {"axis": 1, "sizes": (1, 1)}, "expected 1 parts that add up"),
    ],
)
def test_what_does_not_fit_is_refused(
    kind: str, shape: tuple[int, ...], attrs: dict[str, Any], text: str
) -> None:
    with pytest.raises(InputError, match=f"Q0404 the {kind}: .*{text}"):
        spec(kind).compute(make_op(kind, **attrs), [normal(*shape)])
