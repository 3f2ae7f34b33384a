from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.hardware import assigned, source_lines, target_of  # noqa: E402
from pytorch_nndct.inspection_report import WIDTH, Inspected, everything, report, summary  # noqa: E402
from quantforge.frontends.torch.quantizer import prepared_module  # noqa: E402
from quantforge.frontends.torch.recipes import dpu_recipe  # noqa: E402
from tests.unit.pytorch_nndct.deploy_nets import TARGET, Mixed, images, made  # noqa: E402


@pytest.fixture(scope="module")
def inspected() -> Inspected:
    graph = prepared_module(made(Mixed), (images()[:1],), {}, dpu_recipe(8)).graph
    target = target_of(TARGET)
    found = assigned(graph, dpu_recipe(8), target)
    return Inspected(found.model, found.inspection, target, source_lines(graph))


def test_tables_have_a_line_per_operator(inspected: Inspected) -> None:
    assert "tanh; supported: on no DPU" in summary(inspected)
    rows = everything(inspected).splitlines()
    assert len([row for row in rows[2:] if not row.startswith(" ")]) == len(inspected.shown)
    assert max(map(len, rows)) <= WIDTH


def test_the_text_says_what_where_and_why(inspected: Inspected) -> None:
    text = report(inspected)
    parts = text.split("=" * WIDTH)
    assert len(parts) == 4 and f"fingerprint {inspected.target.fingerprint_text}" in parts[1]
    blocks = {
        block.split()[1]: block for block in parts[3].split("\n\n") if block.strip().startswith("layer")
    }
    assert "try         relu or hard-sigmoid" in blocks["tanh"] and "device      CPU" in blocks["tanh"]
    assert "kernel=[3, 3]" in blocks["conv1"] and "shape       [1, 8, 8, 8]" in blocks["conv1"]
    assert "outputs     relu" in blocks["conv1"] and "inputs      x, conv1.weight" in blocks["conv1"]
    assert "deploy_nets.py" in blocks["conv1"] and "self.conv1(x)" in blocks["conv1"]
