"""``param.pth``: the tuned weights and biases by name, as a state_dict that plain torch reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from quantforge.diagnostics import InputError
from quantforge.files import atomic_path
from quantforge.frontends.torch.tuning.straight import with_constants
from quantforge.graph import Array, Graph

_WHERE = "(QUANTIZER_TORCH_FAST_FINETUNE)"


def save_parameters(constants: Mapping[str, Array], path: Path) -> None:
    """Write the tuned constants."""
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in constants.items()}
    with atomic_path(path) as partial:
        torch.save(tensors, partial)


def load_parameters(path: Path, info: str) -> dict[str, Array]:
    """The tuned constants of a file; `info` is the text of the ``quant_info.json`` beside it.

    Raises:
        InputError: Q1442 when there is no such file, or calibration was not followed by fine-tuning.
    """
    if not is_fine_tuned(info):
        raise InputError(
            "Q1442", f"{path.parent / 'quant_info.json'} {_WHERE}", "a calibration without fine-tuning",
            '"fast_finetuned": true', "call fast_finetune in quant_mode 'calib', then export_quant_config()",
        )  # fmt: skip
    if not path.is_file():
        raise InputError(
            "Q1442", f"{path} {_WHERE}", "no file", "the parameters that fast_finetune wrote",
            "keep param.pth beside quant_info.json, or call fast_finetune in quant_mode 'calib'",
        )  # fmt: skip
    found = torch.load(path, map_location="cpu", weights_only=True)
    return {str(name): np.ascontiguousarray(tensor.detach().numpy()) for name, tensor in found.items()}


def with_parameters(graph: Graph, constants: Mapping[str, Array], where: str) -> Graph:
    """A copy of `graph` with tuned constants.

    Raises:
        InputError: Q1442 when one is no constant of the graph, or has another shape.
    """
    for name, array in constants.items():
        known = graph.value(name).const if graph.has_value(name) else None
        if known is None or known.shape != array.shape:
            shape = "no such parameter" if known is None else f"shape {known.shape}"
            raise InputError(
                "Q1442", f"{where}: {name} {_WHERE}", f"shape {array.shape}", f"{shape} in this model",
                "load the parameters of this model, or tune it again",
            )  # fmt: skip
    return with_constants(graph, constants)


def is_fine_tuned(info: str) -> bool:
    """Whether a ``quant_info.json`` belongs to tuned parameters."""
    data: Any = json.loads(info)
    return isinstance(data, dict) and bool(data.get("fast_finetuned", False))
