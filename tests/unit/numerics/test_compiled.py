"""Compiled functions run: from kept machine code, from numba's cache, or without either."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from quantforge.numerics import machine_code
from quantforge.numerics.compiled import compile_ahead, compiled

ARGUMENTS = ("float64[1] const", "float64", "float64[1]")


def scaled(x: Any, factor: float, y: Any) -> None:
    for i in range(x.size):
        y[i] = factor * x[i]


def reversed_copy(x: Any, factor: float, y: Any) -> None:
    """Makes an array, for which it needs numba's memory manager."""
    copy = np.empty(x.size)
    for i in range(x.size):
        copy[x.size - 1 - i] = factor * x[i]
    y[:] = copy[:]


def run(function: Any, *x: float) -> list[float]:
    y = np.zeros(len(x))
    function(np.array(x), 2.0, y)
    return [float(value) for value in y]


def test_a_compiled_function_takes_only_what_was_declared() -> None:
    function: Any = compiled(*ARGUMENTS)(scaled)
    assert run(function, 1.0, 3.0) == [2.0, 6.0]
    with pytest.raises(TypeError):
        function(np.array([1, 2], np.int8), 2.0, np.zeros(2))


@pytest.mark.slow
def test_what_cannot_be_kept_is_compiled_by_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    function: Any = compiled(*ARGUMENTS)(reversed_copy)
    assert run(function, 1.0, 3.0) == [6.0, 2.0]
    real, asked = numba.njit, []

    def njit(*args: Any, cache: bool = False, **options: Any) -> Any:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available for file")
        return real(*args, **options)

    monkeypatch.setattr(numba, "njit", njit)
    monkeypatch.setattr(machine_code, "keep", lambda *known: None)
    again: Any = compiled(*ARGUMENTS)(reversed_copy)
    assert run(again, 1.0, 3.0) == [6.0, 2.0]
    assert asked == [True, False]


def test_functions_compiled_ahead_are_ready_or_waited_for() -> None:
    functions: list[Any] = [compiled(*ARGUMENTS)(scaled) for _ in range(2)]
    compile_ahead(*functions)
    assert [run(function, 1.0) for function in functions] == [[2.0], [2.0]]
    assert functions[0].compile() is functions[0].compile()


def test_the_text_of_a_function_survives() -> None:
    function = compiled(*ARGUMENTS)(scaled)
    assert function.__name__ == "scaled"
    assert function.__module__ == __name__
