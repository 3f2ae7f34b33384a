"""Exact integers that stand for reals: real = (data - zero_point) * scale / divisor.

The one rule of the integer graph: operators compute exactly on `IntTensor`, and rounding happens only where a
value carries a `QuantSpec` (`requantize`). Activation before the final rounding, shift_cut and shift_bias are
consequences. An operator that has no exact form for its inputs says so (None) and runs in float.

Scales of a spec are float32 numbers, as in `numerics.affine`; products of two are exact in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantforge.graph import Array, QuantSpec
from quantforge.numerics.formats import IntFormat
from quantforge.numerics.rounding import Rounding, round_array, round_ratio, shift_right

Int64Array = NDArray[np.int64]
Float64Array = NDArray[np.float64]

SAFE = 1 << 62  # magnitudes stay below, so that one more addition cannot wrap
_ZERO = np.zeros((), np.int64)


@dataclass(frozen=True, eq=False)
class IntTensor:
    """A tensor of int64 `data`; `scale` and `zero_point` are single numbers, or one per slice along `axis`.

    >>> IntTensor.of([3, -4], 0.25).to_float().tolist()
    [0.75, -1.0]
    """

    data: Int64Array
    scale: Float64Array
    zero_point: Int64Array = field(default_factory=lambda: _ZERO)
    axis: int | None = None
    divisor: int = 1

    @classmethod
    def of(cls, data: Any, scale: Any, zero_point: Any = 0, axis: int | None = None) -> IntTensor:
        """From anything array-like."""
        as_int64 = np.asarray(data, np.int64)
        return cls(as_int64, np.asarray(scale, np.float64), np.asarray(zero_point, np.int64), axis)

    @classmethod
    def from_spec(cls, integers: Array, spec: QuantSpec) -> IntTensor:
        """Stored `integers` of a tensor whose spec is `spec` (an integer format)."""
        scale = np.asarray(spec.scale, np.float32).astype(np.float64)
        zero_point = np.asarray(spec.zero_point, np.int64)
        if spec.axis is None or scale.size == 1:
            return cls(integers.astype(np.int64), scale.reshape(()), zero_point.reshape(()))
        return cls(integers.astype(np.int64), scale, zero_point, spec.axis % integers.ndim)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data."""
        return self.data.shape

    @property
    def exponents(self) -> Int64Array | None:
        """log2 of the scale, shaped like it, when every scale is a power of two; else None."""
        mantissa, exponent = np.frexp(self.scale)
        return np.asarray(exponent - 1, np.int64) if (mantissa == 0.5).all() else None

    @property
    def magnitude(self) -> int:
        """Largest absolute value of the data, as a Python integer."""
        return max(abs(int(self.data.min())), abs(int(self.data.max()))) if self.data.size else 0

    def centered(self) -> IntTensor:
        """The same reals with zero point 0."""
        if not self.zero_point.any():
            return replace(self, zero_point=_ZERO)
        return replace(self, data=self.data - self._spread(self.zero_point), zero_point=_ZERO)

    def to_float(self) -> NDArray[np.float32]:
        """The reals, each rounded once to float32: for 24-bit data the same bits as `numerics.dequantize`."""
        reals = self.centered().data * self._spread(self.scale)
        return np.asarray(reals / self.divisor if self.divisor != 1 else reals, np.float32)

    def with_data(self, data: Int64Array) -> IntTensor:
        """Other integers on the same scale and zero point."""
        return replace(self, data=data)

    def _spread(self, values: NDArray[Any]) -> NDArray[Any]:
        return spread(values, self.axis, self.data.ndim)


Tensors = Sequence["IntTensor | Array | None"]


def spread(values: NDArray[Any], axis: int | None, ndim: int) -> NDArray[Any]:
    """Shape one number per slice so that it broadcasts along `axis`; a single number stays one."""
    if values.size == 1 or axis is None:
        return values.reshape(())
    return values.reshape([-1 if d == axis else 1 for d in range(ndim)])


def all_integer(tensors: Tensors) -> list[IntTensor] | None:
    """The tensors with zero point 0 when all are integer tensors, else None. Absent ones are left out."""
    present = [tensor for tensor in tensors if tensor is not None]
    found = [tensor.centered() for tensor in present if isinstance(tensor, IntTensor)]
    return found if found and len(found) == len(present) else None


