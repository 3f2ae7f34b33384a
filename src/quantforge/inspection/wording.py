"""How numbers and variables of the rules are written in reasons."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from quantforge.inspection.expressions import Expression, Names

_WORDS = {
    "ic": "input channels",
    "oc": "output channels",
    "cp": "channel_parallel",
    "kernel": "kernel",
    "stride": "stride",
    "dilation": "dilation",
    "w": "width",
    "h": "height",
    "d": "depth",
    "batch": "of the batch",
    "channel": "of the channels",
    "pad": "padding",
    "scale": "scale",
    "output": "output",
    "padding": "padding",
}


def number(value: Any) -> str:
    """A number as one reads it: whole, or with up to three decimals.

    >>> number(Fraction(5, 2)), number(Fraction(4, 2)), number(3), number("CONSTANT")
    ('2.5', '2', '3', 'CONSTANT')
    """
    if isinstance(value, Fraction | float):
        return f"{float(value):.3f}".rstrip("0").rstrip(".")
    return str(value)


def label(name: str) -> str:
    """The words for a variable.

    >>> label("kernel_w"), label("pad_left"), label("ic")
    ('kernel width', 'left padding', 'input channels')
    """
    first, _, second = name.partition("_")
    if first == "pad":
        return f"{second} padding"
    if name in _WORDS or first not in _WORDS:
        return _WORDS.get(name, name)
    words = [_WORDS.get(part, part) for part in name.split("_")]
    return " ".join(words)


def labelled(name: str, value: Any) -> str:
    """A variable with its value.

    >>> labelled("stride_h", 8)
    'stride height 8'
    """
    return label(name) if value is None else f"{label(name)} {number(value)}"


def formula(check: Expression, names: Names) -> str:
    """A checked expression with its value and what it is made of.

    >>> from quantforge.inspection.expressions import parse
    >>> formula(parse("kernel_w"), {"kernel_w": 17})
    'kernel width 17'
    >>> formula(parse("dilation_w * ic"), {"dilation_w": 3, "ic": 2048})
    'dilation_w * ic = 6144 (dilation width 3, input channels 2048)'
    """
    if check.names == (check.text,):
        return labelled(check.text, names[check.text])
    parts = ", ".join(labelled(name, names[name]) for name in check.names)
    return f"{check.text} = {number(check.value(names))} ({parts})"
