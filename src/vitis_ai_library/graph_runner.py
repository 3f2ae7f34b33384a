"""`GraphRunner` by the names of the Vitis AI Library."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import xir
from quantforge.debugging.golden import settings_of, watcher
from quantforge.diagnostics import InputError
from quantforge.runtime.buffers import TensorBuffer
from quantforge.runtime.graph_runner import GraphRunner as Engine
from quantforge.xmodel.model import XModel


class GraphRunner:
    """Jobs on a whole model. Made by `create_graph_runner`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._inputs = engine.input_buffers(xir.Tensor)
        self._outputs = engine.output_buffers(xir.Tensor)

    @classmethod
    def create_graph_runner(cls, graph: Any, mode: str = "run") -> GraphRunner:
        """A runner for a compiled `xir.Graph` (or a quantforge XModel).

        Raises:
            InputError: Q1207 for a graph that is not compiled, or anything that is no graph.
        """
        model = graph.model if isinstance(graph, xir.Graph) else graph
        if not isinstance(model, XModel):
            found = f"a {type(graph).__name__}"
            raise InputError(
                "Q1207", "create_graph_runner", found, "an xir.Graph", "use xir.Graph.deserialize"
            )
        watch = watcher(settings_of(os.environ), mode)
        return cls(Engine(model, mode, watch=watch))

    def get_input_tensors(self) -> list[xir.Tensor]:
        """Tensors of the inputs, in the order of a job's arrays."""
        return [buffer.get_tensor() for buffer in self._inputs]

    def get_output_tensors(self) -> list[xir.Tensor]:
        """Tensors of the outputs, in the order of a job's arrays."""
        return [buffer.get_tensor() for buffer in self._outputs]

    def get_inputs(self) -> list[TensorBuffer]:
        """Memory of the inputs, the same at each call; ``np.asarray`` aliases it."""
        return list(self._inputs)

    def get_outputs(self) -> list[TensorBuffer]:
        """Memory of the outputs, the same at each call."""
        return list(self._outputs)

    def execute_async(
        self, inputs: Sequence[Any], outputs: Sequence[Any], enable_dynamic_array: bool = False
    ) -> tuple[int, int]:
        """Start a job on TensorBuffers or arrays; returns (job, status) for `wait`.

        Raises:
            InputError: Q1208 naming the tensor whose array does not fit.
        """
        return self._engine.execute_async(inputs, outputs, enable_dynamic_array)

    def wait(self, job: int | tuple[int, int], timeout: int | None = None) -> int:
        """Wait until a job has ended; returns its status, 0.

        Raises:
            InputError: Q1209 for an unknown job.
        """
        return self._engine.wait(job, timeout)
