from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.frontends.torch.module import QuantizedModule  # noqa: E402
from quantforge.graph import Graph  # noqa: E402
from tests.unit.frontends.torch.modules import Nested, Residual  # noqa: E402


def nested() -> QuantizedModule:
    x = torch.zeros(2, 4, 3)
    return QuantizedModule(import_module(Nested(), (x,), {"other": x}), Nested().forward)


def test_arguments_and_results_are_nested_as_in_the_users_module() -> None:
    x, other = torch.randn(3, 4, 3), torch.randn(3, 4, 3)
    want = Nested()(x, other=other)
    module = nested()
    for found in (module(x, other=other), module(x=x, other=other), module(other=other, x=x)):
        assert list(found) == list(want) and found["count"] == 3 and found["rows"] == 3
        assert isinstance(found["pair"], tuple)
        torch.testing.assert_close(found["pair"], want["pair"])
        torch.testing.assert_close(found["sorted"], want["sorted"])
    assert module.forwards == 3


def test_other_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="Q1408"):
        nested()(torch.zeros(2, 4, 3))
    with pytest.raises(InputError, match="Q1408"):
        nested()(torch.zeros(2, 4, 3), other=None)


def test_parameters_have_their_names_and_share_memory_with_the_module() -> None:
    user = Residual().eval()
    module = QuantizedModule(import_module(user, torch.zeros(1, 3, 6, 6)), user.forward)
    state = module.state_dict()
    assert set(state) == {name for name in user.state_dict() if "num_batches" not in name}
    assert state["conv1.weight"].data_ptr() == user.conv1.weight.data_ptr()
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_observer_sees_what_it_asked_for_and_may_change_constants() -> None:
    seen: list[Any] = []

    user = Residual().eval()
    doubled = import_module(user, torch.zeros(1, 3, 6, 6))
    bias = doubled.value("conv2.bias")
    doubled.set_value(replace(bias, const=np.asarray(bias.const) + 1))

    class Watch:
        names = ("conv1", "relu_1")
        graph = doubled

        def add(self, inputs: Any, observed: Any) -> None:
            seen.append((set(inputs), {name: tensor.shape for name, tensor in observed.items()}))

    module = QuantizedModule(import_module(user, torch.zeros(1, 3, 6, 6)), user.forward, Watch())
    x = torch.randn(2, 3, 6, 6)
    torch.testing.assert_close(module(x), user(x))
    own = module.state_dict()["conv2.bias"]
    torch.testing.assert_close(own, user.conv2.bias.detach() + 1)  # the observer's graph from then on
    assert user.conv2.bias.data_ptr() != own.data_ptr()
    assert seen == [({"x"}, {"conv1": (2, 4, 6, 6), "relu_1": (2, 4, 6, 6)})]


def test_graphs_of_other_doors_are_refused() -> None:
    with pytest.raises(InputError, match="Q1406"):
        QuantizedModule(Graph("onnx"), Residual().forward)
