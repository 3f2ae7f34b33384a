"""A histogram with the quantization grid over it: where the values are, and where the integers are.

The height is the logarithm of the density, so that outliers stay visible. Vertical hairlines are values that the
format can hold; when they would run together only every 2nd, 4th, 8th, ... is drawn. What lies outside the grid is
clipped and drawn in the warning colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantforge.graph import QuantSpec
from quantforge.numerics.formats import IntFormat
from quantforge.quantization.diagnose import grid_range
from quantforge.quantization.report import Histogram, TensorReport
from quantforge.reporting.markup import element, escape, shape
from quantforge.reporting.wording import real

WIDTH, HEIGHT = 360, 132
SIDE, TOP, BOTTOM = 8, 8, 20
DECADES_BELOW = 0.6  # the lowest occupied bin stands this far above the foot
NARROWEST_GAP = 3.0  # pixels between two hairlines
EDGE_LABEL_WIDTH = 58


@dataclass(frozen=True)
class _Axis:
    """The horizontal scale of one chart."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """The place of a real value, held inside the chart."""
        share = (value - self.low) / (self.high - self.low)
        return SIDE + min(max(share, 0.0), 1.0) * (WIDTH - 2 * SIDE)

    @property
    def pixels_per_unit(self) -> float:
        """The width of one."""
        return (WIDTH - 2 * SIDE) / (self.high - self.low)


def draw_histogram(tensor: TensorReport) -> str:
    """The chart of one tensor; empty text when it has no histogram with values in it."""
    histogram = tensor.histogram
    if histogram is None or histogram.total == 0:
        return ""
    grid = grid_range(tensor.spec)
    axis = _axis(histogram, tensor.spec)
    outline = _outline(histogram, axis)
    parts = [_grid(tensor, axis), shape("path", d=outline, class_="counts"), _clipped(grid, axis)]
    return element(
        "svg",
        *parts,
        _ticks(axis),
        class_="histogram",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"histogram of {tensor.name}",
    )


def hairline_step(tensor: TensorReport) -> int:
    """Every how many integers a hairline is drawn: the least power of two that keeps them apart; 0 for none."""
    if (
        tensor.histogram is None
        or tensor.spec.axis is not None
        or not isinstance(tensor.spec.format, IntFormat)
    ):
        return 0
    gap = tensor.spec.scale[0] * _axis(tensor.histogram, tensor.spec).pixels_per_unit
    return max(1, 1 << max(0, math.ceil(math.log2(NARROWEST_GAP / gap))))


def _axis(histogram: Histogram, spec: QuantSpec) -> _Axis:
    """The span of the values and of the grid together."""
    ends = (*grid_range(spec), histogram.edges[0], histogram.edges[-1])
    low, high = min(filter(math.isfinite, ends)), max(filter(math.isfinite, ends))
    return _Axis(low, high if high > low else low + 1.0)


def _outline(histogram: Histogram, axis: _Axis) -> str:
    """The stepped outline of the logarithm of the density; a bin without width counts as one pixel wide."""
    bins = list(zip(histogram.edges, histogram.edges[1:], histogram.counts, strict=False))
    heights = [
        math.log10(count / max(high - low, 1.0 / axis.pixels_per_unit)) if count else None
        for low, high, count in bins
    ]
    known = [height for height in heights if height is not None]
    foot = min(known) - DECADES_BELOW
    rise = (HEIGHT - TOP - BOTTOM) / max(max(known) - foot, 1e-9)
    ground = HEIGHT - BOTTOM
    path = [f"M{axis.x(histogram.edges[0]):.1f} {ground}"]
    level = float(ground)
    for (_, high, _), height in zip(bins, heights, strict=True):
        y = ground if height is None else ground - (height - foot) * rise
        if abs(y - level) >= 0.05:
            path.append(f"V{y:.1f}".removesuffix(".0"))
            level = y
        path.append(f"H{axis.x(high):.1f}".removesuffix(".0"))
    return "".join(path) + f"V{ground}Z"


def _grid(tensor: TensorReport, axis: _Axis) -> str:
    """The band that the format covers, and hairlines as one dashed stroke across it."""
    low, high = grid_range(tensor.spec)
    if not math.isfinite(high):
        return ""
    left, right = axis.x(low), axis.x(high)
    ground = HEIGHT - BOTTOM
    band = shape("rect", x=left, y=TOP, width=right - left, height=ground - TOP, class_="band")
    every = hairline_step(tensor)
    if not every:
        return band
    gap = every * tensor.spec.scale[0] * axis.pixels_per_unit
    first = axis.x(0.0 if low <= 0.0 <= high else low)
    start = first - math.floor((first - left) / gap) * gap
    hairlines = (
        f'<line x1="{start - 0.25:.2f}" x2="{right + 0.3:.2f}" y1="{(ground + TOP) / 2}" y2="{(ground + TOP) / 2}" '
        f'stroke-width="{ground - TOP}" stroke-dasharray="0.5 {gap - 0.5:.4f}" class="hairlines"/>'
    )
    return band + hairlines


def _clipped(grid: tuple[float, float], axis: _Axis) -> str:
    """Marks over what lies outside the grid."""
    ground = HEIGHT - BOTTOM
    parts = []
    for start, end in ((axis.low, grid[0]), (grid[1], axis.high)):
        if math.isfinite(start) and math.isfinite(end) and axis.x(end) - axis.x(start) > 0.5:
            x = axis.x(start)
            parts.append(
                shape("rect", x=x, y=TOP, width=axis.x(end) - x, height=ground - TOP, class_="clipped")
            )
    return "".join(parts)


def _ticks(axis: _Axis) -> str:
    """Labels of both ends, and of zero where there is room."""
    y, parts = HEIGHT - 6, []
    for value, anchor in ((axis.low, "start"), (axis.high, "end")):
        parts.append(element("text", escape(real(value)), x=axis.x(value), y=y, class_=f"axis {anchor}"))
    zero = axis.x(0.0)
    if axis.low < 0.0 < axis.high:
        parts.append(shape("line", x1=zero, x2=zero, y1=TOP, y2=HEIGHT - BOTTOM, class_="zero"))
        if EDGE_LABEL_WIDTH < zero < WIDTH - EDGE_LABEL_WIDTH:
            parts.append(element("text", "0", x=zero, y=y, class_="axis middle"))
    return "".join(parts)
