from __future__ import annotations

import logging

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.notices import say_float_ops, say_frozen_buffers  # noqa: E402
from quantforge.frontends.torch.import_ import import_module  # noqa: E402
from quantforge.graph import Graph, Op, Value  # noqa: E402
from tests.unit.frontends.torch import hard_modules  # noqa: E402


def graph(*types: str) -> Graph:
    ops = [Op("opaque", f"op{i}", ("x",), (f"y{i}",), {"type": name}) for i, name in enumerate(types)]
    return Graph("Net", [Value("x"), *(Value(f"y{i}") for i in range(len(types)))], ops, ("x",))


def test_types_are_listed_in_one_line_with_their_counts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pytorch_nndct"):
        say_float_ops(graph("aten.sort", "MyOp", "aten.sort"), ("MyOp",))
    assert len(caplog.records) == 1
    assert "Q1460 module 'Net' (QUANTIZER_TORCH_FLOAT_OP): found aten.sort (2);" in caplog.text


def test_nothing_is_said_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    say_float_ops(graph())
    say_float_ops(graph("MyOp"), ("MyOp",))
    assert not caplog.records


def test_buffers_that_forward_writes_to_are_named(caplog: pytest.LogCaptureFixture) -> None:
    say_frozen_buffers(import_module(hard_modules.Buffered(), torch.zeros(2, 4)))
    assert "Q1462 module 'Buffered': found forward writes to calls, mean;" in caplog.text
    caplog.clear()
    say_frozen_buffers(graph())
    assert not caplog.records
