"""Concatenation. Integer: on a common scale, exactly; inputs that share a spec are copied as they are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantforge.graph import Array, Dim, Op, Value
from quantforge.ops.attributes import integer, mismatch, present
from quantforge.ops.integer import IntTensor, Tensors, align, all_integer
from quantforge.ops.opspec import OpSpec, Traits, TypedShape


def infer(op: Op, inputs: Sequence[Value | None]) -> list[TypedShape]:
    """Sizes add up along `axis`, and agree along the others."""
    values = [present(op, inputs, index) for index in range(len(inputs))]
    shapes = [value.shape for value in values]
    known = [shape for shape in shapes if shape is not None]
    if len(known) < len(shapes):
        return [(None, values[0].dtype)]
    axis = integer(op, "axis") % len(known[0])
    dims: list[Dim] = []
    for index, sizes in enumerate(zip(*known, strict=True)):
        numbers = [size for size in sizes if isinstance(size, int)]
        if index == axis:
            dims.append(sum(numbers) if len(numbers) == len(sizes) else None)
        elif len(set(numbers)) > 1:
            raise mismatch(op, f"sizes {sizes} on axis {index}", "equal sizes on all axes but the joined one")
        else:
            dims.append(numbers[0] if numbers else sizes[0] if len(set(sizes)) == 1 else None)
    return [(tuple(dims), values[0].dtype)]


def compute(op: Op, arrays: Sequence[Array | None]) -> list[Array]:
    """One after the other along `axis`."""
    parts = [present(op, arrays, index) for index in range(len(arrays))]
    return [np.concatenate(parts, axis=integer(op, "axis"))]


def compute_integer(op: Op, tensors: Tensors) -> list[IntTensor] | None:
    """As in float, on a common scale."""
    found = all_integer(tensors)
    aligned = None if found is None else align(found)
    if aligned is None or aligned[0].axis is not None:
        return None
    return [aligned[0].with_data(np.concatenate([t.data for t in aligned], axis=integer(op, "axis")))]


SPECS = (OpSpec("concat", Traits("join"), infer, compute, compute_integer),)
