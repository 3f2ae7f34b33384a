"""Tensors of a run as raw files, one per tensor and sample, in the folders that Vitis AI's runners use.

    <folder>/<DPU subgraph>/input/<sample>.<layer>.bin       what goes in
    <folder>/<DPU subgraph>/internal/<sample>.<layer>.bin    every tensor in between
    <folder>/<DPU subgraph>/output/<sample>.<layer>.bin      what comes out
    <folder>/<CPU subgraph>/<tensor>_<sample>.bin            every tensor of the CPU

A file holds the elements of one sample as they lie in memory: int8 of a DPU, float32 of the CPU. `index.json` says
which value of the source model a tensor holds and in which order of axes, so that a dump can be put beside that
model. Source: user guide UG1414, chapter on debugging, dumping and comparing layer by layer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from quantforge.debugging.names import graph_runner_file, layer_file
from quantforge.debugging.stage import Array
from quantforge.diagnostics import InputError
from quantforge.files import write_atomic
from quantforge.runtime.program import Program
from quantforge.xmodel.model import XModel, XOp, value_of

ALL = frozenset({"input", "internal", "output"})
INDEX = "index.json"


@dataclass(frozen=True)
class Kept:
    """How a dump keeps a value: the tensor's name, its shape in memory, and the value's axes in that order.

    `position` is the number of fractional bits of its integers; None for real numbers, or where it is not known.
    """

    tensor: str
    shape: tuple[int, ...]
    order: tuple[int, ...] = ()
    position: int | None = None


def write_index(folder: str | Path, model: XModel) -> Path:
    """Write which tensor of a dump of `model` holds which value of its source; returns the file.

    Raises:
        InputError: Q0601 when it cannot be written.
    """
    orders = value_of(model.attrs, "quantforge_orders", {})
    table = {
        value: asdict(
            Kept(op.tensor.name, op.tensor.shape, tuple(orders.get(value, ())), op.get("fix_point"))
        )
        for value, name in value_of(model.attrs, "quantforge_values", {}).items()
        if (op := model.ops.get(name)) is not None
    }
    Path(folder).mkdir(parents=True, exist_ok=True)
    return write_atomic(Path(folder) / INDEX, json.dumps(table, indent=1) + "\n")


def read_index(folder: str | Path) -> dict[str, Kept]:
    """What `write_index` wrote, by value; empty where there is none.

    Raises:
        InputError: Q1308 for an index that cannot be read.
    """
    path = Path(folder) / INDEX
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_text("utf-8"))
        return {
            value: Kept(
                str(row["tensor"]),
                tuple(map(int, row["shape"])),
                tuple(map(int, row["order"])),
                row.get("position"),
            )
            for value, row in table.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "dump the model again: quantforge run MODEL --dump FOLDER"
        raise InputError(
            "Q1308", str(path), f"{type(error).__name__}: {error}", "an index of a dump", fix
        ) from error


def write_dump(
    folder: str | Path,
    program: Program,
    made: Mapping[str, Array],
    first_sample: int = 0,
    sections: frozenset[str] = ALL,
) -> list[Path]:
    """Write the tensors of one subgraph; returns the files.

    Args:
        folder: Where the subgraph's own folder is made.
        program: The subgraph.
        made: Tensors by operator name, inputs among them; those that are absent are left out.
        first_sample: Number of the first sample in the names of the files.
        sections: Which of input, internal and output to write for a DPU.

    Raises:
        InputError: Q0601 when a file cannot be written.
    """
    place = Path(folder) / layer_file(program.name)
    written = []
    for section, op in dumped(program):
        if section not in sections or op.name not in made:
            continue
        for sample, array in enumerate(samples_of(op, made[op.name]), start=first_sample):
            path = place / file_of(program, section, op, sample)
            path.parent.mkdir(parents=True, exist_ok=True)
            written.append(write_atomic(path, np.ascontiguousarray(array).tobytes()))
    return written


def dumped(program: Program) -> Iterator[tuple[str, XOp]]:
    """The operators whose tensors are written, each with its section."""
    outputs = {op.name for op in program.outputs}
    yield from (("input", op) for op in program.inputs)
    yield from (("output" if op.name in outputs else "internal", op) for op in program.ops)


def file_of(program: Program, section: str, op: XOp, sample: int) -> Path:
    """The file of one sample of a tensor, below the folder of its subgraph."""
    if program.device != "DPU":
        return Path(f"{graph_runner_file(op.tensor.name)}_{sample}.bin")
    return Path(section) / f"{sample}.{layer_file(op.tensor.name)}.bin"


def samples_of(op: XOp, array: Array) -> list[Array]:
    """An array sample by sample; a tensor whose first axis is no batch axis is one sample."""
    size = op.tensor.shape[0] if op.tensor.shape else 1
    return [array[i : i + 1] for i in range(len(array))] if size == 1 else [array]
