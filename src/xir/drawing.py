"""Graphs as Graphviz text and as pictures, one box per operator, coloured by device."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from quantforge.diagnostics import InputError
from quantforge.files import write_atomic
from quantforge.reporting.box_drawing import Box, to_dot, to_png, to_svg
from quantforge.xmodel.model import XModel, XOp

FORMATS = ("png", "svg", "dot")
_COLOURS = {"DPU": "#bfe3c8", "CPU": "#f9d9a8", "USER": "#cfe0f7"}
_PLAIN = "#eceff3"


def save_graph(model: XModel, path: str | Path, form: str, ops: Collection[str] | None = None) -> None:
    """Write a graph, or some of its operators, as a picture or as text.

    Args:
        model: The graph.
        path: The file to write.
        form: png, svg or dot. Pictures leave constants out, and what only converts them; the text has all.
        ops: Names of the operators to draw; None for all.

    Raises:
        InputError: Q0924 for another form, Q0601 when the file cannot be written.
    """
    if form not in FORMATS:
        expected = f"one of {', '.join(FORMATS)}"
        raise InputError("Q0924", str(path), f"the format {form!r}", expected, "choose one of these")
    names = set(model.ops if ops is None else ops)
    if form != "dot":
        names -= _parameters(model)
    groups = _groups(model) if form == "dot" else {}
    boxes = [_box(op, groups.get(op.name)) for op in model.ops.values() if op.name in names]
    sources = {op.name: list(dict.fromkeys(op.producers)) for op in model.ops.values()}
    if form == "dot":
        write_atomic(path, to_dot(model.name, boxes, sources))
    else:
        write_atomic(path, to_svg(boxes, sources) if form == "svg" else to_png(boxes, sources))


def _parameters(model: XModel) -> set[str]:
    """Constants, and `fix` operators that read one."""
    found: set[str] = set()
    for op in model.ops.values():
        if op.kind in ("const", "const-fix") or (op.kind == "fix" and set(op.producers) <= found):
            found.add(op.name)
    return found


def _groups(model: XModel) -> dict[str, str]:
    """The device-level subgraph of each operator."""
    return {name: child.name for child in model.root.children for name in child.all_ops()}


def _box(op: XOp, group: str | None) -> Box:
    title = op.kind
    activation = op.get("nonlinear")
    if activation not in (None, "", "NONE"):
        title += f" + {str(activation).lower()}"
    size = "x".join(map(str, op.tensor.shape))
    tip = f"{op.name}\n{title}\n{op.tensor.dtype} {size}"
    return Box(op.name, f"{title} {size}", op.name, _COLOURS.get(op.get("device"), _PLAIN), tip, group)
