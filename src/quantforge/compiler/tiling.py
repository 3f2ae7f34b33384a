"""Into how many pieces a superlayer is cut so that its tensors fit on the chip.

Image banks hold rows of pixels, channels rounded up to the lanes of the convolution engine. A superlayer needs its
inputs, its output and what lies between them. It is cut into bands of output rows; when one row is too much, into
pieces of a row; when one pixel is too much, channels are processed in parts. Weights that the parameter banks do not
hold are loaded in parts of the output channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import Tensor, XModel, XOp


@dataclass(frozen=True)
class Tiling:
    """Pieces along each axis of the output.

    >>> Tiling(3, 1, 2).count
    6
    """

    rows: int = 1
    columns: int = 1
    channels: int = 1

    @property
    def count(self) -> int:
        """Pieces in all."""
        return self.rows * self.columns * self.channels


@dataclass(frozen=True)
class Chip:
    """What of a target matters here: bytes for images and for parameters, and the lanes of a pixel."""

    image_bytes: int
    param_bytes: int
    lanes: int

    @classmethod
    def of(cls, target: DpuTarget) -> Chip:
        """The banks of `target`; 0 where it has none of a kind (overlays of AI engines have no banks)."""
        weights = target.bank(target.conv.weight_bank or "")
        return cls(
            sum(bank.bytes for bank in target.image_banks),
            0 if weights is None else weights.bytes,
            target.conv.input_channel_parallel or 1,
        )

    def bytes_of(self, tensor: Tensor) -> int:
        """Bytes of a tensor on the chip, of one image."""
        pixels = math.prod(tensor.shape[1:-1]) if len(tensor.shape) > 1 else 1
        return pixels * self.pixel(tensor)

    def pixel(self, tensor: Tensor) -> int:
        """Bytes of one pixel."""
        return -(-tensor.shape[-1] // self.lanes) * self.lanes


def tiling(model: XModel, reads: Sequence[str], ops: Sequence[XOp], chip: Chip, free: int) -> Tiling:
    """How to cut a superlayer.

    Args:
        model: The model, for the tensors that are read.
        reads: Operators whose tensors go in.
        ops: The superlayer's operators, without constants; the last one's tensor comes out.
        chip: The memories.
        free: Bytes of the image banks that nothing else holds.
    """
    parts = _parts_of_weights(model, ops, chip)
    tensors = [*(model.ops[name].tensor for name in reads), *(op.tensor for op in ops)]
    if not chip.image_bytes or sum(chip.bytes_of(tensor) for tensor in tensors) <= free:
        return Tiling(channels=parts)
    out = ops[-1].tensor
    height, width = (out.shape[1], out.shape[2]) if len(out.shape) >= 4 else (1, 1)
    row_bytes = [chip.bytes_of(tensor) // max(_height(tensor), 1) for tensor in tensors]
    rows = _most(
        height, lambda n: sum(b * r for b, r in zip(row_bytes, _rows(tensors, ops, n), strict=True)) <= free
    )
    if rows:
        return Tiling(rows=-(-height // rows), channels=parts)
    one = _rows(tensors, ops, 1)
    columns = _most(width, lambda n: _piece(tensors, one, width, n, chip) <= free)
    if columns:
        return Tiling(height, -(-width // columns), parts)
    split = -(-_piece(tensors, one, width, 1, chip) // max(free, 1))
    return Tiling(height, width, max(parts, split))


def _most(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest n up to `limit` that fits, 0 when none does; what fits, fits smaller too."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


def _height(tensor: Tensor) -> int:
    return tensor.shape[1] if len(tensor.shape) >= 4 else 1


def _rows(tensors: Sequence[Tensor], ops: Sequence[XOp], rows: int) -> list[int]:
    """Rows of each tensor that `rows` rows of the output touch, inputs first."""
    needed = {len(tensors) - 1: rows}
    below = rows
    for place in range(len(ops) - 1, -1, -1):
        below = _reach(ops[place], below)
        index = len(tensors) - len(ops) + place - 1
        if place:
            needed[index] = below
    count = len(tensors) - len(ops)
    return [
        min(needed.get(index, below) if index >= count else below, max(_height(tensor), 1))
        for index, tensor in enumerate(tensors)
    ]


def _reach(op: XOp, rows: int) -> int:
    """Input rows for `rows` output rows."""
    if "kernel" not in op.attrs:
        return rows
    kernel, stride = op.get("kernel")[1], op.get("stride")[1]
    dilation = op.get("dilation", (1, 1))[1]
    if "transposed" in op.kind:
        return int(-(-(rows + kernel - 1) // stride) + 1)
    return int((rows - 1) * stride + (kernel - 1) * dilation + 1)


def _piece(tensors: Sequence[Tensor], rows: Sequence[int], width: int, columns: int, chip: Chip) -> int:
    """Bytes of a piece of one output row; inputs in proportion to their width."""
    total = 0
    for tensor, count in zip(tensors, rows, strict=True):
        pixels = -(-(tensor.shape[2] if len(tensor.shape) >= 4 else 1) * columns // width)
        total += count * pixels * chip.pixel(tensor)
    return total


def _parts_of_weights(model: XModel, ops: Sequence[XOp], chip: Chip) -> int:
    """Loads of weights that the parameter banks take."""
    held = max(
        (math.prod(model.ops[op.args["weights"][0]].tensor.shape) for op in ops if "weights" in op.args),
        default=0,
    )
    return max(-(-held // chip.param_bytes), 1) if chip.param_bytes else 1
