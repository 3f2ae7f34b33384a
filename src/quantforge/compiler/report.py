"""What a compilation says of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantforge.compiler.prediction import Prediction, predict
from quantforge.compiler.schedule import Schedule
from quantforge.diagnostics import Diagnostic
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import XModel


@dataclass(frozen=True)
class SubgraphReport:
    """One device-level subgraph.

    Attributes:
        name: Its name.
        device: Its device.
        ops: Operators, constants apart.
        workload: Operations.
        tiled: Superlayers that are done in pieces: (name, rows, columns, parts of the channels).
        parameter_bytes: Weights and biases.
        workspace_bytes: Memory for what lies between.
        on_chip_bytes: Most bytes of the image banks in use.
    """

    name: str
    device: str
    ops: int
    workload: int
    tiled: tuple[tuple[str, int, int, int], ...] = ()
    parameter_bytes: int = 0
    workspace_bytes: int = 0
    on_chip_bytes: int = 0


@dataclass(frozen=True)
class CompileReport:
    """A compilation.

    Attributes:
        model: Name of the model.
        target: Name of the target.
        fingerprint: Of the target.
        subgraphs: In order.
        reasons: Why operators are on the CPU.
        notices: What the caller should know.
        seconds: Time taken.
        prediction: What it will cost on the target; None where the target's clock is not known.
    """

    model: str
    target: str
    fingerprint: int
    subgraphs: tuple[SubgraphReport, ...]
    reasons: Mapping[str, str]
    notices: tuple[Diagnostic, ...]
    seconds: float
    prediction: Prediction | None = None

    @property
    def devices(self) -> dict[str, int]:
        """Subgraphs by device."""
        return dict(Counter(subgraph.device for subgraph in self.subgraphs))

    @property
    def operators(self) -> dict[str, int]:
        """Operators by device."""
        counts: Counter[str] = Counter()
        for subgraph in self.subgraphs:
            counts[subgraph.device] += subgraph.ops
        return dict(counts)

    @property
    def workload(self) -> int:
        """Operations of all DPU subgraphs."""
        return sum(subgraph.workload for subgraph in self.subgraphs)

    def text(self) -> str:
        """The report in lines, with the facts that the original's log gives.

        Every operator on the CPU has a line with the reason.
        """
        ops = sum(self.operators.values())
        per_device = ", ".join(f"{count} {device}" for device, count in self.devices.items())
        lines = [
            f"Target architecture: {self.target} (fingerprint 0x{self.fingerprint:016x})",
            f"Graph name: {self.model}, with op num: {ops}",
            f"Total device subgraph number {len(self.subgraphs)}, DPU subgraph number {self.devices.get('DPU', 0)}",
            f"Subgraphs: {per_device}; workload {self.workload / 1e9:.3f} GOP",
        ]
        for subgraph in self.subgraphs:
            if subgraph.device == "DPU":
                lines += _dpu_lines(subgraph)
        if self.prediction is not None and self.prediction.subgraphs:
            lines.append(self.prediction.text())
        if self.reasons:
            lines.append("On the CPU:")
            lines += [f"  {name}: {reason}" for name, reason in self.reasons.items()]
        lines += [str(notice) for notice in self.notices]
        return "\n".join(lines)


def report_of(
    model: XModel,
    target: DpuTarget,
    schedules: Sequence[Schedule],
    reasons: Mapping[str, str],
    notices: Sequence[Diagnostic],
    seconds: float,
) -> CompileReport:
    """The report of a compiled model."""
    by_name = {schedule.subgraph.name: schedule for schedule in schedules}
    subgraphs = []
    for child in model.root.children:
        ops = [name for name in child.all_ops() if not model.ops[name].kind.startswith("const")]
        base = (child.name, child.get("device"), len(ops), child.get("workload", 0))
        schedule = by_name.get(child.name)
        if schedule is None:
            subgraphs.append(SubgraphReport(*base))
            continue
        tiled = tuple(
            (name, tiling.rows, tiling.columns, tiling.channels)
            for name, tiling in schedule.tilings.items()
            if tiling.count > 1
        )
        sizes = schedule.sizes
        subgraphs.append(
            SubgraphReport(*base, tiled, sizes.get(0, 0), sizes.get(1, 0), schedule.on_chip_bytes)
        )
    return CompileReport(
        model.name,
        target.name,
        target.fingerprint,
        tuple(subgraphs),
        dict(reasons),
        tuple(notices),
        seconds,
        None if target.frequency_mhz is None else predict(model, target),
    )


def _dpu_lines(subgraph: SubgraphReport) -> list[str]:
    lines = [
        f"  {subgraph.name}: {subgraph.ops} operators, {subgraph.parameter_bytes} bytes of parameters, "
        f"{subgraph.workspace_bytes} of workspace, {subgraph.on_chip_bytes} on the chip"
    ]
    for name, rows, columns, channels in subgraph.tiled:
        lines.append(
            f"    {name} in {rows * columns * channels} pieces ({rows} x {columns} x {channels} channels)"
        )
    return lines
