"""The tensors of a quantized model as files, to lay beside what a device computed.

    quant_<tensor>.bin          the stored numbers in the type they are stored in, in the order of the axes, no header
    quant_<tensor>.txt          the same, one per line
    quant_<tensor>_float.bin    the real numbers, float32
    quant_<tensor>_float.txt

<tensor> is the name in the float model; what a file name cannot hold becomes "_". Weights and biases are tensors too.
Integers of more than 24 bits come from float32 numbers and are as exact as those.
Source: the user guide UG1414, "Dumping the Simulation Results" of the ONNX quantizer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.files import atomic_path
from quantforge.frontends.onnx.run import OnnxExecutor
from quantforge.graph import Array, Graph, Value
from quantforge.graph.quantize import fake_quantize_value, quantize_value
from quantforge.progress import track

_AT_ONCE = 64  # values that are held in memory together
_BORDERS = ("QuantizeLinear", "DequantizeLinear")
_STORED = ("int8", "uint8", "int16", "uint16")  # what operators on integers make


def dump_values(
    graph: Graph, feeds: Mapping[str, Array], folder: str | Path, floats: bool = False
) -> list[Path]:
    """Write the tensors of one batch; returns the files.

    Args:
        graph: A quantized graph (`absorb_qdq.absorb` makes one of a file).
        feeds: The inputs by name.
        folder: Where to; it is made when it is not there.
        floats: Write the real numbers too, also of tensors that are not quantized.

    Raises:
        InputError: Q0710 when nothing is quantized and `floats` is off; Q0112 to Q0115 for feeds that do not fit.
    """
    names = [name for name in _names(graph) if floats or _is_stored(graph.value(name))]
    if not names:
        raise InputError(
            "Q0710", f"model {graph.name!r}", "no quantized tensor", "a quantized model",
            "quantize it first, or dump_float=True for the real numbers",
        )  # fmt: skip
    Path(folder).mkdir(parents=True, exist_ok=True)
    runnable = _without_borders(graph)
    stems = _stems(names)
    parts = [names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)]
    written: list[Path] = []
    for part in track(parts, "dumping", len(parts)):
        found = OnnxExecutor().session(runnable, part).run(feeds)
        for name in part:
            written += _write(graph.value(name), found[name], Path(folder) / stems[name], floats)
    return written


def _without_borders(graph: Graph) -> Graph:
    """A copy without the specs of values that an operator of the graph itself rounds."""
    copy = graph.copy()
    for op in copy.ops:
        if op.kind == "opaque" and str(op.attrs.get("type")) in _BORDERS:
            for name in (op.inputs[0], op.outputs[0]):
                copy.set_value(replace(copy.value(name), quant=None))
    return copy


def _names(graph: Graph) -> Iterator[str]:
    """Inputs, constants that operators read, and what they make: each once, in the order of the graph."""
    seen: set[str] = set()
    for name in graph.inputs:
        seen.add(name)
        yield name
    for op in graph.ops:
        for name in (*op.inputs, *op.outputs):
            if name and name not in seen:
                seen.add(name)
                if _is_stored(graph.value(name)) or graph.value(name).is_float:
                    yield name


def _is_stored(value: Value) -> bool:
    return value.quant is not None or (value.dtype in _STORED and not value.is_const)


def _stems(names: Sequence[str]) -> dict[str, str]:
    """File names without their endings, all different."""
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        stem = plain = "quant_" + re.sub(r"[^0-9A-Za-z_.-]", "_", name)
        count = 0
        while stem in taken:
            count += 1
            stem = f"{plain}_{count}"
        taken.add(stem)
        stems[name] = stem
    return stems


def _write(value: Value, data: Array, stem: Path, floats: bool) -> list[Path]:
    written: list[Path] = []
    if value.quant is not None:
        data = np.asarray(fake_quantize_value(data, value.quant, value.name))
        written += _pair(np.asarray(quantize_value(data, value.quant, value.name)), stem)
    elif value.dtype in _STORED:
        return _pair(data, stem)
    if floats:
        written += _pair(np.asarray(data, np.float32), stem.with_name(f"{stem.name}_float"))
    return written


def _pair(data: Array, stem: Path) -> list[Path]:
    binary, text = stem.with_name(f"{stem.name}.bin"), stem.with_name(f"{stem.name}.txt")
    with atomic_path(binary) as path:
        path.write_bytes(np.ascontiguousarray(data).tobytes())
    with atomic_path(text) as path:
        path.write_text("".join(f"{number}\n" for number in data.reshape(-1).tolist()))
    return [binary, text]
