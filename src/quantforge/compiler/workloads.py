"""The work of the operators of a compiled model, and its sums per superlayer, subgraph and model.

`workload` counts operations as published models count them, `workload_on_arch` the same rounded up to the width of
the target's engines (`cost_work`). Copies, hard sigmoids and operators of the CPU count nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from quantforge.compiler.cost_work import Kind, LayerWork, uses_augmentation, workload, workload_on_arch
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import Attr, Attrs, Subgraph, XModel, XOp

_KINDS: dict[str, Kind] = {
    **{f"conv{rank}d-fix": "conv" for rank in (2, 3)},
    **{f"transposed-conv{rank}d-fix": "transposed" for rank in (2, 3)},
    **{f"depthwise-conv{rank}d-fix": "depthwise" for rank in (2, 3)},
    **{f"transposed-depthwise-conv{rank}d-fix": "transposed-depthwise" for rank in (2, 3)},
    "pool-fix": "pool",
    "eltwise-fix": "eltwise",
    "depthwise-fix": "eltwise",
}


def add_workloads(model: XModel, target: DpuTarget) -> None:
    """Note the work on operators, on every subgraph and on the root."""
    for op in model.ops.values():
        layer = layer_of(model, op) if op.get("device") == "DPU" else None
        if layer is not None:
            batch = op.tensor.shape[0]
            op.attrs |= _attrs(workload(layer) * batch, workload_on_arch(layer, target) * batch)
            if uses_augmentation(layer, target):
                op.attrs["channel_augmentation"] = Attr("int32", 1)
    _sum(model, model.root)


def layer_of(model: XModel, op: XOp) -> LayerWork | None:
    """An operator of a DPU for the cost model; None for one that counts nothing.

    Volumes count depth times height as height, and kernel depth times channels as channels.
    """
    kind = _KINDS.get(op.kind)
    if kind is None:
        return None
    source = model.ops[op.args["input"][0]].tensor.shape
    out_h, out_w, out_c = _image(op.tensor.shape)
    in_h, in_w, in_c = _image(source)
    kernel, stride = tuple(op.get("kernel", (1, 1))), tuple(op.get("stride", (1, 1)))
    deep = kernel[2] if len(kernel) == 3 else 1
    return LayerWork(
        kind,
        out_h,
        out_w,
        out_c,
        in_h,
        in_w,
        in_c * deep // int(op.get("group", 1)),
        (kernel[0], kernel[1]),
        (stride[0], stride[1]),
        bias="bias" in op.args,
        inputs=len(op.args["input"]),
        relu=kind == "eltwise" and op.get("nonlinear", "NONE") not in ("", "NONE"),
    )


def _image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, width and channels of a tensor of any rank; depth counts as height."""
    if len(shape) == 5:
        return shape[1] * shape[3], shape[2], shape[4]
    if len(shape) == 4:
        return shape[1], shape[2], shape[3]
    return 1, max(math.prod(shape[1:-1]), 1), shape[-1]


def _sum(model: XModel, tree: Subgraph) -> tuple[int, int]:
    parts: Iterable[tuple[int, int]]
    if tree.children:
        parts = [_sum(model, child) for child in tree.children]
    else:
        parts = [
            (model.ops[name].get("workload", 0), model.ops[name].get("workload_on_arch", 0))
            for name in tree.ops
        ]
    total = (sum(part[0] for part in parts), sum(part[1] for part in parts))
    tree.attrs |= _attrs(*total)
    return total


def _attrs(work: int, on_arch: int) -> Attrs:
    return {"workload": Attr("uint64", work), "workload_on_arch": Attr("uint64", on_arch)}
