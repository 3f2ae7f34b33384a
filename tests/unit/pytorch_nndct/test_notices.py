from __future__ import annotations

import logging

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.notices import say_float_ops
from quantforge.graph import Graph, Op, Value


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
