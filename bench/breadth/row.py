"""One architecture through the torch door: capture, calibrate, quantize, run, export, run the export."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from torch.utils import _pytree as pytree

from quantforge.diagnostics import QuantforgeError
from quantforge.frontends.torch.onnx_export import to_onnx
from quantforge.frontends.torch.quantizer import ModuleQuantizer
from quantforge.frontends.torch.recipes import dpu_recipe
from quantforge.graph import Array, Graph
from quantforge.quantization.recipe import NPU_TRANSFORMER, Recipe

CALIBRATION_BATCHES, BATCH = 4, 2
MARGIN_DB = 6.0
RECIPES: dict[str, Recipe] = {"torch-dpu": dpu_recipe(), "npu-transformer": NPU_TRANSFORMER}

Inputs = Mapping[str, Callable[[int, torch.Generator], torch.Tensor]]


@dataclass(frozen=True)
class Network:
    """What to build and what to feed it.

    Attributes:
        name: The architecture.
        make: Makes the module with random weights.
        inputs: For each argument of forward a function from batch and generator to a tensor.
        recipe: A name of `RECIPES`.
    """

    name: str
    make: Callable[[], torch.nn.Module]
    inputs: Inputs
    recipe: str = "torch-dpu"


@dataclass
class Row:
    """What came of it; what was not reached is None, and `failure` says why."""

    name: str
    recipe: str
    parameters: int | None = None
    operators: int | None = None
    quantized: int | None = None
    floats: int | None = None
    opaque: dict[str, int] = field(default_factory=dict)
    capture_s: float | None = None
    calibrate_s: float | None = None
    export_s: float | None = None
    sqnr_db: float | None = None
    onnx: bool = False
    steps: float | None = None  # largest difference of quantized outputs, in steps of their grid
    relative: float | None = None  # largest difference of float outputs, over the largest value
    agreement_db: float | None = None  # quantized outputs against their difference to ONNX Runtime, the worst
    failure: str = ""

    @property
    def passed(self) -> bool:
        """Whether every stage worked and ONNX Runtime is at most one step or float noise away.

        Where a float operator lands on a tie, the step grows on its way to the output; it has to stay well below
        what quantization does.
        """
        if self.failure or not self.onnx:
            return False
        near = (self.steps or 0.0) <= 1.0 and (self.relative or 0.0) < 1e-3
        return near or (self.agreement_db or 0.0) >= (self.sqnr_db or 0.0) + MARGIN_DB


def measure(network: Network) -> Row:
    """Everything about one architecture; an error ends its row and is told in it."""
    row = Row(network.name, network.recipe)
    try:
        _measure(network, row)
    except QuantforgeError as error:
        row.failure = str(error).splitlines()[0][:300]
    except Exception as error:  # noqa: BLE001  a defect of any kind is a row of the table, not its end
        row.failure = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
    return row


def _measure(network: Network, row: Row) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    module = network.make().eval()
    give_unit_gain(module)
    row.parameters = sum(parameter.numel() for parameter in module.parameters())
    batches = [_batch(network, generator) for _ in range(CALIBRATION_BATCHES)]
    with torch.no_grad():
        settle_batch_norm(module, batches)
    held_out = _batch(network, generator)
    quantizer = _captured(network, module, batches[0], row)
    _calibrate(quantizer, batches, row)
    want, got = _outputs(module, quantizer, held_out)
    pairs = [pair for pair in zip(want, got, strict=True) if pair[0].dtype.kind == "f"]
    row.sqnr_db = min((_sqnr_db(*pair) for pair in pairs), default=None)
    _exported(quantizer, held_out, got, row)


def _batch(network: Network, generator: torch.Generator) -> dict[str, torch.Tensor]:
    return {name: make(BATCH, generator) for name, make in network.inputs.items()}


def give_unit_gain(module: torch.nn.Module) -> None:
    """Layers that begin with tiny weights, and tokens and positions that begin as zeros, as if trained.

    Libraries begin with a deviation of 0.02 at any width, in some models also around a gain of 0 of batch
    normalizations; in layers as narrow as these nothing would be left of the signal.
    """
    with torch.no_grad():
        for part in module.modules():
            weight = getattr(part, "weight", None)
            if isinstance(part, torch.nn.Linear) and weight.std() < 0.3 * weight.shape[1] ** -0.5:
                weight.mul_(weight.shape[1] ** -0.5 / max(float(weight.std()), 1e-12))
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and weight.abs().mean() < 0.1:
                weight.fill_(1.0)
        for parameter in module.parameters():
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(0.0, 0.5)


def settle_batch_norm(module: torch.nn.Module, batches: list[dict[str, torch.Tensor]]) -> None:
    """Give batch normalizations the statistics of the data, as training would have."""
    norms = [part for part in module.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None
        norm.train()
    for batch in batches if norms else []:
        module(**batch)
    module.eval()


def _captured(
    network: Network, module: torch.nn.Module, example: dict[str, torch.Tensor], row: Row
) -> ModuleQuantizer:
    begin = time.perf_counter()
    quantizer = ModuleQuantizer(module, (), example, RECIPES[network.recipe])
    row.capture_s = time.perf_counter() - begin
    row.operators = len(quantizer.base.ops)
    row.floats = len(quantizer.places.floats)
    row.quantized = row.operators - row.floats
    kinds = Counter(str(op.attrs["type"]) for op in quantizer.base.ops if op.kind == "opaque")
    row.opaque = {name.removeprefix("aten."): count for name, count in kinds.most_common()}
    return quantizer


def _calibrate(quantizer: ModuleQuantizer, batches: list[dict[str, torch.Tensor]], row: Row) -> None:
    begin = time.perf_counter()
    observed = quantizer.observed_module()
    with torch.no_grad():
        for batch in batches:
            observed(**batch)
    quantizer.solve()
    row.calibrate_s = time.perf_counter() - begin


def _outputs(
    module: torch.nn.Module, quantizer: ModuleQuantizer, batch: dict[str, torch.Tensor]
) -> tuple[list[Array], list[Array]]:
    quantized = quantizer.quantized_module()
    with torch.no_grad():
        return _leaves(module(**batch)), _leaves(quantized(**batch))


def _leaves(outputs: Any) -> list[Array]:
    return [leaf.numpy() for leaf in pytree.tree_leaves(outputs) if isinstance(leaf, torch.Tensor)]


def _sqnr_db(want: Array, got: Array) -> float:
    exact = want.astype(np.float64)
    noise = float(((exact - got) ** 2).sum())
    signal = float((exact**2).sum())
    return float("inf") if noise == 0.0 else 10 * float(np.log10(max(signal, 1e-300) / noise))


def _exported(quantizer: ModuleQuantizer, batch: dict[str, torch.Tensor], got: list[Array], row: Row) -> None:
    graph = quantizer.graph
    if graph is None:
        raise AssertionError("solve() gives a graph")
    begin = time.perf_counter()
    model = to_onnx(graph, network_recipe(quantizer)).SerializeToString()
    row.export_s = time.perf_counter() - begin
    row.onnx = True
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    wanted = {value.name for value in session.get_inputs()}
    feeds = {name: tensor.numpy() for name, tensor in batch.items() if name in wanted}
    found = dict(zip((value.name for value in session.get_outputs()), session.run(None, feeds), strict=True))
    compare(graph, got, found, row)


def network_recipe(quantizer: ModuleQuantizer) -> str:
    return quantizer.recipe.name


def compare(graph: Graph, got: list[Array], found: Mapping[str, Array], row: Row) -> None:
    """Largest difference, in steps where an output lies on a grid, else relative to its largest value."""
    names = [name for name in graph.native.returned if isinstance(name, str)]
    for name, expected in zip(names, got, strict=True):
        actual = found[name]
        if actual.shape != expected.shape or actual.dtype != expected.dtype:
            row.failure = f"output {name}: {actual.dtype}{actual.shape}, not {expected.dtype}{expected.shape}"
            return
        if expected.size == 0:
            continue
        if expected.dtype.kind == "f":
            row.agreement_db = min(_sqnr_db(expected, actual), row.agreement_db or float("inf"))
        difference = float(np.abs(actual.astype(np.float64) - expected.astype(np.float64)).max())
        quant = graph.value(name).quant
        if quant is not None:
            row.steps = max(row.steps or 0.0, difference / max(quant.scale))
        else:
            largest = float(np.abs(expected.astype(np.float64)).max())
            row.relative = max(row.relative or 0.0, difference / max(largest, 1e-30))
