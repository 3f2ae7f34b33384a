"""Arithmetic on shapes whose sizes may be symbolic ("batch") or unknown (None)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from quantforge.diagnostics import InputError
from quantforge.graph import Dim, Shape


def broadcast(where: str, shapes: Iterable[Shape | None]) -> Shape | None:
    """NumPy broadcasting; None when a shape is unknown.

    >>> broadcast("add", [("batch", 16, 1, 1), (16, 8, 8)])
    ('batch', 16, 8, 8)
    """
    result: Shape = ()
    for shape in shapes:
        if shape is None:
            return None
        rank = max(len(result), len(shape))
        left, right = (1,) * (rank - len(result)) + result, (1,) * (rank - len(shape)) + shape
        result = tuple(_broadcast_dim(where, a, b) for a, b in zip(left, right, strict=True))
    return result


def _broadcast_dim(where: str, a: Dim, b: Dim) -> Dim:
    if a == b or b == 1:
        return a
    if a == 1:
        return b
    if isinstance(a, int) and isinstance(b, int):
        found = f"sizes {a} and {b} on the same axis"
        raise InputError(
            "Q0404", where, found, "equal sizes, or 1", "check the shapes the model was exported with"
        )
    return a if isinstance(a, int) else b if isinstance(b, int) else None


def product(dims: Iterable[Dim]) -> int | None:
    """Product of sizes; None when one is not known."""
    known = tuple(dims)
    return (
        math.prod(d for d in known if isinstance(d, int)) if all(isinstance(d, int) for d in known) else None
    )


def count(dims: Iterable[Dim]) -> int:
    """Product of sizes in which symbolic and unknown ones count as 1: the work for one sample."""
    return math.prod(d for d in dims if isinstance(d, int))


def reshaped(shape: Shape, wanted: Sequence[int]) -> Shape:
    """The shape after ONNX Reshape: 0 copies a size, -1 is computed.

    A symbolic size survives where it cancels out.

    >>> reshaped(("batch", 16, 4, 4), (-1, 256)), reshaped(("batch", 16, 4, 4), (0, -1))
    (('batch', 256), ('batch', 256))
    """
    result: list[Dim] = [shape[i] if size == 0 and i < len(shape) else size for i, size in enumerate(wanted)]
    if -1 not in result:
        return tuple(result)
    at = result.index(-1)
    others = result[:at] + result[at + 1 :]
    left, right = _cancel(shape, others)
    free, fixed = [d for d in left if not isinstance(d, int)], product(right)
    total = count(left)
    if fixed is not None and fixed != 0 and total % fixed == 0:
        if not free:
            result[at] = total // fixed
        elif len(free) == 1 and total == fixed:
            result[at] = free[0]
        else:
            result[at] = None
    else:
        result[at] = None
    return tuple(result)


def _cancel(left: Sequence[Dim], right: Sequence[Dim]) -> tuple[list[Dim], list[Dim]]:
    """Remove symbolic sizes that stand on both sides."""
    kept_left, kept_right = list(left), []
    for dim in right:
        if isinstance(dim, str) and dim in kept_left:
            kept_left.remove(dim)
        else:
            kept_right.append(dim)
    return kept_left, kept_right


def window_count(
    size: Dim, kernel: int, stride: int, dilation: int, pads: Sequence[int], ceil: bool = False
) -> Dim:
    """How many windows fit: floor((size + pads - reach) / stride) + 1 with reach = (kernel - 1) dilation + 1.

    With `ceil` a last, partial window counts too, provided it starts inside the data or its leading padding.
    """
    reach = (kernel - 1) * dilation + 1
    if not isinstance(size, int):
        return size if stride == 1 and sum(pads) == reach - 1 else None
    room = size + sum(pads) - reach
    windows = (-(-room // stride) if ceil else room // stride) + 1
    if ceil and (windows - 1) * stride >= size + pads[0]:
        windows -= 1
    return windows
