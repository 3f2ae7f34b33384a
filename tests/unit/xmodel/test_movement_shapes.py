from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Tensor, XOp
from quantforge.xmodel.movement_shapes import (
    block_shape,
    concat_shape,
    pad_shape,
    reshape_shape,
    sampled_shape,
    slice_shape,
    squeeze_shape,
    stack_shape,
)
from tests.unit.xmodel.samples import attr


def op(kind: str, **attrs: Any) -> XOp:
    return XOp("op", kind, Tensor("op", (1,)), {}, {key: attr(value) for key, value in attrs.items()})


bounds = st.integers(-6, 6)
axes = st.lists(st.tuples(bounds, bounds, st.sampled_from([1, 2, -1])), min_size=1, max_size=3)


@given(axes, st.integers(0, 7), st.integers(0, 7))
def test_slices_are_those_of_numpy(axes: list[tuple[int, int, int]], begin: int, end: int) -> None:
    made = op(
        "strided_slice",
        begin=tuple(a for a, _, _ in axes),
        end=tuple(b for _, b, _ in axes),
        strides=tuple(s for _, _, s in axes),
        begin_mask=begin,
        end_mask=end,
    )
    cuts = tuple(
        slice(None if begin >> i & 1 else a, None if end >> i & 1 else b, s)
        for i, (a, b, s) in enumerate(axes)
    )
    expected = np.empty((4, 5, 3))[cuts].shape
    if 0 in expected:
        with pytest.raises(InputError, match=r"Q0912.*an empty slice"):
            slice_shape(made, (4, 5, 3))
    else:
        assert slice_shape(made, (4, 5, 3)) == expected


def test_slices_that_drop_or_add_axes() -> None:
    bare = {"begin": (0, 1), "end": (1, 2), "strides": (1, 1)}
    assert slice_shape(op("strided_slice", **bare, shrink_axis_mask=2), (4, 5, 3)) == (1, 3)
    assert slice_shape(op("strided_slice", **bare, shrink_axis_mask=3), (4, 5)) == (1,)
    assert slice_shape(op("strided_slice", **bare, new_axis_mask=1), (4, 5, 3)) is None


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_joins_are_those_of_numpy(shape: list[int], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    arrays = [np.empty(shape)] * 3
    assert concat_shape(op("concat", axis=axis), [tuple(shape)] * 3) == np.concatenate(arrays, axis).shape
    if shape != [1]:
        axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
        assert stack_shape(op("stack", axis=axis), [tuple(shape)] * 3) == np.stack(arrays, axis).shape


def test_a_stack_of_scalars_is_a_list() -> None:
    assert stack_shape(op("stack", axis=0), [(1,)] * 4) == (4,)
    assert concat_shape(op("concat", axis=1), [(1, 2), (1, 3)]) == (1, 5)


@pytest.mark.parametrize(
    ("axis", "shape", "expected"),
    [((), (1, 3, 1), (3,)), ((0,), (1, 3, 1), (3, 1)), ((-1,), (1, 3, 1), (1, 3)), ((), (1, 1), (1,))],
)
def test_squeezes(axis: tuple[int, ...], shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert squeeze_shape(op("squeeze", axis=axis), shape) == expected


@pytest.mark.parametrize(
    ("shape", "wanted", "expected"),
    [
        ((2, 3, 4), (0, -1), (2, 12)),
        ((2, 3), (6,), (6,)),
        ((2, 3), (3, 0, -1), (3, 3, None)),
        ((1,), (), (1,)),
    ],
)
def test_reshapes(shape: tuple[int, ...], wanted: tuple[int, ...], expected: tuple[int | None, ...]) -> None:
    if None in expected:
        with pytest.raises(InputError, match="Q0912"):
            reshape_shape(op("reshape"), shape, wanted)
    else:
        assert reshape_shape(op("reshape"), shape, wanted) == expected


def test_samples() -> None:
    image = (1, 4, 6, 3)
    assert sampled_shape(op("resize", mode="NEAREST", scale=(2.0, 3.0)), image, None) == (1, 12, 12, 3)
    assert sampled_shape(op("resize", mode="BILINEAR"), image, (7, 8)) == (1, 7, 8, 3)
    third = float(np.float32(5 / 3))
    assert sampled_shape(op("resize", mode="NEAREST", scale=(third, third)), (1, 3, 6, 1), None) == (
        1,
        5,
        10,
        1,
    )
    deep = op("resize", mode="TRILINEAR", scale=(1.0, 2.0, 3.0))
    assert sampled_shape(deep, (1, 2, 2, 2, 1), None) == (1, 4, 2, 6, 1)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_blocks_go_back_and_forth(height: int, width: int, channels: int, block: int) -> None:
    image = (2, height * block, width * block, channels)
    packed = (2, height, width, channels * block * block)
    for kind, size, back in (
        ("reorg", "scale", "reverse"),
        ("tile-fix", "stride", "reverse"),
        ("pixel-shuffle", "scale", "upscale"),
    ):
        assert block_shape(op(kind, **{size: block, back: False}), image) == packed
        assert block_shape(op(kind, **{size: block, back: True}), packed) == image
    assert block_shape(op("pixel-shuffle-fix", scale=block, reverse=True), packed) is None


def test_pads() -> None:
    assert pad_shape(op("pad", paddings=(0, 0, 1, 2, 0, 3)), (1, 4, 5)) == (1, 7, 8)


@pytest.mark.parametrize(
    "call",
    [
        lambda: concat_shape(op("concat", axis=1), [(1, 2), (2, 2)]),
        lambda: concat_shape(op("concat", axis=2), [(1, 2), (1, 2)]),
        lambda: stack_shape(op("stack", axis=0), [(1, 2), (2, 2)]),
        lambda: squeeze_shape(op("squeeze", axis=(1,)), (1, 3)),
        lambda: squeeze_shape(op("squeeze", axis=(5,)), (1, 3)),
        lambda: reshape_shape(op("reshape"), (2, 3), (4, -1)),
        lambda: reshape_shape(op("reshape"), (2, 3), (-1, -1)),
        lambda: slice_shape(op("strided_slice", begin=(0,), end=(1,), strides=(0,)), (3,)),
        lambda: slice_shape(op("strided_slice", begin=(0, 0), end=(1,), strides=(1,)), (3,)),
        lambda: pad_shape(op("pad", paddings=(1, 1)), (3, 3)),
        lambda: pad_shape(op("pad", paddings=(-2, -1)), (3,)),
        lambda: sampled_shape(op("resize", mode="NEAREST", scale=(2.0,)), (1, 2, 2, 1), None),
        lambda: sampled_shape(op("resize", mode="TRILINEAR", scale=(2.0, 2.0)), (1, 2, 2, 1), None),
        lambda: sampled_shape(op("resize", mode="NEAREST", scale=(float("inf"), 1.0)), (1, 2, 2, 1), None),
        lambda: block_shape(op("reorg", scale=2, reverse=False), (1, 3, 4, 1)),
        lambda: block_shape(op("reorg", scale=2, reverse=True), (1, 4, 4, 2)),
        lambda: block_shape(op("reorg", scale=0, reverse=False), (1, 4, 4, 2)),
    ],
)
def test_what_does_not_fit(call: Callable[[], object]) -> None:
    with pytest.raises(InputError, match="Q0912"):
        call()
