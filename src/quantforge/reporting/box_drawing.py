"""A graph of named boxes as an SVG or PNG picture, or as Graphviz text. None of the three needs Graphviz.

The pictures use the layered layout of `graph_layout`. PNG is drawn with Pillow and its built-in font; a picture
of more than `MOST_PIXELS` is drawn smaller.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from quantforge.reporting.graph_layout import Layout, lay_out
from quantforge.reporting.markup import element, escape, shape

BOX_WIDTH, BOX_HEIGHT = 188, 38
COLUMN, ROW = 208, 58  # distance between boxes, pixels
MARGIN = 12
TITLE_LENGTH, SUBTITLE_LENGTH = 26, 29
MOST_PIXELS = 40_000_000
LINE, INK = "#8a8f98", "#1c1e21"

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A box: unique `name`, two lines of text, colour as #rrggbb, longer text for a tooltip, group it belongs to."""

    name: str
    title: str
    subtitle: str = ""
    fill: str = "#e8eef7"
    tip: str = ""
    group: str | None = None


def to_dot(name: str, boxes: Sequence[Box], sources: Mapping[str, Sequence[str]]) -> str:
    """Graphviz text of the graph `name`; boxes of a group stand in a cluster. `sources` lists edges by their end.

    >>> print(to_dot("g", [Box("a", "data"), Box("b", "relu")], {"b": ["a"]}))
    digraph "g" {
      node [shape=box, style=filled, fontname="sans-serif"];
      "a" [label="data", fillcolor="#e8eef7"];
      "b" [label="relu", fillcolor="#e8eef7"];
      "a" -> "b";
    }
    <BLANKLINE>
    """
    lines = [f"digraph {_quoted(name)} {{", '  node [shape=box, style=filled, fontname="sans-serif"];']
    groups = dict.fromkeys(box.group for box in boxes)
    for number, group in enumerate(groups):
        if group is not None:
            lines += [f"  subgraph cluster_{number} {{", f"  label={_quoted(group)};"]
        lines += [_dot_node(box) for box in boxes if box.group == group]
        if group is not None:
            lines.append("  }")
    known = {box.name for box in boxes}
    for box in boxes:
        edges = (source for source in sources.get(box.name, ()) if source in known)
        lines += [f"  {_quoted(source)} -> {_quoted(box.name)};" for source in edges]
    return "\n".join([*lines, "}", ""])


def to_svg(boxes: Sequence[Box], sources: Mapping[str, Sequence[str]]) -> str:
    """An SVG file of its own. `boxes` are in topological order; `sources` lists edges by their end."""
    layout = lay_out([box.name for box in boxes], sources)
    width, height = _extent(layout)
    lines = "".join(
        shape("polyline", points=" ".join(f"{x:.0f},{y:.0f}" for x, y in _route(layout, *edge)))
        for edge in layout.routes
    )
    heads = "".join(shape("path", d=_head(layout, target)) for _, target in layout.routes)
    content = (
        element("g", lines, heads, fill="none", stroke=LINE),
        *(_svg_box(box, *_corner(layout, box.name)) for box in boxes),
    )
    return element(
        "svg",
        *content,
        xmlns="http://www.w3.org/2000/svg",
        width=width,
        height=height,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        font_family="sans-serif",
        font_size=12,
    )


def to_png(boxes: Sequence[Box], sources: Mapping[str, Sequence[str]]) -> bytes:
    """The picture of `to_svg` as the bytes of a PNG file."""
    from PIL import Image, ImageDraw, ImageFont

    layout = lay_out([box.name for box in boxes], sources)
    width, height = _extent(layout)
    scale = min(1.0, math.sqrt(MOST_PIXELS / (width * height)))
    image = Image.new("RGB", (max(1, round(width * scale)), max(1, round(height * scale))), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    for edge in layout.routes:
        route = [(x * scale, y * scale) for x, y in _route(layout, *edge)]
        draw.line(route, fill=LINE, width=1)
        x, y = route[-1]
        draw.line([(x - 3, y - 5), (x, y), (x + 3, y - 5)], fill=LINE, width=1)
    for box in boxes:
        x, y = (place * scale for place in _corner(layout, box.name))
        corners = (x, y, x + BOX_WIDTH * scale, y + BOX_HEIGHT * scale)
        draw.rounded_rectangle(corners, radius=6 * scale, fill=box.fill, outline=LINE)
        if scale == 1.0:
            draw.text((x + 10, y + 5), _plain(_short(box.title, TITLE_LENGTH)), fill=INK, font=font)
            draw.text((x + 10, y + 20), _plain(_tail(box.subtitle, SUBTITLE_LENGTH)), fill=INK, font=font)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def _extent(layout: Layout) -> Point:
    return layout.columns * COLUMN + 2 * MARGIN, max(1, layout.rows) * ROW - (ROW - BOX_HEIGHT) + 2 * MARGIN


def _corner(layout: Layout, name: str) -> Point:
    column, row = layout.places[name]
    return MARGIN + column * COLUMN + (COLUMN - BOX_WIDTH) / 2, MARGIN + row * ROW


def _route(layout: Layout, source: str, target: str) -> list[Point]:
    """The corners of an edge: down from its source, along the lanes it passes, down into its target."""
    x, y = _corner(layout, source)
    points = [(x + BOX_WIDTH / 2, y + BOX_HEIGHT)]
    for column, row in layout.routes[source, target]:
        x, y = MARGIN + column * COLUMN, MARGIN + row * ROW
        points += [(x, y), (x, y + BOX_HEIGHT)]
    x, y = _corner(layout, target)
    points.append((x + BOX_WIDTH / 2, y))
    return [point for point, after in pairwise([*points, None]) if point is not None and point != after]


def _head(layout: Layout, target: str) -> str:
    x, y = _corner(layout, target)
    return f"M{x + BOX_WIDTH / 2 - 3:.0f} {y - 5:.0f}l3 5l3 -5"


def _svg_box(box: Box, x: float, y: float) -> str:
    return element(
        "g",
        element("title", escape(box.tip or box.name)),
        shape("rect", width=BOX_WIDTH, height=BOX_HEIGHT, rx=6, fill=box.fill, stroke=LINE),
        element("text", escape(_short(box.title, TITLE_LENGTH)), x=10, y=16, fill=INK, font_weight="bold"),
        element("text", escape(_tail(box.subtitle, SUBTITLE_LENGTH)), x=10, y=30, fill=INK, font_size=10),
        transform=f"translate({x:.0f} {y:.0f})",
    )


def _dot_node(box: Box) -> str:
    label = f"{box.title}\n{box.subtitle}" if box.subtitle else box.title
    return f"  {_quoted(box.name)} [label={_quoted(label)}, fillcolor={_quoted(box.fill)}];"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _tail(text: str, length: int) -> str:
    return text if len(text) <= length else f"…{text[-(length - 1) :]}"


def _plain(text: str) -> str:
    """Text that every font can draw."""
    return text.replace("…", "..").encode("ascii", "replace").decode()
