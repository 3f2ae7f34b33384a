"""Everything in a model as text, and its long attributes as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quantforge.debugging.describe import md5
from quantforge.files import write_atomic
from quantforge.xmodel.model import Attrs, Subgraph, XModel
from quantforge.xmodel.trees import in_order

_EDGE = 16  # bytes shown from each end of a long attribute


def text_dump(model: XModel) -> str:
    """The model as lines: graph, operators with tensors, tree of subgraphs; bytes as size, MD5 and their ends."""
    return "\n".join((*_graph_lines(model), *_op_lines(model), *_tree_lines(model, model.root, 0))) + "\n"


def blobs(model: XModel) -> dict[str, bytes]:
    """Every attribute that holds bytes, by the MD5 sum that `text_dump` prints."""
    return {md5(data): data for attrs in _all_attrs(model) for data in _bytes_in(attrs) if data}


def write_blobs(model: XModel, folder: Path) -> list[Path]:
    """Each of `blobs` as ``<md5>.bin`` in `folder`.

    Raises:
        InputError: Q0601 when they cannot be written.
    """
    return [write_atomic(folder / f"{digest}.bin", data) for digest, data in blobs(model).items()]


def write_registers(model: XModel, folder: Path) -> list[Path]:
    """Programs and parameters of the DPU subgraphs: ``sg_<index>/mc_code.bin`` and ``sg_<index>/REG_<n>.bin``.

    Subgraphs count as in `subgraph_list`; what is absent or empty in the model has no file.

    Raises:
        InputError: Q0601 when they cannot be written.
    """
    written = []
    for index, part in enumerate(in_order(model, model.root.children)):
        if part.get("device") != "DPU":
            continue
        contents = {name: part.get(name, b"") for name in ("mc_code", "mc_code_preload")}
        contents |= part.get("reg_id_to_parameter_value", {})
        place = folder / f"sg_{index}"
        place.mkdir(parents=True, exist_ok=True)
        written += [write_atomic(place / f"{name}.bin", data) for name, data in contents.items() if data]
    return written


def _graph_lines(model: XModel) -> Iterator[str]:
    yield f"graph: {model.name}"
    yield from _attr_lines(model.attrs, "  ")


def _op_lines(model: XModel) -> Iterator[str]:
    for op in model.ops.values():
        yield f"op: {op.name}"
        yield f"  type: {op.kind}"
        for arg, names in op.args.items():
            yield f"  input {arg}: {', '.join(names)}"
        yield from _attr_lines(op.attrs, "  ")
        shape = ", ".join(map(str, op.tensor.shape))
        yield f"  tensor: {op.tensor.name} {op.tensor.dtype} [{shape}]"
        yield from _attr_lines(op.tensor.attrs, "    ")


def _tree_lines(model: XModel, tree: Subgraph, depth: int) -> Iterator[str]:
    indent = "  " * depth
    yield f"{indent}subgraph: {tree.name}"
    yield from _attr_lines(tree.attrs, f"{indent}  ")
    if depth or not tree.children:
        yield from (f"{indent}  - {name}" for name in tree.ops)
    for child in in_order(model, tree.children):
        yield from _tree_lines(model, child, depth + 1)


def _attr_lines(attrs: Attrs, indent: str) -> Iterator[str]:
    for name, attr in sorted(attrs.items()):
        yield f"{indent}{name} ({attr.kind}): {_text(attr.value)}"


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return _bytes_text(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in sorted(value.items())) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_text, value)) + "]"
    return str(value)


def _bytes_text(data: bytes) -> str:
    ends = (
        data.hex(" ") if len(data) <= 2 * _EDGE else f"{data[:_EDGE].hex(' ')} ... {data[-_EDGE:].hex(' ')}"
    )
    return f"bytes size={len(data)} md5={md5(data)} {ends}".rstrip()


def _all_attrs(model: XModel) -> Iterator[Attrs]:
    yield model.attrs
    for op in model.ops.values():
        yield op.attrs
        yield op.tensor.attrs
    pending = [model.root]
    while pending:
        tree = pending.pop()
        yield tree.attrs
        pending += tree.children


def _bytes_in(attrs: Attrs) -> Iterator[bytes]:
    for attr in attrs.values():
        items = attr.value.values() if isinstance(attr.value, dict) else attr.value
        if isinstance(attr.value, bytes):
            yield attr.value
        elif isinstance(attr.value, dict | tuple):
            yield from (item for item in items if isinstance(item, bytes))
