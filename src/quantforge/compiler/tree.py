"""The tree of subgraphs: device-level children of the root, and superlayers below those of a DPU.

A tensor enters a DPU subgraph over an `upload` and leaves it over a `download`. A superlayer is what the DPU does
without going back to memory: an operator with its constants, and a pool that alone reads it. Subgraphs are called
after the alphabetically first of their operators, uploads and downloads apart, as the original compiler does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantforge.compiler.grouping import CPU, DPU, USER, Group
from quantforge.compiler.settle import unique
from quantforge.xmodel.model import Attr, Attrs, Subgraph, Tensor, XModel, XOp

BORDER = ("upload", "download")
CPU_RUNNER = "libvart-cpu-runner.so"
# Kinds that need no instructions: they name memory anew, or move what another operator put into place.
SILENT = frozenset({"upload", "reshape-fix"})


@dataclass(frozen=True, eq=False)
class Planted:
    """The model with its tree, and the device-level subgraphs of DPUs in order."""

    model: XModel
    dpus: tuple[Subgraph, ...]
    claims: dict[str, Subgraph]


def plant(fused: XModel, groups: Sequence[Group], returned: Sequence[str]) -> Planted:
    """A copy of `fused` with uploads and downloads, and the tree for `groups`.

    Args:
        fused: The model without subgraphs; its operators are taken over and changed.
        groups: Groups in an order in which they can run (`grouping.group`).
        returned: Operators whose tensors the caller of the model gets.
    """
    model = XModel(fused.name, attrs=dict(fused.attrs))
    border = _Border(fused, groups, returned)
    children, dpus, claims = [], [], {}
    taken: set[str] = set()
    for index, group in enumerate(groups):
        names = border.write(model, index)
        child = _child(model, group, names, taken)
        children.append(child)
        if group.device == DPU:
            dpus.append(child)
        if group.claim is not None:
            claims[group.claim] = child
    model.root = Subgraph("root", children=children)
    return Planted(model, tuple(dpus), claims)


class _Border:
    """Copies operators group by group, with uploads in front of DPU groups and downloads behind."""

    def __init__(self, fused: XModel, groups: Sequence[Group], returned: Sequence[str]) -> None:
        self.fused = fused
        self.groups = groups
        self.home = {name: index for index, group in enumerate(groups) for name in group.ops}
        self.leaving = self._leaving(set(returned))
        self.outside: dict[str, str] = {}  # operator -> its download
        self.uploads: dict[str, int] = {}
        self.tensors = {op.tensor.name for op in fused.ops.values()}

    def _leaving(self, returned: set[str]) -> set[str]:
        """Operators of DPU groups that are read by other groups or by the caller."""
        leaving = {name for name in returned if self.groups[self.home[name]].device == DPU}
        for name, op in self.fused.ops.items():
            for producer in op.producers:
                home = self.home[producer]
                if home != self.home[name] and self.groups[home].device == DPU:
                    leaving.add(producer)
        return {name for name in leaving if self.fused.ops[name].kind != "const-fix"}

    def write(self, model: XModel, index: int) -> list[str]:
        """Append the operators of one group; their names, with those of uploads and downloads."""
        group = self.groups[index]
        names: list[str] = []
        local: dict[str, str] = {}
        for name in group.ops:
            op = self.fused.ops[name]
            if group.device == DPU:
                for producer in dict.fromkeys(op.producers):
                    if self.home[producer] != index and producer not in local and self._crosses(producer):
                        local[producer] = self._upload(model, producer)
                        names.append(local[producer])
            else:
                local = self.outside
            op.args = {key: tuple(local.get(p, p) for p in args) for key, args in op.args.items()}
            model.add(op)
            names.append(name)
            if name in self.leaving:
                names.append(self._download(model, op))
        return names

    def _crosses(self, producer: str) -> bool:
        return self.fused.ops[producer].kind != "const-fix"

    def _upload(self, model: XModel, producer: str) -> str:
        source = model.ops[self.outside.get(producer, producer)]
        count = self.uploads.get(source.name, 0)
        self.uploads[source.name] = count + 1
        name = unique(model.ops, f"{source.name}_upload_{count}")
        tensor = _like(source.tensor, self._fresh(f"{source.tensor.name}_upload_{count}"))
        return model.add(XOp(name, "upload", tensor, {"input": (source.name,)})).name

    def _download(self, model: XModel, op: XOp) -> str:
        name = unique({*model.ops, *self.fused.ops}, f"{op.name}_download_0")
        tensor = _like(op.tensor, op.tensor.name)
        op.tensor.name = self._fresh(f"{op.tensor.name}_download_0")
        self.outside[op.name] = name
        return model.add(XOp(name, "download", tensor, {"input": (op.name,)})).name

    def _fresh(self, name: str) -> str:
        """A name that no tensor has yet."""
        made = unique(self.tensors, name)
        self.tensors.add(made)
        return made


def _like(tensor: Tensor, name: str) -> Tensor:
    return Tensor(name, tensor.shape, tensor.dtype, dict(tensor.attrs))


def _child(model: XModel, group: Group, names: Sequence[str], taken: set[str]) -> Subgraph:
    """One child of the root, with the device noted on its operators."""
    for name in names:
        model.ops[name].attrs["device"] = Attr("string", group.device)
    attrs: Attrs = {"device": Attr("string", group.device)}
    title = unique(taken, group.claim or _title(model, names))
    taken.add(title)
    if group.device == DPU:
        return Subgraph(title, children=_superlayers(model, names), attrs=attrs)
    if group.device == CPU and group.claim is None:
        attrs["runner"] = Attr("map_string_2_string", dict.fromkeys(("run", "ref", "sim"), CPU_RUNNER))
    return Subgraph(title, ops=list(names), attrs=attrs)


def _title(model: XModel, names: Sequence[str]) -> str:
    inner = [name for name in names if model.ops[name].kind not in BORDER]
    return f"subgraph_{min(inner or names)}"


def _superlayers(model: XModel, names: Sequence[str]) -> list[Subgraph]:
    """Leaves in an order in which they can run; constants go with their first reader."""
    readers = model.consumers()
    home: dict[str, int] = {}
    leaves: list[list[str]] = []
    pending: dict[str, None] = {}
    for name in names:
        op = model.ops[name]
        if op.kind == "const-fix":
            pending[name] = None
            continue
        own = [p for p in dict.fromkeys(op.producers) if p in pending]
        for constant in own:
            del pending[constant]
        before = op.producers[0] if op.producers else ""
        if (
            op.kind == "pool-fix"
            and model.ops[before].kind.endswith("conv2d-fix")
            and readers[before] == [name]
        ):
            home[name] = home[before]
            leaves[home[name]].append(name)
            continue
        home[name] = len(leaves)
        leaves.append([*own, name])
    made = [Subgraph(_title(model, leaf), ops=leaf) for leaf in leaves]
    for leaf in made:
        if all(model.ops[name].kind in SILENT for name in leaf.ops):
            leaf.attrs["skip_code_gen"] = Attr("bool", True)
    return made


def devices_of(model: XModel) -> Mapping[str, str]:
    """The device of each operator of a compiled model."""
    return {
        name: op.get("device", USER if op.kind.startswith("data") else CPU) for name, op in model.ops.items()
    }
