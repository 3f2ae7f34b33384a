"""A graph made ready to run in torch: a list of steps that says where each tensor lives and when it goes.

Values that carry a spec are fake-quantized as soon as they exist. The same program serves a session, the quantized
module and tracing; it holds no tensors of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree as pytree

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.capture import first_line
from quantforge.frontends.torch.fake_quantize import FakeQuantizer
from quantforge.frontends.torch.kernels import kernel
from quantforge.frontends.torch.native import NativeCall, NativeModule, Ref, Size, Sizes
from quantforge.graph import Graph, Op

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class _Step:
    op: Op
    run: Callable[[list[Any], Sizes], Any]
    freed: tuple[str, ...]


class Program:
    """Runs a graph on tensors."""

    def __init__(self, graph: Graph, wanted: Iterable[str]) -> None:
        self.graph = graph
        self.wanted = tuple(dict.fromkeys(wanted))
        self._quantizers = {
            value.name: FakeQuantizer(value.quant)
            for value in graph.values
            if value.quant is not None and not value.is_const
        }
        self._steps = _steps(graph, set(self.wanted))
        native = graph.native
        self._symbols = dict(native.symbols) if isinstance(native, NativeModule) else {}

    @property
    def constants(self) -> tuple[str, ...]:
        """The constants that running needs."""
        needed = {name for step in self._steps for name in step.op.inputs} | set(self.wanted)
        return tuple(value.name for value in self.graph.values if value.is_const and value.name in needed)

    def run(self, inputs: Mapping[str, torch.Tensor], constants: Mapping[str, torch.Tensor]) -> Tensors:
        """The wanted values.

        Raises:
            InputError: Q1403 when an operator fails, which names it.
        """
        live: Tensors = {name: self._stored(name, inputs[name]) for name in self.graph.inputs}
        sizes = self.sizes(inputs)
        found = {name: live[name] for name in self.wanted if name in live}
        found |= {name: constants[name] for name in self.wanted if name in constants}
        for step in self._steps:
            self._take(step, live, constants, sizes, found)
        return {name: found[name] for name in self.wanted}

    def sizes(self, inputs: Mapping[str, torch.Tensor]) -> Sizes:
        """The symbolic sizes of one run."""
        return {symbol: inputs[name].shape[axis] for symbol, (name, axis) in self._symbols.items()}

    def _take(
        self, step: _Step, live: Tensors, constants: Mapping[str, torch.Tensor], sizes: Sizes, found: Tensors
    ) -> None:
        op = step.op
        arguments = [
            (live[name] if name in live else constants[name]) if name else None for name in op.inputs
        ]
        try:
            results = step.run(arguments, sizes)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            shapes = ", ".join(str(tuple(t.shape)) for t in arguments if isinstance(t, torch.Tensor))
            raise InputError(
                "Q1403", f"op {op.name!r} ({op.kind}) on {shapes}", first_line(error), "a run without errors",
                "check that these shapes are ones the model was captured for",
            ) from error  # fmt: skip
        listed = results if isinstance(results, list | tuple) else (results,)
        for name, tensor in zip(op.outputs, listed, strict=False):
            if isinstance(tensor, torch.Tensor):
                live[name] = self._stored(name, tensor)
                if name in self.wanted:
                    found[name] = live[name]
        for name in step.freed:
            live.pop(name, None)

    def _stored(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        quantizer = self._quantizers.get(name)
        return tensor if quantizer is None else quantizer(tensor)


def _steps(graph: Graph, wanted: set[str]) -> list[_Step]:
    """The ops that the wanted values need; a tensor goes behind its last reader."""
    needed, chosen = set(wanted), []
    for op in reversed(graph.ops):
        if needed & set(op.outputs):
            needed.update(op.inputs)
            chosen.append(op)
    chosen.reverse()
    last = {name: op.name for op in chosen for name in (*op.inputs, *op.outputs)}
    return [
        _Step(op, _runner(op), tuple(n for n in {*op.inputs, *op.outputs} if n and last[n] == op.name))
        for op in chosen
    ]


def _runner(op: Op) -> Callable[[list[Any], Sizes], Any]:
    if op.kind != "opaque":
        compute = kernel(op)
        return lambda tensors, sizes: compute(tensors)
    native = op.origin.native
    if not isinstance(native, NativeCall):
        raise InputError(
            "Q1406", f"op {op.name!r}", f"{op.attrs.get('type')} of another framework", "an operator of torch",
            "run the model through the door it was imported by",
        )  # fmt: skip
    return lambda tensors, sizes: call_native(native, tensors, sizes)


def call_native(native: NativeCall, tensors: list[Any], sizes: Sizes) -> Any:
    """Call the ATen operator."""

    def filled(item: Any) -> Any:
        if isinstance(item, Ref):
            return tensors[item.index]
        return item.of(sizes) if isinstance(item, Size) else item

    device = next((tensor.device for tensor in tensors if tensor is not None), None)
    args, kwargs = pytree.tree_map(filled, (native.args, dict(native.kwargs)))
    if "device" in kwargs and device is not None:
        kwargs["device"] = device
    return native.target(*args, **kwargs)
