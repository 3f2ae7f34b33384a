"""Compiled functions run, from the cache or without one."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

from quantforge.numerics.compiled import compile_ahead, compiled


def doubled(x: Any) -> float:
    total = 0.0
    for value in x:
        total += 2.0 * value
    return total


def test_a_compiled_function_has_only_the_signatures_it_was_given() -> None:
    function: Any = compiled("float64(float64[::1])")(doubled)
    assert function(np.array([1.0, 2.0])) == 6.0
    with pytest.raises(TypeError):
        function(np.array([1, 2], np.int8))


def test_without_a_place_for_the_cache_it_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = numba.njit, []

    def njit(*args: Any, cache: bool = False, **options: Any) -> Any:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available for file")
        return real(*args, **options)

    monkeypatch.setattr(numba, "njit", njit)
    function: Any = compiled("float64(float64[::1])")(doubled)
    assert function(np.array([1.0])) == 2.0
    assert asked == [True, False]


def test_functions_compiled_ahead_are_ready_or_waited_for() -> None:
    functions: list[Any] = [compiled("float64(float64[::1])")(doubled) for _ in range(2)]
    compile_ahead(*functions)
    assert [function(np.array([1.0, 2.0])) for function in functions] == [6.0, 6.0]
    assert functions[0].compile() is functions[0].compile()


def test_the_text_of_a_function_survives() -> None:
    function = compiled("float64(float64[::1])")(doubled)
    assert function.__name__ == "doubled"
    assert function.__module__ == __name__
