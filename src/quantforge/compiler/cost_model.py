"""What a whole model costs on a DPU: which tensors stay on chip, then latency and images per second.

A tensor stays on chip when, from the layer that makes it to the last one that reads it, it fits into the image banks
together with the tensors that were put there before and what each of those layers reads and writes. Otherwise it goes
to memory and comes back for every reader. On the published whole-graph profile of ResNet-50 (example vai_profiler of
Vitis AI 3.5, B4096) this rule gives the printed numbers of loaded and of saved bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from quantforge.compiler.cost import LayerCost, clock_of, layer_cost
from quantforge.compiler.cost_constants import TASKS, Constants, Task, load_constants, load_host, load_totals
from quantforge.compiler.cost_work import LayerWork
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import DpuTarget


@dataclass(frozen=True)
class Node:
    """A layer in a model: its name, which its output has too, its shape, and the outputs it reads."""

    name: str
    work: LayerWork
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class ModelCost:
    """What a model costs.

    Attributes:
        layers: The layers' costs, in order.
        names: Their names.
        latency_ms: Time of one run of one core on the DPU; with batch or several engines all images of the run.
        fps: Images per second of all cores, each busy all the time, within the board's memory bandwidth if known.
        images: Images that one run of one core takes.
        cores: Cores that were counted.
    """

    layers: tuple[LayerCost, ...]
    names: tuple[str, ...]
    latency_ms: float
    fps: float
    images: int
    cores: int

    @property
    def macs(self) -> int:
        """Multiplications of one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def workload(self) -> int:
        """Operations of one image."""
        return sum(layer.workload for layer in self.layers)

    @property
    def ddr_bytes(self) -> int:
        """Bytes that cross the DDR ports for one image."""
        return sum(layer.traffic.ddr for layer in self.layers)


def model_cost(
    nodes: Sequence[Node],
    target: DpuTarget,
    *,
    cores: int | None = None,
    frequency_mhz: float | None = None,
    constants: Constants | None = None,
) -> ModelCost:
    """Cost of the layers one after the other, as their flags say where the tensors lie (see `keep_on_chip`).

    Args:
        nodes: The layers in the order in which they run.
        target: The DPU.
        cores: Cores that work at the same time; None takes those of the target's board.
        frequency_mhz: Clock; None takes the target's.
        constants: Rates; None takes those of the family.

    Raises:
        InputError: Q1020 without a clock.
    """
    cores = target.cores if cores is None else cores
    layers = tuple(
        layer_cost(node.work, target, frequency_mhz=frequency_mhz, constants=constants) for node in nodes
    )
    rates = constants or load_constants(target.family)
    cycles = rates.fixed + sum(layer.in_program for layer in layers)
    latency = cycles / (clock_of(target, frequency_mhz) * 1e3)
    images = target.batch * target.engines
    fps = images * cores * 1000 / latency if latency else 0.0
    moved = sum(layer.traffic.ddr for layer in layers)
    if target.bandwidth_mb_s is not None and moved:
        fps = min(fps, target.bandwidth_mb_s * 1e6 / moved)
    return ModelCost(layers, tuple(node.name for node in nodes), latency, fps, images, cores)


def call_ms(cost: ModelCost, megapixels: float, target: DpuTarget) -> float:
    """Milliseconds of one call from one thread: the DPU, and the host's work on every image of the call.

    Host constants are those of the boards that the model zoo was measured on, with its own pre- and post-processing.

    Raises:
        InputError: Q1022 for a family without published figures.
    """
    host = load_host(target.family)
    if host is None:
        raise _unmeasured(target)
    return cost.latency_ms + cost.images * (host.call + host.per_megapixel * megapixels)


def estimate_call_ms(gops: float, megapixels: float, target: DpuTarget, task: Task = "scores") -> float:
    """Milliseconds of one call from one thread for a model of which only totals are known; a rough figure.

    Args:
        gops: Giga-operations per image, a multiplication and an addition being two.
        megapixels: Input height times width, in millions.
        target: The DPU with its clocks; a call takes all images of its batch.
        task: What the network gives, which decides what the host does.

    Raises:
        InputError: Q1020 without a clock, Q1021 for an unknown task or sizes below 0, Q1022 for a family without
            published figures.
    """
    if task not in TASKS or not (0 <= gops < math.inf and 0 <= megapixels < math.inf):
        found = f"{gops} GOP, {megapixels} megapixels, task {task!r}"
        raise InputError("Q1021", "model", found, f"sizes above 0 and a task of {', '.join(TASKS)}", TASKS[0])
    totals = load_totals(target.family)
    if totals is None:
        raise _unmeasured(target)
    clock = clock_of(target, None)
    peak_ms = gops * 1e6 / (target.peak_ops_per_cycle * (target.aie_frequency_mhz or clock))
    maps_ms = math.sqrt(gops * megapixels) * 300 / clock
    host = totals.call + totals.per_megapixel(task) * megapixels
    return totals.cycles * peak_ms + totals.maps * maps_ms + target.batch * target.engines * host


def _unmeasured(target: DpuTarget) -> InputError:
    found = f"{target.name}, of a family without published figures of whole models"
    return InputError(
        "Q1022", "target", found, "DPUCZDX8G, DPUCVDX8G or DPUCV2DX8G", "model_cost, the DPU alone"
    )


def keep_on_chip(nodes: Sequence[Node], target: DpuTarget) -> tuple[Node, ...]:
    """The nodes with the flags set that say which tensors stay in the image banks."""
    room = sum(bank.bytes for bank in target.image_banks)
    last = {name: index for index, node in enumerate(nodes) for name in node.inputs}
    made = {node.name: index for index, node in enumerate(nodes)}
    kept: set[str] = set()
    used = [0] * len(nodes)  # bytes of kept tensors at each step
    for index, node in enumerate(nodes):
        size, end = _saved(node.work), last.get(node.name)
        if end is None:
            continue
        steps = range(index, end + 1)
        if all(used[step] + size + _streamed(nodes[step], node.name, kept, made) <= room for step in steps):
            kept.add(node.name)
            for step in steps:
                used[step] += size
    return tuple(_placed(node, kept) for node in nodes)


def _streamed(node: Node, name: str, kept: set[str], made: dict[str, int]) -> int:
    """Bytes a step needs for a tensor that is neither `name` nor kept: rows of it, an eighth at a time."""
    others = [other for other in (node.name, *node.inputs) if other != name and other not in kept]
    return sum(_saved(node.work) // 8 for other in others if other in made)


def _placed(node: Node, kept: set[str]) -> Node:
    work = node.work
    main, *further = node.inputs or ("",)
    return replace(
        node,
        work=replace(
            work,
            input_in_ddr=main not in kept,
            fused_in_ddr=any(name not in kept for name in further),
            output_in_ddr=node.name not in kept,
        ),
    )


def _saved(work: LayerWork) -> int:
    pool = work.fused_pool
    return (pool.out_h * pool.out_w if pool else work.out_h * work.out_w) * work.out_c
