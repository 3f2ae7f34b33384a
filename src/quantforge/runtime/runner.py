"""`Runner`: jobs on one subgraph. Several runners of a subgraph share one compiled engine."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.runtime.buffers import TensorBuffer, checked, empty_buffers
from quantforge.runtime.engines import Watch, engine_for
from quantforge.runtime.fixed import Array
from quantforge.runtime.jobs import Jobs
from quantforge.xmodel.model import Subgraph, Tensor, XModel

WORKERS = 2


class Runner:
    """Runs jobs on a subgraph; `execute_async` returns at once, `wait` gives the status.

    Thread-safe: any thread may start jobs and wait for them. Inputs must not change before the job has ended.
    """

    def __init__(
        self,
        model: XModel,
        subgraph: Subgraph,
        mode: str = "run",
        *,
        threads: int | None = None,
        workers: int = WORKERS,
        fingerprint: int | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Compile `subgraph`, a child of the root of `model`, or take the engine that another runner compiled.

        Args:
            model: The compiled model.
            subgraph: A device-level subgraph on the DPU or the CPU.
            mode: run (fast engine), ref or sim (reference engine).
            threads: Threads within an operator of the fast engine; all cores when None.
            workers: Jobs of this runner that may run at the same time.
            fingerprint: Fingerprint of the DPU that the model must have been compiled for; unchecked when None.
            watch: Puts something around the engine that looks at its tensors.

        Raises:
            InputError: Q1206 for another DPU, Q1207 for what cannot run, Q1205 for files of the original compiler.
            UnsupportedError: Q1202, Q1210 for operators without an implementation.
        """
        check_fingerprint(subgraph, fingerprint)
        engine = engine_for(model, subgraph, mode, threads)
        self._engine = engine if watch is None else watch(engine)
        self._jobs = Jobs(subgraph.name, workers)
        self._inputs, self._outputs = self._engine.program.inputs, self._engine.program.outputs

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
        return self._jobs.start(lambda: self._work(feeds, targets)), 0

    def wait(self, job: int | tuple[int, int], timeout_ms: int | None = None) -> int:
        """Wait for what `execute_async` returned, or its number; 0 when the job has ended, 1 when time ran out.

        Raises:
            InputError: Q1209 for an unknown job; and whatever the job itself raised.
        """
        return self._jobs.wait(job[0] if isinstance(job, tuple) else int(job), timeout_ms)

    def run(self, *inputs: Array) -> list[Array]:
        """One job, waited for: outputs in new arrays; any batch."""
        feeds = checked(inputs, self._inputs, "input", True)
        results = self._engine.run({op.name: feed for op, feed in zip(self._inputs, feeds, strict=True)})
        return [results[op.name] for op in self._outputs]

    def close(self) -> None:
        """Finish all jobs and end the threads."""
        self._jobs.close()

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self, feeds: list[Array], targets: list[Array]) -> None:
        results = self._engine.run({op.name: feed for op, feed in zip(self._inputs, feeds, strict=True)})
        store(results, self._outputs, targets)


def create_runner(model: XModel, subgraph: Subgraph, mode: str = "run") -> Runner:
    """A runner for `subgraph` of `model` with the default settings; see `Runner`."""
    return Runner(model, subgraph, mode)


def check_fingerprint(subgraph: Subgraph, expected: int | None) -> None:
    """Refuse a subgraph for another DPU; 0 on either side, or nothing, skips the check.

    Raises:
        InputError: Q1206 with both fingerprints.
    """
    found = subgraph.get("dpu_fingerprint", 0)
    if expected and found and expected != found:
        name = subgraph.get("dpu_name", "an unnamed DPU")
        raise InputError(
            "Q1206",
            subgraph.name,
            f"fingerprint {found:#x} of {name}",
            f"{expected:#x}",
            "compile for this DPU",
        )


def store(results: dict[str, Array], ops: Sequence[Any], targets: Sequence[Array]) -> None:
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
