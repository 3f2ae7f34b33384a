from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from quantforge.compiler.lowering import layout

shapes = st.lists(st.integers(1, 4), min_size=1, max_size=5)


@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), st.permutations(range(len(shape))))))
def test_orders_are_numpy_transpositions(case: tuple[list[int], list[int]]) -> None:
    shape, order = case[0], tuple(case[1])
    value = np.arange(np.prod(shape)).reshape(shape)
    memory = value.transpose(order)
    assert layout.stored(shape, order) == memory.shape
    assert np.array_equal(memory.transpose(layout.inverse(order)), value)
    plain = layout.identity(len(shape))
    assert np.array_equal(memory.transpose(layout.transposition(order, plain)), value)


@given(shapes.flatmap(lambda shape: st.tuples(*[st.permutations(range(len(shape)))] * 2, st.just(shape))))
def test_a_transposed_value_over_the_same_memory(case: tuple[list[int], list[int], list[int]]) -> None:
    order, axes, shape = tuple(case[0]), tuple(case[1]), case[2]
    value = np.arange(np.prod(shape)).reshape(shape)
    memory, turned = value.transpose(order), value.transpose(axes)
    assert np.array_equal(turned.transpose(layout.after_transpose(order, axes)), memory)


def regrouped(shape: list[int], cuts: list[int]) -> list[int]:
    """Another shape of as many elements: prime factors in order, cut somewhere else."""
    factors = [p for size in shape for p in ([2, 2] if size == 4 else [size])]
    bounds = sorted({0, len(factors), *(cut % (len(factors) + 1) for cut in cuts)})
    return [int(np.prod(factors[a:b])) for a, b in pairwise(bounds)]


@given(
    shapes.flatmap(lambda s: st.tuples(st.just(s), st.permutations(range(len(s))))),
    st.lists(st.integers(0, 9)),
)
def test_a_reshape_that_only_renames_memory(case: tuple[list[int], list[int]], cuts: list[int]) -> None:
    old, order, new = tuple(case[0]), tuple(case[1]), tuple(regrouped(case[0], cuts))
    value = np.arange(np.prod(old)).reshape(old)
    plan = layout.reshape(old, new)
    for start in (order, plan.gathered(old, order)):
        target = plan.target(old, new, start)
        if target is not None:
            memory = value.transpose(start).reshape(-1)
            assert np.array_equal(value.reshape(new).transpose(target).reshape(-1), memory)
    assert target is not None  # from the gathered order there always is one


def test_images_are_preferred_where_several_orders_fit() -> None:
    pixel = layout.reshape((1, 64), (1, 64, 1, 1))
    assert pixel.target((1, 64), (1, 64, 1, 1), (0, 1)) == (0, 2, 3, 1)
    flat = layout.reshape((1, 3, 4, 5), (1, 60))
    assert flat.target((1, 3, 4, 5), (1, 60), (0, 2, 3, 1)) is None
    assert flat.target((1, 3, 4, 5), (1, 60), (0, 1, 2, 3)) == (0, 1)


def test_lost_axes() -> None:
    assert layout.without((0, 2, 3, 1), (1,)) == (0, 1, 2)
    assert layout.without((0, 2, 3, 1), (0, 2)) == (1, 0)
