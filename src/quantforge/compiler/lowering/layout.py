"""Orders of axes: how the axes of a value lie in memory, and how far a reshape gets without moving data.

An order lists, for each axis in memory, the axis of the value it holds: (0, 2, 3, 1) is a NCHW value stored as
NHWC. Axes of size 1 lie nowhere in particular: two orders that differ in such axes only are the same memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Order = tuple[int, ...]
Sizes = tuple[int, ...]

# XIR: N,L,C - N,H,W,C - N,H,W,D,C, from N,C and then L - H,W - D,H,W.
_CHANNELS_LAST: dict[int, Order] = {3: (0, 2, 1), 4: (0, 2, 3, 1), 5: (0, 3, 4, 2, 1)}


def identity(rank: int) -> Order:
    """Axes as the value names them.

    >>> identity(3)
    (0, 1, 2)
    """
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """The order in which XIR keeps images of 1 to 3 dimensions; the plain order for other ranks.

    >>> channels_last(4), channels_last(2)
    ((0, 2, 3, 1), (0, 1))
    """
    return _CHANNELS_LAST.get(rank, identity(rank))


def inverse(order: Order) -> Order:
    """Where each axis of the value lies in memory.

    >>> inverse((0, 2, 3, 1))
    (0, 3, 1, 2)
    """
    return tuple(order.index(axis) for axis in range(len(order)))


def stored(shape: Sequence[int], order: Order) -> Sizes:
    """The sizes in memory of a value of `shape`.

    >>> stored((1, 3, 8, 9), (0, 2, 3, 1))
    (1, 8, 9, 3)
    """
    return tuple(shape[axis] for axis in order)


def solid(shape: Sequence[int], order: Order) -> Order:
    """`order` without the axes of size 1.

    >>> solid((1, 3, 8, 1), (0, 2, 3, 1))
    (2, 1)
    """
    return tuple(axis for axis in order if shape[axis] != 1)


def transposition(source: Order, target: Order) -> Order:
    """The `order` attribute of the transpose that turns memory in `source` into memory in `target`.

    >>> transposition((0, 2, 3, 1), (0, 1, 2, 3))
    (0, 3, 1, 2)
    """
    return tuple(source.index(axis) for axis in target)


def after_transpose(order: Order, axes: Order) -> Order:
    """The order of a transposed value whose memory stays: axis i of the new value is axis `axes[i]` of the old.

    >>> after_transpose((0, 2, 3, 1), (0, 2, 3, 1))
    (0, 1, 2, 3)
    """
    return tuple(axes.index(axis) for axis in order)


def without(order: Order, axes: Sequence[int]) -> Order:
    """The order of a value that lost `axes`.

    >>> without((0, 2, 3, 1), (2, 3))
    (0, 1)
    """
    kept = [axis for axis in range(len(order)) if axis not in axes]
    return tuple(kept.index(axis) for axis in order if axis in kept)


@dataclass(frozen=True)
class Reshape:
    """Runs of axes of the old and the new shape with equal products: memory moves only inside a run."""

    runs: tuple[tuple[Order, Order], ...]

    def target(self, old: Sizes, new: Sizes, order: Order) -> Order | None:
        """The order of the new value when the memory of the old one, in `order`, is only renamed; else None.

        Among the orders that fit, XIR's order for images comes first, then the plain one.
        """
        axes = list(solid(old, order))
        result: list[int] = []
        while axes:
            run = next(run for run in self.runs if axes[0] in run[0])
            if tuple(axes[: len(run[0])]) != run[0]:
                return None
            del axes[: len(run[0])]
            result.extend(run[1])
        for candidate in (channels_last(len(new)), identity(len(new))):
            if len(new) != 3 and solid(new, candidate) == tuple(result):
                return candidate
        if tuple(result) == tuple(sorted(result)):
            return identity(len(new))
        return (*(axis for axis in range(len(new)) if new[axis] == 1), *result)

    def gathered(self, old: Sizes, order: Order) -> Order:
        """The order nearest to `order` from which memory is only renamed: each run together, in the run's own order.

        >>> reshape((1, 3, 2, 4, 5), (1, 6, 4, 5)).gathered((1, 3, 2, 4, 5), (0, 3, 4, 2, 1))
        (0, 3, 4, 1, 2)
        """
        runs = {axis: run for run, _ in self.runs for axis in run}
        ones = tuple(axis for axis in order if old[axis] == 1)
        whole = dict.fromkeys(runs[axis] for axis in solid(old, order))
        return (*ones, *(axis for run in whole for axis in run))


def reshape(old: Sizes, new: Sizes) -> Reshape:
    """Which axes of `old` become which axes of `new`, in the smallest runs; axes of size 1 belong to none.

    >>> reshape((1, 48, 44, 44), (24, 2, 1936)).runs
    (((1,), (0, 1)), ((2, 3), (2,)))
    """
    left = [axis for axis, size in enumerate(old) if size != 1]
    right = [axis for axis, size in enumerate(new) if size != 1]
    runs = []
    while left:
        take, give = [left.pop(0)], [right.pop(0)]
        while (have := math.prod(old[a] for a in take)) != (want := math.prod(new[a] for a in give)):
            if have < want:
                take.append(left.pop(0))
            else:
                give.append(right.pop(0))
        runs.append((tuple(take), tuple(give)))
    return Reshape(tuple(runs))
