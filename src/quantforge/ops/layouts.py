"""Layouts by letter: bring activations to channels-first and weights to output-input-space, and back."""

from __future__ import annotations

from quantforge.graph import Array, Op, Shape
from quantforge.ops.attributes import text

SPACE = {1: "W", 2: "HW", 3: "DHW"}


def layout_of(op: Op, rank: int) -> str:
    """The `layout` attribute of an op on `rank` spatial axes; channels first when absent."""
    return text(op, "layout", "NC" + SPACE[rank])


def order(source: str, target: str) -> tuple[int, ...]:
    """The transposition that takes layout `source` to `target`.

    >>> order("NHWC", "NCHW")
    (0, 3, 1, 2)
    """
    return tuple(source.index(letter) for letter in target)


def to_channels_first(array: Array, layout: str) -> Array:
    """From `layout` to NC + space; a view."""
    return array.transpose(order(layout, _first(layout)))


def from_channels_first(array: Array, layout: str) -> Array:
    """From NC + space to `layout`; a view."""
    return array.transpose(order(_first(layout), layout))


def shape_to_channels_first(shape: Shape, layout: str) -> Shape:
    """As `to_channels_first`, for a shape."""
    return tuple(shape[i] for i in order(layout, _first(layout)))


def shape_from_channels_first(shape: Shape, layout: str) -> Shape:
    """As `from_channels_first`, for a shape."""
    return tuple(shape[i] for i in order(_first(layout), layout))


def _first(layout: str) -> str:
    return "NC" + "".join(letter for letter in layout if letter not in "NC")
