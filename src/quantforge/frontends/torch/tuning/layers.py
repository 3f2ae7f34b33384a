"""Weighted layers as matrix products: which can be tuned, and what of their inputs each output is a sum of.

A layer computes  y[m, o] = sum over k of  W[o, k] * columns[m, k]  + bias[o]  for each of its groups, where m counts
samples and positions. A transposed convolution is a convolution over its input with zeros put between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch.nn import functional

from quantforge.graph import Graph, Op
from quantforge.numerics.formats import IntFormat
from quantforge.ops.channels import WEIGHTED

_FUSED = ("relu", "relu6", "clip", "leaky-relu", "prelu")


@dataclass(frozen=True)
class Layer:
    """A weighted op with integer weights that nothing else reads.

    Attributes:
        op: Its name.
        weight: Name of its weights.
        bias: Name of its bias, None without one.
        act: Name of the activation fused behind it.
        beside: The value that is added to its output, when that is all that reads the output.
    """

    op: str
    weight: str
    bias: str | None
    act: str | None = None
    beside: str | None = None


def weighted_ops(quantized: Graph) -> Iterator[Op]:
    """The ops whose constant weights are stored as integers, in graph order."""
    for op in quantized.ops:
        if op.kind not in WEIGHTED or len(op.inputs) < 2 or not op.inputs[1]:
            continue
        value = quantized.value(op.inputs[1])
        if value.is_const and value.quant is not None and isinstance(value.quant.format, IntFormat):
            yield op


def layers_of(quantized: Graph) -> list[Layer]:
    """The layers whose weights can be rounded by themselves; those with shared weights are left to the network."""
    return [_layer(quantized, op) for op in weighted_ops(quantized) if _is_alone(quantized, op)]


def _is_alone(graph: Graph, op: Op) -> bool:
    weights = graph.value(op.inputs[1])
    constants = [name for name in op.inputs[1:3] if name]
    flat = op.kind not in ("inner-product", "matmul") or (
        weights.const is not None and weights.const.ndim == 2
    )
    alone = all(len(graph.consumers(name)) == 1 and name not in graph.outputs for name in constants)
    fixed = len(op.inputs) < 3 or not op.inputs[2] or graph.value(op.inputs[2]).is_const
    return flat and alone and fixed


def _layer(graph: Graph, op: Op) -> Layer:
    bias = op.inputs[2] if len(op.inputs) > 2 and op.inputs[2] else None
    output = op.outputs[0]
    readers = graph.consumers(output)
    reader = readers[0] if len(readers) == 1 and output not in graph.outputs else None
    act = beside = None
    if reader is not None and reader.kind in _FUSED and graph.value(output).quant is None:
        act = reader.name
    if reader is not None and reader.kind == "eltwise-add":
        others = [name for name in reader.inputs if name != output]
        if len(others) == 1 and graph.value(others[0]).shape == graph.value(output).shape:
            beside = others[0]
    return Layer(op.name, op.inputs[1], bias, act, beside)


class Product:
    """The op as a matrix product for weights of a given shape."""

    def __init__(self, op: Op, shape: tuple[int, ...]) -> None:
        self.op, self.shape = op, shape
        self.rank = 0 if op.kind in ("inner-product", "matmul") else int(op.kind[-2])
        self.transposed = op.kind.startswith("transposed")
        self.groups = self._int("group", 1) if self.rank else 1
        if self.rank:
            self.kernel = shape[2:]
            self._outer = op.attrs.get("weight_layout", "IO" if self.transposed else "OI")

    def matrix(self, weights: torch.Tensor) -> torch.Tensor:
        """Weights as [groups, outputs, columns]."""
        if not self.rank:
            return (weights if self._rows_first else weights.T).unsqueeze(0)
        if not self.transposed:
            return weights.reshape(self.groups, self.shape[0] // self.groups, -1)
        split = weights.reshape(self.groups, self.shape[0] // self.groups, *self.shape[1:])
        return split.flip(self._space(3)).transpose(1, 2).reshape(self.groups, self.shape[1], -1)

    def weights(self, matrix: torch.Tensor) -> torch.Tensor:
        """The way back from `matrix`."""
        if not self.rank:
            return (matrix[0] if self._rows_first else matrix[0].T).contiguous()
        if not self.transposed:
            return matrix.reshape(self.shape).contiguous()
        split = matrix.reshape(self.groups, self.shape[1], self.shape[0] // self.groups, *self.kernel)
        return split.transpose(1, 2).flip(self._space(3)).reshape(self.shape).contiguous()

    def positions(self, y: torch.Tensor) -> int:
        """How many positions an output `y` has, samples counted."""
        return y.numel() // (y.shape[1] if self.rank else y.shape[-1])

    def columns(self, x: torch.Tensor, picked: torch.Tensor) -> torch.Tensor:
        """What the outputs at `picked` positions are sums of: [groups, picked, columns]."""
        if not self.rank:
            return x.reshape(-1, x.shape[-1])[picked].unsqueeze(0)
        windows = self._windows(x)  # [N, C, *positions, *kernel]
        places = torch.unravel_index(picked, (windows.shape[0], *windows.shape[2 : 2 + self.rank]))
        rows = windows.movedim(1, 1 + self.rank)[places]  # [picked, C, *kernel]
        return rows.reshape(len(picked), self.groups, -1).transpose(0, 1).contiguous()

    def rows(self, y: torch.Tensor, picked: torch.Tensor) -> torch.Tensor:
        """The outputs at `picked` positions: [groups, picked, outputs]."""
        last = y.movedim(1, -1) if self.rank else y
        rows = last.reshape(-1, last.shape[-1])[picked]
        return rows.reshape(len(picked), self.groups, -1).transpose(0, 1).contiguous()

    @property
    def _rows_first(self) -> bool:
        return self.op.attrs.get("weight_layout", "IO") == "OI"

    def _space(self, first: int) -> list[int]:
        return list(range(first, first + self.rank))

    def _int(self, name: str, default: int) -> int:
        found = self.op.attrs.get(name, default)
        return found if isinstance(found, int) else default

    def _ints(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        found: Any = self.op.attrs.get(name, default)
        return tuple(int(item) for item in found)

    def _windows(self, x: torch.Tensor) -> torch.Tensor:
        ones, zeros = (1,) * self.rank, (0,) * self.rank
        stride, dilation = self._ints("stride", ones), self._ints("dilation", ones)
        pads = self._ints("pads", zeros * 2)
        begins, ends = pads[: self.rank], pads[self.rank :]
        if self.transposed:
            x = _spread(x, stride)
            reach = [d * (k - 1) for d, k in zip(dilation, self.kernel, strict=True)]
            extra = self._ints("output_padding", zeros)
            begins = tuple(r - b for r, b in zip(reach, begins, strict=True))
            ends = tuple(r - e + o for r, e, o in zip(reach, ends, extra, strict=True))
            stride = ones
        border = [n for pair in zip(reversed(begins), reversed(ends), strict=True) for n in pair]
        x = functional.pad(x, border)
        for axis, (k, s, d) in enumerate(zip(self.kernel, stride, dilation, strict=True), 2):
            x = x.unfold(axis, d * (k - 1) + 1, s)[..., ::d]
        return x


def _spread(x: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
    """`x` with stride - 1 zeros between its elements."""
    if prod(stride) == 1:
        return x
    sizes = [(size - 1) * s + 1 for size, s in zip(x.shape[2:], stride, strict=True)]
    out = x.new_zeros(*x.shape[:2], *sizes)
    out[(slice(None), slice(None), *(slice(None, None, s) for s in stride))] = x
    return out
