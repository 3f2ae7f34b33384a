"""Numbers and variables in words."""

from __future__ import annotations

from fractions import Fraction

import pytest

from quantforge.inspection.expressions import parse
from quantforge.inspection.wording import formula, label, labelled, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (Fraction(3, 2), "1.5"),
        (Fraction(1, 3), "0.333"),
        (2.0, "2"),
        ("MAX", "MAX"),
        (True, "True"),
    ],
)
def test_numbers(value: object, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kernel_w", "kernel width"), ("stride_h", "stride height"), ("pad_front", "front padding"),
        ("dilation_d", "dilation depth"), ("oc", "output channels"), ("stride_channel", "stride of the channels"),
        ("bank_depth", "bank_depth"), ("output_padding_w", "output padding width"),
    ],
)  # fmt: skip
def test_labels(name: str, text: str) -> None:
    assert label(name) == text


def test_a_variable_with_and_without_its_value() -> None:
    assert labelled("kernel_w", 17) == "kernel width 17"
    assert labelled("kernel_w", None) == "kernel width"


def test_a_formula_shows_what_it_is_made_of() -> None:
    names = {"kernel_w": 8, "kernel_h": 8, "ic": 100, "cp": 16}
    text = formula(parse("kernel_w * kernel_h * ceil(ic / cp)"), names)
    assert text == (
        "kernel_w * kernel_h * ceil(ic / cp) = 448 "
        "(kernel width 8, kernel height 8, input channels 100, channel_parallel 16)"
    )
