"""One rung of the ladder: quantize by a recipe and judge the result on the samples held out.

A rung is a function of picklable things, so that it can run in any process.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantforge.calibration.data import DataSource, open_data
from quantforge.calibration.history import needs_history
from quantforge.calibration.split import held_out_samples, split
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.run import OnnxExecutor, input_infos
from quantforge.frontends.tuner import open_tuner
from quantforge.graph import Graph
from quantforge.progress import track
from quantforge.quantization.compare import Labels
from quantforge.quantization.flow import Quantized, feeds_hash, graph_hash, quantize_graph
from quantforge.quantization.goal import Figures
from quantforge.quantization.judge import judge
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.recipe_file import recipe_text

if TYPE_CHECKING:
    from quantforge.calibration.preprocessing import Preprocessing


@dataclass(frozen=True)
class Trial:
    """What all rungs have in common.

    Attributes:
        graph: The float model.
        data: As for `open_data`, and readable more than once.
        hold_out: Every so many samples one is judged on rather than calibrated on.
        labels: True class of every sample of `data`, or None.
        folder: Where calibration statistics are kept for the next rung; None keeps none.
        preprocessing: How images become inputs.
        samples: Use at most so many samples.
        batch_size: Samples per batch.
        threads: Of ONNX Runtime.
        providers: Of ONNX Runtime.
    """

    graph: Graph
    data: Any
    hold_out: int
    labels: Labels | None = None
    folder: Path | None = None
    preprocessing: Preprocessing | None = None
    samples: int | None = None
    batch_size: int | None = None
    threads: int | None = None
    providers: tuple[str, ...] = ("CPUExecutionProvider",)

    @property
    def executor(self) -> OnnxExecutor:
        """Runs graphs."""
        return OnnxExecutor(threads=self.threads, providers=self.providers)

    def source(self) -> DataSource:
        """All samples.

        Raises:
            InputError: Q0218 for data that can be read only once.
        """
        return open_data(
            from_the_start(self.data),
            input_infos(self.graph),
            batch_size=self.batch_size,
            limit=self.samples,
            preprocessing=self.preprocessing,
        )

    def key(self) -> str:
        """A hash of the model, the data (its description and first batch), the labels and what is held out."""
        source = self.source()
        first = next(iter(source), {})
        parts = (
            graph_hash(self.graph),
            f"{source.description}; {source.samples} samples; {source.batch_size}; {self.hold_out}",
            feeds_hash([first]),
            "" if self.labels is None else self.labels.tobytes().hex(),
        )
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def from_the_start(data: Any) -> Any:
    """`data` as something that `open_data` reads from its start, however often it was read before.

    Raises:
        InputError: Q0218 for data that can be read only once.
    """
    if hasattr(data, "rewind"):
        data.rewind()
    elif isinstance(data, Iterator) or hasattr(data, "get_next"):
        raise InputError(
            "Q0218",
            "calibration data",
            "a source that ends for good",
            "data that can be read again",
            "pass a list, or a function that returns a fresh iterator; or give the reader a rewind()",
        )
    return data


@dataclass(frozen=True)
class Outcome:
    """What one rung reached, in how many seconds."""

    figures: Figures
    seconds: float


def run_rung(trial: Trial, recipe: Recipe) -> Outcome:
    """Quantize by `recipe` and judge.

    Raises:
        QuantforgeError: As `quantize_graph` and `judge`.
    """
    start = time.perf_counter()
    found = quantized_by(trial, recipe)
    figures = judged(trial, found.graph)
    return Outcome(figures, time.perf_counter() - start)


def quantized_by(trial: Trial, recipe: Recipe) -> Quantized:
    """The model of `trial` by `recipe`, with the statistics of an earlier rung where they serve."""
    sketches = sketches_for(trial.folder, recipe)
    with open_tuner(recipe, trial.graph) as tuner:
        return quantize_graph(
            trial.graph, trial.executor, trial.source(), recipe, sketches=sketches, tuner=tuner
        )


def judged(trial: Trial, quantized: Graph) -> Figures:
    """The figures of `quantized` on the samples held out."""
    source = trial.source()
    part = split(source, trial.hold_out)[1]
    labels = trial.labels
    if labels is not None:
        labels = labels[held_out_samples(source, trial.hold_out, len(labels))]
    figures = judge(trial.executor, trial.graph, quantized, track(part, "judging", part.batches), labels)
    if labels is not None and figures.samples != len(labels):
        raise InputError(
            "Q0221",
            "labels",
            f"labels for {len(labels)} samples held out, of which there are {figures.samples}",
            "one label for each sample",
            "give the labels of exactly this data, in its order",
        )
    return figures


def sketches_for(folder: Path | None, recipe: Recipe) -> Path | None:
    """Where the statistics of this recipe's calibration are; None when they cannot be kept.

    Recipes share them that prepare the graph alike and keep the same operators in float; how ranges are chosen from
    the statistics does not matter. Statistics over batches are not kept in files.
    """
    rules = [rule for rule in (recipe.activations, recipe.inputs) if rule is not None]
    per_batch = any(override.statistic is not None for override in recipe.overrides)
    if folder is None or per_batch or any(needs_history(rule) for rule in rules):
        return None
    plain = recipe
    if (
        recipe.finetune is None and recipe.dpu_structure is None
    ):  # those prepare by formats and by all overrides
        plain = replace(
            recipe,
            correct_bias=False,
            correct_bias_by_samples=False,
            positions_by_output=False,
            refine=None,
            output_margin=0.0,
            overrides=tuple(override for override in recipe.overrides if override.keep_float),
        )
    digest = hashlib.blake2b(recipe_text(plain).encode(), digest_size=8).hexdigest()
    return folder / f"sketches-{digest}.npz"
