from __future__ import annotations

import io
from xml.etree import ElementTree

import pytest
from PIL import Image

from quantforge.reporting import box_drawing
from quantforge.reporting.box_drawing import Box, to_dot, to_png, to_svg

BOXES = [
    Box("a", "data", 'a "quoted" <name>', group="in"),
    Box("b", "relu", fill="#ff0000", tip="more\nlines"),
    Box("c", "add" * 20, "x" * 60),
]
SOURCES = {"b": ["a"], "c": ["a", "b", "absent"]}
SVG = "{http://www.w3.org/2000/svg}"


def test_dot() -> None:
    text = to_dot('a "graph"', BOXES, SOURCES)
    assert text.splitlines()[0] == 'digraph "a \\"graph\\"" {'
    assert 'label="data\\na \\"quoted\\" <name>"' in text and "subgraph cluster_0 {" in text
    assert [line.strip() for line in text.splitlines() if "->" in line] == [
        '"a" -> "b";',
        '"a" -> "c";',
        '"b" -> "c";',
    ]


def test_svg_is_well_formed_and_has_every_box_and_edge() -> None:
    root = ElementTree.fromstring(to_svg(BOXES, SOURCES))
    assert len(list(root.iter(f"{SVG}rect"))) == 3 and len(list(root.iter(f"{SVG}polyline"))) == 3
    assert [title.text for title in root.iter(f"{SVG}title")] == ["a", "more\nlines", "c"]
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert 'a "quoted" <name>' in texts and max(map(len, texts)) <= box_drawing.SUBTITLE_LENGTH


def test_png_has_the_colours_of_the_boxes_and_the_size_of_the_svg() -> None:
    root = ElementTree.fromstring(to_svg(BOXES, SOURCES))
    with Image.open(io.BytesIO(to_png(BOXES, SOURCES))) as image:
        assert image.size == (round(float(root.attrib["width"])), round(float(root.attrib["height"])))
        colours = {colour for _, colour in image.getcolors(maxcolors=100_000) or []}
    assert {(255, 0, 0), (232, 238, 247), (255, 255, 255)} <= colours


def test_a_huge_picture_is_drawn_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_drawing, "MOST_PIXELS", 4000)
    with Image.open(io.BytesIO(to_png(BOXES, SOURCES))) as image:
        assert image.width * image.height <= 4200


def test_an_empty_graph() -> None:
    assert to_png([], {}).startswith(b"\x89PNG") and "<svg" in to_svg([], {})
