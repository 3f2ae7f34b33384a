from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.frontends.torch.provenance import Provenance  # noqa: E402


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(9, 4))

    def forward(self, x: Any, words: Any, image: Any) -> Any:
        angle = torch.sin(words.float() * 0.1)
        looked = torch.nn.functional.embedding(words, self.table)
        return (
            x * 2,
            angle * 3,
            looked + 1,
            torch.nn.functional.linear(angle, self.table),
            image.float() / 255,
            x + angle,
        )


def test_positions_and_masks_are_no_data() -> None:
    inputs = (torch.randn(2, 4), torch.ones(2, 4, dtype=torch.int64), torch.ones(2, 4, dtype=torch.uint8))
    program = torch.export.export(Mixed(), inputs)
    parameters = set(program.graph_signature.inputs_to_parameters)
    provenance = Provenance(lambda node: node.name in parameters)
    nodes = [node for node in program.graph.nodes if node.op != "output"]
    found = {node.name: provenance.is_data(node) for node in nodes}
    results = [spec.arg.name for spec in program.graph_signature.output_specs]
    assert [found[name] for name in results] == [True, False, True, True, True, True]
