"""A quantized model compiled for a DPU, on the fast engine of the software DPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.batches import read_batches

if TYPE_CHECKING:
    from bench.jobs import Job

Floats = NDArray[np.float32]


class Deployed:
    """Compiles a quantized ONNX model from file to file and opens what was written.

    Images are quantized and brought into channels-last order on every run, as the ONNX model does it inside.
    """

    def __init__(self, quantized: str, target: str, threads: int) -> None:
        from quantforge.deployment import deploy
        from quantforge.runtime.graph_runner import GraphRunner
        from quantforge.xmodel.read import read_xmodel

        path = Path(quantized).with_suffix(".xmodel")
        deploy(quantized, target, path, vectors=0)
        self._runner = GraphRunner(read_xmodel(path), threads=threads)
        (tensor,) = self._runner.input_tensors()
        if tensor.fix_point is None:
            raise ValueError(f"input {tensor.name} has no fix point")
        self._scale = np.float32(2.0**tensor.fix_point)

    def run(self, feed: dict[str, Floats]) -> list[NDArray[Any]]:
        (images,) = feed.values()
        stored = np.clip(np.rint(images * self._scale), -128, 127).astype(np.int8)
        return self._runner.run(np.ascontiguousarray(stored.transpose(0, 2, 3, 1)))

    def agreement(self, job: Job, expected: dict[str, Floats]) -> dict[str, float]:
        """Share of elements equal to the quantized model's (0..1), of its first output over all images."""
        wanted = next(iter(expected.values()))
        batches = read_batches(job.data, job.count, job.batch_size)
        found = np.concatenate([self.run({job.input_name: batch})[0] for batch in batches])
        if found.shape != wanted.shape:
            found = found.transpose(0, 3, 1, 2)
        return {"dpu_equal": float((found == wanted).mean())}
