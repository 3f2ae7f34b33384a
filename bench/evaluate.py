"""Quality and speed of one quantized model beside its float model, in a process of its own.

Options: `quantized` (path, or None to look at the float model alone), `reference` (.npz that keeps the float
outputs between calls), `labels` (.npy, or None), `classifier`, `encoder` (whether to compare directions),
`speed_rounds`, `round_s`, `deploy` (a DPU that the model is compiled for; the software DPU then takes turns with ONNX
Runtime; or None).

SQNR of an output = 10 log10(sum f^2 / sum (f - q)^2) over all its elements of all images, f float, q quantized.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bench.batches import read_batches
from bench.deployed import Deployed
from bench.jobs import Job, Stopwatch, answer, receive
from bench.sessions import open_session

Outputs = dict[str, NDArray[np.float32]]
Run = Callable[[dict[str, NDArray[np.float32]]], Any]


def main() -> None:
    job = receive()
    watch = Stopwatch()
    path = job.options["quantized"]
    plain = open_session(job.model, job.threads)
    quantized = open_session(path, job.threads) if path else None
    with watch.phase("float"):
        reference = _reference(plain, job)
    with watch.phase("quantized"):
        outputs = _outputs(quantized, job) if quantized else None
    values = quality(reference, outputs, _labels(job), job.options["classifier"])
    if job.options.get("encoder") and outputs is not None:
        values["cosine"] = mean_cosine(*(next(iter(one.values())) for one in (reference, outputs)))
    sessions = {"float_images_per_s": plain.run, **({"images_per_s": quantized.run} if quantized else {})}
    runs: dict[str, Run] = {
        name: lambda feed, run=run: run(None, feed)  # type: ignore[misc]
        for name, run in sessions.items()
    }
    if job.options.get("deploy") and path:
        with watch.phase("compile"):
            deployed = Deployed(path, job.options["deploy"], job.threads)
        values["compile_s"] = watch.seconds["compile"]
        values |= deployed.agreement(job, outputs or {})
        runs["dpu_images_per_s"] = deployed.run
    with watch.phase("speed"):
        values |= _speed(runs, job)
    answer(job, watch, values=values)


def quality(
    reference: Outputs, outputs: Outputs | None, labels: NDArray[np.uint8] | None, classifier: bool
) -> dict[str, Any]:
    """Top-1 (0..1), agreement of the classes with float (0..1), and SQNR by output in dB.

    Without `outputs` it is about the float model. An SQNR is None where there is no error at all, or where an
    output is not finite; `remarks` says which.
    """
    values: dict[str, Any] = {}
    judged = reference if outputs is None else outputs
    if classifier:
        classes = next(iter(judged.values())).argmax(axis=-1)
        if labels is not None:
            values["top1"] = float((classes == labels).mean())
        if outputs is not None:
            values["agreement"] = float((classes == next(iter(reference.values())).argmax(axis=-1)).mean())
    if outputs is None:
        return values
    if list(reference) != list(outputs):
        raise ValueError(f"outputs {list(outputs)}, expected {list(reference)}")
    values["sqnr_db"], values["remarks"] = {}, []
    for name, exact in reference.items():
        values["sqnr_db"][name], remark = sqnr_db(exact, outputs[name])
        values["remarks"] += [f"{name}: {remark}"] if remark else []
    return values


def mean_cosine(exact: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """The mean over rows of the cosine between two embeddings.

    >>> mean_cosine(np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 0.0], [1.0, 0.0]]))
    0.5
    """
    lengths = np.linalg.norm(exact, axis=-1) * np.linalg.norm(found, axis=-1)
    return float(((exact * found).sum(axis=-1) / lengths).mean())


def sqnr_db(exact: NDArray[np.float32], found: NDArray[np.float32]) -> tuple[float | None, str | None]:
    """The signal to quantization noise ratio in dB, or None and the reason.

    >>> sqnr_db(np.array([10.0]), np.array([9.0]))
    (20.0, None)
    """
    if exact.shape != found.shape:
        raise ValueError(f"shape {found.shape}, expected {exact.shape}")
    if not (np.isfinite(exact).all() and np.isfinite(found).all()):
        return None, "not finite"
    noise = float(np.square(exact.astype(np.float64) - found).sum())
    signal = float(np.square(exact.astype(np.float64)).sum())
    if noise == 0:
        return None, "identical to float"
    return float(10 * np.log10(signal / noise)), None


def _reference(session: onnxruntime.InferenceSession, job: Job) -> Outputs:
    path = Path(job.options["reference"])
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **_outputs(session, job))
        partial.replace(path)
    with np.load(path) as kept:
        return {name: kept[name] for name in kept.files}


def _outputs(session: onnxruntime.InferenceSession, job: Job) -> Outputs:
    names = [output.name for output in session.get_outputs()]
    batches = read_batches(job.data, job.count, job.batch_size)
    parts = [session.run(names, {job.input_name: batch}) for batch in batches]
    return {name: np.concatenate(part) for name, part in zip(names, zip(*parts, strict=True), strict=True)}


def _labels(job: Job) -> NDArray[np.uint8] | None:
    path = job.options["labels"]
    return np.load(path)[: job.count] if path else None


def _speed(runs: dict[str, Run], job: Job) -> dict[str, float]:
    """Images per second of each: the median of rounds that take turns, so that all see the same machine."""
    batch = next(read_batches(job.data, job.count, job.batch_size))
    feed = {job.input_name: batch}
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(feed)
    for _ in range(job.options["speed_rounds"]):
        for name, run in runs.items():
            count, start = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < job.options["round_s"]:
                run(feed)
                count += 1
            rates[name].append(count * len(batch) / elapsed)
    return {name: statistics.median(found) for name, found in rates.items()}


if __name__ == "__main__":
    main()
