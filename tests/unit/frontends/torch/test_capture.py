from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.capture import capture, evaluating, first_line  # noqa: E402
from tests.unit.frontends.torch.modules import Nested, Residual  # noqa: E402


def sizes(program: Any) -> list[Any]:
    shapes = [node.meta["val"].shape for node in program.graph.nodes if node.name in ("x", "other")]
    return [shape[0] for shape in shapes]


def test_the_batch_is_open_even_for_an_example_of_one_sample() -> None:
    for batch in (1, 3):
        program = capture(Residual(), (torch.zeros(batch, 3, 6, 6),), {}, lambda target: True)
        assert [isinstance(size, torch.SymInt) for size in sizes(program)] == [True]


def test_a_batch_that_the_code_fixes_stays_fixed() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.view(2, -1) + torch.zeros(2, 1)

    program = capture(Fixed(), (torch.zeros(2, 4),), {}, lambda target: True)
    assert sizes(program) == [2]


def test_inputs_of_different_batches_are_taken_as_they_are() -> None:
    class Broadcast(nn.Module):
        def forward(self, x: Any, other: Any) -> Any:
            return x + other

    program = capture(Broadcast(), (torch.zeros(2, 4), torch.zeros(1, 4)), {}, lambda target: True)
    assert sizes(program) == [2, 1]


def test_operators_without_a_rule_are_decomposed() -> None:
    class Spread(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.std(1)

    def targets(known: bool) -> list[str]:
        program = capture(Spread(), (torch.zeros(2, 4),), {}, lambda target: known)
        return [str(node.target) for node in program.graph.nodes if node.op == "call_function"]

    assert "aten.std.dim" in targets(known=True)
    assert "aten.sqrt.default" in targets(known=False)


def test_modes_are_restored_part_by_part() -> None:
    module = Residual()
    module.bn1.eval()
    with evaluating(module):
        assert not any(part.training for part in module.modules())
    assert module.training and not module.bn1.training


def test_errors_of_the_module_and_of_torch_export() -> None:
    with pytest.raises(InputError, match=r"Q1401 module Nested: found .*other"):
        capture(Nested(), (torch.zeros(2, 4),), {}, lambda target: True)
    scripted = torch.jit.trace(nn.ReLU(), torch.zeros(2))
    with pytest.raises(InputError, match=r"Q1402.*script module"):
        capture(scripted, (torch.zeros(2),), {}, lambda target: True)
    assert first_line(ValueError("")) == "ValueError"
