"""A flat quantized model (XIR with `fix` operators) to a compiled one: the steps in order.

    settle      put every fix where a DPU rounds
    inspect     a device for each operator
    fuse        operators of the DPU in fixed point, bridges to the CPU
    group       few device-level groups
    plant       uploads, downloads, the tree of subgraphs
    schedule    on-chip memory, tiles, DDR addresses
    attach      programs, registers, identity of the target, sums of work, reasons

Each step is a function of what the one before it returned. The container follows what the original compiler writes
(user guide UG1414, chapter 4); programs are quantforge's own (`quantforge.compiler.program`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from quantforge.compiler.attach import Extras, attach
from quantforge.compiler.checks import check_flat
from quantforge.compiler.cut import cut_at
from quantforge.compiler.fuse import Fused, fuse
from quantforge.compiler.grouping import group
from quantforge.compiler.options import CompileOptions
from quantforge.compiler.plugins import Plugin, Plugins
from quantforge.compiler.report import CompileReport, report_of
from quantforge.compiler.schedule import schedule
from quantforge.compiler.settle import Settled, settle
from quantforge.compiler.tree import plant
from quantforge.compiler.workloads import add_workloads
from quantforge.inspection import inspect
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import Attr, XModel

Devices = Mapping[str, str]
Vectors = Callable[[XModel], bytes | None]


@dataclass(frozen=True, eq=False)
class Compilation:
    """A compiled model, and what there is to say about it."""

    model: XModel
    report: CompileReport


@dataclass(frozen=True)
class Attachments:
    """What a caller puts into the compiled file.

    Attributes:
        preprocessing: JSON that says how inputs are made from images, as `quantforge_preprocessing`.
        vectors: Gives the bytes of `quantforge_vectors` for the finished model: inputs and their outputs; None where
            there are none.
        sources: MD5 of the source files by path.
    """

    preprocessing: str | None = None
    vectors: Vectors | None = None
    sources: Mapping[str, str] | None = None


def compilation(
    model: XModel,
    target: DpuTarget,
    options: CompileOptions | None = None,
    plugins: Sequence[Plugin] = (),
    *,
    devices: Devices | None = None,
    attachments: Attachments | None = None,
) -> Compilation:
    """Compile `model`, which stays as it is, and report.

    Args:
        model: A flat quantized model: `quantforge.compiler.lower.lower`, or a file of a quantizer of Vitis AI.
        target: The DPU.
        options: What the caller set; None for nothing.
        plugins: Asked before the DPU, in this order, behind those that `options` names.
        devices: A device for each operator, in place of the inspection's.
        attachments: What else the file carries.

    Raises:
        InputError: Q1100 for a fix without its numbers, Q1101 for a model that is not quantized or is compiled
            already, Q1102 for operators in a circle, Q1103 for options, Q1104 for a batch that the target does not
            take, Q1105 to Q1107 for plugins.
    """
    start = time.perf_counter()
    options = options or CompileOptions()
    attachments = attachments or Attachments()
    check_flat(model, target, options)
    flat = cut_at(model, options.output_ops)
    claims = Plugins(options.plugins, plugins)
    claims.partition(flat)
    settled, fused, reasons = _fused(flat, target, devices, claims.taken)
    groups = group(fused.model, fused.devices, claims.groups)
    planted = plant(fused.model, groups, fused.outputs)
    _carry(planted.model, fused, settled)
    add_workloads(planted.model, target)
    schedules = [schedule(planted.model, subgraph, target) for subgraph in planted.dpus]
    extras = Extras(attachments.preprocessing, attachments.sources)
    notices = attach(planted.model, target, schedules, options, extras, reasons)
    claims.compile(planted.model, planted.claims)
    report = report_of(planted.model, target, schedules, reasons, notices, time.perf_counter() - start)
    recorded = None if attachments.vectors is None else attachments.vectors(planted.model)
    if recorded is not None:
        planted.model.attrs["quantforge_vectors"] = Attr("bytes", recorded)
    return Compilation(planted.model, report)


def left_to_cpu(model: XModel, target: DpuTarget) -> dict[str, str]:
    """The operators of a flat quantized model that `compilation` leaves to the CPU, with the reasons."""
    return _fused(model, target, None, {})[2]


def _fused(
    flat: XModel, target: DpuTarget, devices: Devices | None, taken: Mapping[str, str]
) -> tuple[Settled, Fused, dict[str, str]]:
    """The model in fixed point, and why operators of `flat` are on the CPU."""
    named = returned_by(flat)
    settled = settle(flat, taken, named)
    returned = tuple(dict.fromkeys(settled.renamed.get(name, name) for name in named))
    given, reasons = _devices(flat, target, devices)
    fused = fuse(settled.model, given, target, returned, taken)
    found = (reasons | fused.reasons).items()
    return settled, fused, {name: why for name, why in found if name not in fused.absorbed}


def returned_by(flat: XModel) -> tuple[str, ...]:
    """The operators whose values a flat model returns: `return_ops`, or what nobody reads."""
    attr = flat.attrs.get("return_ops")
    named = () if attr is None else tuple(attr.value)
    if named and all(name in flat.ops for name in named):
        return named
    readers = flat.consumers()
    return tuple(
        name for name, op in flat.ops.items() if not readers[name] and op.kind not in ("data", "const")
    )


def _devices(model: XModel, target: DpuTarget, given: Devices | None) -> tuple[Devices, dict[str, str]]:
    """The device of each operator and why some are the CPU's."""
    if given is not None:
        return given, {}
    found = inspect(model, target)
    reasons = {
        verdict.name: "; ".join(str(reason) for reason in verdict.reasons)
        for verdict in found.verdicts
        if verdict.reasons
    }
    return found.devices, reasons


def _carry(model: XModel, fused: Fused, settled: Settled) -> None:
    """Bring the attributes that name operators up to date."""
    where = {**fused.floats, **fused.integers}
    where |= {old: where[new] for old, new in settled.renamed.items() if new in where}
    values = model.attrs.get("quantforge_values")
    if values is not None:
        kept = {name: where[op] for name, op in values.value.items() if op in where}
        model.attrs["quantforge_values"] = Attr("map_string_2_string", kept)
        orders = model.attrs.get("quantforge_orders")
        if orders is not None:
            left = {name: order for name, order in orders.value.items() if name in kept}
            model.attrs["quantforge_orders"] = Attr(orders.kind, left)
    model.attrs["return_ops"] = Attr("string_vec", fused.outputs)
