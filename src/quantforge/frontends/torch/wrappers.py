"""The module to capture behind what users wrap around it: data parallelism, torch.compile, TorchScript.

A traced module becomes an exported program first, by torch's own converter. It has no code to look into, so its
layers are called after their parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from quantforge.diagnostics import InputError

_PARALLEL = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
_NARROW = (torch.float16, torch.bfloat16, torch.float64)


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside of DataParallel, DistributedDataParallel and torch.compile.

    >>> unwrapped(torch.nn.DataParallel(torch.nn.ReLU()))
    ReLU()
    """
    while True:
        inner = module.module if is_parallel(module) else getattr(module, "_orig_mod", None)
        if not isinstance(inner, torch.nn.Module):
            return module
        module = inner


def is_parallel(module: torch.nn.Module) -> bool:
    """Whether a module spreads its input over devices."""
    return isinstance(module, _PARALLEL)


def class_name(module: torch.nn.Module) -> str:
    """Name of the class that the user wrote."""
    module = unwrapped(module)
    return str(module.original_name) if isinstance(module, torch.jit.ScriptModule) else type(module).__name__


def plain_module(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> torch.nn.Module:
    """A module that torch.export can follow: `module` itself, or what a traced one computes.

    Raises:
        InputError: Q1402 for a script module that torch cannot convert.
    """
    module = unwrapped(module)
    if not isinstance(module, torch.jit.ScriptModule):
        return module
    from torch._export.converter import TS2EPConverter

    try:
        converted: torch.nn.Module = TS2EPConverter(module, args, dict(kwargs)).convert().module()
    except Exception as error:  # the converter raises whatever it meets
        raise InputError(
            "Q1402", f"module {class_name(module)!r} (QUANTIZER_TORCH_TRACED_NOT_SUPPORTED)",
            f"a script module that torch cannot convert: {type(error).__name__}", "a plain torch.nn.Module",
            "pass the module that was scripted",
        ) from error  # fmt: skip
    return converted


def other_floats(module: torch.nn.Module) -> tuple[str, ...]:
    """The types of float other than float32 that the parameters and buffers of a module have, sorted.

    >>> other_floats(torch.nn.Linear(1, 1).half())
    ('float16',)
    """
    tensors = (*module.parameters(), *module.buffers())
    return tuple(sorted({str(t.dtype).removeprefix("torch.") for t in tensors if t.dtype in _NARROW}))


def in_float32(module: torch.nn.Module) -> torch.nn.Module:
    """A copy whose parameters and buffers are float32 where they are of another float; `module` when none is."""
    return copy.deepcopy(module).float() if other_floats(module) else module
