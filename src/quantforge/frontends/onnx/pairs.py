"""Which nodes stand for the spec of a value, by form: `qdq` for the standard's, `vitis_nodes` for the others.

In forms QDQ and QDQ_PAIRS a value that the standard's operators cannot store (more than 16 bits, but for biases in
int32) has those of form VITIS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import or_
from typing import Any

from quantforge.frontends.onnx import qdq, vitis_nodes
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.qdq import QdqNames
from quantforge.frontends.onnx.vitis_functions import Uses
from quantforge.graph import Array, Graph, Value

_STANDARD = (Form.QDQ, Form.QDQ_PAIRS)
Constant = Callable[[str, Array], str]


def form_of(value: Value, form: Form) -> Form:
    """The form in which one value of a model in `form` is written."""
    if form is Form.QOPERATOR:  # its borders
        form = Form.QDQ
    if form not in _STANDARD:
        return form
    if not qdq.is_native(value):
        return Form.VITIS
    return form if value.is_const and qdq.has_pair(value) else Form.QDQ


def least_opset(values: Iterable[Value], form: Form) -> int:
    """The oldest opset that can store all of `values`.

    Raises:
        UnsupportedError: Q0602 to Q0604, Q0610 for a spec that the form cannot express.
    """
    needs, uses = [0], []
    for value in values:
        own = form_of(value, form)
        qdq.check_tensor(value)
        if own in _STANDARD:
            needs.append(qdq.least_opset(value))
        else:
            vitis_nodes.check_expressible(value, own)
            uses.append(vitis_nodes.uses_of_value(value, own))
    return max([*needs, reduce(or_, uses, Uses()).least_opset]) if uses else max(needs)


def is_stored(graph: Graph, value: Value, form: Form) -> bool:
    """Whether nodes stand for the spec of a constant; otherwise it is written as the real numbers that it is."""
    return form_of(value, form) is not Form.QDQ or qdq.has_integer_form(graph, value)


def constant_names(value: Value, form: Form) -> QdqNames:
    """Tensor names around a quantized constant: what is stored, and the real values that consumers read."""
    if form_of(value, form) is Form.QDQ:
        return qdq.constant_names(value)
    return QdqNames(value.name, f"{value.name}_DequantizeLinear_Output")


def activation_nodes(value: Value, names: QdqNames, constant: Constant, form: Form) -> list[Any]:
    """The nodes between what the producer of a value makes and what its consumers read."""
    own = form_of(value, form)
    if own is Form.QDQ:
        return qdq.activation_nodes(value, names, constant)
    return vitis_nodes.activation_nodes(value, names, constant, own)


def constant_nodes(value: Value, names: QdqNames, constant: Constant, form: Form) -> list[Any]:
    """The nodes behind a stored constant."""
    own = form_of(value, form)
    if own is Form.QDQ:
        return qdq.constant_nodes(value, names, constant)
    if own is Form.QDQ_PAIRS:
        return qdq.constant_pair(value, names, constant)
    return vitis_nodes.constant_nodes(value, names, constant, own)
