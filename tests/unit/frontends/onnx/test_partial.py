"""Arithmetic on partly known shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.frontends.onnx.partial import evaluate, is_known, settle, shape_of

I64 = np.int64


def value(*items: object) -> Any:
    out = np.empty(len(items), object)
    out[:] = items
    return out


def ints(*items: int) -> Any:
    return np.array(items, I64)


def test_a_shape_keeps_names_and_unknowns() -> None:
    shape = shape_of(("N", 3, None))
    assert shape.tolist() == ["N", 3, None]
    assert not is_known(shape) and is_known(shape[1:2])


@pytest.mark.parametrize(
    ("op_type", "attributes", "inputs", "want"),
    [
        ("Shape", {"start": 1}, (value("N", 3, 4),), [3, 4]),
        ("Gather", {}, (value("N", 3, 4), np.array(0)), "N"),
        ("Concat", {"axis": 0}, (value("N"), ints(-1)), ["N", -1]),
        ("Unsqueeze", {"axes": [0]}, (np.array("N", object),), ["N"]),
        ("Squeeze", {}, (value("N"),), "N"),
        ("Slice", {}, (value("N", 3, 4), ints(1), ints(3)), [3, 4]),
        ("Slice", {"starts": [0], "ends": [1]}, (value("N", 3),), ["N"]),
        ("Mul", {}, (value("N", 3, None), ints(1, 2, 1)), ["N", 6, None]),
        ("Mul", {}, (value("N"), ints(2)), [None]),
        ("Add", {}, (ints(0, 4), value("N", 3)), ["N", 7]),
        ("Sub", {}, (value("N", 7), ints(0, 9)), ["N", -2]),
        ("Div", {}, (ints(-7, 7), ints(2, -2)), [-3, -3]),
        ("Div", {}, (value("N"), ints(1)), ["N"]),
        ("Equal", {}, (value("N", 3), ints(-1, 3)), [False, True]),
        ("Equal", {}, (value("N"), ints(3)), [None]),
        ("Where", {}, (value(None, True), value("N", "M"), value("N", 4)), ["N", "M"]),
        ("ConstantOfShape", {"value": np.array([7], I64)}, (ints(2),), [7, 7]),
        ("Range", {}, (np.array(0), np.array(5), np.array(2)), [0, 2, 4]),
        ("Cast", {"to": 7}, (value("N"),), ["N"]),
        ("Cast", {"to": 1}, (ints(2),), [2.0]),
        ("ReduceProd", {"keepdims": 0}, (ints(2, 3),), 6),
        ("Size", {}, (ints(2, 3),), 6),
        ("Reshape", {}, (value("N", 1, 2, 3), ints(2, 2)), [["N", 1], [2, 3]]),
        ("Transpose", {}, (np.arange(4).reshape(2, 2),), [[0, 2], [1, 3]]),
        ("Expand", {}, (ints(4), ints(3)), [4, 4, 4]),
        ("Min", {}, (value("N", 3), value("N", 2)), ["N", 2]),
        ("Neg", {}, (value("N", 3),), [None, -3]),
        ("Floor", {}, (np.array([2.5], np.float32),), [2.0]),
    ],
)
def test_rules(op_type: str, attributes: dict[str, Any], inputs: tuple[Any, ...], want: object) -> None:
    result = evaluate(op_type, attributes, inputs)
    assert result is not None and result.tolist() == want


@pytest.mark.parametrize(
    ("op_type", "attributes", "inputs"),
    [
        ("Conv", {}, (ints(1),)),
        ("Size", {}, (value("N"),)),
        ("Gather", {}, (ints(1, 2), value("N"))),
        ("Gather", {}, (ints(1, 2), np.array(9))),
        ("Concat", {"axis": 3}, (ints(1), ints(2))),
        ("ConstantOfShape", {}, (ints(1 << 20),)),
        ("Range", {}, (np.array(0), np.array(10**9), np.array(1))),
        ("Div", {}, (ints(1), ints(0))),
    ],
)
def test_what_cannot_be_known_is_left_alone(
    op_type: str, attributes: dict[str, Any], inputs: tuple[Any, ...]
) -> None:
    assert evaluate(op_type, attributes, inputs) is None


def test_settling_gives_plain_arrays() -> None:
    settled = settle(value(I64(2), I64(3)), "int64")
    assert settled.dtype == np.int64 and settled.tolist() == [2, 3]
