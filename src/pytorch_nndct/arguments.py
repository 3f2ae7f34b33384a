"""Arguments of the PyTorch quantizer's functions: devices, modules with their parameters, example inputs."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from quantforge.diagnostics import Diagnostic, InputError
from quantforge.frontends.torch.wrappers import in_float32, is_parallel, other_floats, unwrapped
from quantforge.graph import Graph

logger = logging.getLogger("pytorch_nndct")


def available_device(device: torch.device | str) -> torch.device:
    """The device, or the processor with a notice where there is no GPU."""
    wanted = torch.device(device)
    if wanted.type == "cuda" and not torch.cuda.is_available():
        notice = Diagnostic(
            "Q1422", "device (QUANTIZER_TORCH_CUDA_UNAVAILABLE)", str(wanted), "a GPU that torch can use",
            "pass device=torch.device('cpu') to say so",
        )  # fmt: skip
        logger.warning("%s", notice)
        return torch.device("cpu")
    return wanted


def loaded_module(module: torch.nn.Module, state_dict_file: str | Path | None) -> torch.nn.Module:
    """The module, or a copy with the parameters of a file; DataParallel is unwrapped.

    Raises:
        InputError: Q1421 when there is no such file.
    """
    if is_parallel(module):
        notice = Diagnostic(
            "Q1464", "module (QUANTIZER_TORCH_DATA_PARALLEL)", type(module).__name__, "the module inside of it",
            "nothing; the module inside is taken",
        )  # fmt: skip
        logger.warning("%s", notice)
    module = unwrapped(module)
    if state_dict_file is None:
        return module
    if not Path(state_dict_file).is_file():
        raise InputError(
            "Q1421", "state_dict_file", str(state_dict_file), "a file of parameters", "check the path"
        )
    module = copy.deepcopy(module)
    module.load_state_dict(torch.load(state_dict_file, map_location="cpu", weights_only=True))
    return module


def beside(module: torch.nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The example inputs where the module is.

    Raises:
        InputError: Q1421 when there are none.
    """
    if args is None and kwargs is None:
        raise InputError(
            "Q1421", "input_args", "nothing", "example inputs", "pass a tensor of the shape the module takes"
        )
    parameter = next(iter(module.parameters()), None)
    device = torch.device("cpu") if parameter is None else parameter.device

    def move(leaf: Any) -> Any:
        return leaf.to(device) if isinstance(leaf, torch.Tensor) else leaf

    found, named = pytree.tree_map(move, (() if args is None else args, kwargs or {}))
    return found, named


def as_float32(module: torch.nn.Module, args: Any, kwargs: Any) -> tuple[torch.nn.Module, Any, Any]:
    """Module and example inputs in float32, which is what is quantized; with a notice where they are not."""
    found = other_floats(module)
    if not found:
        return module, args, kwargs
    notice = Diagnostic(
        "Q1463", f"module {type(module).__name__}", f"parameters in {', '.join(found)}", "float32",
        "nothing; a copy in float32 is quantized, and gives out float32",
    )  # fmt: skip
    logger.warning("%s", notice)

    def widened(leaf: Any) -> Any:
        return leaf.float() if isinstance(leaf, torch.Tensor) and leaf.is_floating_point() else leaf

    args, kwargs = pytree.tree_map(widened, (args, kwargs))
    return in_float32(module), args, kwargs


def batch_of(args: Any, kwargs: Any) -> int | None:
    """The size of the first axis of the first tensor."""
    leaves = pytree.tree_leaves((args, kwargs))
    return next((int(leaf.shape[0]) for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf.ndim), None)


def example_inputs(graph: Graph, batch: int, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Zeros in the shapes of the inputs of `graph`; `batch` stands for sizes that are open."""
    values = (graph.value(name) for name in graph.inputs)
    return tuple(
        torch.zeros(
            [dim if isinstance(dim, int) else batch for dim in value.shape or ()],
            dtype=getattr(torch, value.dtype),
            device=device,
        )
        for value in values
    )
