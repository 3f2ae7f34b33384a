"""End a model at operators of the caller's choice."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attr, Subgraph, XModel


def cut_at(model: XModel, names: Sequence[str]) -> XModel:
    """`model` with the operators `names` as its outputs, without what they do not need; itself for no names.

    An operator that a fix alone reads ends behind the fix, so that it is quantized as before. Inputs stay.

    Raises:
        InputError: Q1103 for an operator that the model does not have.
    """
    if not names:
        return model
    readers = model.consumers()
    ends = []
    for name in names:
        if name not in model.ops:
            near = difflib.get_close_matches(name, model.ops, n=1)
            fix = (
                f"did you mean {near[0]!r}?"
                if near
                else "quantforge lists the operators of a model: xdputil xmodel -l"
            )
            raise InputError("Q1103", "--options output_ops", f"{name!r}", "operators of the model", fix)
        behind = [reader for reader in readers[name] if model.ops[reader].kind == "fix"]
        ends.append(behind[0] if len(readers[name]) == len(behind) == 1 else name)
    needed: set[str] = set()
    pending = list(ends)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            pending.extend(model.ops[name].producers)
    ops = {name: op for name, op in model.ops.items() if name in needed or op.kind == "data"}
    attrs = model.attrs | {"return_ops": Attr("string_vec", tuple(ends))}
    return XModel(model.name, ops, Subgraph("root", ops=list(ops)), attrs)
