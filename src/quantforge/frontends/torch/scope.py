"""Which part of a module is quantized: what lies between the marks that QuantStub and DeQuantStub leave.

A stub is the identity. While a module is exported it becomes a call of `quantforge::quant_stub` or
`quantforge::dequant_stub`, which the import turns into identity operators; everywhere else nothing is called, so that
stubs cost nothing and gradients pass. Inside is what can be reached from a QuantStub without passing a DeQuantStub,
and what computes constants for it. Without QuantStub the scope begins at the inputs; without stubs it is everything.
Source: user guide UG1414, Module Partial Quantization.
"""

from __future__ import annotations

import glob
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils import _pytree as pytree

from quantforge.frontends.torch.native import NativeModule
from quantforge.graph import Graph, Op
from quantforge.quantization.recipe import Override, Recipe


@torch.library.custom_op("quantforge::quant_stub", mutates_args=())
def _quant_stub(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


@torch.library.custom_op("quantforge::dequant_stub", mutates_args=())
def _dequant_stub(x: torch.Tensor) -> torch.Tensor:
    return x.clone()


for _stub in (_quant_stub, _dequant_stub):
    _stub.register_fake(torch.empty_like)
    _stub.register_autograd(lambda _, grad: grad)

_MARKS = {"quantforge.quant_stub": True, "quantforge.dequant_stub": False}


@dataclass(frozen=True)
class Stubs:
    """Names of the identity operators that stubs became."""

    begins: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


def mark_begin(value: Any) -> Any:
    """`value`, a tensor or a nest of tensors: from here on operators are quantized."""
    return _marked(_quant_stub, value)


def mark_end(value: Any) -> Any:
    """`value`, a tensor or a nest of tensors: from here on operators stay in float."""
    return _marked(_dequant_stub, value)


def _marked(stub: Any, value: Any) -> Any:
    if not torch.compiler.is_exporting():
        return value
    return pytree.tree_map(lambda leaf: stub(leaf) if isinstance(leaf, torch.Tensor) else leaf, value)


def begins_scope(target: Any) -> bool | None:
    """Whether a call is a QuantStub (True) or a DeQuantStub (False); None for any other."""
    return _MARKS.get(str(target).rpartition(".")[0]) if isinstance(target, torch._ops.OpOverload) else None


def outside_ops(graph: Graph, stubs: Stubs) -> tuple[str, ...]:
    """Names of the operators that the stubs leave out, in the order of the graph."""
    if not stubs.begins and not stubs.ends:
        return ()
    inside = _reached(graph, stubs)
    inside |= _constants_of(graph, inside)
    return tuple(op.name for op in graph.ops if op.name not in inside)


def _reached(graph: Graph, stubs: Stubs) -> set[str]:
    marked = set() if stubs.begins else set(graph.inputs)
    inside = set()
    for op in graph.ops:
        if op.name in stubs.begins or (op.name not in stubs.ends and marked.intersection(op.inputs)):
            inside.add(op.name)
            marked.update(op.outputs)
    return inside


def _constants_of(graph: Graph, inside: Collection[str]) -> set[str]:
    """Operators that depend on no input and feed what is inside."""
    moving = set(graph.inputs)
    still: list[Op] = []
    for op in graph.ops:
        if moving.intersection(op.inputs):
            moving.update(op.outputs)
        else:
            still.append(op)
    joined: set[str] = set()
    for op in reversed(still):
        readers = {reader.name for name in op.outputs for reader in graph.consumers(name)}
        if op.name not in inside and any(name in inside or name in joined for name in readers):
            joined.add(op.name)
    return joined


def keep_float_inputs(graph: Graph, stubs: Stubs, outside: Collection[str]) -> tuple[str, ...]:
    """Turn a QuantStub whose input is read in float too into a cast, so that the float readers keep their value.

    Returns the names of those casts; they stay in float themselves, what they give out is quantized.
    """
    kept = []
    for name in stubs.begins:
        op = graph.op(name)
        source = op.inputs[0]
        others = [reader.name for reader in graph.consumers(source) if reader.name != name]
        if source in graph.outputs or any(other in outside for other in others):
            attrs = {"to": graph.value(source).dtype}
            graph.replace_op(replace(op, kind="cast", attrs=attrs))
            kept.append(name)
    return tuple(kept)


def scoped(recipe: Recipe, graph: Graph) -> Recipe:
    """The recipe, with what the stubs of the module leave out kept in float.

    Args:
        recipe: Any recipe.
        graph: A graph imported from a module, before or behind passes.
    """
    native = graph.native
    outside = native.outside if isinstance(native, NativeModule) else ()
    names = [name for name in outside if graph.has_op(name)]
    if not names:
        return recipe
    return recipe.with_overrides(tuple(Override(op=glob.escape(name), keep_float=True) for name in names))
