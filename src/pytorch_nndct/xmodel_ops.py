"""Calls of torch that an xmodel keeps as operators (``aten::roll``), computed by torch where the model runs.

The runtime asks for a class per operator type (`quantforge.runtime.register_op`); this one serves all. A device
without torch needs classes of one's own instead, which find the arguments of the call among the attributes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from quantforge.frontends.torch.deploy import ARGUMENTS, OUTPUT
from quantforge.runtime.custom_ops import register_op, unregister_op
from quantforge.xmodel.model import XModel
from quantforge.xmodel.read import read_xmodel

PREFIX = "aten::"


class TorchCall:
    """One operator: a call of ATen on the arrays of its inputs."""

    def __init__(self, op: Any) -> None:
        self._arguments = json.loads(op.get_attr(ARGUMENTS))
        self._output = op.get_attr(OUTPUT)
        packet = getattr(torch.ops.aten, op.get_type().removeprefix(PREFIX))
        self._target = getattr(packet, op.get_attr("torch_overload") or "default")

    def calculate(self, output: Any, input: Any) -> None:
        """Write the result of the call."""
        tensors = [torch.from_numpy(np.array(buffer)) for buffer in input]

        def filled(item: Any) -> Any:
            if isinstance(item, dict):
                return tensors[item["tensor"]]
            if isinstance(item, list):
                return [filled(part) for part in item]
            return getattr(torch, item[6:]) if isinstance(item, str) and item.startswith("torch.") else item

        with torch.no_grad():
            found = self._target(**{name: filled(item) for name, item in self._arguments.items()})
        result = found if isinstance(found, torch.Tensor) else found[self._output]
        np.asarray(output)[...] = result.numpy()


def register_torch_ops(model: XModel | str | Path) -> tuple[str, ...]:
    """Let torch compute the calls of torch in an xmodel; returns their types. A class registered before is replaced.

    Raises:
        InputError: Q0901 to Q0914 for a file that cannot be read.
    """
    found = read_xmodel(model) if isinstance(model, str | Path) else model
    kinds = tuple(dict.fromkeys(op.kind for op in found.ops.values() if op.kind.startswith(PREFIX)))
    for kind in kinds:
        unregister_op(kind)
        register_op(kind)(TorchCall)
    return kinds
