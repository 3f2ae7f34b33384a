from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quantforge.diagnostics import InputError
from quantforge.ops.attributes import flag, floats, integer, ints, mismatch, number, optional, present, text
from tests.unit.ops.single_op import make_op

OP = make_op("pad", pads=(1, 2), value=1, mode="edge", scales=(1, 0.5), keep=1)


def test_what_is_there_is_read() -> None:
    assert ints(OP, "pads") == (1, 2) and floats(OP, "scales") == (1.0, 0.5)
    assert integer(OP, "value") == 1 and number(OP, "value") == 1.0
    assert text(OP, "mode", choices=("edge",)) == "edge" and flag(OP, "keep") and not flag(OP, "other")
    assert ints(OP, "axes", (3,)) == (3,) and text(OP, "other", "x") == "x"
    assert present(OP, [None, 5], 1) == 5 and optional([5], 1) is None and optional([5], 0) == 5


@pytest.mark.parametrize(
    ("read", "name", "message"),
    [
        (ints, "mode", "attribute mode='edge'; expected a tuple of integers"),
        (ints, "scales", "expected a tuple of integers"),
        (floats, "axes", "pad without attribute axes; expected a tuple of numbers"),
        (integer, "pads", "expected an integer"),
        (number, "mode", "expected a number"),
        (
            text,
            "value",
            "attribute value=1; expected a string; try: correct value, or leave the operator opaque",
        ),
    ],
)
def test_what_is_not_is_named(read: Callable[..., Any], name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        read(OP, name)
    assert str(error.value).startswith("Q0405 the pad: found ") and message in str(error.value)


def test_choices_and_missing_inputs() -> None:
    with pytest.raises(InputError, match="Q0405 the pad: found attribute mode='edge'; expected one of a, b"):
        text(OP, "mode", choices=("a", "b"))
    with pytest.raises(
        InputError, match="Q0404 the pad: found pad without input 0; expected all required inputs"
    ):
        present(OP, [None])
    assert str(mismatch(OP, "this", "that")).startswith("Q0404 the pad: found this; expected that; try: ")
