"""upsample-fix and downsample-fix: gathered bytes, or exact sums of two neighbours per axis in float64."""

from __future__ import annotations

from quantforge.runtime.kernels.sampling import Taps, resampling
from quantforge.runtime.lowering.builder import Held, Lowering, bytes_of
from quantforge.runtime.lowering.finish import limits_of, real_type, requantized, round_real, to_real
from quantforge.xmodel.model import XOp


def lower_resample(low: Lowering, op: XOp) -> Held:
    """Resize height and width to the sizes of the output tensor."""
    x = low.input(op)
    mode, rows, columns = resampling(op, x.shape)
    if mode == "NEAREST":
        name = _gather(low, _gather(low, x.name, rows.low, 1), columns.low, 2)
        return requantized(low, op, Held(name, x.fixed, op.tensor.shape))
    target, divisor = bytes_of(op), rows.divisor * columns.divisor
    real_type(op, (x.magnitude * divisor) << 8, x.fixed.position - target.position + divisor.bit_length())
    total = _blend(low, _blend(low, to_real(low, x, "float64"), rows, 1), columns, 2)
    mean = low.builder.binary("Div", total, divisor, "float64")
    name = round_real(low.builder, mean, x.fixed.position, target, limits_of(op, target), "float64", True)
    return low.hold(op, name)


def _gather(low: Lowering, name: str, index: tuple[int, ...], axis: int) -> str:
    return low.builder.node("Gather", [name, low.builder.constant(index, "int64")], axis=axis)


def _blend(low: Lowering, name: str, taps: Taps, axis: int) -> str:
    shape = (-1, 1, 1) if axis == 1 else (-1, 1)
    parts = []
    for index, weights in ((taps.low, taps.weight_low), (taps.high, taps.weight_high)):
        column = low.builder.constant([float(w) for w in weights], "float64")
        spread = low.builder.reshape(column, shape)
        parts.append(low.builder.node("Mul", [_gather(low, name, index, axis), spread]))
    return low.builder.node("Add", parts)
