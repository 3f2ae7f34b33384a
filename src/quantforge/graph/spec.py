"""`QuantSpec`: how one tensor is stored in a number format. The set of all specs of a graph is the plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from quantforge.numerics.formats import Format, IntFormat
from quantforge.numerics.rounding import Rounding


@dataclass(frozen=True)
class QuantSpec:
    """real = (integer - zero_point) * scale, per tensor (`axis` None, one scale) or per slice along `axis`.

    `scale` holds one float for the whole tensor or one per slice; `zero_point` has the same length. Float
    formats carry scale 1 and zero point 0.

    >>> QuantSpec.power_of_two(IntFormat(8), position=5).scale
    (0.03125,)
    """

    format: Format
    scale: tuple[float, ...] = (1.0,)
    zero_point: tuple[int, ...] = (0,)
    axis: int | None = None
    rounding: Rounding = Rounding.HALF_EVEN

    @classmethod
    def power_of_two(
        cls, format: Format, position: int, rounding: Rounding = Rounding.HALF_EVEN
    ) -> QuantSpec:
        """Per-tensor spec with `position` fractional bits: scale 2**-position, zero point 0."""
        return cls(format, (math.ldexp(1.0, -position),), (0,), None, rounding)

    @property
    def position(self) -> int | None:
        """Number of fractional bits when the scale is one power of two and the zero point 0, else None."""
        if self.axis is not None or self.zero_point != (0,) or not isinstance(self.format, IntFormat):
            return None
        mantissa, exponent = math.frexp(self.scale[0])
        return 1 - exponent if mantissa == 0.5 else None

    def moved(self, step: int) -> QuantSpec:
        """The same integers with `step` more fractional bits: every scale times 2**-step.

        >>> QuantSpec.power_of_two(IntFormat(8), position=5).moved(-2).position
        3
        """
        return replace(self, scale=tuple(math.ldexp(scale, -step) for scale in self.scale))
