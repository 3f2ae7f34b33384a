"""The language of limits: right values, exact fractions, and nothing that is not in it."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.inspection.expressions import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3 - 4", 3),
        ("-a", -7),
        ("a // 2", 3),
        ("a / 2", Fraction(7, 2)),
        ("2 ** 12", 4096),
        ("min(a - 1, 15) * 2", 12),
        ("max(a, 9)", 9),
        ("1 <= a <= 7", True),
        ("1 <= a < 7", False),
        ("a == 7 and mode == 'MAX'", True),
        ("not a > 8", True),
        ("a in {1, 7}", True),
        ("mode not in ('MAX', 'AVG')", False),
        ("a < 1 or mode != 'AVG'", True),
    ],
)
def test_values(text: str, value: object) -> None:
    assert parse(text).value({"a": 7, "mode": "MAX"}) == value


@given(st.integers(1, 10**6), st.integers(1, 10**4))
def test_ceil_of_a_quotient_is_exact(a: int, b: int) -> None:
    assert parse("ceil(a / b)").value({"a": a, "b": b}) == -(-a // b) == math.ceil(Fraction(a, b))


def test_names_come_in_order_and_once() -> None:
    assert parse("kw * kh * ceil(ic / cp) + kw").names == ("kw", "kh", "ic", "cp")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "a.b",
        "f(a)",
        "[1]",
        "a[0]",
        "lambda: 1",
        "min(a, key=b)",
        "1.5",
        "a if b else c",
        "a | b",
        "~a",
        "a is b",
    ],
)
def test_nothing_else_parses(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_a_missing_name_is_named() -> None:
    with pytest.raises(KeyError, match="ic"):
        parse("ic <= 4").value({})
