"""What runners of one subgraph and of whole graphs have in common: tensors, buffers, jobs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.runtime.buffers import TensorBuffer, checked, empty_buffers
from quantforge.runtime.fixed import Array
from quantforge.runtime.jobs import Jobs
from quantforge.xmodel.model import Tensor, XOp

WORKERS = 2
Self = TypeVar("Self", bound="JobRunner")


class JobRunner(ABC):
    """Runs jobs on arrays: `execute_async` returns at once, `wait` gives the status."""

    def __init__(self, name: str, inputs: Sequence[XOp], outputs: Sequence[XOp], workers: int) -> None:
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)
        self._jobs = Jobs(name, workers)

    @abstractmethod
    def _execute(self, feeds: Sequence[Array]) -> Mapping[str, Array]:
        """The outputs by operator name, from one array per input."""

    def input_tensors(self) -> list[Tensor]:
        """Tensors that a job takes, in the order of its arrays."""
        return [op.tensor for op in self._inputs]

    def output_tensors(self) -> list[Tensor]:
        """Tensors that a job gives, in the order of its arrays."""
        return [op.tensor for op in self._outputs]

    def input_buffers(self, wrap: Any = None) -> list[TensorBuffer]:
        """New zeroed memory for each input."""
        return empty_buffers(self._inputs, wrap)

    def output_buffers(self, wrap: Any = None) -> list[TensorBuffer]:
        """New zeroed memory for each output."""
        return empty_buffers(self._outputs, wrap)

    def execute_async(
        self, inputs: Sequence[Any], outputs: Sequence[Any], enable_dynamic_array: bool = False
    ) -> tuple[int, int]:
        """Start a job on arrays or TensorBuffers; returns (job, 0). Outputs are written when it has ended.

        With `enable_dynamic_array` the first size of the arrays is the batch, of any size.

        Raises:
            InputError: Q1208 naming the tensor whose array does not fit, Q1215 after `close`.
        """
        feeds = checked(inputs, self._inputs, "input", enable_dynamic_array)
        targets = checked(outputs, self._outputs, "output", enable_dynamic_array)
        return self._jobs.start(lambda: store(self._execute(feeds), self._outputs, targets)), 0

    def wait(self, job: int | tuple[int, int], timeout_ms: int | None = None) -> int:
        """Wait for what `execute_async` returned, or its number; 0 when the job has ended, 1 when time ran out.

        Raises:
            InputError: Q1209 for an unknown job; and whatever the job itself raised.
        """
        return self._jobs.wait(job[0] if isinstance(job, tuple) else int(job), timeout_ms)

    def run(self, *inputs: Array) -> list[Array]:
        """One job, waited for: outputs in new arrays; any batch."""
        results = self._execute(checked(inputs, self._inputs, "input", True))
        return [results[op.name] for op in self._outputs]

    def close(self) -> None:
        """Finish all jobs and end the threads."""
        self._jobs.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def store(results: Mapping[str, Array], ops: Sequence[XOp], targets: Sequence[Array]) -> None:
    """Copy results into the caller's arrays.

    Raises:
        InputError: Q1208 for an array with another number of samples than the result.
    """
    for op, target in zip(ops, targets, strict=True):
        result = results[op.name]
        if result.shape != target.shape:
            where, found = f"output tensor {op.tensor.name!r}", f"an array of {list(target.shape)}"
            raise InputError(
                "Q1208", where, found, f"{list(result.shape)}", "give inputs and outputs one batch"
            )
        np.copyto(target, result)
