"""The rules that every .xmodel keeps: names, order, arguments, attributes, sizes, and the tree of subgraphs."""

from __future__ import annotations

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import XModel
from quantforge.xmodel.operator_rules import check_operator
from quantforge.xmodel.shapes import infer_shape
from quantforge.xmodel.trees import check_tree


def check(model: XModel) -> None:
    """See that a model that was read keeps the rules that readers insist on.

    Attributes that another tool wrote in a kind that means the same are brought to the defined kind.

    Raises:
        InputError: Q0903 for an operator that reads one that is not before it, Q0905 to Q0907 and Q0914 for one
            that does not fit its definition (`operator_rules.check_operator`), Q0908 for a shape that is empty or has
            a size below 1, Q0909 and Q0910 for the tree (`trees.check_tree`).
    """
    _check(model, lenient=True)


def validate(model: XModel) -> None:
    """See that a model can be written.

    Raises:
        InputError: As `check`; also Q0904 for a repeated tensor name, Q0907 for any attribute of another kind, and
            Q0912 where a tensor's shape is not the one that its operator gives, or inputs do not fit each other.
    """
    _check(model, lenient=False)
    _check_tensor_names(model)
    for op in model.ops.values():
        inferred = infer_shape(model, op)
        if inferred is not None and inferred != op.tensor.shape:
            found = f"the stored shape {list(op.tensor.shape)}"
            expected = f"{list(inferred)}, after inputs and attributes"
            raise InputError("Q0912", f"{op.name} ({op.kind})", found, expected, "correct one of them")


def _check(model: XModel, lenient: bool) -> None:
    seen: set[str] = set()
    for op in model.ops.values():
        for producer in op.producers:
            if producer not in seen:
                late = producer in model.ops
                found = f"reads {producer!r}, which {'comes later' if late else 'does not exist'}"
                fix = "list operators after what they read" if late else "add the operator, or read another"
                raise InputError("Q0903", op.name, found, "producers first", fix)
        seen.add(op.name)
        if not op.tensor.shape or min(op.tensor.shape) < 1:
            expected = "at least one size, all of them 1 or more (a scalar is [1])"
            found, fix = f"shape {list(op.tensor.shape)}", "give all sizes as numbers"
            raise InputError("Q0908", op.name, found, expected, fix)
        check_operator(op, lenient)
    check_tree(model)


def _check_tensor_names(model: XModel) -> None:
    makers: dict[str, str] = {}
    for op in model.ops.values():
        other = makers.setdefault(op.tensor.name, op.name)
        if other != op.name:
            found = f"the tensor name {op.tensor.name!r}, which {other!r} has"
            raise InputError("Q0904", op.name, found, "unique names", "rename one of the tensors")
