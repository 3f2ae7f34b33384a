from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.run import TorchExecutor  # noqa: E402
from quantforge.frontends.torch.wrappers import (  # noqa: E402
    class_name,
    in_float32,
    is_parallel,
    other_floats,
    plain_module,
    unwrapped,
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x).mean((2, 3)))


X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def test_wrappers_come_off_in_any_order() -> None:
    module = Net()
    for wrapped in (nn.DataParallel(module), torch.compile(module), torch.compile(nn.DataParallel(module))):
        assert unwrapped(wrapped) is module and class_name(wrapped) == "Net"
    assert is_parallel(nn.DataParallel(module)) and not is_parallel(module)


def test_a_compiled_module_keeps_the_names_of_its_layers() -> None:
    graph = import_module(torch.compile(Net().eval()), X)
    assert graph.name == "Net" and graph.ops[0].name == "body.0"


@pytest.mark.parametrize("make", [lambda m: torch.jit.trace(m, X), torch.jit.script])
def test_traced_and_scripted_modules_are_converted(make: Any) -> None:
    module = Net().eval()
    graph = import_module(make(module), X)
    assert graph.name == "Net" and graph.value(graph.inputs[0]).shape == ("batch", 3, 6, 6)
    assert [op.name for op in graph.ops if op.inputs[1:]] == ["body.0", "body.1", "head"]
    found = TorchExecutor().session(graph, graph.outputs).run({graph.inputs[0]: X[:1].numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found[graph.outputs[0]]), module(X[:1]))


def test_an_exported_program_is_a_module_too() -> None:
    program = torch.export.export(Net().eval(), (X,)).module()
    assert import_module(program, X).ops[0].name == "body.0"


def test_a_script_that_cannot_be_converted_is_refused_under_the_id_of_the_original() -> None:
    class Counts(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            while bool(x.sum() > 1):
                x = x / 2
            return x

    with pytest.raises(InputError, match=r"Q1402 module 'Counts' \(QUANTIZER_TORCH_TRACED_NOT_SUPPORTED\)"):
        plain_module(torch.jit.script(Counts()), (torch.ones(3),), {})


def test_floats_of_other_widths() -> None:
    module = Net()
    assert other_floats(module) == () and in_float32(module) is module
    half = Net().bfloat16()
    half.head.double()
    assert other_floats(half) == ("bfloat16", "float64")
    assert other_floats(in_float32(half)) == () and half.head.weight.dtype is torch.float64
