"""What `make demo` runs: quantize the digits network two ways, put it on a software DPU, compare, and write the
reports to `out/demo`.

Accuracy, agreement and SQNR are over the 450 test images; calibration uses 256 training images. Time is the median
of repeated runs of one batch of all test images, in ONNX Runtime and on the software DPU.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from dataset import load
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import quantforge
from quantforge.reporting import to_html
from quantforge.runtime import GraphRunner
from quantforge.xmodel.read import read_xmodel

MODEL = Path(__file__).parent / "digits.onnx"
OUT = Path("out/demo")
RECIPES = {"dpu-cnn": "DPU: powers of two", "cpu-cnn": "CPU: float scales"}
BOARD = "KV260"
CALIBRATION_IMAGES = 256
BATCH = 64
TIMED_RUNS = 30


@dataclass(frozen=True)
class Measured:
    """One model on the test set: `logits` [n, 10], the time of a batch, the size of its file."""

    name: str
    logits: NDArray[np.float32]
    batch_ms: float
    file_bytes: int


def batches(images: NDArray[np.float32]) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Calibration data: dicts from input name to a batch."""
    for start in range(0, len(images), BATCH):
        yield {"image": images[start : start + BATCH]}


def measure(name: str, path: Path, images: NDArray[np.float32]) -> Measured:
    """Run a model file in stock ONNX Runtime."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = {session.get_inputs()[0].name: images}
    return timed(name, path, lambda: session.run(None, feeds)[0])


def measure_on_dpu(name: str, path: Path, images: NDArray[np.float32]) -> Measured:
    """Run a compiled model on the software DPU: integers in, channels last."""
    with GraphRunner(read_xmodel(path)) as runner:
        scale = 2.0 ** (runner.input_tensors()[0].fix_point or 0)
        stored = np.clip(np.rint(images * scale), -128, 127).astype(np.int8)
        stored = np.ascontiguousarray(stored.transpose(0, 2, 3, 1))
        return timed(name, path, lambda: runner.run(stored)[0])


def timed(name: str, path: Path, run: Callable[[], NDArray[np.float32]]) -> Measured:
    """The logits of a run, and the median time of several."""
    times_ms = []
    for _ in range(TIMED_RUNS):
        start = time.perf_counter()
        logits = run()
        times_ms.append(1000 * (time.perf_counter() - start))
    return Measured(name, logits, statistics.median(times_ms), path.stat().st_size)


def row(model: Measured, reference: Measured, labels: NDArray[np.int64]) -> list[str]:
    """The figures of one model; agreement and SQNR are against the float model."""
    answers, wanted = model.logits.argmax(1), reference.logits.argmax(1)
    noise = float(np.square(model.logits - reference.logits).sum())
    signal = float(np.square(reference.logits).sum())
    return [
        model.name,
        f"{(answers == labels).mean():.2%}",
        f"{(answers == wanted).mean():.2%}",
        "" if model is reference else f"{10 * np.log10(signal / noise):.1f} dB",
        f"{model.file_bytes / 1024:.1f} KiB",
        f"{model.batch_ms:.2f} ms",
    ]


def show_page(path: Path) -> None:
    """Open a report in the browser when there is a screen."""
    screens = ("DISPLAY", "WAYLAND_DISPLAY")
    if sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in screens):
        webbrowser.open(path.resolve().as_uri())


def main() -> None:
    """Quantize with each recipe, measure on the test set, print one table, write the reports."""
    training, test = load()
    OUT.mkdir(parents=True, exist_ok=True)
    reference = measure("float", MODEL, test.images)
    table = Table("model", "accuracy", "agreement", "SQNR", "file", f"{len(test.images)} images")
    table.add_row(*row(reference, reference, test.labels))
    pages = []
    for recipe, title in RECIPES.items():
        output = OUT / f"digits_{recipe}.onnx"
        data = batches(training.images[:CALIBRATION_IMAGES])
        result = quantforge.quantize(MODEL, data, recipe=recipe, output=output)
        table.add_row(*row(measure(title, output, test.images), reference, test.labels))
        pages.append(output.with_suffix(".html"))
        pages[-1].write_text(to_html(result.report), "utf-8")
        if recipe == "dpu-cnn":
            compiled = OUT / "digits.xmodel"
            predicted = quantforge.deploy(result, BOARD, compiled).report.prediction
            on_dpu = measure_on_dpu(f"compiled for {BOARD}", compiled, test.images)
            table.add_row(*row(on_dpu, reference, test.labels))
    table.caption = (
        "agreement and SQNR: against float; the DPU model is made for an accelerator, not for speed here; the "
        "compiled one ran on the software DPU"
    )
    Console().print(table)
    if predicted is not None:
        print(predicted.text())
    for page in pages:
        print(f"report: {page.resolve()}")
    show_page(pages[0])


if __name__ == "__main__":
    main()
