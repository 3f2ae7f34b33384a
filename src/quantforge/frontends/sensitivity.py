"""`quantforge.sensitivity`: which layers of a model cost most when they are quantized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantforge.calibration.data import open_data
from quantforge.distribution.pool import LocalPool, Pool
from quantforge.frontends.layers import rank_layers
from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.onnx.run import OnnxExecutor, input_infos
from quantforge.graph import Graph
from quantforge.quantization.flow import quantize_graph
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.recipe_file import load_recipe
from quantforge.quantization.report import DataReport
from quantforge.quantization.sensitivity import LayerSensitivity

if TYPE_CHECKING:
    from quantforge.calibration.preprocessing import Preprocessing


@dataclass(frozen=True)
class Sensitivity:
    """The layers of a model under a recipe, the worst first; `samples` of the data were looked at."""

    model: str
    recipe: str
    data: DataReport
    samples: int
    layers: tuple[LayerSensitivity, ...]


def sensitivity(
    model: Any,
    data: Any,
    *,
    recipe: str | Path | Recipe = "dpu-cnn",
    confirm: int | None = None,
    preprocessing: Preprocessing | None = None,
    samples: int | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    pool: Pool | None = None,
) -> Sensitivity:
    """Rank the layers of a model by the error at its outputs when one alone is quantized.

    Args:
        model: As in `quantize`.
        data: As in `quantize`; it is read twice.
        recipe: As in `quantize`.
        confirm: Run that many layers alone, those that add most at their own output, and estimate the rest from
            what they add there. None runs every layer, which takes longer and is much more reliable.
        preprocessing: How images become inputs.
        samples: Use at most so many samples.
        batch_size: Samples per batch.
        threads: Threads of ONNX Runtime.
        providers: Execution providers of ONNX Runtime.
        pool: Where the runs happen; this process by default.

    Raises:
        QuantforgeError: With a code, see ``quantforge explain``.
    """
    chosen, graph = load_recipe(recipe), model if isinstance(model, Graph) else import_model(model)
    source = open_data(
        data, input_infos(graph), batch_size=batch_size, limit=samples, preprocessing=preprocessing
    )
    executor = OnnxExecutor(threads=threads, providers=tuple(providers))
    found = quantize_graph(graph, executor, source, chosen)
    looked = 0 if found.measurement is None else found.measurement.samples
    rows = rank_layers(found, executor, source, chosen.hold_out, confirm, pool or LocalPool())
    return Sensitivity(
        str(model) if isinstance(model, str | Path) else graph.name,
        chosen.name,
        DataReport(source.description, found.calibration.samples, found.calibration.batches),
        looked,
        rows,
    )
