"""`Runner` and `RunnerExt` by the names and argument order of VART."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import xir
from quantforge.debugging.golden import settings_of, watcher
from quantforge.diagnostics import InputError
from quantforge.runtime.buffers import TensorBuffer
from quantforge.runtime.runner import Runner as Engine
from quantforge.xmodel.model import Subgraph, XModel


class Runner:
    """Jobs on one subgraph. Made by `create_runner`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._inputs = [xir.Tensor(record) for record in engine.input_tensors()]
        self._outputs = [xir.Tensor(record) for record in engine.output_tensors()]

    @classmethod
    def create_runner(cls, subgraph: Any, mode: str = "") -> Runner:
        """A runner for a device-level subgraph of a compiled `xir.Graph`.

        Args:
            subgraph: An `xir.Subgraph`, or a pair of quantforge's records (XModel, Subgraph).
            mode: "run" (fast), "ref" or "sim" (reference engine). The empty default is refused, as in VART.

        Raises:
            InputError: Q1207 (VART_RUNNER_CONSTRUCTION_FAIL) for another mode or for what is no such subgraph.
        """
        model, record = records_of(subgraph)
        watch = watcher(settings_of(os.environ), mode)
        return cls(Engine(model, record, mode, watch=watch))

    def get_input_tensors(self) -> list[xir.Tensor]:
        """Tensors of the inputs, in the order of a job's arrays."""
        return list(self._inputs)

    def get_output_tensors(self) -> list[xir.Tensor]:
        """Tensors of the outputs, in the order of a job's arrays."""
        return list(self._outputs)

    def execute_async(
        self, inputs: Sequence[Any], outputs: Sequence[Any], enable_dynamic_array: bool = False
    ) -> tuple[int, int]:
        """Start a job on arrays or TensorBuffers, one per tensor; returns (job, status) for `wait`.

        With `enable_dynamic_array` the first size of the arrays may differ from the tensor's.

        Raises:
            InputError: Q1208 naming the tensor whose array has the wrong type, shape or layout.
        """
        return self._engine.execute_async(inputs, outputs, enable_dynamic_array)

    def wait(self, job: int | tuple[int, int], timeout: int | None = None) -> int:
        """Wait until a job has ended; returns its status, 0. `timeout` in milliseconds; a negative job is any job.

        Raises:
            InputError: Q1209 for an unknown job.
        """
        return self._engine.wait(job, timeout)


class RunnerExt(Runner):
    """A runner that also hands out memory for its tensors."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._input_buffers = engine.input_buffers(xir.Tensor)
        self._output_buffers = engine.output_buffers(xir.Tensor)

    def get_inputs(self) -> list[TensorBuffer]:
        """Memory of the inputs, the same at each call."""
        return list(self._input_buffers)

    def get_outputs(self) -> list[TensorBuffer]:
        """Memory of the outputs, the same at each call."""
        return list(self._output_buffers)


def records_of(subgraph: Any) -> tuple[XModel, Subgraph]:
    """quantforge's records behind a subgraph.

    Raises:
        InputError: Q1207 for anything else.
    """
    if isinstance(subgraph, xir.Subgraph):
        return subgraph.get_graph().model, subgraph.record
    model, record = subgraph if isinstance(subgraph, tuple) and len(subgraph) == 2 else (None, None)
    if isinstance(model, XModel) and isinstance(record, Subgraph):
        return model, record
    found = f"VART_RUNNER_CONSTRUCTION_FAIL: a {type(subgraph).__name__}"
    fix = "pass a child of graph.get_root_subgraph() whose device is DPU or CPU"
    raise InputError("Q1207", "create_runner", found, "an xir.Subgraph", fix)
