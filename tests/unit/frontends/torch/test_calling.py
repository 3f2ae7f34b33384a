from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.calling import Calling  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.graph import Graph  # noqa: E402
from tests.unit.frontends.torch.modules import Nested  # noqa: E402


def nested() -> Calling:
    x = torch.zeros(2, 4, 3)
    return Calling(import_module(Nested(), (x,), {"other": x}), Nested().forward)


def test_arguments_are_found_by_place_and_by_name() -> None:
    x, other = torch.randn(3, 4, 3), torch.randn(3, 4, 3)
    calling = nested()
    for args, kwargs in (((x,), {"other": other}), ((), {"x": x, "other": other})):
        found = calling.inputs(args, kwargs)
        assert found["x"] is x and found["other"] is other
        assert set(calling.sizes(found).values()) == {3}


def test_other_arguments_are_refused() -> None:
    with pytest.raises(InputError) as caught:
        nested().inputs((torch.zeros(2, 4, 3), 1, 2), {})
    assert caught.value.diagnostic.code == "Q1408"


def test_a_graph_of_another_framework_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Calling(Graph("g"), Nested().forward)
    assert caught.value.diagnostic.code == "Q1406"
