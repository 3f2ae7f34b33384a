"""A graph made ready for files of fixed sizes: one sample, and no call that only torch understands the arguments of.

A call that the graph does not know (an opaque operator) becomes, for one sample,

    a constant             where it reads constants alone, such as zeros(batch, 4)
    nothing                where it returns its input as it is, such as expand to the batch
    custom operators       of the type ``aten::roll``, one for each result that is used, with the call's arguments as
                           attributes, and all of them as JSON in `torch_arguments`: {"tensor": 0} is the first input
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from quantforge.frontends.torch.native import NativeCall, NativeModule, Ref, Size
from quantforge.frontends.torch.run import TorchExecutor
from quantforge.graph import Array, Attr, Graph, Op, Origin

CUSTOM = "custom"
ARGUMENTS, OUTPUT = "torch_arguments", "torch_output"
_TORCH = "torch"
_OF_SHAPE = frozenset(
    f"aten.{name}" for name in ("zeros_like", "ones_like", "full_like")
)  # no numbers are read


def deployable(graph: Graph) -> Graph:
    """A copy of a torch graph for one sample, float or quantized, as described above.

    Raises:
        InputError: Q1403 when it cannot be run on one sample.
    """
    calls = [op for op in graph.ops if _is_call(op)]
    if not calls:
        return graph
    seen = _results(graph, calls)
    written = Graph(graph.name, graph.values, (), graph.inputs, graph.outputs, graph.native)
    same: dict[str, str] = {}  # result -> the value it equals
    for op in graph.ops:
        inputs = tuple(same.get(name, name) for name in op.inputs)
        if not _is_call(op):
            written.add_op(replace(op, inputs=inputs))
        elif not _folded(written, op, seen):
            _shaped(written, op.outputs, seen)
            if not _is_same(written, op, inputs, seen, same):
                _custom(written, replace(op, inputs=inputs), graph)
    return written


def _is_call(op: Op) -> bool:
    return (
        op.kind == "opaque" and op.attrs.get("domain") == _TORCH and isinstance(op.origin.native, NativeCall)
    )


def _results(graph: Graph, calls: Iterable[Op]) -> Mapping[str, Array]:
    """What the calls read and return for one sample of zeros."""
    names = [name for op in calls for name in (*op.inputs, *op.outputs) if name]
    tensors = [name for name in dict.fromkeys(names) if graph.value(name).dtype != "not-a-tensor"]
    shapes = {
        name: [d if isinstance(d, int) else 1 for d in graph.value(name).shape or ()] for name in graph.inputs
    }
    feeds = {name: np.zeros(shape, graph.value(name).dtype) for name, shape in shapes.items()}
    found = TorchExecutor().session(graph, tensors).run(feeds)
    return {name: np.array(array) for name, array in found.items()}


def _folded(graph: Graph, op: Op, seen: Mapping[str, Array]) -> bool:
    """Results that depend on constants and shapes alone become constants."""
    native = op.origin.native
    random = isinstance(native, NativeCall) and torch.Tag.nondeterministic_seeded in native.target.tags
    if random or not (op.attrs["type"] in _OF_SHAPE or all(graph.value(n).is_const for n in op.inputs if n)):
        return False
    for name in op.outputs:
        if name in seen:
            value = graph.value(name)
            graph.set_value(replace(value, shape=seen[name].shape, const=seen[name]))
    return True


def _shaped(graph: Graph, names: Iterable[str], seen: Mapping[str, Array]) -> None:
    """The sizes for one sample."""
    for name in names:
        if name in seen:
            graph.set_value(replace(graph.value(name), shape=seen[name].shape))


def _is_same(
    graph: Graph, op: Op, inputs: tuple[str, ...], seen: Mapping[str, Array], same: dict[str, str]
) -> bool:
    """Note that `expand` returns what it reads, when one sample needs no copies."""
    out = op.outputs[0]
    if op.attrs.get("type") != "aten.expand" or seen[op.inputs[0]].shape != seen[out].shape:
        return False
    if out in graph.outputs:
        graph.add_op(Op("identity", op.name, inputs[:1], (out,), {}, Origin(op.origin.names)))
    else:
        same[out] = inputs[0]
    return True


def _custom(graph: Graph, op: Op, source: Graph) -> None:
    """One custom operator for each result that is used."""
    used = [
        (index, name)
        for index, name in enumerate(op.outputs)
        if source.consumers(name) or name in source.outputs
    ]
    for index, name in used:
        attrs = _attributes(op, graph) | {f"attr.{OUTPUT}": index}
        made = op.name if index == used[0][0] else graph.fresh_name(f"{op.name}.{index}")
        graph.add_op(Op("opaque", made, op.inputs, (name,), attrs, op.origin))


def _attributes(op: Op, graph: Graph) -> dict[str, Attr]:
    """Type, and the arguments that are no tensors."""
    native = op.origin.native
    if not isinstance(native, NativeCall):
        return dict(op.attrs)
    names = [argument.name for argument in native.target._schema.arguments]
    given = dict(zip(names, native.args, strict=False)) | dict(native.kwargs)
    symbols = graph.native.symbols if isinstance(graph.native, NativeModule) else {}
    plain = {name: _plain(value, symbols) for name, value in given.items()}
    overload = native.target._overloadname
    attrs: dict[str, Attr] = {"type": f"aten::{native.target.overloadpacket.__name__}", "domain": CUSTOM}
    attrs |= {f"attr.{name}": value for name, value in map(_shown, plain.items()) if value is not None}
    return attrs | {
        f"attr.{ARGUMENTS}": json.dumps(plain),
        "attr.torch_overload": overload,
        "why": op.attrs["why"],
    }


def _plain(item: Any, symbols: Mapping[str, Any]) -> Any:
    """An argument as JSON has it; sizes are those of one sample."""
    if isinstance(item, Ref):
        return {"tensor": item.index}
    if isinstance(item, Size):
        return item.of(dict.fromkeys(symbols, 1))
    if isinstance(item, list | tuple):
        return [_plain(part, symbols) for part in item]
    return item if isinstance(item, bool | int | float | str | type(None)) else str(item)


def _shown(row: tuple[str, Any]) -> tuple[str, Attr | None]:
    """An argument as an attribute of its own, where it is a number, a text or a list of numbers."""
    name, value = row
    if isinstance(value, list) and value and all(type(part) in (int, float) for part in value):
        return name, tuple(value)
    return name, value if isinstance(value, bool | int | float | str) else None
