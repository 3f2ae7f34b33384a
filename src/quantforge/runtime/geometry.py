"""Where the windows of a convolution or pool lie, read from the attributes of an xmodel operator.

Attributes come as (w, h[, d]) and pads as (left, right, top, bottom[, near, far]); here everything follows the
axes of the tensor, which are N, H, W[, D], C (or N, L, C).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import XOp


@dataclass(frozen=True)
class Windows:
    """One entry per spatial axis, in the order of the tensor's axes."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)

    def counts(self, space: Sequence[int]) -> tuple[int, ...]:
        """How many windows fit on each axis: floor((size + pads - reach) / stride) + 1."""
        return tuple(
            (size + b + e - (k - 1) * d - 1) // s + 1
            for size, k, s, d, b, e in zip(
                space, self.kernel, self.stride, self.dilation, self.begin, self.end, strict=True
            )
        )

    def transposed_counts(self, space: Sequence[int]) -> tuple[int, ...]:
        """Output sizes of the transposed form: (size - 1) stride + reach - pads."""
        return tuple(
            (size - 1) * s + (k - 1) * d + 1 - b - e
            for size, k, s, d, b, e in zip(
                space, self.kernel, self.stride, self.dilation, self.begin, self.end, strict=True
            )
        )

    def stuffed(self) -> Windows:
        """The stride-1 windows that do a transposed convolution's work on its zero-stuffed input.

        Pads become dilation * (kernel - 1) - pad, which is negative where the input is cropped.
        """
        reach = [(k - 1) * d for k, d in zip(self.kernel, self.dilation, strict=True)]
        begin = tuple(r - p for r, p in zip(reach, self.begin, strict=True))
        end = tuple(r - p for r, p in zip(reach, self.end, strict=True))
        return Windows(self.kernel, (1,) * self.rank, self.dilation, begin, end)


def windows_of(op: XOp, space: Sequence[int]) -> Windows:
    """The windows of `op` over an input with these spatial sizes; global pools cover all of it.

    Raises:
        InputError: Q1203 for missing attributes or ones of the wrong length.
    """
    rank = len(space)
    if op.get("global", False):
        zero, one = (0,) * rank, (1,) * rank
        return Windows(tuple(space), one, one, zero, zero)
    kernel = _sizes(op, "kernel", rank, None)
    stride, dilation = _sizes(op, "stride", rank, 1), _sizes(op, "dilation", rank, 1)
    pads = tuple(op.get("pad", (0,) * 2 * rank))
    if len(pads) != 2 * rank or min(pads, default=0) < 0:
        raise _wrong(op, "pad", pads, 2 * rank)
    windows = Windows(kernel, stride, dilation, spatial(pads[0::2]), spatial(pads[1::2]))
    return windows if op.kind.endswith("-fix") else _by_mode(op, windows, space)


def _by_mode(op: XOp, windows: Windows, space: Sequence[int]) -> Windows:
    """Pads of a float operator after its `pad_mode`: SAME finds them, CEIL adds to them, so that the outputs fit."""
    mode = str(op.get("pad_mode", "FLOOR"))
    if mode not in ("SAME", "CEIL") or "transposed" in op.kind:
        return windows
    needed = [
        max(0, (out - 1) * s + (k - 1) * d + 1 - size - b - e)
        for out, size, s, k, d, b, e in zip(
            op.tensor.shape[1:-1], space, windows.stride, windows.kernel, windows.dilation,
            windows.begin, windows.end, strict=True,
        )
    ]  # fmt: skip
    front = [n // 2 if mode == "SAME" else 0 for n in needed]
    begin = tuple(b + f for b, f in zip(windows.begin, front, strict=True))
    end = tuple(e + n - f for e, n, f in zip(windows.end, needed, front, strict=True))
    return Windows(windows.kernel, windows.stride, windows.dilation, begin, end)


def spatial(items: Sequence[int]) -> tuple[int, ...]:
    """From (w, h[, d]) to (h, w[, d]).

    >>> spatial((5, 3)), spatial((5, 3, 2)), spatial((7,))
    ((3, 5), (3, 5, 2), (7,))
    """
    return (items[1], items[0], *items[2:]) if len(items) > 1 else tuple(items)


def check_shape(op: XOp, computed: Sequence[int]) -> None:
    """Refuse a model whose declared output is not what the operator gives.

    Raises:
        InputError: Q1203 naming both shapes.
    """
    if tuple(computed) != op.tensor.shape:
        found = f"output of shape {list(op.tensor.shape)}"
        raise InputError("Q1203", op.name, found, f"{list(computed)} by its attributes", "compile again")


def _sizes(op: XOp, name: str, rank: int, default: int | None) -> tuple[int, ...]:
    items = op.get(name, None if default is None else (default,) * rank)
    if items is None or len(items) != rank or min(items) < 1:
        raise _wrong(op, name, items, rank)
    return spatial(tuple(items))


def _wrong(op: XOp, name: str, found: object, length: int) -> InputError:
    text = f"{op.kind} with {name}={found}"
    return InputError("Q1203", op.name, text, f"{length} sizes in {name}", "compile the model again")
