"""What speaks against an operator on the DPU because of what is around it, found together for the whole model.

Every operator that its own limits allow starts on the DPU. Then neighbours are looked at: activations want an engine
in front of them that has them, reshapes follow their producer, concatenations want some input from the DPU, and in a
quantized model whatever a DPU reads or writes is rounded to signed bytes. An operator that fails goes to the CPU for
good, which may fail others, until nothing changes; so the answer does not depend on the order of looking.
"""

from __future__ import annotations

from collections.abc import Iterator

from quantforge.inspection.activations import Activations, activation_reason
from quantforge.inspection.facts import paddings
from quantforge.inspection.operators import (
    ACTIVATIONS,
    CONVOLUTIONS,
    IDLE,
    RESHAPES,
    convolution_with_pad,
    picks_channels,
    reasons_of,
    rejected,
)
from quantforge.inspection.partition import partition
from quantforge.inspection.results import Reason
from quantforge.inspection.rounding import rounding_reason
from quantforge.inspection.view import View
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import XOp

Reasons = tuple[Reason, ...]
_FOLLOWERS = frozenset({"const", "data", "fix"})
_BATCH_FAMILIES = frozenset({"DPUCADF8H"})


class Scene:
    """A model, a target, and what is known so far.

    Attributes:
        reasons: What speaks against the DPU, by operator.
        fused: Operators that are done in the same step as another one.
        pads: Zero paddings, and a convolution that can take each of them along.
        alone: What speaks against those paddings as operators of their own.
        picks: Slices that step over channels, and what speaks against them where the DPU does not have the operators
            around them; between those a convolution with weights of zeros and ones picks the channels.
    """

    def __init__(self, view: View, target: DpuTarget) -> None:
        self.view = view
        self.target = target
        self.names = [name for name, op in view.model.ops.items() if op.kind not in _FOLLOWERS]
        self.reasons: dict[str, Reasons] = {}
        self.fused: dict[str, str] = {}
        self.pads: dict[str, str] = {}
        self.alone: dict[str, Reasons] = {}
        self.picks: dict[str, Reasons] = {}
        self.activations = Activations(view, target)

    def on_dpu(self, op: XOp) -> bool:
        """Whether an operator that computes is on the DPU, as far as is known."""
        return op.kind not in _FOLLOWERS and not self.reasons.get(op.name)


def resolve(view: View, target: DpuTarget) -> Scene:
    """Reasons for every operator that cannot be on the DPU; the others have none."""
    scene = Scene(view, target)
    batch = _batch_reason(scene)
    for name in scene.names:
        scene.reasons[name] = reasons_of(view, view.op(name), target) or batch
    _fuse_pads(scene)
    _allow_picks(scene)
    _settle(scene)
    while _drop_idle(scene):
        _settle(scene)
    return scene


def _settle(scene: Scene) -> None:
    """Look at all neighbours until nothing changes."""
    changed = True
    while changed:
        changed = False
        scene.fused = _fused(scene)
        for name in scene.names:
            if not scene.reasons[name]:
                reason = next(_objections(scene, scene.view.op(name)), None)
                if reason is not None:
                    scene.reasons[name] = (reason,)
                    changed = True


def _fused(scene: Scene) -> dict[str, str]:
    """Operators that are done in the same step as another one on the DPU."""
    found = {pad: conv for pad, conv in scene.pads.items() if scene.on_dpu(scene.view.op(conv))}
    for name in scene.names:
        op = scene.view.op(name)
        start = scene.view.chain_start(op)
        producer = scene.activations.producer(op) if op.kind in ACTIVATIONS else None
        if start is not None:
            found[name] = start.name
        elif producer is not None and scene.on_dpu(producer) and scene.activations.fits(producer, op):
            found[name] = producer.name
    return found


def _objections(scene: Scene, op: XOp) -> Iterator[Reason]:
    for check in (_pad, _pick, _chain, _activation, _reshape, _concat, _shuffle, _rounding):
        reason = check(scene, op)
        if reason is not None:
            yield reason


def _pad(scene: Scene, op: XOp) -> Reason | None:
    """What speaks against a pad of its own, when no convolution takes it along."""
    alone = scene.alone.get(op.name, ())
    return alone[0] if alone and op.name not in scene.fused else None


def _pick(scene: Scene, op: XOp) -> Reason | None:
    """What speaks against a step over channels that does not lead from the DPU to the DPU."""
    reasons = scene.picks.get(op.name)
    if reasons is None:
        return None
    between = scene.on_dpu(scene.view.inputs(op)[0]) and any(
        scene.on_dpu(reader) for reader in scene.view.used_by(op.name)
    )
    return None if between else reasons[0]


def _chain(scene: Scene, op: XOp) -> Reason | None:
    start = scene.view.chain_start(op)
    if start is None or scene.on_dpu(start):
        return None
    return rejected(
        f"a factor of {start.name!r}, which is on the CPU", "both on the DPU", f"bring {start.name!r} there"
    )


def _activation(scene: Scene, op: XOp) -> Reason | None:
    if op.kind not in ACTIVATIONS or op.name in scene.fused:
        return None
    producer = scene.activations.producer(op)
    usable = producer is not None and scene.on_dpu(producer)
    return activation_reason(scene.view, scene.target, op, producer if usable else None)


