"""A module to an exported program: `torch.export`, with the batch left open, in operators the door knows.

The module is exported in evaluation mode and given back as it was. An axis that the model turns out to need at a
fixed size gets that size. Examples with one sample are doubled first, because torch.export takes a size of 1 for a
fixed one.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.native import symbol_of
from quantforge.frontends.torch.preserve import (
    evaluating,
    kept_buffers,
    named_keywords,
    register_dataclasses,
)
from quantforge.frontends.torch.wrappers import plain_module

Known = Callable[[Any], bool]


def capture(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], known: Known
) -> torch.export.ExportedProgram:
    """Export `module` as it runs on the example arguments.

    Args:
        module: Any module; its code needs no change.
        args: Positional example arguments: tensors and nests of them.
        kwargs: Named example arguments.
        known: Whether the door has a rule for an operator; others are decomposed as far as torch can.

    Raises:
        InputError: Q1401 when the module cannot be run on these arguments, Q1402 when torch.export refuses it.
    """
    module = plain_module(module, args, kwargs)
    with evaluating(module), kept_buffers(module), named_keywords(module, kwargs), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        register_dataclasses((args, dict(kwargs), _try(module, args, kwargs)))
        program = _exported(module, *_distinct(args, dict(kwargs)))
        table = torch.export.default_decompositions()
        for target in [target for target in table if known(target)]:
            del table[target]
        decomposed: torch.export.ExportedProgram = program.run_decompositions(table)
        return decomposed


def _try(module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    try:
        with torch.no_grad():
            return module(*args, **kwargs)
    except Exception as error:  # the user's code may raise anything
        raise InputError(
            "Q1401", f"module {type(module).__name__}", f"{type(error).__name__}: {first_line(error)}",
            "a forward pass on the example inputs", "check the example inputs, their shapes and dtypes",
        ) from error  # fmt: skip


def _exported(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """With open batch axes if possible, else with fixed ones."""
    batch = _batch(args, kwargs)
    attempts: list[tuple[tuple[Any, ...], dict[str, Any], bool]] = [(args, kwargs, False)]
    if batch is not None:
        open_args, open_kwargs = (args, kwargs) if batch > 1 else _doubled(args, kwargs)
        attempts.insert(0, (open_args, open_kwargs, True))
    errors: list[Exception] = []
    for some_args, some_kwargs, dynamic in attempts:
        shapes = _shapes(module, some_args, some_kwargs) if dynamic else None
        try:
            with torch.no_grad():
                program = torch.export.export(module, some_args, some_kwargs, dynamic_shapes=shapes)
        except Exception as error:  # noqa: BLE001  torch.export runs the user's code and raises what that raises
            errors.append(error)
            continue
        if some_args is args or _is_open(program):
            return program
    raise InputError(
        "Q1402", f"module {type(module).__name__} (QUANTIZER_TORCH_PYTORCH_TRACE)",
        f"{type(errors[-1]).__name__}: {first_line(errors[-1])}", "a module that torch.export can follow",
        "move decisions that depend on data out of forward, or replace them by torch.where",
    ) from errors[-1]  # fmt: skip


def _is_open(program: Any) -> bool:
    """Whether the first axis of every input is open; a doubled example must not fix it."""
    specs = program.graph_signature.input_specs
    named = {spec.arg.name for spec in specs if spec.kind == InputKind.USER_INPUT}
    found = [node.meta.get("val") for node in program.graph.nodes if node.name in named]
    return all(symbol_of(t.shape[0]) is not None for t in found if isinstance(t, torch.Tensor) and t.ndim)


def _batch(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int | None:
    """The size of the first axis when all tensors have the same; None when there is no batch."""
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in _tensors((args, kwargs))}
    return sizes.pop() if len(sizes) == 1 and 0 not in sizes else None


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _distinct(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Copies: torch.export takes one tensor in two places for one input."""

    def copied(leaf: Any) -> Any:
        return leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf

    found = pytree.tree_map(copied, (args, kwargs))
    return found[0], found[1]


def _doubled(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    def double(leaf: Any) -> Any:
        return torch.cat([leaf, leaf]) if isinstance(leaf, torch.Tensor) else leaf

    found = pytree.tree_map(double, (args, kwargs))
    return found[0], found[1]


def _shapes(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The first axis of every tensor is open."""

    def dims(leaf: Any) -> Any:
        return {0: torch.export.Dim.AUTO} if isinstance(leaf, torch.Tensor) else None

    bound = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    return pytree.tree_map(dims, dict(bound))


def first_line(error: BaseException) -> str:
    """The first line of an error's text, cut to a readable length."""
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else type(error).__name__
