"""Running a subgraph or a whole model on raw files of tensors, and one operator on a folder of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from quantforge.debugging.describe import op_named, subgraph_at
from quantforge.debugging.names import layer_file, output_file
from quantforge.debugging.stage import Array
from quantforge.diagnostics import InputError
from quantforge.files import write_atomic
from quantforge.runtime.cpu_ops import kernel_of
from quantforge.runtime.engines import Watch
from quantforge.runtime.graph_runner import GraphRunner
from quantforge.runtime.program import CONSTANTS, constant_data, program_of
from quantforge.runtime.reference import evaluate
from quantforge.runtime.runner import Runner
from quantforge.xmodel.model import Attr, Subgraph, Tensor, XModel, XOp


def open_runner(
    model: XModel, index: int, mode: str = "run", watch: Watch | None = None
) -> Runner | GraphRunner:
    """A runner for subgraph `index`, or for the whole model when it is negative.

    Raises:
        InputError: Q1301 when there is no such subgraph; what the runtime raises for one that cannot run.
    """
    if index < 0:
        return GraphRunner(model, mode, watch=watch)
    return Runner(model, subgraph_at(model, index), mode, watch=watch)


def sorted_tensors(tensors: Sequence[Tensor]) -> list[int]:
    """The places of tensors in the order of their names, which is the order of files on the command line."""
    return sorted(range(len(tensors)), key=lambda place: tensors[place].name)


def read_inputs(runner: Runner | GraphRunner, files: Sequence[Path]) -> list[Array]:
    """Arrays for a job from raw files, one per input and sample: input 0 of sample 0, input 1 of sample 0, ...

    Inputs count in the order of their names. When there are fewer files than inputs and samples, they start over.

    Raises:
        InputError: Q1311 for a file that cannot be read or has another size than a sample of its tensor.
    """
    return _read_tensors(runner.input_tensors(), files)


def read_outputs(runner: Runner | GraphRunner, files: Sequence[Path]) -> list[Array]:
    """The outputs that a job should give, from raw files in the order of `read_inputs`. Errors as there."""
    return _read_tensors(runner.output_tensors(), files)


def _read_tensors(tensors: Sequence[Tensor], files: Sequence[Path]) -> list[Array]:
    if not files:
        raise InputError("Q1311", "files", "none", _wanted(tensors), "name one raw file per tensor")
    batch = tensors[0].shape[0] if tensors and tensors[0].shape else 1
    slots = [place for _ in range(batch) for place in sorted_tensors(tensors)]
    samples: dict[int, list[Array]] = {place: [] for place in slots}
    for place, path in zip(slots, cycle(files), strict=False):
        samples[place].append(read_sample(path, tensors[place]))
    return [np.concatenate(samples[place]) for place in range(len(tensors))]


def read_sample(path: Path, tensor: Tensor) -> Array:
    """One sample of a tensor from a raw file.

    Raises:
        InputError: Q1311 when it cannot be read, or has another size.
    """
    dtype = tensor.dtype.numpy or np.dtype(np.uint8)
    shape = (1, *tensor.shape[1:])
    try:
        raw = path.read_bytes()
    except OSError as error:
        found = error.strerror or str(error)
        raise InputError(
            "Q1311", str(path), found, f"raw numbers of {tensor.name!r}", "check the path"
        ) from error
    if len(raw) != int(np.prod(shape)) * dtype.itemsize:
        expected = f"{int(np.prod(shape)) * dtype.itemsize}: one sample of {tensor.dtype}{list(shape)}"
        fix = f"dump tensor {tensor.name!r} again, in this order of axes"
        raise InputError("Q1311", str(path), f"{len(raw)} bytes", expected, fix)
    return np.frombuffer(raw, dtype).reshape(shape)


def run_files(runner: Runner | GraphRunner, files: Sequence[Path], folder: Path) -> list[Path]:
    """Run on raw files and write ``<sample>.<tensor>.bin`` for every output; returns the files.

    Raises:
        InputError: Q1311 for inputs that do not fit, Q0601 for outputs that cannot be written.
    """
    results = runner.run(*read_inputs(runner, files))
    return [
        write_atomic(folder / output_file(tensor.name, sample), np.ascontiguousarray(row).tobytes())
        for tensor, array in zip(runner.output_tensors(), results, strict=True)
        for sample, row in enumerate(array)
    ]


@dataclass(frozen=True)
class OpRun:
    """One operator on files: where its result was written, and whether it is the one in the reference folder.

    `expected` is None when the reference folder has no file of the result.
    """

    dump: Path
    expected: Path | None
    different: int

    @property
    def passed(self) -> bool:
        """Whether the result is the expected one."""
        return self.expected is not None and not self.different


def run_op_files(model: XModel, name: str, reference: Path, dump: Path) -> OpRun:
    """Compute one operator from ``<tensor>.bin`` of its inputs in `reference`; write the result to `dump`; compare.

    Raises:
        InputError: Q1302 when there is no such operator, Q1312 when the reference folder is not there or lacks an
            input, Q1311 for files of other sizes.
        UnsupportedError: Q1202, Q1210 for operators without an implementation.
    """
    op = op_named(model, name)
    arrays = {
        arg: [_operand(model.ops[producer], reference) for producer in producers]
        for arg, producers in op.args.items()
        if producers
    }
    result = compute_op(model, op, arrays)
    file = f"{layer_file(op.tensor.name)}.bin"
    dump.mkdir(parents=True, exist_ok=True)
    written = write_atomic(dump / file, np.ascontiguousarray(result).tobytes())
    expected = reference / file
    if not expected.is_file():
        return OpRun(written, None, 0)
    right = read_whole(expected, op.tensor)
    return OpRun(written, expected, int((right != result).sum()))


def compute_op(model: XModel, op: XOp, arrays: dict[str, list[Array]]) -> Array:
    """One operator on its arrays: exact integers of a DPU, floats of the CPU."""
    if op.tensor.dtype.fixed and op.kind != "float2fix":
        return evaluate(op, arrays, model.ops.__getitem__)
    alone = Subgraph(op.name, [op.name], attrs={"device": Attr("string", "CPU")})
    return kernel_of(op, program_of(model, alone))(op, arrays)


def read_whole(path: Path, tensor: Tensor) -> Array:
    """A whole tensor from a raw file. Errors as `read_sample`."""
    flat = Tensor(tensor.name, (1, *tensor.shape), tensor.dtype)
    return read_sample(path, flat).reshape(tensor.shape)


def _operand(op: XOp, folder: Path) -> Array:
    if op.kind in CONSTANTS:
        return constant_data(op)
    path = folder / f"{layer_file(op.tensor.name)}.bin"
    if not path.is_file():
        found, fix = f"no file {path.name}", f"put the raw numbers of {op.tensor.name!r} there"
        raise InputError("Q1312", str(folder), found, "a file for each input of the operator", fix)
    return read_whole(path, op.tensor)


def _wanted(tensors: Sequence[Tensor]) -> str:
    return ", ".join(f"{tensors[p].name} {list(tensors[p].shape)}" for p in sorted_tensors(tensors))