def shift_left(tensor: IntTensor, by: Int64Array | int) -> IntTensor | None:
    """The same reals on a scale 2**by finer (by >= 0, one or per slice); None when beyond 62 bits."""
    amount = np.asarray(by, np.int64)
    if tensor.magnitude << int(amount.max(initial=0)) >= SAFE:
        return None
    data = tensor.data << spread(amount, tensor.axis, tensor.data.ndim)
    return replace(tensor, data=data, scale=np.ldexp(tensor.scale, -amount.reshape(tensor.scale.shape)))


def align(tensors: Sequence[IntTensor]) -> list[IntTensor] | None:
    """The same reals on one common scale: equal scales as they are, powers of two by exact left shifts.

    Zero points must be 0. None when there is no common scale to shift to.
    """
    first = tensors[0]
    if any(t.divisor != first.divisor for t in tensors):
        return None
    if all(np.array_equal(t.scale, first.scale) and t.axis == first.axis for t in tensors):
        return list(tensors)
    exponents = [t.exponents for t in tensors]
    axes = {t.axis for t in tensors if t.scale.size > 1}
    if any(e is None for e in exponents) or len(axes) > 1:
        return None
    known = [e.reshape(-1) for e in exponents if e is not None]
    finest = np.asarray(known[0])
    for exponent in known[1:]:
        finest = np.minimum(finest, exponent)
    axis = axes.pop() if axes else None
    aligned = []
    for tensor, exponent in zip(tensors, known, strict=True):
        amount = exponent - finest
        if tensor.magnitude << int(amount.max(initial=0)) >= SAFE:
            return None
        data = tensor.data << spread(amount, axis, tensor.data.ndim)
        scale = np.ldexp(1.0, finest if axis is not None else finest.reshape(()))
        aligned.append(IntTensor(data, scale, _ZERO, axis, tensor.divisor))
    return aligned


def dyadic(value: float, bits: int = 24) -> tuple[int, int] | None:
    """(m, e) with value = m * 2**-e, m odd or e <= 0, when 0 <= e <= bits; else None.

    >>> dyadic(26 / 256), dyadic(6.0), dyadic(0.1)
    ((13, 7), (6, 0), None)
    """
    if not np.isfinite(value):
        return None
    top, bottom = float(value).as_integer_ratio()
    exponent = bottom.bit_length() - 1
    return (top, exponent) if exponent <= bits else None


def requantize(tensor: IntTensor, spec: QuantSpec) -> IntTensor:
    """Round to the integers of `spec`: clamp(round(real / scale) + zero_point). The only rounding there is.

    With power-of-two scales on both sides it is exact (`shift_right`, or `round_ratio` behind an average).
    Otherwise it is defined as the rounding of the float64 product integer * (scale_in / scale_out / divisor).
    `spec` must be of an integer format.
    """
    form = spec.format
    if not isinstance(form, IntFormat):
        raise TypeError(f"{form} is not an integer format")
    source = tensor.centered()
    target = IntTensor.from_spec(source.data, spec)
    steps = _rescale(source, target, spec.rounding)
    zero = spread(target.zero_point, target.axis, source.data.ndim)
    limits = np.int64(form.qmin) - zero, np.int64(form.qmax) - zero
    return replace(target, data=np.asarray(np.clip(steps, *limits) + zero, np.int64))


def _rescale(source: IntTensor, target: IntTensor, rounding: Rounding) -> Int64Array:
    ndim, before, after = source.data.ndim, source.exponents, target.exponents
    if before is not None and after is not None:
        shift = spread(after, target.axis, ndim) - spread(before, source.axis, ndim)
        if source.divisor == 1:
            return shift_right(source.data, shift, rounding)
        up, down = np.maximum(-shift, 0), np.maximum(shift, 0)
        fits = source.magnitude << int(up.max()) < SAFE and source.divisor << int(down.max()) < SAFE
        if fits:
            return round_ratio(source.data << up, np.int64(source.divisor) << down, rounding)
    ratio = spread(source.scale, source.axis, ndim) / spread(target.scale, target.axis, ndim)
    product = source.data.astype(np.float64) * (ratio / source.divisor)
    return round_array(np.clip(product, -(2.0**62), 2.0**62), rounding).astype(np.int64)


def exact_dtype(terms: int, left: IntTensor, right: IntTensor) -> type[Any] | None:
    """The fastest dtype in which a sum of `terms` products is exact; None when int64 would overflow."""
    bound = terms * left.magnitude * right.magnitude
    if bound < 1 << 24:
        return np.float32
    if bound < 1 << 53:
        return np.float64
    return np.int64 if bound < SAFE else None
