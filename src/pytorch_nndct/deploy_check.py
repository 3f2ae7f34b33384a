"""`deploy_check` of the xmodel export: every tensor of the last forward pass, to hold the deployed model against.

Only the first sample of the last batch is kept, and of that only the inputs; what was computed from them is computed
once more when it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from quantforge.debugging.deploy_check import write_deploy_check
from quantforge.diagnostics import InputError
from quantforge.frontends.torch.module import QuantizedModule
from quantforge.frontends.torch.run import TorchExecutor
from quantforge.graph import Array, Graph
from quantforge.xmodel.model import XModel

FOLDER = "deploy_check_data_int"


class LastForward:
    """Keeps the inputs of the last forward pass of a module: the first sample of each."""

    def __init__(self, module: QuantizedModule, graph: Graph) -> None:
        self._module = module
        self._open = {name for name in graph.inputs if isinstance((graph.value(name).shape or (1,))[0], str)}
        self._kept: dict[str, Array] | None = None
        module.register_forward_pre_hook(self._keep, with_kwargs=True)

    def inputs(self) -> Mapping[str, Array]:
        """The inputs by name.

        Raises:
            InputError: Q1466 when there was no forward pass.
        """
        if self._kept is None:
            raise InputError(
                "Q1466", "quant_model (QUANTIZER_TORCH_NO_FORWARD)", "no forward pass",
                "one, whose tensors are written", "run quant_model on an input, then export",
            )  # fmt: skip
        return self._kept

    def _keep(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
            return  # an export, not a use
        found = self._module.named_inputs(args, kwargs)
        self._kept = {name: self._first(name, tensor) for name, tensor in found.items()}

    def _first(self, name: str, tensor: torch.Tensor) -> Array:
        sample = tensor[:1] if name in self._open else tensor
        return sample.detach().to("cpu", copy=True).numpy()


def deploy_check_files(graph: Graph, model: XModel, inputs: Mapping[str, Array], folder: str | Path) -> Path:
    """Write ``deploy_check_data_int/<model>``; returns it.

    Raises:
        InputError: Q0601 when a file cannot be written.
    """
    values = [*graph.inputs, *dict.fromkeys(name for op in graph.ops for name in op.outputs if name)]
    tensors = TorchExecutor().session(graph, values).run(inputs)
    place = Path(folder) / FOLDER / graph.name
    place.mkdir(parents=True, exist_ok=True)
    write_deploy_check(place, graph, model, tensors)
    return place
