"""`inspect`: a device for every operator of a model on a DPU, and why.

The verdicts are predictions: they follow the published limits (user guide UG1414, tables 28 to 30, and the target
files), which the compiler of the vendor applies together with others that are not public.
"""

from __future__ import annotations

from quantforge.inspection.facts import multiplications
from quantforge.inspection.operators import ACTIVATIONS
from quantforge.inspection.partition import Group, partition
from quantforge.inspection.resolve import Scene, resolve
from quantforge.inspection.results import Device, Inspection, Reason, Verdict
from quantforge.inspection.view import View
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import XModel, XOp

# Orders of axes of the transposes that exporters put between NHWC and NCHW.
_LAYOUTS = ((0, 3, 1, 2), (0, 2, 3, 1), (0, 4, 3, 1, 2), (0, 3, 4, 2, 1))


def inspect(model: XModel, target: DpuTarget) -> Inspection:
    """Say what of `model` runs on `target`.

    Args:
        model: A flat model, float or with `fix` operators; for a compiled one the devices it has are reported.
        target: The DPU.
    """
    if any(child.get("device") for child in model.root.children):
        return _compiled(model, target)
    view = View(model)
    scene = resolve(view, target)
    devices: dict[str, Device] = {}
    for name in reversed(list(model.ops)):
        devices[name] = _device(scene, view.op(name), devices)
    verdicts = tuple(_verdict(scene, op, devices) for op in model.ops.values())
    return _inspection(model, target, verdicts, tuple(partition(model, devices)))


def _inspection(
    model: XModel,
    target: DpuTarget,
    verdicts: tuple[Verdict, ...],
    groups: tuple[Group, ...],
    compiled: bool = False,
) -> Inspection:
    sources = {name: op.producers for name, op in model.ops.items()}
    return Inspection(model.name, target.name, target.fingerprint_text, verdicts, groups, sources, compiled)


def _device(scene: Scene, op: XOp, devices: dict[str, Device]) -> Device:
    """Inputs are the caller's, roundings lie where the numbers come from, constants where they are read."""
    source = scene.view.through(op.name)
    if source.kind == "data":
        return "USER"
    if source.kind == "const":
        return "DPU" if any(devices[name] == "DPU" for name in scene.view.readers[op.name]) else "CPU"
    return "DPU" if scene.on_dpu(source) else "CPU"


def _verdict(scene: Scene, op: XOp, devices: dict[str, Device]) -> Verdict:
    reasons = scene.reasons.get(op.name, ())
    if op.kind == "const" and devices[op.name] == "CPU" and scene.view.readers[op.name]:
        found, limit = "all its readers are on the CPU", "a reader on the DPU"
        reasons = (Reason("const_children_cpu", "const", found, limit, "bring a reader to the DPU"),)
    return Verdict(
        name=op.name,
        kind=op.kind,
        shape=op.tensor.shape,
        device=devices[op.name],
        reasons=reasons,
        notes=_notes(scene, op),
        fused_into=scene.fused.get(op.name),
        macs=multiplications(scene.view, op),
        origin=op.get("origin"),
    )


def _notes(scene: Scene, op: XOp) -> tuple[str, ...]:
    if op.kind == "transpose" and tuple(op.get("order", ())) in _LAYOUTS:
        return ("layout_transpose: between NHWC and NCHW, which the exporter put here",)
    if op.name in scene.picks and not scene.reasons[op.name]:
        return ("a convolution with weights of zeros and ones picks the channels",)
    if op.kind in ACTIVATIONS and not scene.reasons[op.name] and op.name not in scene.fused:
        return ("alone: no operator in front of it does it in the same step",)
    return ()


def _compiled(model: XModel, target: DpuTarget) -> Inspection:
    """The devices of a compiled model as its subgraphs say them."""
    device_of = {name: str(child.get("device")) for child in model.root.children for name in child.all_ops()}
    attr = model.attrs.get("quantforge_reasons")
    texts: dict[str, str] = {} if attr is None else dict(attr.value)
    view = View(model)
    verdicts = tuple(
        _stored_verdict(view, op, device_of.get(op.name, "CPU"), texts) for op in model.ops.values()
    )
    groups = tuple(Group(str(child.get("device")), tuple(child.all_ops())) for child in model.root.children)
    return _inspection(model, target, verdicts, groups, compiled=True)


def _stored_verdict(view: View, op: XOp, device: str, texts: dict[str, str]) -> Verdict:
    known: Device = "DPU" if device == "DPU" else "USER" if device == "USER" else "CPU"
    text = texts.get(op.name)
    reasons = (
        () if text is None else (Reason("partition_msg", "compiled", text, "see the compiler's report", "-"),)
    )
    return Verdict(
        name=op.name,
        kind=op.kind,
        shape=op.tensor.shape,
        device=known,
        reasons=reasons if known == "CPU" else (),
        macs=multiplications(view, op),
    )
