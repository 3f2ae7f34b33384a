"""Writing the fused model: clusters as fixed-point operators, the rest as it was, and bridges between them.

An operator of the CPU reads floats, one of a DPU integers. `fix2float` brings a DPU's result to the CPU; a `fix` of
the CPU that only DPUs read becomes `float2fix`; an input of the model that only DPUs read is quantized by the caller
(`data-fix`). Names follow the original compiler: a fixed operator is called like the one that computes, its tensor
like the fix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from quantforge.compiler.fusing.draft import Cluster, Draft, const_data
from quantforge.compiler.grid import Grid
from quantforge.compiler.settle import unique
from quantforge.xmodel.model import Attr, Attrs, DataType, Tensor, XModel, XOp


class Emission:
    """Appends to `model`; `devices` says where each operator runs."""

    def __init__(self, flat: XModel, clusters: Mapping[str, Cluster], returned: Sequence[str]) -> None:
        self.flat = flat
        self.clusters = clusters
        self.returned = tuple(returned)
        self.model = XModel(flat.name, attrs=dict(flat.attrs))
        self.devices: dict[str, str] = {}
        self.integers: dict[str, str] = {}
        self.floats: dict[str, str] = {}
        self._tensors: set[str] = set()
        self._absorbed = {name for cluster in clusters.values() for name in cluster.members}
        self._live = self._needed()
        self._cpu_reads, self._dpu_reads = self._reads()
        self._inputs = self._fixed_inputs()

    def run(self) -> None:
        """Write all operators that something needs."""
        for name, op in self.flat.ops.items():
            if op.kind == "data":
                self._data(op)
            elif name in self.clusters and name in self._live:
                self._cluster(self.clusters[name])
            elif name in self._live and name not in self._absorbed and not self._put_off(op):
                self._on_cpu(op)

    def output(self, name: str) -> str:
        """The operator with the numbers of `name` for the caller."""
        return self.float_of(name, "")

    def float_of(self, name: str, reader: str) -> str:
        """The operator that holds the numbers of `name` as floats; a bridge is named after `reader`."""
        if name in self.floats:
            return self.floats[name]
        if name not in self.integers or self._of_constant(name):
            self._on_cpu(self.flat.ops[name])
            return self.floats[name]
        source = self.model.ops[self.integers[name]]
        grid = Grid.of(self.flat.ops[name])
        made = self._add(
            XOp("", "fix2float", Tensor("", source.tensor.shape), {"input": (source.name,)}, grid.attrs()),
            f"{source.tensor.name}_{reader}",
            "CPU",
        )
        self.floats[name] = made.name
        return made.name

    def integer_of(self, name: str) -> str:
        """The operator that holds the integers of the fix `name`."""
        if name in self.integers:
            return self.integers[name]
        fix = self.flat.ops[name]
        grid, source = Grid.of(fix), self.flat.ops[fix.producers[0]]
        if source.kind == "const":
            draft = Draft(
                source.name, "const-fix", fix.tensor.shape, grid, tensor=fix.tensor.name,
                data=grid.integers(const_data(source)),
            )  # fmt: skip
            self.integers[name] = self._draft(draft, {}).name
            return self.integers[name]
        made = self._add(
            _stepping(
                XOp("", "float2fix", Tensor("", fix.tensor.shape), {"input": (self.floats[name],)}), grid
            ),
            f"{name}_float2fix",
            "CPU",
        )
        self.integers[name] = made.name
        return made.name

    def _data(self, op: XOp) -> None:
        fix = self._inputs.get(op.name)
        made = XOp(op.name, "data", _renewed(op.tensor), {}, dict(op.attrs))
        if fix is not None:
            grid = Grid.of(fix)
            made.kind, made.attrs["data_type"] = "data-fix", Attr("string", str(grid.dtype))
            made.tensor = Tensor(fix.tensor.name, op.tensor.shape, grid.dtype, grid.attrs())
            self.integers[fix.name] = op.name
        self._add(made, op.name, "USER")
        if fix is None:
            self.floats[op.name] = op.name

    def _cluster(self, cluster: Cluster) -> None:
        local: dict[str, str] = {}
        for draft in cluster.drafts:
            local[draft.name] = self._draft(draft, local).name
        self.integers[cluster.result] = local[cluster.drafts[-1].name]

    def _draft(self, draft: Draft, local: Mapping[str, str]) -> XOp:
        args = {
            key: tuple(local.get(name) or self.integer_of(name) for name in names)
            for key, names in draft.args.items()
        }
        attrs = dict(draft.attrs)
        if draft.data is not None:
            attrs |= _constant(draft.data, draft.grid.dtype)
        tensor = Tensor(draft.tensor or "", draft.shape, draft.grid.dtype, draft.grid.attrs())
        return self._add(XOp("", draft.kind, tensor, args, attrs), draft.name, "DPU")

    def _on_cpu(self, op: XOp) -> None:
        """An operator of the flat model as it is; producers that were put off come before it."""
        args = {key: tuple(self.float_of(name, op.name) for name in names) for key, names in op.args.items()}
        made = XOp("", op.kind, _renewed(op.tensor), args, dict(op.attrs))
        made.attrs.pop("inserted", None)
        if op.kind == "fix" and op.name in self._dpu_reads and not self._as_float(op):
            made.kind = "float2fix"
            self.integers[op.name] = self._add(_stepping(made, Grid.of(op)), op.name, "CPU").name
            return
        self.floats[op.name] = self._add(made, op.name, "CPU").name

    def _add(self, op: XOp, name: str, device: str) -> XOp:
        op.name = unique(self.model.ops, name)
        op.tensor.name = unique(self._tensors, op.tensor.name or op.name)
        self._tensors.add(op.tensor.name)
        self.devices[op.name] = device
        return self.model.add(op)

    def _as_float(self, op: XOp) -> bool:
        """Whether somebody reads the numbers of `op` as floats."""
        return op.name in self._cpu_reads or op.name in self.returned

    def _put_off(self, op: XOp) -> bool:
        """A quantized input, which is written as `data-fix`; a constant until somebody reads it as floats."""
        if op.kind == "fix" and op.producers[0] in self._inputs:
            return True
        return (op.kind == "const" or self._of_constant(op.name)) and not self._as_float(op)

    def _of_constant(self, name: str) -> bool:
        op = self.flat.ops[name]
        return op.kind == "fix" and self.flat.ops[op.producers[0]].kind == "const"

    def _needed(self) -> set[str]:
        """Operators of the flat model that lead to something returned, through clusters."""
        needed: set[str] = set()
        pending = list(self.returned)
        while pending:
            name = pending.pop()
            if name in needed:
                continue
            needed.add(name)
            cluster = self.clusters.get(name)
            pending.extend(cluster.reads if cluster is not None else self.flat.ops[name].producers)
        return needed

    def _reads(self) -> tuple[set[str], set[str]]:
        """What operators of the CPU read, and what clusters read."""
        dpu = {name for key, c in self.clusters.items() if key in self._live for name in c.reads}
        cpu: set[str] = set()
        for name, op in self.flat.ops.items():
            if name in self._live and name not in self._absorbed and not self._of_constant(name):
                cpu.update(op.producers)
        return cpu, dpu

    def _fixed_inputs(self) -> dict[str, XOp]:
        """Inputs that the caller quantizes: read by one fix only, and that fix by clusters."""
        found: dict[str, XOp] = {}
        readers = self.flat.consumers()
        for name, op in self.flat.ops.items():
            live = [reader for reader in readers[name] if reader in self._live]
            if op.kind != "data" or len(live) != 1 or name in self.returned:
                continue
            fix = self.flat.ops[live[0]]
            if fix.kind == "fix" and fix.name in self._dpu_reads and Grid.of(fix).on_dpu:
                found[name] = fix
        return found


def _stepping(op: XOp, grid: Grid) -> XOp:
    """`op` as a step onto `grid`."""
    op.tensor.dtype = grid.dtype
    op.tensor.attrs = grid.attrs()
    op.attrs |= grid.attrs()
    return op


def _renewed(tensor: Tensor) -> Tensor:
    return Tensor(tensor.name, tensor.shape, tensor.dtype, dict(tensor.attrs))


def _constant(data: np.ndarray[tuple[int, ...], np.dtype[np.generic]], dtype: DataType) -> Attrs:
    little = np.ascontiguousarray(data).astype(data.dtype.newbyteorder("<"), copy=False)
    return {
        "shape": Attr("int32_vec", tuple(data.shape) or (1,)),
        "data_type": Attr("string", str(dtype)),
        "data": Attr("bytes", little.tobytes()),
    }
