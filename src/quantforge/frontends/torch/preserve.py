"""What capture has to set aside while it runs a module, so that the module is given back as it was."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils import _pytree as pytree


@contextlib.contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """The module in evaluation mode within the block, each part as it was behind it."""
    modes = {part: part.training for part in module.modules()}
    with contextlib.suppress(NotImplementedError):  # exported programs have one mode
        module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextlib.contextmanager
def kept_buffers(module: torch.nn.Module) -> Iterator[None]:
    """Buffers that the block writes to, or replaces, are as before behind it."""
    held = [
        (part, name, tensor, tensor.detach().clone())
        for part in module.modules()
        for name, tensor in part._buffers.items()
        if tensor is not None
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for part, name, tensor, data in held:
                part._buffers[name] = tensor
                if not torch.equal(tensor, data):
                    tensor.copy_(data)


@contextlib.contextmanager
def named_keywords(module: torch.nn.Module, kwargs: Mapping[str, Any]) -> Iterator[None]:
    """Keywords that `forward` takes by ``**rest`` are parameters of their own within the block.

    torch.export cannot leave a batch open otherwise: it looks for the specification of ``rest`` under two names.
    """
    signature = inspect.signature(module.forward)
    known = signature.parameters.values()
    rest = [name for name in kwargs if name not in signature.parameters]
    if not rest:
        yield
        return
    forward = module.forward

    @functools.wraps(forward)
    def named(*args: Any, **kwargs: Any) -> Any:
        return forward(*args, **kwargs)

    extra = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in rest]
    fixed = [parameter for parameter in known if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    named.__signature__ = signature.replace(parameters=[*fixed, *extra])  # type: ignore[attr-defined]
    own = module.__dict__.get("forward")
    module.__dict__["forward"] = named
    try:
        yield
    finally:
        del module.__dict__["forward"]
        if own is not None:
            module.__dict__["forward"] = own


def register_dataclasses(tree: Any) -> None:
    """Tell torch how dataclasses in arguments and results flatten, which it knows of few.

    The table is torch's own and belongs to the process.
    """
    for leaf in pytree.tree_leaves(tree):
        if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
            torch.export.register_dataclass(type(leaf))
            register_dataclasses([getattr(leaf, field.name) for field in dataclasses.fields(leaf)])
