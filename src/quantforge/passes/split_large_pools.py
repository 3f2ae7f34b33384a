"""Split average pools whose window is larger than a DPU's into two that fit.

    mean over h w elements = mean over the blocks of the means of the blocks,   all blocks of a x b,  a | h,  b | w

The window of a DPU has at most 512 elements here. A side n is split as a * (n / a) with a its largest divisor that is
no larger than its square root: 40 x 40 becomes 5 x 5 blocks and then 8 x 8. The values are the same but for rounding;
what lies between is stored, on the scale that both sides of an average pool share. Where a side is prime, or half of
it is still too large, the pool stays, with a note.

Source: SplitLargeKernelPool of the ONNX quantizer of Vitis AI, which looks at global pools; windows that tile the
image are split here too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isqrt

from quantforge.graph import Graph, Op, Origin
from quantforge.ops.attributes import flag, ints
from quantforge.passes.result import Note, PassResult

NAME = "split-large-pools"
LARGEST = 512  # elements of a window


def split_large_pools(graph: Graph, keep: Callable[[Op], bool] = lambda op: False) -> PassResult:
    """Changed: average pools of images with a window of more than 512 elements, but for what `keep` says."""
    graph = graph.copy()
    changed, notes = [], []
    for op in graph.ops:
        window = large_window(graph, op)
        if window is None or keep(op):
            continue
        first = tuple(_divisor(side) for side in window)
        second = tuple(side // part for side, part in zip(window, first, strict=True))
        sizes = f"{window[0]}x{window[1]}"
        if max(first[0] * first[1], second[0] * second[1]) > LARGEST:
            notes.append(
                Note(NAME, op.name, False, f"{sizes} has no two windows of up to {LARGEST} elements")
            )
        elif not _tiles(graph, op, window):
            notes.append(Note(NAME, op.name, False, f"its windows of {sizes} overlap or leave the image"))
        else:
            _split(graph, op, first, second)
            changed.append(op.name)
            text = f"{sizes} made {first[0]}x{first[1]} and then {second[0]}x{second[1]}"
            notes.append(Note(NAME, op.name, True, text))
    return PassResult(graph, tuple(changed), tuple(notes))


def large_window(graph: Graph, op: Op) -> tuple[int, int] | None:
    """Height and width of the window of an average pool of images, if a DPU has none of that size."""
    if op.kind != "avgpool2d":
        return None
    sides = (graph.value(op.inputs[0]).shape or ())[2:] if flag(op, "global") else ints(op, "kernel")
    if len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        return None
    height, width = (int(str(side)) for side in sides)
    return (height, width) if height * width > LARGEST else None


def _divisor(side: int) -> int:
    return max(part for part in range(1, isqrt(side) + 1) if side % part == 0)


def _tiles(graph: Graph, op: Op, window: tuple[int, int]) -> bool:
    """Whether the windows lie side by side and inside the image."""
    if flag(op, "global"):
        return True
    if any(ints(op, "pads", (0, 0, 0, 0))) or any(step != 1 for step in ints(op, "dilation", (1, 1))):
        return False
    image = (graph.value(op.inputs[0]).shape or ())[2:]
    stride = ints(op, "stride", (1, 1))
    whole = all(n == side for n, side in zip(image, window, strict=False)) and len(image) == len(window)
    return whole or (stride == window and not flag(op, "ceil_mode"))


def _split(graph: Graph, op: Op, first: tuple[int, ...], second: tuple[int, ...]) -> None:
    value = graph.value(op.inputs[0])
    shape = value.shape or ()
    sizes = tuple(n // part if isinstance(n, int) else None for n, part in zip(shape[2:], first, strict=True))
    between = graph.fresh_name(f"{op.inputs[0]}_Split")
    graph.set_value(replace(value, name=between, shape=(*shape[:2], *sizes), const=None, quant=None))
    attrs = {**op.attrs, "kernel": first, "stride": first, "ceil_mode": False, "global": False}
    origin = Origin(op.origin.names, NAME)
    inner = Op(op.kind, between, op.inputs, (between,), attrs, origin)
    graph.add_op(inner, before=op.name)
    after = {"kernel": second} if flag(op, "global") else {"kernel": second, "stride": second}
    graph.replace_op(op.changed(NAME, inputs=(between,), attrs={**op.attrs, **after}))
