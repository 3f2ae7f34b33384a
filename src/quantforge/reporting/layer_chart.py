"""The chart of the error by layer: what each layer adds (columns) and what has come together there (line).

The height is the noise relative to the signal in decibels, -SQNR, so that a tall column is a bad layer and ten
decibels are a factor of ten in power.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from quantforge.quantization.report import LayerReport
from quantforge.reporting.graph_drawing import describe_layer, shorten
from quantforge.reporting.markup import element, escape, shape
from quantforge.reporting.wording import family

WIDTH, HEIGHT = 1100, 330
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 30, 30
NARROWEST_COLUMN = 6
WIDEST_COLUMN = 64
NARROWEST_CHART = 680
GAP = 1.5
DOTTED = 10.0  # columns at least this wide get a dot on the line
LABELLED = 3
LABEL_LENGTH = 28
LETTER = 5.6  # mean width of a letter, pixels
LABEL_WIDTH = LABEL_LENGTH * LETTER


@dataclass(frozen=True)
class _Axes:
    """The scales of one chart: `pitch` pixels per layer, decibels at its foot and top."""

    width: float
    pitch: float
    foot_db: float
    top_db: float

    def x(self, index: int) -> float:
        """The left edge of the column of layer `index`."""
        return LEFT + index * self.pitch

    def y(self, noise_db: float) -> float:
        """The height of a noise, held inside the chart."""
        share = (self.top_db - noise_db) / (self.top_db - self.foot_db)
        return TOP + min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)


def draw_errors(layers: Sequence[LayerReport]) -> str:
    """The chart of the measured ones of `layers`, in the order given; empty text when there are none."""
    shown = [layer for layer in layers if _noises(layer)]
    if not shown:
        return ""
    axes = _axes(shown)
    parts = [_lines_of_equal_noise(axes)]
    parts += [_column(layer, index, axes) for index, layer in enumerate(shown)]
    parts.append(_accumulated_line(shown, axes))
    parts += _labels(shown, axes)
    parts.append(element("text", "layers in the order they run →", x=LEFT, y=HEIGHT - 9, class_="axis"))
    return element(
        "svg",
        *parts,
        class_="errors",
        viewBox=f"0 0 {axes.width:.0f} {HEIGHT}",
        style=f"min-width:{axes.width if axes.width > WIDTH else NARROWEST_CHART:.0f}px",
        role="img",
        aria_label="error by layer",
    )


def _noises(layer: LayerReport) -> list[float]:
    found = (_noise(layer.added_db), _noise(layer.accumulated_db))
    return [noise for noise in found if noise is not None]


def _noise(sqnr_db: float | None) -> float | None:
    """Noise in decibels, or None when it was not measured or there is none."""
    return None if sqnr_db is None or not math.isfinite(sqnr_db) else -sqnr_db


def _axes(layers: Sequence[LayerReport]) -> _Axes:
    noises = [noise for layer in layers for noise in _noises(layer)]
    top = math.ceil((max(noises) + 1) / 10) * 10
    foot = min(math.floor((min(noises) - 3) / 10) * 10, top - 30)
    width = max(WIDTH, LEFT + RIGHT + NARROWEST_COLUMN * len(layers))
    return _Axes(width, min((width - LEFT - RIGHT) / len(layers), WIDEST_COLUMN), foot, top)


def _lines_of_equal_noise(axes: _Axes) -> str:
    step = 10 if axes.top_db - axes.foot_db <= 80 else 20
    parts = []
    for noise_db in range(int(axes.foot_db), int(axes.top_db) + 1, step):
        y = axes.y(noise_db)
        parts.append(shape("line", x1=LEFT, x2=axes.width - RIGHT, y1=y, y2=y, class_="rule"))
        parts.append(element("text", f"{noise_db}", x=LEFT - 8, y=y + 4, class_="axis end"))
    parts.append(element("text", "noise over signal, dB", x=4, y=14, class_="axis"))
    return "".join(parts)


def _column(layer: LayerReport, index: int, axes: _Axes) -> str:
    """The column of one layer; its whole height reacts to the pointer."""
    noise = _noise(layer.added_db)
    foot, x = HEIGHT - BOTTOM, axes.x(index)
    bar = ""
    if noise is not None:
        y = axes.y(noise)
        bar = shape("rect", x=x + GAP / 2, y=y, width=axes.pitch - GAP, height=max(foot - y, 1.0), rx=1.5)
    reach = shape("rect", x=x, y=TOP, width=axes.pitch, height=foot - TOP, class_="reach")
    return element("g", bar, reach, class_=f"bar {family(layer.precision)}", data_tip=describe_layer(layer))


def _accumulated_line(layers: Sequence[LayerReport], axes: _Axes) -> str:
    points = [
        (axes.x(index) + axes.pitch / 2, axes.y(noise))
        for index, layer in enumerate(layers)
        if (noise := _noise(layer.accumulated_db)) is not None
    ]
    line = shape("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_="accumulated")
    if axes.pitch < DOTTED:
        return line
    return line + "".join(shape("circle", cx=x, cy=y, r=2.2, class_="accumulated") for x, y in points)


def _labels(layers: Sequence[LayerReport], axes: _Axes) -> list[str]:
    """The names of the layers that add most, where they do not collide."""
    noises = {
        index: noise for index, layer in enumerate(layers) if (noise := _noise(layer.added_db)) is not None
    }
    labels: list[str] = []
    taken: list[float] = []
    for index in sorted(noises, key=lambda i: -noises[i]):
        center = axes.x(index) + axes.pitch / 2
        if len(labels) == LABELLED or any(abs(center - other) < LABEL_WIDTH for other in taken):
            continue
        taken.append(center)
        accumulated = _noise(layers[index].accumulated_db)
        y = max(
            axes.y(max(noises[index], accumulated if accumulated is not None else noises[index])) - 14, 12.0
        )
        name = shorten(layers[index].name, LABEL_LENGTH)
        half = len(name) * LETTER / 2
        x = min(max(center, LEFT + half), axes.width - RIGHT - half)
        leader = shape("line", x1=center, x2=center, y1=y + 3, y2=axes.y(noises[index]), class_="leader")
        labels.append(leader + element("text", escape(name), x=x, y=y, class_="label"))
    return labels
