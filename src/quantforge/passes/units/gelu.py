"""Recognise GELU where a model writes it as several operators.

    gelu(x)  = x/2 (1 + erf(x / sqrt 2))                                    "none"
             ~ x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))                "tanh"
             ~ x / (1 + exp(-1.702 x)) = x sigmoid(1.702 x)                 "quick"

Why: erf(x / sqrt 2) is almost -1 or 1 where x is not small, and 1 + erf loses there what eight bits cannot hold; x^3
has 27 times the range of x at x = 3. Rounded between its operators, GELU costs many times the error of its result.
A region is taken for a GELU when it agrees with one of the three to 1e-4 on points from -6 to 6; the tanh and the
quick form differ from the first by up to 5e-4 and 0.02, so that they are told apart.
Reference: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from quantforge.graph import Array, Graph, Op
from quantforge.ops.nonlinear import gelu, sigmoid
from quantforge.passes.result import Note
from quantforge.passes.units.regions import ARITHMETIC, downstream, region, upstream, values_of
from quantforge.passes.units.unit import Unit, Units, unit_of

NAME = "group-gelu"
CLOSE = 1e-4
_ANCHORS = ("erf", "tanh", "sigmoid")
_KINDS = ARITHMETIC | set(_ANCHORS)
_POINTS = np.linspace(-6.0, 6.0, 97)
FORMS: dict[str, Callable[[Array], Array]] = {
    "none": lambda x: gelu(Op("gelu", "", ("x",), ("y",)), x),
    "tanh": lambda x: gelu(Op("gelu", "", ("x",), ("y",), {"approximate": "tanh"}), x),
    "quick": lambda x: x * sigmoid(1.702 * x),
}


def find_gelus(graph: Graph) -> Units:
    """Every GELU; an erf that belongs to none is noted, and so is one whose inner values something else reads."""
    units, notes = [], []
    for op in graph.ops:
        if op.kind not in _ANCHORS:
            continue
        found = _gelu_around(graph, op)
        if isinstance(found, Unit):
            units.append(found)
        elif found is not None:
            notes.append(found)
    return Units(tuple(units), tuple(notes))


def _gelu_around(graph: Graph, anchor: Op) -> Unit | Note | None:
    sources = upstream(graph, anchor.inputs[0], _KINDS)
    refusal = None
    for result in downstream(graph, anchor.outputs[0], _KINDS):
        for source in sources:
            ops = region(graph, source, result, _KINDS)
            if ops is None or not any(op.name == anchor.name for op in ops):
                continue
            if form_of(values_of(graph, ops, source, result, _POINTS)) is None:
                continue
            found = unit_of(graph, "gelu", NAME, [op.name for op in ops], result, [source])
            if isinstance(found, Unit):
                return found
            refusal = refusal or found
    if refusal is None and anchor.kind == "erf":
        return Note(NAME, anchor.name, False, "what is around this erf computes no GELU")
    return refusal


def form_of(values: Array) -> str | None:
    """The form of GELU that has these values on the points, None when none has."""
    if values.shape != _POINTS.shape:
        return None
    for form in FORMS:
        if np.all(np.abs(values - _expected(form)) < CLOSE):
            return form
    return None


@cache
def _expected(form: str) -> Array:
    return FORMS[form](_POINTS)
