from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from quantforge.diagnostics import InputError
from tests.unit.xmodel.samples import small
from xir.drawing import save_graph


def test_the_text_has_everything_in_clusters(tmp_path: Path) -> None:
    save_graph(small(), tmp_path / "g.dot", "dot")
    text = (tmp_path / "g.dot").read_text()
    assert text.count("subgraph cluster_") == 3 and 'label="dpu";' in text
    assert '"c_w" -> "c";' in text and '"f" -> "s";' in text


def test_pictures_leave_constants_out(tmp_path: Path) -> None:
    save_graph(small(), tmp_path / "g.svg", "svg")
    root = ElementTree.fromstring((tmp_path / "g.svg").read_text())
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert [title.split("\n")[0] for title in titles] == ["x", "c", "r", "f", "s"]
    save_graph(small(), tmp_path / "g.png", "png")
    with Image.open(io.BytesIO((tmp_path / "g.png").read_bytes())) as image:
        assert image.format == "PNG" and image.height > image.width


def test_another_format(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Q0924.*the format 'pdf'; expected one of png, svg, dot"):
        save_graph(small(), tmp_path / "g.pdf", "pdf")
    assert list(tmp_path.iterdir()) == []
