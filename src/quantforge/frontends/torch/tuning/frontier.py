"""Run a graph layer by layer over all samples, keeping only the tensors that what follows still reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from quantforge.frontends.torch.run import stored_constant
from quantforge.frontends.torch.tuning.kept import Kept, Samples, Vault
from quantforge.frontends.torch.tuning.straight import StraightProgram, StraightQuantizer
from quantforge.graph import Graph, Op


@dataclass
class Frontier:
    """Values of one graph over chunks of samples, as far as it has been run.

    Constants may change in `graph` as long as no op that reads them has run.
    """

    graph: Graph
    samples: Samples
    chunks: Sequence[Sequence[int]]
    vault: Vault
    device: torch.device
    _kept: dict[str, list[Kept]] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)

    def advance(self, wanted: Sequence[str]) -> None:
        """Compute the values `wanted`, so that `read` can give them until `release`."""
        missing = self._missing(wanted)
        if not missing:
            return
        ran = self._done | {op.name for op in missing}
        produced = [name for op in missing for name in op.outputs if name]
        leaving = [
            name
            for name in dict.fromkeys((*wanted, *produced))
            if name not in self._kept and self._is_live(name, ran, wanted)
        ]
        program = StraightProgram(self._part(missing), [name for name in leaving if name in produced])
        constants = {
            name: stored_constant(self.graph.value(name)).to(self.device) for name in program.constants
        }
        dying = [name for name in self._kept if not self._is_live(name, ran, wanted)]
        for index, units in enumerate(self.chunks):
            with torch.no_grad():
                found = program.run(self._inputs(index, units, program.graph.inputs), constants)
            self.vault.free(self._kept[name][index] for name in dying)
            for name in leaving:
                if name in found:
                    self._kept.setdefault(name, []).append(self.vault.keep(found[name], self._step(name)))
        for name in dying:
            del self._kept[name]
        self._done = ran

    def read(self, name: str, index: int) -> torch.Tensor:
        """A value of chunk `index`, computed before."""
        if name in self.graph.inputs and name not in self._kept:
            found, spec = (
                self.samples.take(self.chunks[index], self.device)[name],
                self.graph.value(name).quant,
            )
            return found if spec is None else StraightQuantizer(spec)(found)
        return self._kept[name][index].tensor().to(self.device)

    def release(self, wanted: Sequence[str] = ()) -> None:
        """Give up what nothing that has not run yet reads, save for `wanted`."""
        for name in [name for name in self._kept if not self._is_live(name, self._done, wanted)]:
            self.vault.free(self._kept.pop(name))

    def close(self) -> None:
        """Give up everything."""
        for name in list(self._kept):
            self.vault.free(self._kept.pop(name))

    def reaches(self, name: str, without: str) -> bool:
        """Whether the value `name` can be computed before the op `without`."""
        return all(op.name != without for op in self._missing([name]))

    def _step(self, name: str) -> float | None:
        """What the value is a multiple of."""
        spec = self.graph.value(name).quant
        return None if spec is None or spec.axis is not None or not spec.scale else spec.scale[0]

    def _is_live(self, name: str, ran: set[str], wanted: Sequence[str]) -> bool:
        return name in wanted or any(op.name not in ran for op in self.graph.consumers(name))

    def _missing(self, wanted: Sequence[str]) -> list[Op]:
        """The ops between what is known and `wanted`, in graph order."""
        needed, found = set(wanted) - self._kept.keys(), []
        for op in reversed(self.graph.ops):
            if op.name not in self._done and needed & set(op.outputs):
                needed.update(name for name in op.inputs if name not in self._kept)
                found.append(op)
        return found[::-1]

    def _part(self, ops: Sequence[Op]) -> Graph:
        """A graph of some ops, whose inputs are what they read of the others."""
        names = dict.fromkeys(name for op in ops for name in (*op.inputs, *op.outputs) if name)
        made = {name for op in ops for name in op.outputs}
        values = [self.graph.value(name) for name in names]
        inputs = [value.name for value in values if not value.is_const and value.name not in made]
        return Graph(self.graph.name, values, ops, inputs, (), self.graph.native)

    def _inputs(self, index: int, units: Sequence[int], names: Sequence[str]) -> Mapping[str, torch.Tensor]:
        """Values that a part of the graph reads; the graph's own inputs too, whose sizes it may ask for."""
        found = self.samples.take(units, self.device)
        return {**found, **{name: self._kept[name][index].tensor().to(self.device)
                            for name in names if name in self._kept}}  # fmt: skip
