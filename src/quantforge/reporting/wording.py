"""How numbers are written in a report: three significant digits, a unit, and a dash where nothing was measured."""

from __future__ import annotations

import math

from quantforge.graph import QuantSpec
from quantforge.quantization.report import Cause, DataReport

NOTHING = "–"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
CAUSES = {
    Cause.OUTLIERS: "outlier range",
    Cause.SATURATED: "saturated",
    Cause.CHANNEL_IMBALANCE: "channel imbalance",
    Cause.WASTED_HALF: "half the grid unused",
    Cause.SHARED_SCALE: "shared scale",
    Cause.COARSE_STEP: "coarse step",
    Cause.LOW_BITS: "few bits",
    Cause.NO_SINGLE_CAUSE: "no single cause",
}


def decibels(value: float | None) -> str:
    """An SQNR.

    >>> decibels(24.512), decibels(None), decibels(float("inf"))
    ('24.5 dB', '–', 'exact')
    """
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "exact" if value > 0 else "no signal"
    return f"{value:.1f} dB"


def percent(share: float | None) -> str:
    """A share of one; a little is not rounded to nothing, nor almost all to all.

    >>> percent(0.9816), percent(0.00002), percent(0.0), percent(0.999999)
    ('98.16 %', '<0.01 %', '0 %', '>99.99 %')
    """
    if share is None or math.isnan(share):
        return NOTHING
    if 0.0 < share < 0.0001:
        return "<0.01 %"
    if 0.99995 <= share < 1.0:
        return ">99.99 %"
    return f"{100.0 * share:.2f}".rstrip("0").rstrip(".") + " %"


def size(count: int) -> str:
    """Bytes in binary units.

    >>> size(912), size(1_114_112)
    ('912 B', '1.06 MiB')
    """
    return _scaled(float(count), 1024.0, ("B", "KiB", "MiB", "GiB", "TiB"))


def operations(count: int) -> str:
    """Multiply-accumulates in decimal units.

    >>> operations(40_551_424), operations(0)
    ('40.6 M', '0')
    """
    return _scaled(float(count), 1000.0, ("", "k", "M", "G", "T")).rstrip()


def seconds(value: float) -> str:
    """A duration.

    >>> seconds(0.0042), seconds(3.14), seconds(75.0)
    ('4.2 ms', '3.14 s', '1 min 15 s')
    """
    if value < 0.1:
        return f"{1000.0 * value:.2g} ms"
    if value < 60.0:
        return f"{value:.3g} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def counted(count: int, what: str, many: str | None = None) -> str:
    """A number of things.

    >>> counted(1, "sample"), counted(10_000, "sample"), counted(2, "batch", "batches")
    ('1 sample', '10,000 samples', '2 batches')
    """
    return f"{count:,} {what if count == 1 else many or what + 's'}"


def calibration(data: DataReport) -> str:
    """What calibration saw.

    >>> calibration(DataReport("images", 256, 1))
    '256 samples in 1 batch of images'
    """
    batches = counted(data.batches, "batch", "batches")
    return f"{counted(data.samples, 'sample')} in {batches} of {data.source}"


def real(value: float) -> str:
    """A real number of any size in few characters.

    >>> real(-0.0), real(-2.11794), real(1e-9), real(123456.0)
    ('0', '-2.118', '1e-09', '1.235e+05')
    """
    return f"{value + 0.0:.4g}"  # + 0.0 turns -0 into 0


def scale(spec: QuantSpec) -> str:
    """The scale of a spec: a power of two where it is one, a span where there are several.

    >>> from quantforge.numerics.formats import INT8
    >>> scale(QuantSpec.power_of_two(INT8, 5)), scale(QuantSpec(INT8, (0.1, 0.25), (0, 0), axis=0))
    ('2⁻⁵', '0.1 .. 0.25 by axis 0')
    """
    if spec.position is not None:
        return "2" + str(-spec.position).translate(_RAISED)
    if spec.axis is None:
        return real(spec.scale[0])
    return f"{real(min(spec.scale))} .. {real(max(spec.scale))} by axis {spec.axis}"


def zero_point(spec: QuantSpec) -> str:
    """The zero point of a spec, or the span of several."""
    low, high = min(spec.zero_point), max(spec.zero_point)
    return str(low) if low == high else f"{low} .. {high}"


def family(precision: str) -> str:
    """The colour class of a precision.

    >>> [family(name) for name in ("int4", "uint8", "int16", "float32", "bfloat16")]
    ['few', 'int8', 'int16', 'float', 'half']
    """
    digits = "".join(character for character in precision if character.isdigit())
    bits = int(digits) if digits else 32
    if "float" in precision:
        return "half" if bits < 32 else "float"
    return "few" if bits < 8 else "int8" if bits == 8 else "int16"


def _scaled(value: float, step: float, units: tuple[str, ...]) -> str:
    unit = 0
    while value >= step and unit < len(units) - 1:
        value, unit = value / step, unit + 1
    digits = f"{value:.3g}" if value < 1000.0 else f"{value:.0f}"
    return f"{digits} {units[unit]}"