def _reshape(scene: Scene, op: XOp) -> Reason | None:
    """Reshapes follow their producer, and may not change the first axis where they leave the DPU."""
    if op.kind not in RESHAPES and op.kind != "transpose":
        return None
    source = scene.view.inputs(op)[0]
    if not scene.on_dpu(source):
        limit = "its input comes from the DPU"
        found = f"{op.kind} of {source.name!r}, which is not on the DPU"
        return Reason("reshape_input_cpu", "reshape", found, limit, f"bring {source.name!r} to the DPU")
    before, after = scene.view.op(op.args["input"][0]).tensor.shape, op.tensor.shape
    leaves = any(not scene.on_dpu(reader) for reader in scene.view.used_by(op.name))
    ends = not list(scene.view.used_by(op.name))
    if before[0] == after[0] or not (leaves or ends):
        return None
    found = f"{list(before)} to {list(after)} at the border of the DPU"
    fix = "keep the first axis, and reshape the rest in the code behind the model"
    return Reason("reshape_first_dim", "reshape", found, "the first axis as it was", fix)


def _concat(scene: Scene, op: XOp) -> Reason | None:
    """Some input comes from the DPU; when not all do, it joins channels of images."""
    if op.kind != "concat":
        return None
    sources = scene.view.computed(op)
    here = [source for source in sources if scene.on_dpu(source)]
    rank = len(op.tensor.shape)
    axis = op.get("axis", -1) % rank
    if not here:
        return Reason(
            "concat_all_cpu",
            "concat",
            "no input from the DPU",
            "some input from the DPU",
            "bring an input to the DPU",
        )
    if len(here) == len(sources) or (rank == 4 and axis == 3):
        return None
    away = next(source.name for source in sources if source not in here)
    found = f"axis {axis} of {rank}, with {away!r} not on the DPU"
    return Reason(
        "concat_mixed", "concat", found, "axis 3 of 4, or all inputs from the DPU", f"bring {away!r} there"
    )


def _shuffle(scene: Scene, op: XOp) -> Reason | None:
    """A pixel shuffle is a way to store the result of a convolution."""
    if op.kind != "pixel-shuffle":
        return None
    source = scene.view.inputs(op)[0]
    while source.kind in ACTIVATIONS and scene.on_dpu(source):
        source = scene.view.inputs(source)[0]
    if source.kind in CONVOLUTIONS and scene.on_dpu(source):
        return None
    return rejected(
        f"pixel-shuffle behind {source.kind}", "behind a convolution on the DPU", "a convolution before it"
    )


def _rounding(scene: Scene, op: XOp) -> Reason | None:
    return rounding_reason(scene.view, op, scene.fused) if scene.view.quantized else None


def _fuse_pads(scene: Scene) -> None:
    """Zero padding in front of convolutions that take it along."""
    for name in scene.names:
        pad = scene.view.op(name)
        readers = list(scene.view.used_by(name))
        if pad.kind != "pad" or pad.get("mode") != "CONSTANT" or any(pad.get("constant_values", ())):
            continue
        pairs = paddings(pad)
        inner = pairs[0] == pairs[-1] == (0, 0) and bool(readers)
        if inner and all(_takes(scene, reader, pad) for reader in readers):
            scene.alone[name], scene.reasons[name] = scene.reasons[name], ()
            scene.pads[name] = readers[0].name


def _allow_picks(scene: Scene) -> None:
    """Slices that take every n-th channel of an image, which a convolution can do."""
    for name in scene.names:
        op, reasons = scene.view.op(name), scene.reasons[name]
        if reasons and op.kind == "strided_slice" and picks_channels(scene.view, op, scene.target):
            scene.picks[name], scene.reasons[name] = reasons, ()


def _takes(scene: Scene, op: XOp, pad: XOp) -> bool:
    """Whether `op` is a convolution over `pad` alone that keeps its limits with the larger pads."""
    plain = op.kind in CONVOLUTIONS and "transposed" not in op.kind
    if not plain or scene.reasons[op.name] or len(pad.tensor.shape) != int(op.kind[-2]) + 2:
        return False
    return not convolution_with_pad(scene.view, op, pad, scene.target)


def _drop_idle(scene: Scene) -> bool:
    """Take connected regions of the DPU in which nothing computes to the CPU; whether there were any."""
    devices = {name: _device(scene, op) for name, op in scene.view.model.ops.items()}
    found = False
    for group in partition(scene.view.model, devices):
        moved = [name for name in group.ops if name in scene.reasons]
        if group.device != "DPU" or any(scene.view.op(name).kind not in IDLE for name in moved):
            continue
        for name in moved:
            fix = "move bytes in the code around the model"
            scene.reasons[name] = (
                rejected("moving bytes only, between the CPU and itself", "computing", fix),
            )
            found = True
    return found


def _device(scene: Scene, op: XOp) -> str:
    source = scene.view.through(op.name)
    if source.kind == "data":
        return "USER"
    return "DPU" if source.kind != "const" and scene.on_dpu(source) else "CPU"


def _batch_reason(scene: Scene) -> Reasons:
    """One DPU takes no other batch than its own."""
    if scene.target.family not in _BATCH_FAMILIES:
        return ()
    for op in scene.view.model.ops.values():
        if op.kind == "data" and op.tensor.shape[0] != scene.target.batch:
            found = f"a batch of {op.tensor.shape[0]} ({op.name})"
            batch = scene.target.batch
            return (
                Reason(
                    "batch",
                    "batch",
                    found,
                    f"a batch of {batch}",
                    f"export the model with a batch of {batch}",
                ),
            )
    return ()
