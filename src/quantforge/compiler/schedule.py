"""The order of superlayers of a DPU subgraph, and where every tensor lies.

Memory is spaces (registers): REG_0 parameters, REG_1 workspace, REG_2 what comes in, REG_3 what goes out. A tensor
stays on the chip from the superlayer that makes it to the last that reads it when both are done in one piece and
everything in between leaves it room; all others go to memory. What a concatenation joins is written where it ends up,
and a reshape names the same bytes anew, so that neither needs instructions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from quantforge.compiler.memory import Packing, Span, aligned, pack
from quantforge.compiler.tiling import Chip, Tiling, tiling
from quantforge.compiler.views import View, find_views
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.model import Subgraph, XModel, XOp

CONST, WORKSPACE, INPUT, OUTPUT = 0, 1, 2, 3
PARAMETER_ALIGN, DATA_ALIGN = 4096, 64


@dataclass(frozen=True, eq=False)
class Layer:
    """A superlayer: its leaf, the operators it reads from others, its own, and its constants."""

    leaf: Subgraph
    reads: tuple[str, ...]
    ops: tuple[str, ...]
    constants: tuple[str, ...]

    @property
    def writes(self) -> str:
        """The operator whose tensor comes out."""
        return self.ops[-1]


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: a space and an offset in bytes, on the chip or in memory, and its element strides."""

    space: int
    offset: int
    on_chip: bool
    strides: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Schedule:
    """What is decided for one DPU subgraph.

    Attributes:
        subgraph: The subgraph.
        layers: Its superlayers in order.
        places: Where the tensor of each operator lies.
        tilings: Pieces, by superlayer.
        sizes: Bytes of each space.
        on_chip_bytes: Most bytes of the image banks in use.
        silent: Operators at the end of superlayers without instructions.
        work: Offsets on the chip of what comes from memory or goes there, by superlayer and operator; superlayers
            that are done in pieces use the banks from 0 on.
    """

    subgraph: Subgraph
    layers: tuple[Layer, ...]
    places: dict[str, Place]
    tilings: dict[str, Tiling]
    sizes: dict[int, int]
    on_chip_bytes: int
    silent: frozenset[str]
    work: dict[tuple[int, str], int]


def schedule(model: XModel, subgraph: Subgraph, target: DpuTarget) -> Schedule:
    """Decide for one DPU subgraph of a planted model."""
    layers = tuple(_layer(model, leaf) for leaf in subgraph.children)
    inside = set(subgraph.all_ops())
    leaving = {model.ops[name].args["input"][0] for name in inside if model.ops[name].kind == "download"}
    views, silent = find_views(model, [layer.ops for layer in layers], leaving)
    chip = Chip.of(target)
    last = _last_reads(layers)
    moving = {view.base for view in views.values()} | set(views) | leaving
    tilings = {layer.leaf.name: _cut(model, layer, chip) for layer in layers if layer.writes not in silent}
    busy = [layer if layer.writes not in silent else None for layer in layers]
    stays, packing = _stay(model, busy, last, moving, tilings, chip)
    work = {_step_of(key): at for key, at in packing.offsets.items() if key not in stays}
    places, sizes = _in_memory(model, layers, last, leaving, views, stays)
    places |= {name: Place(WORKSPACE, offset, True) for name, offset in stays.items()}
    for step, layer in enumerate(layers):
        between = [name for name in layer.ops[:-1] if places[name].on_chip]
        places |= {name: Place(WORKSPACE, work.get((step, name), 0), True) for name in between}
    return Schedule(subgraph, layers, places, tilings, sizes, packing.size, frozenset(silent), work)


def _layer(model: XModel, leaf: Subgraph) -> Layer:
    ops = tuple(name for name in leaf.ops if model.ops[name].kind != "const-fix")
    read = dict.fromkeys(p for name in ops for p in model.ops[name].producers)
    constants = tuple(name for name in read if model.ops[name].kind == "const-fix")
    reads = tuple(name for name in read if name not in ops and name not in constants)
    return Layer(leaf, reads, ops, constants)


def _cut(model: XModel, layer: Layer, chip: Chip) -> Tiling:
    if model.ops[layer.writes].kind == "download":
        return Tiling()
    return tiling(model, layer.reads, [model.ops[name] for name in layer.ops], chip, chip.image_bytes)


def _last_reads(layers: Sequence[Layer]) -> dict[str, int]:
    """The last step that needs each operator's tensor."""
    last: dict[str, int] = {}
    for step, layer in enumerate(layers):
        for name in (*layer.reads, *layer.ops):
            last[name] = step
    return last


