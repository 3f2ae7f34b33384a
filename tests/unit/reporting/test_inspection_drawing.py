"""The graph by device."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

from PIL import Image

from quantforge.reporting.inspection_drawing import FILLS, inspection_dot, inspection_png, inspection_svg
from tests.unit.reporting.inspected import hostile, small

SVG = "{http://www.w3.org/2000/svg}"


def test_graphviz_text_has_a_cluster_per_subgraph() -> None:
    text = inspection_dot(small())
    assert text.startswith('digraph "net" {')
    assert [line.strip() for line in text.splitlines() if "label=" in line and "[" not in line] == [
        'label="0 USER";', 'label="1 DPU";', 'label="2 CPU";', 'label="3 CPU";',
    ]  # fmt: skip
    assert '"s2" -> "wide";' in text and "conv_w" not in text
    assert f'fillcolor="{FILLS["CPU"]}"' in text


def test_svg_has_a_box_per_operator_in_the_colour_of_its_device() -> None:
    root = ET.fromstring(inspection_svg(small()))
    rects = [rect.get("fill") for rect in root.iter(f"{SVG}rect")]
    assert sorted(rects) == sorted([FILLS["USER"], *[FILLS["DPU"]] * 2, *[FILLS["CPU"]] * 3])
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert any(
        "kernel_range: kernel width 17; supported: 1-16; try: kernel width 16" in text for text in titles
    )
    assert any("DPU, fused into conv" in text for text in titles)


def test_svg_of_any_name() -> None:
    assert len(list(ET.fromstring(inspection_svg(hostile())).iter(f"{SVG}rect"))) == 2


def test_png_has_the_colours() -> None:
    image = Image.open(io.BytesIO(inspection_png(small()))).convert("RGB")
    found = {f"#{r:02x}{g:02x}{b:02x}" for _, (r, g, b) in image.getcolors(1 << 24)}
    assert set(FILLS.values()) <= found
