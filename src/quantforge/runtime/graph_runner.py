"""`GraphRunner`: a whole compiled model, subgraph after subgraph; arrays go from one to the next without a copy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from quantforge.diagnostics import InputError
from quantforge.runtime.engines import Engine, Watch, engine_for
from quantforge.runtime.fixed import Array
from quantforge.runtime.job_runner import WORKERS, JobRunner
from quantforge.runtime.program import CONSTANTS, DATA
from quantforge.runtime.runner import check_fingerprint
from quantforge.xmodel.model import Subgraph, XModel, XOp


class GraphRunner(JobRunner):
    """Runs jobs on all subgraphs of a compiled model, DPU and CPU, in topological order. Thread-safe.

    Inputs are the operators of the USER subgraphs; outputs those that nobody reads, or what the model's attribute
    `return_ops` lists.
    """

    def __init__(
        self,
        model: XModel,
        mode: str = "run",
        *,
        threads: int | None = None,
        workers: int = WORKERS,
        fingerprint: int | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Compile every subgraph, or take the engines that other runners compiled. Arguments as for `Runner`.

        Raises:
            InputError: Q1207 for a model that is not compiled, Q1214 for subgraphs in a circle; else as `Runner`.
        """
        inputs = tuple(op for op in model.ops.values() if op.kind in DATA)
        outputs = outputs_of(model)
        keep = tuple(op.name for op in outputs)
        self._stages: list[Engine] = []
        for part in ordered_subgraphs(model):
            if part.get("device") != "USER":
                check_fingerprint(part, fingerprint)
                own = tuple(name for name in keep if name in set(part.all_ops()))
                engine = engine_for(model, part, mode, threads, own)
                self._stages.append(engine if watch is None else watch(engine))
        self._last_use = {op.name: i for i, stage in enumerate(self._stages) for op in stage.program.inputs}
        super().__init__(model.name, inputs, outputs, workers)

    def _execute(self, feeds: Sequence[Array]) -> dict[str, Array]:
        wanted = {op.name for op in self._outputs}
        live: dict[str, Array] = {op.name: feed for op, feed in zip(self._inputs, feeds, strict=True)}
        for i, stage in enumerate(self._stages):
            live.update(stage.run({op.name: live[op.name] for op in stage.program.inputs}))
            for op in stage.program.inputs:
                if self._last_use[op.name] == i and op.name not in wanted:
                    live.pop(op.name, None)
        return {name: live[name] for name in wanted}


def outputs_of(model: XModel) -> tuple[XOp, ...]:
    """The operators whose tensors are the model's results, in the order of `return_ops` where that fits."""
    readers = model.consumers()
    unread = [op for op in model.ops.values() if not readers[op.name] and op.kind not in (*CONSTANTS, *DATA)]
    attr = model.attrs.get("return_ops")
    named = [model.ops[name] for name in (attr.value if attr else ()) if name in model.ops]
    rest = [op for op in unread if op not in named]
    return (*named, *rest) if attr and len(named) == len(attr.value) else tuple(unread)


def ordered_subgraphs(model: XModel) -> list[Subgraph]:
    """The device-level subgraphs, producers first.

    Raises:
        InputError: Q1207 when there are none or operators belong to none, Q1214 when they wait for each other.
    """
    children = model.root.children
    home = {name: i for i, part in enumerate(children) for name in part.all_ops()}
    loose = [name for name, op in model.ops.items() if name not in home and op.kind not in CONSTANTS]
    if not children or loose:
        found = f"operator {loose[0]!r} in no subgraph" if children else "a model without subgraphs"
        raise InputError("Q1207", model.name, found, "a compiled model", "compile it: quantforge compile")
    needs = {i: _needed(model, part.all_ops(), home, i) for i, part in enumerate(children)}
    try:
        return [children[i] for i in TopologicalSorter(needs).static_order()]
    except CycleError as error:
        names = " -> ".join(children[i].name for i in error.args[1])
        raise InputError(
            "Q1214", model.name, f"a circle {names}", "an order", "compile the model again"
        ) from error


def _needed(model: XModel, names: Iterable[str], home: Mapping[str, int], own: int) -> list[int]:
    read = (name for op in names for name in model.ops[op].producers)
    return sorted(
        {home[name] for name in read if name in home and model.ops[name].kind not in CONSTANTS} - {own}
    )
