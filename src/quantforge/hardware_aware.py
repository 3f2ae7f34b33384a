"""Hardware-aware quantization: what a DPU does not run stays in float, unless a neighbour on it needs it rounded.

The inspector says which operators of the float model, with the constants of the hardware, the DPU has. Those that it
does not have are kept in float; the recipe says what else stays in float (results that are only gathered,
post-processing behind a float operator). Then the model is looked at once more as it will be quantized, and what
cannot work on bytes there follows, until nothing changes. What is left is what the compiler puts on the DPU.
Source: user guide UG1414, Hardware-Aware Quantization Strategy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

from quantforge.compiler.compile import left_to_cpu
from quantforge.compiler.lower import lower
from quantforge.compiler.lowering.foreign import NodeOf
from quantforge.graph import Graph, Origin, QuantSpec
from quantforge.inspection import Inspection, Reason, Verdict, inspect, partition
from quantforge.numerics.formats import INT8
from quantforge.numerics.rounding import Rounding
from quantforge.passes.dpu_arithmetic import with_dpu_arithmetic
from quantforge.quantization.hardware import as_hardware
from quantforge.quantization.placement import place
from quantforge.quantization.places import FloatOp, Places
from quantforge.quantization.recipe import Override, Recipe
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import XModel

Reasons = tuple[Reason, ...]
_POSITION = 3  # fractional bits of the model that is only looked at
_MOVES = frozenset({"transpose", "reshape"})
_BATCHES = frozenset({"DPUCADF8H"})  # families whose compiled models have the batch of the DPU


@dataclass(frozen=True)
class Assignment:
    """A device for every operator of a graph.

    Attributes:
        model: The float graph in XIR; the attribute `origin` of each operator names the graph's operator.
        inspection: What runs where once `recipe` has quantized the graph, in terms of `model`.
        on_cpu: The graph's operators that stay on the CPU, in order, with the reasons.
        recipe: The recipe that leaves them in float.
    """

    model: XModel
    inspection: Inspection
    on_cpu: Mapping[str, Reasons]
    recipe: Recipe


def assign(graph: Graph, recipe: Recipe, target: DpuTarget, node_of: NodeOf | None = None) -> Assignment:
    """Devices for a float graph on which the passes before quantization have run.

    Args:
        graph: The graph; it stays as it is.
        recipe: What would be quantized if the device had everything.
        target: The DPU.
        node_of: As for `quantforge.compiler.lower.lower`.

    Raises:
        InputError: Q1150, Q1151 or Q1153 for a graph that XIR cannot express.
    """
    named = with_layer_origins(graph)
    batch = target.batch if target.family in _BATCHES else 1
    model = lower(with_dpu_arithmetic(named, recipe.dpu_arithmetic).graph, batch=batch, node_of=node_of)
    first = inspect(model, target)
    away = _away(first, graph)
    while True:
        aware = _keeping(recipe, away)
        places = place(graph, aware)
        stays = {row.op: (_reason(row),) for row in places.floats}
        planned, _ = as_hardware(_planned(named, places), places, aware)
        found = _compiled(lower(planned, batch=batch, node_of=node_of), target, graph)
        more = {name: why for name, why in found.items() if name not in away and name not in stays}
        if not more:
            break
        away |= more
    reasons = found | stays | away
    on_cpu = {op.name: reasons[op.name] for op in graph.ops if op.name in found}
    return Assignment(model, _final(first, model, on_cpu), on_cpu, aware)


def with_layer_origins(graph: Graph) -> Graph:
    """A copy of `graph` in whose xmodel the attribute `origin` names the operator of `graph`: the layer."""
    named = graph.copy()
    for op in graph.ops:
        named.replace_op(replace(op, origin=Origin((op.name,), op.origin.made_by, op.origin.native)))
    return named


def _keeping(recipe: Recipe, names: Mapping[str, Reasons]) -> Recipe:
    return recipe.with_overrides(tuple(Override(op=name, keep_float=True) for name in names))


def _away(inspection: Inspection, graph: Graph) -> dict[str, Reasons]:
    """The graph's operators of which a part that computes is on the CPU."""
    found: dict[str, Reasons] = {}
    for verdict in inspection.on_cpu:
        if _counts(graph, verdict.origin, verdict.kind, verdict.name):
            found.setdefault(str(verdict.origin), verdict.reasons)
    return found


def _compiled(model: XModel, target: DpuTarget, graph: Graph) -> dict[str, Reasons]:
    """The graph's operators that the compiler leaves to the CPU."""
    found: dict[str, Reasons] = {}
    for name, why in left_to_cpu(model, target).items():
        op = model.ops.get(name)
        if op is None or op.kind in ("const", "fix") or not _counts(graph, op.get("origin"), op.kind, name):
            continue
        limit, fix = "an operator in fixed point", "leave it to the code around the model"
        found.setdefault(str(op.get("origin")), (Reason("fixed_point", op.kind, why, limit, fix),))
    return found


def _counts(graph: Graph, origin: str | None, kind: str, name: str) -> bool:
    """Whether an operator of the xmodel stands for one of the graph; a move that is put in front of one does not."""
    if origin is None or not graph.has_op(origin):
        return False
    return kind not in _MOVES or name in graph.op(origin).outputs


def _reason(row: FloatOp) -> Reason:
    limit, fix = "an operator that is quantized", f"see: quantforge explain {row.code}"
    return Reason("stays_float", row.code, row.reason, limit, fix)


def _planned(graph: Graph, places: Places) -> Graph:
    """`graph` with a spec of the DPU wherever the placement wants one.

    Devices do not depend on where the binary point is, but for one thing: what meets in an operator that stays in
    float does not share a grid by chance.
    """
    planned = graph.copy()
    group_of = {name: index for index, group in enumerate(places.groups) for name in group.values}
    joined = [
        {group_of[name] for name in graph.op(row.op).inputs if name in group_of} for row in places.floats
    ]
    positions: dict[int, int] = {}
    for index in range(len(places.groups)):
        beside = set[int]().union(*(groups for groups in joined if index in groups))
        taken = {positions[other] for other in beside if other in positions}
        positions[index] = next(position for position in count(_POSITION) if position not in taken)
    found = {name: positions[index] for name, index in group_of.items()}
    found |= {place.value: _POSITION for place in (*places.weights, *places.biases)}
    for name, position in found.items():
        spec = QuantSpec.power_of_two(INT8, position, Rounding.HALF_UP)
        planned.set_value(replace(planned.value(name), quant=spec))
    return planned


def _final(first: Inspection, model: XModel, on_cpu: Mapping[str, Reasons]) -> Inspection:
    """The inspection of the float model, with what else goes to the CPU."""
    verdicts = tuple(_verdict(verdict, on_cpu) for verdict in first.verdicts)
    devices = {v.name: str(v.device) for v in verdicts}
    for name, readers in model.consumers().items():
        if model.ops[name].kind == "const" and not any(devices[reader] == "DPU" for reader in readers):
            devices[name] = "CPU"
    verdicts = tuple(replace(v, device="CPU") if devices[v.name] == "CPU" else v for v in verdicts)
    return replace(first, verdicts=verdicts, groups=tuple(partition(model, devices)))


def _verdict(verdict: Verdict, on_cpu: Mapping[str, Reasons]) -> Verdict:
    reasons = on_cpu.get(verdict.origin or "")
    if reasons is None or verdict.device != "DPU" or verdict.kind == "const":
        return verdict
    return replace(verdict, device="CPU", reasons=reasons, fused_into=None)
