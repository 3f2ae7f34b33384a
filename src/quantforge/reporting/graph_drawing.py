"""The graph as an SVG drawing: one box per layer, coloured by precision, arrows from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from quantforge.quantization.report import LayerReport
from quantforge.reporting.graph_layout import Layout, lay_out
from quantforge.reporting.markup import element, escape, shape, tip
from quantforge.reporting.wording import decibels, family, operations, size

BOX_WIDTH, BOX_HEIGHT = 188, 38
COLUMN, ROW = 208, 58  # distance between boxes, pixels
MARGIN = 12
KIND_LENGTH, NAME_LENGTH = 26, 29


def draw_graph(layers: Sequence[LayerReport], ranks: Mapping[str, int]) -> str:
    """The drawing of all `layers`, as large as it has to be; the page scrolls it.

    `ranks` marks layers by name with the rank of the culprit they make.
    """
    layout = lay_out([layer.name for layer in layers], {layer.name: layer.reads for layer in layers})
    width = layout.columns * COLUMN + 2 * MARGIN
    height = layout.rows * ROW - (ROW - BOX_HEIGHT) + 2 * MARGIN
    edges = "".join(_edge(layout, source, target) for source, target in layout.routes)
    boxes = "".join(_box(layer, *_corner(layout, layer.name), ranks.get(layer.name)) for layer in layers)
    return element(
        "svg",
        shape("path", d=edges, class_="edge") + boxes,
        class_="graph",
        width=width,
        height=height,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_label=f"graph of {len(layers)} layers",
    )


def describe_layer(layer: LayerReport) -> str:
    """The tooltip of a layer."""
    return tip(
        layer.name,
        " + ".join((layer.kind, *layer.fused)) + f" in {layer.precision}",
        f"{operations(layer.macs)} MACs" if layer.macs else "",
        f"parameters {size(layer.float_bytes)} → {size(layer.quantized_bytes)}" if layer.float_bytes else "",
        f"adds error at {decibels(layer.added_db)}" if layer.added_db is not None else "",
        f"accumulated {decibels(layer.accumulated_db)}" if layer.accumulated_db is not None else "",
        f"float: {layer.float_reason}" if layer.float_reason else "",
    )


def shorten(name: str, length: int) -> str:
    """The end of a long name, which tells more than its beginning.

    >>> shorten("/features/features.17/conv/Conv", 16)
    '…es.17/conv/Conv'
    """
    return name if len(name) <= length else "…" + name[-(length - 1) :]


def _corner(layout: Layout, name: str) -> tuple[float, float]:
    column, row = layout.places[name]
    return MARGIN + column * COLUMN + (COLUMN - BOX_WIDTH) / 2, MARGIN + row * ROW


def _edge(layout: Layout, source: str, target: str) -> str:
    """The path of one edge: a curve into each lane it passes, straight along the lane, a curve to the box."""
    x, y = _corner(layout, source)
    x, y = x + BOX_WIDTH / 2, y + BOX_HEIGHT
    path = [f"M{x:.0f} {y:.0f}"]
    stops: list[tuple[float, float, float]] = [
        (MARGIN + column * COLUMN, MARGIN + row * ROW, MARGIN + row * ROW + BOX_HEIGHT)
        for column, row in layout.routes[source, target]
    ]
    end_x, end_y = _corner(layout, target)
    stops.append((end_x + BOX_WIDTH / 2, end_y, end_y))
    for to_x, top, bottom in stops:
        middle = (y + top) / 2
        straight = abs(to_x - x) < 1.0
        path.append(
            f"V{top:.0f}"
            if straight
            else f"C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {top:.0f}"
        )
        if bottom != top:
            path.append(f"V{bottom:.0f}")
        x, y = to_x, bottom
    path.append("m-3 -5l3 5l3 -5")
    return "".join(path)


def _box(layer: LayerReport, x: float, y: float, rank: int | None) -> str:
    title = " + ".join((layer.kind, *layer.fused))
    title = title if len(title) <= KIND_LENGTH else f"{title[: KIND_LENGTH - 1]}…"
    badge = ""
    if rank is not None:
        badge = shape("circle", cx=BOX_WIDTH, cy=2, r=9, class_="badge") + element(
            "text", str(rank), x=BOX_WIDTH, y=6, class_="badge"
        )
    return element(
        "g",
        shape("rect", width=BOX_WIDTH, height=BOX_HEIGHT, rx=7),
        element("text", escape(title), x=10, y=16, class_="kind"),
        element("text", escape(shorten(layer.name, NAME_LENGTH)), x=10, y=30, class_="name"),
        badge,
        class_=f"box {family(layer.precision)}",
        transform=f"translate({x:.0f} {y:.0f})",
        data_tip=describe_layer(layer),
        tabindex=0,
    )
