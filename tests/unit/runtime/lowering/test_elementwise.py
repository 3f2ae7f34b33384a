from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import XModel
from tests.compiled_xmodels import single
from tests.unit.runtime.lowering.graphs import lowered_nodes

X = np.zeros((1, 2, 2, 3), np.int8)


def pair(mode: str, positions: tuple[int, int] = (4, 5), out: int = 3, **attrs: Any) -> XModel:
    return single("eltwise-fix", [X, X], positions, X.shape, out, round_mode=mode, **attrs)


def test_ties_to_even_are_one_node() -> None:
    assert lowered_nodes(pair("PY3_ROUND", type="ADD")) == ["QLinearAdd"]
    assert lowered_nodes(pair("PY3_ROUND", type="MUL")) == ["QLinearMul"]
    assert lowered_nodes(pair("PY3_ROUND", type="ADD", nonlinear="RELU")) == ["QLinearAdd", "Clip"]


def test_other_ties_are_rounded_in_floats() -> None:
    nodes = lowered_nodes(pair("DPU_ROUND", type="ADD"))
    assert "QLinearAdd" not in nodes
    assert nodes[-1] == "Cast"
    assert "Floor" in nodes


def test_positions_too_far_apart_are_not_quick() -> None:
    assert "QLinearAdd" not in lowered_nodes(pair("PY3_ROUND", (0, 13), type="ADD"))


def test_a_hard_sigmoid_is_a_table() -> None:
    assert lowered_nodes(single("hard-sigmoid-fix", [X], [4], X.shape, 7)) == ["Cast", "Gather"]


def test_other_arithmetic_is_refused() -> None:
    with pytest.raises(InputError, match=r"Q1203 result: .*'SUB'"):
        lowered_nodes(pair("PY3_ROUND", type="SUB"))
