"""What a compiled model will cost on its DPU: the cost model applied to the operators that were compiled.

Every DPU subgraph is one program. Inside it a tensor stays on chip where it fits (`cost_model.keep_on_chip`); what
comes in over an upload or goes out over a download crosses the memory ports. Time on the CPU is not part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from quantforge.compiler.cost import LayerCost, clock_of
from quantforge.compiler.cost_model import ModelCost, Node, keep_on_chip, model_cost
from quantforge.compiler.cost_work import LayerWork
from quantforge.compiler.workloads import layer_of
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import Subgraph, XModel, XOp

# Nothing is computed or moved for these: reshapes rename, constants are loaded with the layer that reads them.
_FREE = ("upload", "reshape-fix", "const", "const-fix", "identity")


@dataclass(frozen=True)
class Prediction:
    """Cost of all DPU subgraphs of a model.

    Attributes:
        target: Name of the DPU.
        frequency_mhz: The clock that was assumed.
        subgraphs: Cost by subgraph, in order.
    """

    target: str
    frequency_mhz: float
    subgraphs: tuple[tuple[str, ModelCost], ...]

    @property
    def layers(self) -> tuple[tuple[str, LayerCost], ...]:
        """All layers with their names, in order."""
        return tuple(pair for _, cost in self.subgraphs for pair in zip(cost.names, cost.layers, strict=True))

    @property
    def latency_ms(self) -> float:
        """Milliseconds of one run of one core, one subgraph after the other."""
        return sum(cost.latency_ms for _, cost in self.subgraphs)

    @property
    def fps(self) -> float:
        """Images per second of all cores together; 0 without a DPU subgraph."""
        return 1.0 / sum(1.0 / cost.fps for _, cost in self.subgraphs) if self.subgraphs else 0.0

    @property
    def ddr_bytes(self) -> int:
        """Bytes that cross the memory ports for one image."""
        return sum(cost.ddr_bytes for _, cost in self.subgraphs)

    def text(self) -> str:
        """In one line."""
        cores = max((cost.cores for _, cost in self.subgraphs), default=1)
        return (
            f"Predicted on the DPU: {self.latency_ms:.3f} ms, {self.fps:.0f} images/s with {cores} "
            f"core{'s' if cores > 1 else ''} at {self.frequency_mhz:g} MHz, {self.ddr_bytes / 1e6:.2f} MB of DDR"
        )


def predict(model: XModel, target: DpuTarget, frequency_mhz: float | None = None) -> Prediction:
    """Predict what the compiled `model` costs on `target`.

    Args:
        model: Compiled for `target`.
        target: The DPU.
        frequency_mhz: Its clock; None takes the target's own.

    Raises:
        InputError: Q1020 when neither says what the clock is.
    """
    subgraphs = [part for part in model.root.children if part.get("device") == "DPU"]
    costs = [
        (part.name, model_cost(_nodes(model, part, target), target, frequency_mhz=frequency_mhz))
        for part in subgraphs
    ]
    moving = tuple((name, cost) for name, cost in costs if cost.layers)
    return Prediction(target.name, clock_of(target, frequency_mhz), moving)


def _nodes(model: XModel, part: Subgraph, target: DpuTarget) -> tuple[Node, ...]:
    inside = set(part.all_ops())
    ops = [op for name, op in model.ops.items() if name in inside]
    nodes = [
        Node(op.name, _work(model, op), tuple(_sources(model, op)))
        for op in ops
        if op.kind not in (*_FREE, "download")
    ]
    out = {name for op in ops if op.kind == "download" for name in _sources(model, op)}
    return tuple(
        replace(node, work=replace(node.work, output_in_ddr=True)) if node.name in out else node
        for node in keep_on_chip(nodes, target)
    )


def _sources(model: XModel, op: XOp) -> Iterator[str]:
    """The layers whose results an operator reads, behind those that only rename."""
    for name in op.args.get("input", ()):
        producer = model.ops[name]
        while producer.kind in ("reshape-fix", "identity") and producer.producers:
            producer = model.ops[producer.producers[0]]
        yield producer.name


def _work(model: XModel, op: XOp) -> LayerWork:
    """The operator's layer; what only moves data is a copy of its output."""
    layer = layer_of(model, op)
    if layer is not None:
        return layer
    height, width, channels = (1, 1, *op.tensor.shape)[-3:]
    return LayerWork("copy", height, width, channels, height, width, channels)
