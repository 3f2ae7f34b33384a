"""`quantforge.quantize`: a model and data in, a quantized model, its plan and its report out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantforge.calibration.data import DataSource, open_data
from quantforge.files import check_writable
from quantforge.frontends.onnx.emit import emit, to_proto
from quantforge.frontends.onnx.forms import Form
from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.onnx.opset_notice import opset_notice
from quantforge.frontends.onnx.run import OnnxExecutor, input_infos
from quantforge.frontends.shards import counter_for
from quantforge.frontends.tuner import open_tuner
from quantforge.graph import Graph
from quantforge.progress import Listener, peak_memory_bytes
from quantforge.quantization.assemble import assemble
from quantforge.quantization.fit import check_fit
from quantforge.quantization.flow import Counter, Quantized, quantize_graph
from quantforge.quantization.plan import Plan, plan_of
from quantforge.quantization.recipe import Override, Recipe
from quantforge.quantization.recipe_file import load_recipe
from quantforge.quantization.report import QuantizationReport, Timing
from quantforge.targets import load_target

if TYPE_CHECKING:
    from quantforge.calibration.preprocessing import Preprocessing
    from quantforge.distribution.pool import Pool


@dataclass(frozen=True)
class Result:
    """What `quantize` returns.

    Attributes:
        graph: The quantized graph.
        plan: The spec of every quantized tensor.
        report: What was done, what not and why, and what it costs.
        path: The file that was written, None when no output was asked for.
        form: Which operators stand for the quantization in `model` and in files.
    """

    graph: Graph
    plan: Plan
    report: QuantizationReport
    path: Path | None
    form: Form = Form.QDQ

    @property
    def model(self) -> Any:
        """The quantized model as an in-memory `onnx.ModelProto`."""
        return to_proto(self.graph, self.report.recipe, self.form)

    def save(self, path: str | Path) -> Path:
        """Write the quantized model; nothing is left behind when it fails.

        Raises:
            InputError: Q0601 when the file cannot be written.
        """
        return emit(self.graph, path, recipe=self.report.recipe, form=self.form)


def quantize(
    model: Any,
    data: Any,
    *,
    recipe: str | Path | Recipe = "dpu-cnn",
    target: str | None = None,
    output: str | Path | None = None,
    preprocessing: str | Path | Preprocessing | None = None,
    samples: int | None = None,
    batch_size: int | None = None,
    sketches: str | Path | None = None,
    overrides: Iterable[Override] = (),
    threads: int | None = None,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    listener: Listener | None = None,
    form: Form = Form.QDQ,
    pool: Pool | None = None,
) -> Result:
    """Quantize a model after training.

    Args:
        model: An ONNX model: a path, serialized bytes, a ModelProto, or an imported `Graph`.
        data: Calibration data: a folder of images, ``.npy``, ``.npz``, an iterable of dicts (input name to array)
            or of arrays, or an object with ``get_next()``. It is read once, batch by batch, and never held whole.
        recipe: A built-in recipe, such as "dpu-cnn" or "cpu-transformer", a TOML file, or a `Recipe`.
        target: Device the model is for ("cpu", "dpu", "npu" or a TOML file); the recipe must fit it.
        output: Where to write the quantized model.
        preprocessing: How images become inputs: a TOML file or `Preprocessing`.
        samples: Use at most so many samples.
        batch_size: Samples per batch.
        sketches: File of calibration statistics, read when it exists and written otherwise.
        overrides: Changes for single tensors or operators on top of the recipe, such as the remedies of a report.
        threads: Threads of ONNX Runtime; None leaves the choice to it.
        providers: Execution providers of ONNX Runtime, in order of preference.
        listener: Called with the progress of calibration after every batch.
        form: Which operators stand for the quantization in the model that is written, see `onnx.forms`.
        pool: Where calibration happens; this process by default.

    Raises:
        QuantforgeError: With a code, see ``quantforge explain``; no output is left behind.
    """
    start = time.perf_counter()
    _check_writable(output, sketches)
    chosen = load_recipe(recipe).with_overrides(tuple(overrides))
    if target is not None:
        check_fit(chosen, load_target(target))
    graph = model if isinstance(model, Graph) else import_model(model)
    opened = _opener(data, graph, batch_size, samples, preprocessing)
    source = opened()
    imported = Timing("import", time.perf_counter() - start)
    executor = OnnxExecutor(threads=threads, providers=tuple(providers))
    store = None if sketches is None else Path(sketches)
    counter = counter_for(pool, executor, opened, chosen.hold_out)
    name, imports = graph.name, [graph]
    del graph  # so that its weights can go once they are folded and equalized
    found = _quantized(imports, executor, source, chosen, store, listener, counter)
    path = None if output is None else emit(found.graph, output, recipe=chosen.name, form=form)
    raised = opset_notice(found.graph, form)
    seconds = time.perf_counter() - start
    report = assemble(
        found,
        chosen,
        model=str(model) if isinstance(model, str | Path) else name,
        target=target,
        source=source.description,
        notices=source.notices if raised is None else (*source.notices, raised),
        tool_version=version("quantforge"),
        timings=(imported, *found.timings, _rest(seconds, imported, found)),
        peak_memory_bytes=peak_memory_bytes(),
    )
    return Result(found.graph, plan_of(found.graph, chosen.name), report, path, form)


def _opener(
    data: Any,
    graph: Graph,
    batch_size: int | None,
    samples: int | None,
    preprocessing: str | Path | Preprocessing | None,
) -> Callable[[], DataSource]:
    """What opens the data, from its start where it can be read again."""
    return partial(
        open_data,
        data,
        input_infos(graph),
        batch_size=batch_size,
        limit=samples,
        preprocessing=_preprocessing(preprocessing),
    )


def _quantized(
    imports: list[Graph],
    executor: OnnxExecutor,
    source: DataSource,
    recipe: Recipe,
    sketches: Path | None,
    listener: Listener | None,
    counter: Counter | None,
) -> Quantized:
    """Quantize the graph in `imports`, which is taken out so that its weights can go."""
    with open_tuner(recipe, imports[0]) as tuner:
        return quantize_graph(
            imports.pop(),
            executor,
            source,
            recipe,
            sketches=sketches,
            listener=listener,
            tuner=tuner,
            counter=counter,
        )


def _check_writable(output: str | Path | None, sketches: str | Path | None) -> None:
    """Say that a file cannot be written before the long work rather than after it."""
    if output is not None:
        check_writable(output)
    if sketches is not None and not Path(sketches).is_file():
        check_writable(sketches)


def _preprocessing(given: str | Path | Preprocessing | None) -> Preprocessing | None:
    if not isinstance(given, str | Path):
        return given
    from quantforge.calibration.preprocessing import load_preprocessing  # pydantic takes a while to import

    return load_preprocessing(given)


def _rest(seconds: float, imported: Timing, found: Quantized) -> Timing:
    return Timing("write", seconds - imported.seconds - sum(timing.seconds for timing in found.timings))
