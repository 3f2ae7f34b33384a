from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quantforge.diagnostics import InputError
from quantforge.graph.tokens import LineReader


def test_tokens_in_order() -> None:
    line = LineReader('%a/b:0: "x y" conv-2d -1.5e-3 12 [a,b,] _ %"q \\" #"', 1)
    assert line.name() == "a/b:0"
    line.expect(":")
    assert (line.string(), line.word(), line.number(), line.integer()) == ("x y", "conv-2d", -0.0015, 12)
    assert line.listed("[", "]", line.word) == ["a", "b"]
    assert line.name() == "" and line.name() == 'q " #'
    assert line.next == "" and not line.accept("x")


def test_empty_lists_and_special_numbers() -> None:
    line = LineReader("() inf nan -inf", 1)
    assert line.listed("(", ")", line.word) == []
    assert line.number() == float("inf") and line.number() != line.number()


@pytest.mark.parametrize(
    ("text", "read", "expected"),
    [
        ("x", LineReader.name, "a value name such as %x"),
        ("x", LineReader.string, "a string in quotes"),
        ("%x", LineReader.word, "a word"),
        ("1.5", LineReader.integer, "an integer"),
        ("one", LineReader.number, "a number"),
        ("x", lambda line: line.expect("="), "'='"),
    ],
)
def test_what_does_not_stand_there_is_quoted(
    text: str, read: Callable[[LineReader], Any], expected: str
) -> None:
    with pytest.raises(InputError) as error:
        read(LineReader(text, 7))
    assert str(error.value).startswith(f"Q0407 line 7: found {text!r}; expected {expected}; ")
