from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402
from torch.utils import _pytree as pytree  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.capture import capture, first_line  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.quantizer import ModuleQuantizer  # noqa: E402
from quantforge.frontends.torch.recipes import dpu_recipe  # noqa: E402
from quantforge.frontends.torch.run import TorchExecutor  # noqa: E402
from tests.unit.frontends.torch import hard_modules  # noqa: E402
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


def test_errors_of_the_module_and_of_torch_export() -> None:
    with pytest.raises(InputError, match=r"Q1401 module Nested: found .*other"):
        capture(Nested(), (torch.zeros(2, 4),), {}, lambda target: True)
    assert first_line(ValueError("")) == "ValueError"


@pytest.mark.parametrize("name", hard_modules.cases())
def test_modules_that_are_hard_to_capture(name: str) -> None:
    """The observed module returns what the module returns, nested alike; the module is left as it was."""
    torch.manual_seed(0)
    module, args, kwargs = hard_modules.cases()[name]()
    fresh = hard_modules.cases()[name]()[0]
    fresh.load_state_dict(module.state_dict())
    want = fresh.eval()(*args, **kwargs)
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    quantizer = ModuleQuantizer(module.eval(), args, kwargs, dpu_recipe())
    with torch.no_grad():
        found = quantizer.observed_module()(*args, **kwargs)
    assert type(found) is type(want)
    assert pytree.tree_structure(found) == pytree.tree_structure(want)
    for one, wanted in zip(pytree.tree_leaves(found), pytree.tree_leaves(want), strict=True):
        if isinstance(wanted, torch.Tensor):
            torch.testing.assert_close(one, wanted, atol=1e-5, rtol=1e-4)
        else:
            assert one == wanted
    for key, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[key])
    assert "batch" in {
        dim for name in quantizer.base.inputs for dim in quantizer.base.value(name).shape or ()
    }


def test_a_loop_over_one_sample_keeps_one_sample() -> None:
    class Loop(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.stack([x[index] * 2 for index in range(x.shape[0])])

    for batch in (1, 3):
        assert sizes(capture(Loop(), (torch.zeros(batch, 4),), {}, lambda target: True)) == [batch]


def test_decisions_that_depend_on_data_are_refused_under_the_id_of_the_original() -> None:
    class Decides(nn.Module):
        def forward(self, x: Any) -> Any:
            return x if x.sum() > 0 else -x

    with pytest.raises(InputError, match=r"Q1402 module Decides \(QUANTIZER_TORCH_PYTORCH_TRACE\)"):
        capture(Decides(), (torch.zeros(2, 4),), {}, lambda target: True)


def test_hooks_checkpoints_and_casts_inside_are_followed() -> None:
    class Inside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
            self.first.register_forward_hook(lambda module, inputs, output: output * 2)

        def forward(self, x: Any) -> Any:
            x = checkpoint(self.first, x, use_reentrant=False)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.second(x).float()

    module, x = Inside().eval(), hard_modules.randn(2, 4)
    graph = import_module(module, x)
    found = TorchExecutor().session(graph, graph.outputs).run({graph.inputs[0]: x.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found[graph.outputs[0]]), module(x))
