"""Kernels of kinds that move data. Shapes stay open where the graph leaves them open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from quantforge.graph import Op

Kernel = Callable[[Sequence[Any]], Any]


def _ints(op: Op, name: str) -> tuple[int, ...]:
    found = op.attrs[name]
    return tuple(int(item) for item in found) if isinstance(found, tuple) else (int(found),)


def _reshape(op: Op) -> Kernel:
    shape = _ints(op, "shape")

    def compute(tensors: Sequence[Any]) -> Any:
        x = tensors[0]
        return x.reshape([x.shape[i] if size == 0 else size for i, size in enumerate(shape)])

    return compute


def _flatten(op: Op) -> Kernel:
    axis = int(op.attrs.get("axis", 1))  # type: ignore[arg-type]
    if axis == 1:
        return lambda tensors: (
            torch.flatten(tensors[0], 1) if tensors[0].ndim > 1 else tensors[0].unsqueeze(1)
        )

    def compute(tensors: Sequence[Any]) -> Any:
        x = tensors[0]
        at = axis % (x.ndim + 1) if axis < 0 else axis
        return x.reshape(*((-1, 1) if at == x.ndim else (x.shape[:at].numel(), -1)))

    return compute


def _squeeze(op: Op) -> Kernel:
    axes = _ints(op, "axes") if "axes" in op.attrs else None
    return lambda tensors: torch.squeeze(tensors[0]) if axes is None else torch.squeeze(tensors[0], axes)


def _unsqueeze(op: Op) -> Kernel:
    axes = _ints(op, "axes")

    def compute(tensors: Sequence[Any]) -> Any:
        x = tensors[0]
        for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
            x = x.unsqueeze(axis)
        return x

    return compute


def _transpose(op: Op) -> Kernel:
    order = _ints(op, "order")
    return lambda tensors: torch.permute(tensors[0], order)


def _slice(op: Op) -> Kernel:
    begin, end = _ints(op, "begin"), _ints(op, "end")
    axes = _ints(op, "axes") if "axes" in op.attrs else tuple(range(len(begin)))
    strides = _ints(op, "strides") if "strides" in op.attrs else (1,) * len(begin)

    def compute(tensors: Sequence[Any]) -> Any:
        x = tensors[0]
        for axis, first, last, step in zip(axes, begin, end, strides, strict=True):
            if step > 0:
                x = torch.ops.aten.slice.Tensor(x, axis, first, last, step)
            else:
                at = torch.arange(x.shape[axis], device=x.device)[_reversed(first, last, step, x.shape[axis])]
                x = torch.index_select(x, axis, at.flip(0))
        return x

    return compute


def _reversed(first: int, last: int, step: int, size: int) -> slice:
    """The slice that takes the same elements in rising order."""
    taken = range(*slice(first, None if last < -size else last, step).indices(size))
    return slice(taken[-1], taken[0] + 1, -step) if len(taken) else slice(0, 0)


def _gather(op: Op) -> Kernel:
    axis = int(op.attrs.get("axis", 0))  # type: ignore[arg-type]

    def compute(tensors: Sequence[Any]) -> Any:
        table, indices = tensors
        if axis == 0 and table.ndim == 2:
            return functional.embedding(indices, table)
        at = axis % table.ndim
        found = torch.index_select(table, at, indices.reshape(-1))
        return found.reshape(*table.shape[:at], *indices.shape, *table.shape[at + 1 :])

    return compute


def _expand(op: Op) -> Kernel:
    shape = _ints(op, "shape")

    def compute(tensors: Sequence[Any]) -> Any:
        x = tensors[0]
        lead = max(len(shape) - x.ndim, 0)
        whole = (1,) * (x.ndim - len(shape)) + shape
        return x.expand(
            [size if i < lead or size != 1 else x.shape[i - lead] for i, size in enumerate(whole)]
        )

    return compute


def _tile(op: Op) -> Kernel:
    repeats = _ints(op, "repeats")
    return lambda tensors: tensors[0].repeat(repeats)


def _split(op: Op) -> Kernel:
    sizes, axis = list(_ints(op, "sizes")), int(op.attrs.get("axis", 0))  # type: ignore[arg-type]
    return lambda tensors: list(torch.split(tensors[0], sizes, axis))


def _concat(op: Op) -> Kernel:
    axis = int(op.attrs["axis"])  # type: ignore[arg-type]
    return lambda tensors: torch.cat(list(tensors), axis)


def _pad(op: Op) -> Kernel:
    pads, value = _ints(op, "pads"), float(op.attrs.get("value", 0.0))  # type: ignore[arg-type]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}[
        str(op.attrs.get("mode", "constant"))
    ]
    rank = len(pads) // 2
    pairs = [(pads[i], pads[i + rank]) for i in reversed(range(rank))]
    if mode != "constant":
        while pairs and pairs[-1] == (0, 0):
            pairs.pop()
    border = [amount for pair in pairs for amount in pair]
    if mode == "constant":
        return lambda tensors: functional.pad(tensors[0], border, "constant", value)
    return lambda tensors: functional.pad(tensors[0], border, mode)


def _pixel_shuffle(op: Op) -> Kernel:
    scale, mode = int(op.attrs["scale"]), op.attrs.get("mode", "DCR")  # type: ignore[arg-type]
    if mode == "CRD":
        return lambda tensors: functional.pixel_shuffle(tensors[0], scale)

    def compute(tensors: Sequence[Any]) -> Any:
        x = tensors[0]
        n, c, h, w = x.shape
        blocks = x.reshape(n, scale, scale, c // scale**2, h, w).permute(0, 3, 4, 1, 5, 2)
        return blocks.reshape(n, c // scale**2, h * scale, w * scale)

    return compute


def _cast(op: Op) -> Kernel:
    dtype = getattr(torch, str(op.attrs["to"]))
    return lambda tensors: tensors[0].to(dtype)


MOVEMENT: dict[str, Callable[[Op], Kernel]] = {
    "reshape": _reshape,
    "flatten": _flatten,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "transpose": _transpose,
    "strided-slice": _slice,
    "gather": _gather,
    "expand": _expand,
    "tile": _tile,
    "split": _split,
    "concat": _concat,
    "pad": _pad,
    "pixel-shuffle": _pixel_shuffle,
    "cast": _cast,
}