def _stay(
    model: XModel,
    layers: Sequence[Layer | None],
    last: Mapping[str, int],
    moving: set[str],
    tilings: Mapping[str, Tiling],
    chip: Chip,
) -> tuple[dict[str, int], Packing]:
    """Offsets on the chip of tensors that stay there, and of all; None is a silent superlayer."""
    work = [_work(model, layer, step, chip, tilings) for step, layer in enumerate(layers)]
    busy = [chip.image_bytes + 1 if spans is None else sum(span.size for span in spans) for spans in work]
    chosen: dict[str, Span] = {}
    for step, layer in enumerate(layers):
        if layer is None or layer.writes in moving or work[step] is None or last[layer.writes] == step:
            continue
        name = layer.writes
        size = chip.bytes_of(model.ops[name].tensor)
        more = {s: 0 if _reads(layers[s], name) else size for s in range(step + 1, last[name] + 1)}
        if all(busy[s] + extra <= chip.image_bytes for s, extra in more.items()):
            chosen[name] = Span(name, size, step, last[name])
            for s, extra in more.items():
                busy[s] += extra
    return _settle(chosen, [span for spans in work for span in spans or ()], chip)


def _step_of(key: str) -> tuple[int, str]:
    step, name = key.split("\0", 1)
    return int(step), name


def _reads(layer: Layer | None, name: str) -> bool:
    return layer is not None and name in layer.reads


def _work(
    model: XModel, layer: Layer | None, step: int, chip: Chip, tilings: Mapping[str, Tiling]
) -> list[Span] | None:
    """What a superlayer has on the chip while it runs; None when it takes all of it, piece by piece."""
    if layer is None or model.ops[layer.writes].kind == "download":
        return []
    if tilings[layer.leaf.name].rows * tilings[layer.leaf.name].columns > 1:
        return None
    return [
        Span(f"{step}\0{name}", chip.bytes_of(model.ops[name].tensor), step, step)
        for name in (*layer.reads, *layer.ops)
    ]


def _settle(chosen: dict[str, Span], work: Sequence[Span], chip: Chip) -> tuple[dict[str, int], Packing]:
    """Pack what stays beside what each superlayer needs; what finds no gap goes to memory after all."""
    while True:
        passing = [span for span in work if _step_of(span.name)[1] not in chosen]
        packing = pack([*chosen.values(), *passing], chip.lanes, chip.image_bytes)
        if not packing.left_out or not chosen:
            return {name: packing.offsets[name] for name in chosen}, packing
        steps = {_step_of(name)[0] for name in packing.left_out if name not in chosen}
        gone = [name for name in packing.left_out if name in chosen] or [
            name for name, span in chosen.items() if any(span.start <= s <= span.end for s in steps)
        ]
        del chosen[max(gone or chosen, key=lambda name: chosen[name].size)]


def _in_memory(
    model: XModel,
    layers: Sequence[Layer],
    last: Mapping[str, int],
    leaving: set[str],
    views: Mapping[str, View],
    stays: Mapping[str, int],
) -> tuple[dict[str, Place], dict[int, int]]:
    """Places of all tensors in memory, and the bytes of each space."""
    places: dict[str, Place] = {}
    sizes = {CONST: _parameters(model, layers, places)}
    spans: dict[str, Span] = {}
    ends = {INPUT: 0, OUTPUT: 0}
    for step, layer in enumerate(layers):
        for name in layer.ops:
            op = model.ops[name]
            base = views[name].base if name in views else name
            if op.kind == "download" or name in stays:
                continue
            if op.kind == "upload" or (base == name and name in leaving):
                space = INPUT if op.kind == "upload" else OUTPUT
                places[name] = Place(space, ends[space], False)
                ends[space] = aligned(ends[space] + _bytes(op), DATA_ALIGN)
            elif name == layer.writes or last.get(name, step) > step:
                known = spans.get(base, Span(base, _bytes(model.ops[base]), step, step))
                spans[base] = Span(base, known.size, known.start, max(known.end, last[name]))
            else:
                places[name] = Place(WORKSPACE, 0, True)
    spans = {name: span for name, span in spans.items() if name not in places}
    packing = pack(spans.values(), DATA_ALIGN)
    for name, offset in packing.offsets.items():
        places.setdefault(name, Place(WORKSPACE, offset, False))
    _place_views(model, views, places)
    sizes |= {space: end for space, end in ends.items() if end}
    if packing.size:
        sizes[WORKSPACE] = packing.size
    return places, sizes


def _parameters(model: XModel, layers: Sequence[Layer], places: dict[str, Place]) -> int:
    end = 0
    for layer in layers:
        for name in reversed(layer.constants):  # the bias before the weights, as in published models
            if name not in places:
                places[name] = Place(CONST, end, False)
                end = aligned(end + _bytes(model.ops[name]), PARAMETER_ALIGN)
    return end


def _place_views(model: XModel, views: Mapping[str, View], places: dict[str, Place]) -> None:
    for name, view in views.items():
        base = places[view.base]
        places[name] = Place(base.space, base.offset + view.offset, base.on_chip, view.strides)


def _bytes(op: XOp) -> int:
    return math.prod(op.tensor.shape) * max(op.tensor.dtype.bits // 8, 1)
