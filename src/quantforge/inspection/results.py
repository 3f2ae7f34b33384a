"""What an inspection finds: a device for every operator, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from quantforge.inspection.partition import Group

Device = Literal["USER", "DPU", "CPU"]


@dataclass(frozen=True)
class Reason:
    """Why an operator is not on the DPU.

    Attributes:
        id: What it is about, such as kernel_range; stable.
        rule: The rule that is broken, such as conv2d.kernel; stable.
        found: What the model has, with numbers.
        limit: What the DPU has, with numbers.
        fix: The nearest change that would help.
    """

    id: str
    rule: str
    found: str
    limit: str
    fix: str

    def __str__(self) -> str:
        return f"{self.found}; supported: {self.limit}"


@dataclass(frozen=True)
class Verdict:
    """An operator and its device.

    Attributes:
        name: Its name in the model.
        kind: Its kind, such as conv2d.
        shape: Shape of its tensor.
        device: USER (inputs), DPU or CPU.
        reasons: Why it is not on the DPU; empty elsewhere.
        notes: What else is worth knowing.
        fused_into: The operator that does it in the same step.
        macs: Multiplications with addition.
        origin: The operator of the original model it comes from, where that is known.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    device: Device
    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    fused_into: str | None = None
    macs: int = 0
    origin: str | None = None


@dataclass(frozen=True)
class Inspection:
    """What runs where.

    Attributes:
        model: Name of the model.
        target: Name of the DPU.
        fingerprint: Its fingerprint.
        verdicts: Every operator, in the order of the model.
        groups: The subgraphs it will be divided into, in an order in which they can run.
        sources: For each operator those that it reads.
        compiled: Whether the model was compiled already and the devices are those it says.
    """

    model: str
    target: str
    fingerprint: str
    verdicts: tuple[Verdict, ...]
    groups: tuple[Group, ...]
    sources: dict[str, tuple[str, ...]]
    compiled: bool = False

    @property
    def devices(self) -> dict[str, str]:
        """The device of each operator."""
        return {verdict.name: verdict.device for verdict in self.verdicts}

    @property
    def reasons(self) -> dict[str, str]:
        """Why each operator on the CPU is there."""
        return {
            verdict.name: " | ".join(f"{reason}; try: {reason.fix}" for reason in verdict.reasons)
            for verdict in self.verdicts
            if verdict.reasons
        }

    @property
    def on_cpu(self) -> tuple[Verdict, ...]:
        """The operators on the CPU that compute: no constants, and no rounding behind others."""
        silent = ("const", "fix", "float2fix", "fix2float")
        return tuple(v for v in self.verdicts if v.device == "CPU" and v.kind not in silent)

    @property
    def subgraphs(self) -> dict[str, int]:
        """Number of subgraphs by device."""
        return dict(Counter(group.device for group in self.groups))

    @property
    def macs(self) -> int:
        """Multiplications with addition of the whole model."""
        return sum(verdict.macs for verdict in self.verdicts)

    @property
    def dpu_macs(self) -> int:
        """Multiplications with addition on the DPU."""
        return sum(verdict.macs for verdict in self.verdicts if verdict.device == "DPU")

    @property
    def dpu_share(self) -> float | None:
        """The part of all multiplications that the DPU does; None for a model without any."""
        return self.dpu_macs / self.macs if self.macs else None
