"""From the operators of a quantized model to those of a DPU, and the CPU's around them.

Each operator that the inspection gives to the DPU is tried by the rule of its kind (`fusing/`). What a rule refuses
goes to the CPU with the reason. What is left is emitted as it was; `fix2float` and `float2fix` stand at the borders.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from quantforge.compiler.emission import Emission
from quantforge.compiler.fusing.draft import Cluster, NotOnDpuError, Rule, Scene
from quantforge.compiler.fusing.elementwise import requantize
from quantforge.compiler.fusing.hard import fuse_hard
from quantforge.compiler.fusing.rules import RULES
from quantforge.targets.dpu_records import DpuTarget
from quantforge.xmodel.model import XModel, XOp

# Moving bytes is no reason to start a DPU.
_IDLE = frozenset(
    {"reshape-fix", "concat-fix", "pad-fix", "strided_slice-fix", "tile-fix", "reorg-fix", "const-fix"}
    | {"pixel-shuffle-fix"}
)


@dataclass(frozen=True, eq=False)
class Fused:
    """The fused model without subgraphs.

    Attributes:
        model: Operators, producers first.
        devices: USER, CPU or DPU for each of them.
        reasons: Why an operator of the flat model that the inspection gave to the DPU is on the CPU.
        integers: The operator that holds the integers of a fix of the flat model.
        floats: The operator that holds the numbers of an operator of the flat model.
        outputs: The operators of what the model returns, in order.
        absorbed: Operators of the flat model that a DPU does.
    """

    model: XModel
    devices: dict[str, str]
    reasons: dict[str, str]
    integers: dict[str, str]
    floats: dict[str, str]
    outputs: tuple[str, ...]
    absorbed: frozenset[str]


def fuse(
    flat: XModel,
    devices: Mapping[str, str],
    target: DpuTarget,
    returned: Sequence[str],
    claimed: Collection[str] = (),
) -> Fused:
    """Fuse a settled model (`settle.settle`).

    Args:
        flat: The model.
        devices: The device of each of its operators; what is not named is the CPU's.
        target: The DPU.
        returned: Operators whose values the model returns, in order.
        claimed: Operators that belong to plugins and stay as they are.
    """
    scene = Scene(flat, devices, target, returned)
    clusters, reasons = _clusters(scene, set(claimed))
    clusters = fuse_hard(scene, clusters)
    clusters, idle = _busy(clusters)
    reasons |= idle
    emission = Emission(flat, clusters, returned)
    emission.run()
    outputs = tuple(emission.output(name) for name in returned)
    absorbed = frozenset(name for cluster in clusters.values() for name in cluster.members)
    for name, op in flat.ops.items():
        left = devices.get(name) == "DPU" and name not in absorbed and name not in claimed
        if left and op.kind not in ("data", "const", "fix"):
            reasons.setdefault(name, f"there is no fixed-point form of {op.kind} here")
    return Fused(
        emission.model, emission.devices, reasons, emission.integers, emission.floats, outputs, absorbed
    )


def _clusters(scene: Scene, claimed: set[str]) -> tuple[dict[str, Cluster], dict[str, str]]:
    """Clusters by the fix that they compute, and reasons by operator."""
    clusters: dict[str, Cluster] = {}
    reasons: dict[str, str] = {}
    taken = set(claimed)
    for name, op in scene.model.ops.items():
        rule = _rule(scene, op)
        if name in taken or rule is None:
            continue
        try:
            cluster = rule(scene, op)
        except NotOnDpuError as reason:
            reasons[name] = str(reason)
            continue
        if taken.isdisjoint(cluster.members):
            clusters[cluster.result] = cluster
            taken.update(cluster.members)
        else:
            reasons[name] = "what follows it belongs to another accelerator"
    return clusters, {name: why for name, why in reasons.items() if scene.devices.get(name) == "DPU"}


def _rule(scene: Scene, op: XOp) -> Rule | None:
    """What may fuse `op`: nothing where the inspection keeps it on the CPU."""
    if op.kind == "fix":
        return requantize if scene.op(op.producers[0]).kind == "fix" else None
    return RULES.get(op.kind) if scene.devices.get(op.name) == "DPU" else None


def _busy(clusters: dict[str, Cluster]) -> tuple[dict[str, Cluster], dict[str, str]]:
    """Leave out groups of connected clusters in which nothing computes."""
    groups = {result: {result} for result in clusters}
    for result, cluster in clusters.items():
        for read in cluster.reads:
            if read in groups and groups[read] is not groups[result]:
                joined = groups[read] | groups[result]
                for name in joined:
                    groups[name] = joined
    busy = {result for result, cluster in clusters.items() if _computes(cluster)}
    kept = {result: cluster for result, cluster in clusters.items() if groups[result] & busy}
    why = "it only moves bytes between operators of the CPU"
    idle = {c.members[0]: why for result, c in clusters.items() if result not in kept and len(c.members) > 1}
    return kept, idle


def _computes(cluster: Cluster) -> bool:
    own = cluster.members != (cluster.result,) and not cluster.moves_only
    return own and any(draft.kind not in _IDLE for draft in cluster.drafts)
