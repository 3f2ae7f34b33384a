"""A graph whose every size is a number, as XIR demands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from quantforge.diagnostics import InputError
from quantforge.graph import Dim, Graph, Shape, Value
from quantforge.ops.infer import infer_shapes

InputShapes = Mapping[str, Sequence[int]]


def concrete(graph: Graph, batch: int = 1, input_shapes: InputShapes | None = None) -> Graph:
    """A copy of `graph` with known sizes everywhere.

    Args:
        graph: any graph.
        batch: size of a batch axis (axis 0 of an input) that is symbolic or unknown.
        input_shapes: whole shapes of inputs, in the graph's own layout, by name.

    Raises:
        InputError: Q1150 for an input with an unknown size, or a shape that contradicts the model's;
            Q1151 for a value whose size nothing tells.
    """
    given = dict(input_shapes or {})
    unknown = [name for name in given if name not in graph.inputs]
    if unknown:
        raise InputError(
            "Q1150",
            f"input_shape of {unknown[0]!r}",
            "no input of this name",
            f"one of {', '.join(graph.inputs)}",
            "check the name",
        )
    bound: dict[str, int] = {}
    shapes = {
        name: _input_shape(graph.value(name), given.get(name), batch, bound)
        for name in sorted(graph.inputs, key=lambda name: name not in given)
    }
    fixed = graph.copy()
    for value in graph.values:
        shape = shapes.get(value.name, _bound(value.shape, bound))
        if shape != value.shape:
            fixed.set_value(replace(value, shape=shape))
    fixed = infer_shapes(fixed)
    for op in fixed.ops:
        for name in op.outputs:
            _require_sizes(fixed.value(name), op.name)
            recorded = graph.value(name).dtype
            if (
                recorded != "unknown"
            ):  # the model knows better than inference, which takes mixed types for one
                fixed.set_value(replace(fixed.value(name), dtype=recorded))
    return fixed


def _input_shape(value: Value, given: Sequence[int] | None, batch: int, bound: dict[str, int]) -> Shape:
    """The shape of an input in numbers; names of sizes are bound on the way."""
    declared = value.shape
    if given is not None:
        _check_given(value, given)
        chosen: Shape = tuple(given)
    elif declared is None:
        raise _unknown(value, "an unknown number of axes")
    else:
        chosen = tuple(_size(value, axis, dim, batch, bound) for axis, dim in enumerate(declared))
    for dim, size in zip(declared or (), chosen, strict=False):
        if isinstance(dim, str) and isinstance(size, int):
            bound.setdefault(dim, size)
    return chosen


def _size(value: Value, axis: int, dim: Dim, batch: int, bound: Mapping[str, int]) -> int:
    if isinstance(dim, int) and dim > 0:
        return dim
    if isinstance(dim, str) and dim in bound:
        return bound[dim]
    if axis == 0 and not isinstance(dim, int):
        return batch
    raise _unknown(value, f"the size {dim!r} on axis {axis} of {_text(value.shape)}")


def _check_given(value: Value, given: Sequence[int]) -> None:
    declared = value.shape
    fits = all(size > 0 for size in given) and (
        declared is None
        or (
            len(declared) == len(given)
            and all(not isinstance(d, int) or d == g for d, g in zip(declared, given, strict=True))
        )
    )
    if not fits:
        raise InputError(
            "Q1150",
            f"input_shape of {value.name!r}",
            _text(given),
            f"positive sizes that fit the model's {_text(declared)}",
            "give one size per axis, in the model's own order of axes",
        )


def _unknown(value: Value, found: str) -> InputError:
    return InputError(
        "Q1150",
        f"input {value.name!r}",
        found,
        "sizes in numbers",
        "pass input_shape with this input's shape",
    )


def _bound(shape: Shape | None, bound: Mapping[str, int]) -> Shape | None:
    if shape is None:
        return None
    return tuple(bound.get(dim, dim) if isinstance(dim, str) else dim for dim in shape)


def _require_sizes(value: Value, op: str) -> None:
    shape = value.shape
    if shape is not None and all(isinstance(dim, int) and dim > 0 for dim in shape):
        return
    raise InputError(
        "Q1151",
        f"tensor {value.name!r} of operator {op!r}",
        f"the shape {_text(shape)}",
        "positive sizes in numbers",
        "export the model with fixed sizes, or simplify it so that shapes do not depend on data",
    )


def _text(shape: Sequence[Dim] | None) -> str:
    return "an unknown shape" if shape is None else "[" + ", ".join(str(dim) for dim in shape) + "]"
