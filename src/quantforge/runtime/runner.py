"""`Runner`: jobs on one subgraph. Several runners of a subgraph share one compiled engine."""

from __future__ import annotations

from collections.abc import Sequence

from quantforge.diagnostics import InputError
from quantforge.runtime.engines import Watch, engine_for
from quantforge.runtime.fixed import Array
from quantforge.runtime.job_runner import WORKERS, JobRunner
from quantforge.xmodel.model import Subgraph, XModel


class Runner(JobRunner):
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
        program = self._engine.program
        super().__init__(subgraph.name, program.inputs, program.outputs, workers)

    def _execute(self, feeds: Sequence[Array]) -> dict[str, Array]:
        return self._engine.run({op.name: feed for op, feed in zip(self._inputs, feeds, strict=True)})


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
