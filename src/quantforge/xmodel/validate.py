"""The rules that every .xmodel keeps: names, order, arguments, attributes, sizes, and the tree of subgraphs."""

from __future__ import annotations

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import XModel
from quantforge.xmodel.trees import check_tree


def check(model: XModel) -> None:
    """See that `model` keeps the rules of the format.

    Raises:
        InputError: Q0903 for an operator that reads one that is not before it, Q0908 for a shape that is empty or has
            a size below 1, Q0909 and Q0910 for the tree (`trees.check_tree`).
    """
    _check_order(model)
    _check_tensors(model)
    check_tree(model)


def _check_order(model: XModel) -> None:
    seen: set[str] = set()
    for op in model.ops.values():
        for producer in op.producers:
            if producer not in seen:
                late = producer in model.ops
                found = f"reads {producer!r}, which {'comes later' if late else 'does not exist'}"
                fix = "list operators after what they read" if late else "add the operator, or read another"
                raise InputError("Q0903", op.name, found, "producers first", fix)
        seen.add(op.name)


def _check_tensors(model: XModel) -> None:
    for op in model.ops.values():
        if not op.tensor.shape or min(op.tensor.shape) < 1:
            expected = "at least one size, all of them 1 or more (a scalar is [1])"
            raise InputError(
                "Q0908", op.name, f"shape {list(op.tensor.shape)}", expected, "give all sizes as numbers"
            )
