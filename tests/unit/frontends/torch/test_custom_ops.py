from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.custom_ops import (  # noqa: E402
    Context,
    CustomOp,
    attributes_of,
    call,
    compute,
    is_custom,
    register,
    registered,
    registered_types,
)
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.run import TorchExecutor  # noqa: E402


def widen(ctx: Any, x: Any, others: Any, times: int = 2, name: Any = None) -> Any:
    ctx.save_for_backward(x)
    return torch.cat([x, *others] * times, 1)


def kept(ctx: Any, x: Any) -> Any:
    return x[x[:, 0] > -1]


def passed(ctx: Any, x: Any) -> Any:
    return x


WIDEN = register(CustomOp("TestWiden", widen, ("times", "name")))
KEPT = register(CustomOp("TestKept", kept))
PASSED = register(CustomOp("TestPassed", passed))


class Calls(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any) -> Any:
        return self.function(*args)


def test_a_call_is_one_operator_with_its_tensors_and_attributes() -> None:
    module = Calls(lambda x, y: call(WIDEN, (x, [y, x]), {"times": 3}).relu())
    graph = import_module(module, (torch.zeros(1, 2), torch.zeros(1, 1)))
    op = graph.op("function.TestWiden") if graph.has_op("function.TestWiden") else graph.ops[0]
    assert (op.kind, op.attrs["type"], op.attrs["domain"]) == ("opaque", "TestWiden", "custom")
    assert op.attrs["attr.times"] == 3 and "attr.name" not in op.attrs
    assert op.inputs == (*graph.inputs, graph.inputs[0])
    assert graph.value(op.outputs[0]).shape == ("batch", 15)
    x, y = torch.randn(4, 2), torch.randn(4, 1)
    feeds = dict(zip(graph.inputs, (x.numpy(), y.numpy()), strict=True))
    found = TorchExecutor().session(graph, graph.outputs).run(feeds)[graph.outputs[0]]
    assert torch.equal(torch.from_numpy(found), module(x, y))


def test_functions_that_look_at_data_and_that_return_their_input_are_captured() -> None:
    for op in (KEPT, PASSED):
        graph = import_module(Calls(lambda x, op=op: call(op, (x,), {}) + 1), torch.zeros(3, 2))
        assert graph.value(graph.ops[0].outputs[0]).shape == ("batch", 2)


def test_a_size_that_does_not_grow_with_the_batch_fixes_the_batch() -> None:
    odd = register(CustomOp("TestOdd", lambda ctx, x: torch.cat([x, x[:1]])))
    graph = import_module(Calls(lambda x: call(odd, (x,), {})), torch.zeros(3, 2))
    assert graph.value(graph.inputs[0]).shape == (3, 2)


def test_outside_of_an_export_the_function_is_called_and_gradients_pass() -> None:
    x = torch.ones(1, 2, requires_grad=True)
    call(WIDEN, (x, []), {}).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[2, 2]]
    text = '{"x": {"tensor": 0}, "others": [{"tensor": 0}], "times": 1, "name": "a"}'
    found = torch.ops.quantforge.custom_op("TestWiden", [torch.ones(1, 2)], text)
    assert found.shape == (1, 4) and attributes_of("TestWiden", text) == {"times": 1, "name": "a"}
    assert is_custom(torch.ops.quantforge.custom_op.default) and not is_custom(len)


def test_the_same_function_again_takes_its_place_another_one_is_refused() -> None:
    assert register(CustomOp("TestPassed", passed)) is registered("TestPassed") is not PASSED
    with pytest.raises(InputError, match="Q1455"):
        register(CustomOp("TestPassed", widen))
    assert "TestPassed" in registered_types()


def test_what_files_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"Q1456 .*'TestUnknown'"):
        compute("TestUnknown", [], "{}")
    register(CustomOp("TestPair", lambda ctx, x: (x, x)))
    with pytest.raises(InputError, match=r"Q1457 .*tuple"):
        compute("TestPair", [torch.zeros(1)], '{"x": {"tensor": 0}}')
    with pytest.raises(InputError, match=r"Q1402.*Q1457.*type dtype|Q1457 .*type dtype"):
        import_module(Calls(lambda x: call(WIDEN, (x, []), {"name": torch.float32})), torch.zeros(3, 2))


def test_the_context_records() -> None:
    context = Context()
    context.save_for_backward(1, 2)
    context.mark_dirty()
    context.mark_non_differentiable()
    context.set_materialize_grads(False)
    assert context.saved_tensors == (1, 2) and context.needs_input_grad == ()
