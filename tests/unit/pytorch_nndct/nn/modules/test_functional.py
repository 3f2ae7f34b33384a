from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch.nn import functional as F  # noqa: E402, N812

from pytorch_nndct.nn import functional as short  # noqa: E402
from pytorch_nndct.nn.modules import functional  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.run import TorchExecutor  # noqa: E402

X = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).abs() + 0.1

CASES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "Add": (lambda m: m(X, X, alpha=2), lambda x: torch.add(x, x, alpha=2)),
    "Sub": (lambda m: m(X, X * 3), lambda x: x - x * 3),
    "AddScalar": (lambda m: m(X, 2.5), lambda x: x + 2.5),
    "Mul": (lambda m: m(X, X), lambda x: x * x),
    "Matmul": (lambda m: m(X, X), lambda x: x @ x),
    "Cat": (lambda m: m([X, X], dim=1), lambda x: torch.cat([x, x], 1)),
    "Max": (lambda m: m(X, 1)[0], lambda x: torch.max(x, 1)[0]),
    "Sum": (lambda m: m(X, dim=1, keepdim=True), lambda x: x.sum(1, keepdim=True)),
    "Mean": (lambda m: m(X, (2, 3)), lambda x: x.mean((2, 3))),
    "Interpolate": (lambda m: m(X, scale_factor=2.0), lambda x: F.interpolate(x, scale_factor=2.0)),
    "Upsample": (lambda m: m(X, size=(8, 8)), lambda x: F.interpolate(x, (8, 8))),
    "Pad": (lambda m: m(X, (1, 1), value=0.5), lambda x: F.pad(x, (1, 1), value=0.5)),
    "Softmax": (lambda m: m(X, 1), lambda x: x.softmax(1)),
    "Clamp": (lambda m: m(X, max=1.0), lambda x: x.clamp(max=1.0)),
    "Transpose": (lambda m: m(X, 1, 2), lambda x: x.transpose(1, 2)),
    "Sqrt": (lambda m: m(X), lambda x: x.sqrt()),
    "Const": (lambda m: m() + X, lambda x: 1.5 + x),
}  # fmt: skip


def made(name: str) -> Any:
    return getattr(functional, name)(1.5) if name == "Const" else getattr(functional, name)()


@pytest.mark.parametrize("name", CASES)
def test_the_module_computes_what_the_function_computes(name: str) -> None:
    call, want = CASES[name]
    torch.testing.assert_close(call(made(name)), want(X), atol=0, rtol=0)


def test_all_names_are_here_and_under_the_short_path() -> None:
    assert set(functional.__all__) == set(CASES)
    assert short.Add is functional.Add
    import pytorch_nndct.nn.functional as named

    assert named.Add is functional.Add


def test_gradients_pass() -> None:
    x = X.clone().requires_grad_()
    functional.Sub()(functional.Mul()(x, x), x).sum().backward()
    torch.testing.assert_close(x.grad, 2 * X - 1)


def test_under_capture_an_operation_is_called_after_its_module() -> None:
    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.skip_add, self.join, self.scale = functional.Add(), functional.Cat(), functional.Const(2.0)

        def forward(self, x: Any) -> Any:
            return self.join([self.skip_add(x, x), x * self.scale()], 1)

    graph = import_module(Block(), X)
    assert [op.name for op in graph.ops] == ["skip_add", "mul", "join"]
    found = TorchExecutor().session(graph, graph.outputs).run({graph.inputs[0]: X.numpy()})
    torch.testing.assert_close(torch.from_numpy(found[graph.outputs[0]]), torch.cat([X + X, X * 2], 1))
