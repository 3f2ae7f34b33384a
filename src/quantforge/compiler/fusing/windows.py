"""Where windows lie, with all pads written out: XIR's pad modes as the FLOOR mode that DPU operators have."""

from __future__ import annotations

from dataclasses import dataclass

from quantforge.compiler.fusing.draft import NotOnDpuError, int32s
from quantforge.xmodel.model import Attrs, XOp


@dataclass(frozen=True)
class Axis:
    """One axis: size in, windows out, kernel, stride, dilation, pads before and after."""

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    begin: int
    end: int

    @property
    def reach(self) -> int:
        """Elements from the first to the last of a window."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def covered(self) -> int:
        """Elements, pads included, from the first window's start to the last one's end."""
        return (self.out - 1) * self.stride + self.reach


def windows(op: XOp, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """The windows of a convolution or pool over an input of `shape`, axis by axis in the order (w, h[, d]).

    Pads that no window reaches are cut off, as the original compiler does.
    """
    rank = len(shape) - 2
    places = (2, 1, 3)[:rank] if rank > 1 else (1,)
    sizes = [shape[place] for place in places]
    outs = [op.tensor.shape[place] for place in places]
    ones, zeros = (1,) * rank, (0,) * rank
    kernel, stride = op.get("kernel", ones), op.get("stride", ones)
    dilation, pad = op.get("dilation", ones), op.get("pad", (*zeros, *zeros))
    if op.get("global", False):
        kernel, stride, pad = tuple(sizes), ones, (*zeros, *zeros)
    rows = zip(sizes, outs, kernel, stride, dilation, pad[0::2], pad[1::2], strict=True)
    axes = tuple(Axis(*row) for row in rows)
    return tuple(_settled(axis, op.get("pad_mode", "FLOOR")) for axis in axes)


def _settled(axis: Axis, mode: str) -> Axis:
    begin = axis.begin
    if mode == "SAME":
        begin += max(axis.covered - axis.size - axis.begin - axis.end, 0) // 2
    end = max(axis.covered - axis.size - begin, 0)
    return Axis(axis.size, axis.out, axis.kernel, axis.stride, axis.dilation, begin, end)


def transposed(op: XOp, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """The windows of a transposed convolution; out = (in - 1) stride + reach - begin - end."""
    rank = len(shape) - 2
    places = (2, 1, 3)[:rank]
    ones, zeros = (1,) * rank, (0,) * rank
    rows = zip(
        [shape[place] for place in places],
        [op.tensor.shape[place] for place in places],
        op.get("kernel", ones),
        op.get("stride", ones),
        op.get("dilation", ones),
        op.get("pad", (*zeros, *zeros))[0::2],
        op.get("pad", (*zeros, *zeros))[1::2],
        strict=True,
    )
    axes = []
    for axis in (Axis(*row) for row in rows):
        over = (axis.size - 1) * axis.stride + axis.reach - axis.out
        begin = over // 2 if op.get("pad_mode") == "SAME" else axis.begin
        if not 0 <= begin <= over:
            raise NotOnDpuError(f"its pads {op.get('pad')} do not lead to the size {axis.out}")
        axes.append(Axis(axis.size, axis.out, axis.kernel, axis.stride, axis.dilation, begin, over - begin))
    return tuple(axes)


def window_attrs(axes: tuple[Axis, ...], *, dilation: bool = True) -> Attrs:
    """kernel, stride, dilation and pad as attributes."""
    attrs: Attrs = {
        "kernel": int32s([axis.kernel for axis in axes]),
        "stride": int32s([axis.stride for axis in axes]),
        "pad": int32s([pad for axis in axes for pad in (axis.begin, axis.end)]),
    }
    if dilation:
        attrs["dilation"] = int32s([axis.dilation for axis in axes])
    return attrs
