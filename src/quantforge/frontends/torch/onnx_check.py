"""What an exported ONNX file computes, beside the graph it was written from: each layer, or the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from quantforge.diagnostics import InputError
from quantforge.files import atomic_path
from quantforge.frontends.onnx.native import ORT_ERRORS, is_default_domain
from quantforge.frontends.torch.run import TorchExecutor
from quantforge.graph import Array, Graph

RELATIVE, ABSOLUTE = 1e-4, 1e-5  # what may lie between two runtimes whose sums run in different orders


@dataclass(frozen=True)
class Difference:
    """One output: the largest distance between both, and how many of its elements are not equal."""

    output: str
    largest: float
    unequal: int
    elements: int
    close: bool


def differences(graph: Graph, path: Path, feeds: Mapping[str, Array]) -> list[Difference]:
    """Each output of `graph` in torch and of the ONNX file at `path`.

    Raises:
        InputError: Q1480 when ONNX Runtime cannot run the file.
    """
    wanted = TorchExecutor().session(graph, graph.outputs).run(feeds)
    session = _session(path, ort.SessionOptions())
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, _run(path, session, names, feeds), strict=True))
    return [_difference(name, np.asarray(wanted[name]), np.asarray(found[name])) for name in graph.outputs]


def _difference(name: str, wanted: Array, found: Array) -> Difference:
    close = wanted.shape == found.shape and np.allclose(found, wanted, RELATIVE, ABSOLUTE, equal_nan=True)
    if wanted.shape != found.shape:
        return Difference(name, float("inf"), wanted.size, wanted.size, False)
    unequal = int((found != wanted).sum() - (np.isnan(found) & np.isnan(wanted)).sum())
    gap = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
    return Difference(name, float(np.nan_to_num(gap).max(initial=0.0)), unequal, wanted.size, bool(close))


def layer_values(path: Path, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Every real-valued tensor that a node of the file at `path` computes, in the order of the nodes.

    Raises:
        InputError: Q1480 when ONNX Runtime cannot run the file.
    """
    model = onnx.load(str(path))
    computed = dict.fromkeys(name for node in model.graph.node for name in node.output if name)
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in computed if name not in known
    )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = _session(path, options, model.SerializeToString())
    reals = {output.name for output in session.get_outputs() if output.type == "tensor(float)"}
    names = [name for name in computed if name in reals]
    return dict(zip(names, _run(path, session, names, feeds), strict=True))


def optimize_file(path: Path) -> None:
    """Let ONNX Runtime fold constants and drop what computes nothing; quantized weights stay integers.

    Raises:
        InputError: Q1480 when ONNX Runtime cannot read the file.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with atomic_path(path) as partial:
        options.optimized_model_filepath = str(partial)
        options.log_severity_level = 3
        _session(path, options)
        model = onnx.load(str(partial))
        _drop_unused_domains(model)
        partial.write_bytes(model.SerializeToString())


def _drop_unused_domains(model: Any) -> None:
    """ONNX Runtime lists every domain that it has operators for."""
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    used = {node.domain for node in nodes}
    kept = [entry for entry in model.opset_import if entry.domain in used or is_default_domain(entry.domain)]
    copies = [type(entry).FromString(entry.SerializeToString()) for entry in kept]
    del model.opset_import[:]
    model.opset_import.extend(copies)


def _session(path: Path, options: Any, model: bytes | None = None) -> Any:
    options.log_severity_level = 3
    try:
        source = str(path) if model is None else model
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except ORT_ERRORS as error:
        raise _refused(path, error) from error


def _run(path: Path, session: Any, names: list[str], feeds: Mapping[str, Array]) -> list[Array]:
    known = {entry.name for entry in session.get_inputs()}
    try:
        return list(session.run(names, {name: array for name, array in feeds.items() if name in known}))
    except ORT_ERRORS as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0]
    return InputError(
        "Q1480", str(path), reason, "a file that ONNX Runtime runs", "report this with the model"
    )
