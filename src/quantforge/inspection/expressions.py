"""The little language in which `rules.toml` writes limits: Python's arithmetic and comparisons over named numbers.

Known are + - * / // ** with exact fractions, comparisons (chained ones too), and, or, not, in, sets {1, 2}, texts,
`ceil(a / b)` and `min(a, b)`. Nothing else parses, so that a rule can do no more than compute.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

Number = int | Fraction
Value = Number | bool | str | tuple[Any, ...]
Names = Mapping[str, Any]

_ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: Fraction(a) / b,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {"ceil": math.ceil, "min": min, "max": max}


@dataclass(frozen=True)
class Expression:
    """A parsed expression: its text, and the names it reads."""

    text: str
    names: tuple[str, ...]

    def value(self, names: Names) -> Any:
        """What it comes to.

        >>> parse("kernel * ceil(ic / cp) <= 64").value({"kernel": 9, "ic": 100, "cp": 16})
        True

        Raises:
            KeyError: For a name that is not given.
        """
        return _evaluate(_tree(self.text), names)


@cache
def parse(text: str) -> Expression:
    """The expression in `text`.

    >>> parse("(kernel - 1) * dilation").names
    ('kernel', 'dilation')

    Raises:
        ValueError: For anything that the language does not have.
    """
    found: dict[str, None] = {}
    _check(_tree(text), text, found)
    return Expression(text, tuple(found))


@cache
def _tree(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"no expression: {text!r}") from error


def _check(node: ast.expr, text: str, found: dict[str, None]) -> None:
    """See that the tree has known nodes only, and collect its names from left to right."""
    if isinstance(node, ast.Name):
        found.setdefault(node.id)
    elif isinstance(node, ast.Constant):
        if not isinstance(node.value, bool | int | str):
            raise ValueError(f"{node.value!r} in {text!r}")
    elif isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords:
            raise ValueError(f"an unknown function in {text!r}")
        for argument in node.args:
            _check(argument, text, found)
    elif _known(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                _check(child, text, found)
    else:
        raise ValueError(f"{type(node).__name__} in {text!r}")


def _known(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return type(node.op) in _ARITHMETIC
    if isinstance(node, ast.Compare):
        return all(type(op) in _COMPARISONS for op in node.ops)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not | ast.USub)
    return isinstance(node, ast.BoolOp | ast.Set | ast.Tuple)


def _evaluate(node: ast.expr, names: Names) -> Any:
    if isinstance(node, ast.Name):
        return names[node.id]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.BinOp):
        return _ARITHMETIC[type(node.op)](_evaluate(node.left, names), _evaluate(node.right, names))
    if isinstance(node, ast.UnaryOp):
        value = _evaluate(node.operand, names)
        return not value if isinstance(node.op, ast.Not) else -value
    if isinstance(node, ast.BoolOp):
        results = (_evaluate(value, names) for value in node.values)
        return all(results) if isinstance(node.op, ast.And) else any(results)
    if isinstance(node, ast.Compare):
        return _compare(node, names)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _FUNCTIONS[node.func.id](*(_evaluate(argument, names) for argument in node.args))
    if isinstance(node, ast.Set | ast.Tuple):
        return tuple(_evaluate(item, names) for item in node.elts)
    raise ValueError(f"{type(node).__name__} is not in the language")


def _compare(node: ast.Compare, names: Names) -> bool:
    left = _evaluate(node.left, names)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = _evaluate(right_node, names)
        if not _COMPARISONS[type(op)](left, right):
            return False
        left = right
    return True
