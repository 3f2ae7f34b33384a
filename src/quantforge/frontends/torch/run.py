"""Run a graph in torch and look at any of its values: the executor that calibration and measuring use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from quantforge.calibration.samples import InputInfo
from quantforge.diagnostics import InputError
from quantforge.frontends.torch.program import Program
from quantforge.graph import Array, Graph, Value
from quantforge.graph.execution import Feeds
from quantforge.graph.quantize import fake_quantize_value


def input_infos(graph: Graph) -> tuple[InputInfo, ...]:
    """Name, dtype and shape of each graph input, in order."""
    return tuple(InputInfo(v.name, v.dtype, v.shape) for v in map(graph.value, graph.inputs))


@dataclass(frozen=True)
class TorchExecutor:
    """Makes torch sessions on `device`."""

    device: str = "cpu"

    def session(self, graph: Graph, observe: Sequence[str], brief: bool = False) -> TorchSession:
        """Prepare `graph` to return the values named in `observe`. `brief` makes no difference here.

        Raises:
            InputError: Q1407 when a name is no value of the graph.
        """
        missing = [name for name in observe if not graph.has_value(name)]
        if missing:
            raise InputError(
                "Q1407", f"model {graph.name!r}", f"no tensor named {', '.join(map(repr, missing[:3]))}",
                "names of tensors of the graph", "pass the graph's outputs, or print its values",
            )  # fmt: skip
        return TorchSession(Program(graph, observe), self.device)


class TorchSession:
    """A graph in torch; made by `TorchExecutor.session`."""

    def __init__(self, program: Program, device: str) -> None:
        self._program = program
        self._device = torch.device(device)
        graph = program.graph
        self._constants = {
            name: stored_constant(graph.value(name)).to(self._device) for name in program.constants
        }

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """Run one batch; the arrays returned are valid until the next call.

        Raises:
            InputError: Q1408 for missing inputs or other dtypes, Q1403 when an operator fails.
        """
        graph = self._program.graph
        inputs = {name: self._input(graph.value(name), feeds) for name in graph.inputs}
        with torch.inference_mode():
            found = self._program.run(inputs, self._constants)
            return {name: tensor.cpu().contiguous().numpy() for name, tensor in found.items()}

    def _input(self, value: Value, feeds: Feeds) -> torch.Tensor:
        found = "nothing" if value.name not in feeds else f"dtype {np.asarray(feeds[value.name]).dtype.name}"
        if found != f"dtype {value.dtype}":
            raise InputError(
                "Q1408", f"input {value.name!r}", found, f"dtype {value.dtype}",
                "feed every input of the graph in the dtype of the example inputs",
            )  # fmt: skip
        array = np.asarray(feeds[value.name], order="C")
        return torch.from_numpy(array if array.flags.writeable else array.copy()).to(self._device)


def stored_constant(value: Value) -> torch.Tensor:
    """The data of a constant, fake-quantized where it carries a spec."""
    data = np.asarray(value.const)
    if value.quant is not None:
        data = np.asarray(fake_quantize_value(data, value.quant, value.name))
    # Neither the graph nor torch writes to constants; memory-mapped and frozen arrays are taken as they are.
    return torch.from_numpy(data) if data.flags.writeable else torch.from_numpy(data.copy())
