"""Hard sigmoids and hard swishes behind a convolution, on engines that apply them to their sums.

    conv -> fix -> hard-sigmoid -> fix                     nonlinear HSIGMOID
    conv -> fix -> hard-sigmoid -> fix(7) -> mul with conv nonlinear HSWISH

The number between convolution and activation is rounded to `hsigmoid_in` in both forms, so nothing changes.
"""

from __future__ import annotations

from dataclasses import replace

from quantforge.compiler.fusing.draft import Cluster, Draft, Scene, int32, text
from quantforge.xmodel.model import Attrs

_SWISH_POSITION = 7


def fuse_hard(scene: Scene, clusters: dict[str, Cluster]) -> dict[str, Cluster]:
    """Clusters by result, with hard activations merged into the convolutions in front of them."""
    merged = dict(clusters)
    for result, cluster in clusters.items():
        found = _merged(scene, clusters, cluster)
        if found is not None:
            gone = [
                name
                for name, other in merged.items()
                if name != result and set(other.members) < set(found.members)
            ]
            for name in (result, *gone):
                del merged[name]
            merged[found.result] = found
    return merged


def _merged(scene: Scene, clusters: dict[str, Cluster], cluster: Cluster) -> Cluster | None:
    conv = cluster.drafts[-1]
    if "conv" not in conv.kind or conv.attrs["nonlinear"].value != "NONE" or cluster.result in scene.returned:
        return None
    engine = scene.target.depthwise or scene.target.alu if "depthwise" in conv.kind else scene.target.conv
    words = () if engine is None else engine.nonlinear
    readers = [c for c in clusters.values() if cluster.result in c.reads]
    if sum(len(c.members) > 0 for c in readers) != len(scene.readers[cluster.result]):
        return None
    gates = [c for c in readers if c.drafts[-1].kind == "hard-sigmoid-fix"]
    if len(gates) != 1 or gates[0].drafts[-1].grid.rounding != conv.grid.rounding:
        return None
    gate = gates[0]
    if len(readers) == 1 and "hsigmoid" in words:
        return _with(cluster, "HSIGMOID", gate.drafts[-1], gate, (gate,), {})
    if len(readers) == 2 and "hswish" in words:
        product = next(c for c in readers if c is not gate)
        return _swish(scene, cluster, gate, product)
    return None


def _swish(scene: Scene, cluster: Cluster, gate: Cluster, product: Cluster) -> Cluster | None:
    conv, last = cluster.drafts[-1], product.drafts[-1]
    inner = gate.drafts[-1].grid
    fits = (
        last.kind == "eltwise-fix"
        and last.attrs["type"].value == "MUL"
        and last.attrs["nonlinear"].value == "NONE"
        and sorted(last.args["input"]) == sorted((cluster.result, gate.result))
        and scene.readers[gate.result] == [product.members[0]]
        and gate.result not in scene.returned
        and inner.position == _SWISH_POSITION
        and last.grid.rounding == inner.rounding == conv.grid.rounding
    )
    if not fits:
        return None
    shift = conv.grid.position + inner.position - last.grid.position
    return _with(cluster, "HSWISH", last, product, (gate, product), {"shift_hswish": int32(shift)})


def _with(
    cluster: Cluster, word: str, last: Draft, end: Cluster, more: tuple[Cluster, ...], attrs: Attrs
) -> Cluster:
    conv = cluster.drafts[-1]
    gate = more[0].drafts[-1]
    hard = {key: gate.attrs[key] for key in ("hsigmoid_in", "shift_hsigmoid")}
    bias = {} if "shift_bias" in conv.attrs else {"shift_bias": int32(0)}
    draft = replace(
        conv,
        shape=last.shape,
        grid=last.grid,
        tensor=last.tensor,
        attrs=conv.attrs | hard | bias | attrs | {"nonlinear": text(word)},
    )
    members = (*cluster.members, *(name for c in more for name in c.members))
    return Cluster(members, end.result, (*cluster.drafts[:-1], draft))
