"""What a quantizer computed, tensor by tensor, as the files of Vitis AI's `deploy_check`: to hold an xmodel against.

    <folder>/<node>.bin                  float32, flattened, images channels last
    <folder>/<node>_fix.bin              its integers, where it is quantized
    <folder>/<Model>__<parameter>.bin    parameters in the order of XIR (OHWI); `_fix` alike
    <folder>/shape.txt                   a line "[1, 32, 32, 16]: node" for each tensor
    <folder>/index.json                  which value of the model a file holds (`dump.Kept`)

Integers of up to 8 bits are int8, wider ones int16, of 4 bits two in a byte, the first in the upper half. In names
every character but letters and digits is `_`. Source: user guide UG1414, export_xmodel; vai_q_pytorch's layout.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from quantforge.debugging.dump import write_index
from quantforge.debugging.nibbles import packed
from quantforge.debugging.stage import Array
from quantforge.files import write_atomic
from quantforge.graph import Graph, QuantSpec, Value
from quantforge.numerics.formats import IntFormat
from quantforge.runtime.program import constant_data
from quantforge.xmodel.model import XModel, value_of

SHAPES = "shape.txt"
_HALF_BYTE, _BYTE = 4, 8


def write_deploy_check(
    folder: str | Path, graph: Graph, model: XModel, tensors: Mapping[str, Array]
) -> list[Path]:
    """Write the tensors of one sample; returns the files.

    Args:
        folder: Where they go; it is made.
        graph: The quantized graph that computed them.
        model: Its flat xmodel, which says in what order axes lie in memory.
        tensors: Arrays in the graph's order of axes, by value; those on a grid are exactly on it.

    Raises:
        InputError: Q0601 when a file cannot be written.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    orders = value_of(model.attrs, "quantforge_orders", {})
    written, shapes = [], []
    for name, array in tensors.items():
        placed = np.ascontiguousarray(array.transpose(orders.get(name) or tuple(range(array.ndim))))
        written += _write(place / file_stem(name), placed, graph.value(name).quant)
        shapes.append(f"{list(placed.shape)}: {name}")
    for value in graph.values:
        data = _parameter(model, value)
        if data is not None:
            written += _write(place / file_stem(f"{graph.name}::{value.name}"), data, value.quant)
            shapes.append(f"{list(data.shape)}: {graph.name}::{value.name}")
    written.append(write_atomic(place / SHAPES, "\n".join(shapes) + "\n"))
    written.append(write_index(place, model))
    return written


def is_deploy_check(folder: str | Path) -> bool:
    """Whether a folder is one that `write_deploy_check` or the original's exporter made."""
    return (Path(folder) / SHAPES).is_file()


def file_stem(name: str) -> str:
    """The name of a node or parameter as that of a file.

    >>> file_stem("Net::conv1.weight")
    'Net__conv1_weight'
    """
    return re.sub(r"[^0-9A-Za-z]", "_", name)


def stored_integers(array: Array, spec: QuantSpec) -> Array | None:
    """The bytes of an array on the grid of `spec`: int8 or int16; None when it has no power-of-two scale of integers.

    >>> four_bits = QuantSpec.power_of_two(IntFormat(4), 1)
    >>> stored_integers(np.array([0.5, -0.5, 1.0]), four_bits).tobytes().hex()
    '1f20'
    """
    if not isinstance(spec.format, IntFormat) or spec.position is None:
        return None
    integers = np.rint(np.ldexp(array.astype(np.float64), spec.position)).reshape(-1)
    if spec.format.bits == _HALF_BYTE:
        return packed(integers.astype(np.int8))
    return integers.astype(np.int8 if spec.format.bits <= _BYTE else np.int16)


def _write(stem: Path, array: Array, spec: QuantSpec | None) -> list[Path]:
    """The file of real numbers, and that of integers where there are any."""
    written = [write_atomic(stem.with_name(f"{stem.name}.bin"), array.astype(np.float32).tobytes())]
    integers = None if spec is None else stored_integers(array, spec)
    if integers is not None:
        written.append(write_atomic(stem.with_name(f"{stem.name}_fix.bin"), integers.tobytes()))
    return written


def _parameter(model: XModel, value: Value) -> Array | None:
    """The data of a parameter as the xmodel keeps it; None for what is no parameter of it."""
    op = model.ops.get(value.name)
    return constant_data(op) if value.is_const and op is not None and op.kind == "const" else None
