"""The picture of the subgraphs."""

from __future__ import annotations

from pathlib import Path

from quantforge.xmodel.model import XModel
from tests.compiled_xmodels import classifier
from xdputil.subgraph_drawing import save_subgraphs


def test_a_box_per_subgraph_and_a_line_per_dependency(tmp_path: Path) -> None:
    save_subgraphs(classifier(), tmp_path / "s.svg")
    text = (tmp_path / "s.svg").read_text("utf-8")
    assert text.count("<rect") == 3 and text.count("<polyline") == 2
    assert "USER, 1 operators" in text and "CPU, 2 operators" in text


def test_a_model_without_subgraphs_is_one_box(tmp_path: Path) -> None:
    save_subgraphs(XModel("flat"), tmp_path / "s.svg")
    assert "not compiled" in (tmp_path / "s.svg").read_text("utf-8")
