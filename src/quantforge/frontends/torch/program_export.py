"""A quantized module as an `ExportedProgram`: a file that torch alone loads and runs, with the batch left open.

    program = torch.export.load("ResNet_int.pt2").module()
    program(images)

It holds ATen operators only, so neither this package nor the model's code is needed, and it computes what the
quantized module computes, bit for bit. The places in source files that torch keeps with every operator are taken out.
"""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from quantforge.diagnostics import UnsupportedError
from quantforge.files import atomic_path
from quantforge.frontends.torch.capture import first_line
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.native import NativeModule
from quantforge.graph import Graph

_TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node")


def exported_program(module: QuantizedModule) -> torch.export.ExportedProgram:
    """The program of a quantized module, on the device where the module is.

    Raises:
        UnsupportedError: Q1483 when torch.export refuses it.
    """
    (args, kwargs), axes = _examples(module)
    named = _Named(module, [f"arg{index}" for index in range(len(args))], list(kwargs))
    shapes = dict(zip(named.names, (*axes[0], *axes[1].values()), strict=True))
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(named, tuple(args), kwargs, dynamic_shapes=shapes)
    except Exception as error:  # torch.export raises what it likes
        raise UnsupportedError(
            "Q1483", f"module {module.graph.name!r}", f"{type(error).__name__}: {first_line(error)}",
            "a quantized module that torch.export follows", "export TorchScript or ONNX instead",
        ) from error  # fmt: skip
    for node in program.graph.nodes:
        for key in _TRACES:
            node.meta.pop(key, None)
    return program


def export_program(module: QuantizedModule, path: Path) -> torch.export.ExportedProgram:
    """Write `exported_program` to `path`, whole or not at all; returns the program."""
    program = exported_program(module)
    with atomic_path(path) as partial, partial.open("wb") as file:
        torch.export.save(program, file)
    return program


class _Named(torch.nn.Module):
    """The module with a parameter for each argument: torch.export does not follow open axes into ``**kwargs``."""

    def __init__(self, module: QuantizedModule, positional: list[str], named: list[str]) -> None:
        super().__init__()
        self.module = module
        self.names = (*positional, *named)

        def forward(*args: Any, **kwargs: Any) -> Any:
            return module(*args, **kwargs)

        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in positional]
        parameters += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in named]
        forward.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        self.forward = forward


def _examples(module: QuantizedModule) -> tuple[Any, Any]:
    """(args, kwargs) of zeros, nested as when the module was captured, and their open axes, nested alike."""
    graph, native = module.graph, module.graph.native
    leaves = native.leaves if isinstance(native, NativeModule) else ()
    spec = native.in_spec if isinstance(native, NativeModule) else None
    tensors = [None if name is None else _zeros(graph, name, _device(module)) for name in leaves]
    axes = [None if name is None else _open_axes(graph, name) for name in leaves]
    return pytree.tree_unflatten(tensors, spec), pytree.tree_unflatten(axes, spec)  # type: ignore[arg-type]


def _device(module: QuantizedModule) -> torch.device:
    held = (tensor.device for tensor in (*module.parameters(), *module.buffers()))
    return next(held, torch.device("cpu"))


def _zeros(graph: Graph, name: str, device: torch.device) -> torch.Tensor:
    """Two samples, for torch.export takes a size of 1 for a fixed one."""
    value = graph.value(name)
    sizes = [dim if isinstance(dim, int) else 2 for dim in value.shape or ()]
    return torch.zeros(sizes, dtype=getattr(torch, value.dtype), device=device)


def _open_axes(graph: Graph, name: str) -> dict[int, Any]:
    shape = graph.value(name).shape or ()
    return {axis: torch.export.Dim.AUTO for axis, dim in enumerate(shape) if not isinstance(dim, int)}
