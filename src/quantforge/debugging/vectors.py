"""Inputs and outputs kept in a compiled model, so that it can be tested anywhere without data.

The graph attribute `quantforge_vectors` holds an .npz: ``input_<i>`` and ``output_<i>`` in the order of the graph
runner's tensors, several samples along the first axis, in the types of the tensors.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantforge.debugging.benchmark import random_tensor
from quantforge.debugging.difference import ElementDifference, Positions, differing, element
from quantforge.debugging.stage import Array
from quantforge.debugging.xmodel_stage import position_of
from quantforge.diagnostics import InputError
from quantforge.runtime.graph_runner import GraphRunner, outputs_of
from quantforge.runtime.program import DATA
from quantforge.xmodel.model import XModel, XOp, value_of

ATTRIBUTE = "quantforge_vectors"


@dataclass(frozen=True)
class SelftestResult:
    """Whether the outputs of the vectors came out again; `tensor` is the first that differs, at `first`."""

    samples: int
    outputs: int
    tensor: str | None = None
    first: ElementDifference | None = None
    different: int = 0

    @property
    def equal(self) -> bool:
        """Whether all outputs are the recorded ones."""
        return self.tensor is None


def record_vectors(
    model: XModel, inputs: Sequence[Array] | None = None, samples: int = 2, seed: int = 0
) -> bytes:
    """The content of `quantforge_vectors` for a compiled model, computed by the reference engine.

    Args:
        model: A compiled model.
        inputs: Arrays in the order and types of the model's inputs; random ones when None.
        samples: How many batches of random inputs.
        seed: Of the random inputs.

    Raises:
        QuantforgeError: What the runtime says about a model that cannot run.
    """
    sources = [op for op in model.ops.values() if op.kind in DATA]
    random = np.random.default_rng(seed)
    given = [random_input(op, samples, random) for op in sources] if inputs is None else list(inputs)
    with GraphRunner(model, "ref") as runner:
        parts = [
            runner.run(*(array[i : i + op.tensor.shape[0]] for op, array in zip(sources, given, strict=True)))
            for i in range(0, len(given[0]), sources[0].tensor.shape[0])
        ]
    results = [np.concatenate(column) for column in zip(*parts, strict=True)]
    arrays = {f"input_{i}": array for i, array in enumerate(given)}
    arrays |= {f"output_{i}": array for i, array in enumerate(results)}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def random_input(op: XOp, batches: int, random: np.random.Generator) -> Array:
    """So many batches for an input operator: integers over their whole range, or normally distributed numbers."""
    return np.concatenate([random_tensor(op.tensor, random) for _ in range(batches)])


def selftest(model: XModel, mode: str = "run") -> SelftestResult:
    """Run the inputs of `quantforge_vectors` and compare with its outputs: integers exactly, floats closely.

    Raises:
        InputError: Q1307 when the model has no vectors or they do not belong to it.
    """
    inputs, wanted = load_vectors(model)
    with GraphRunner(model, mode) as runner:
        results = runner.run(*inputs)
    ops = outputs_of(model)
    for op, right, own in zip(ops, wanted, results, strict=True):
        if right.shape != own.shape:
            raise _unfit(
                model, f"output {op.tensor.name!r} of shape {list(right.shape)}", str(list(own.shape))
            )
        exact = np.issubdtype(right.dtype, np.integer)
        position = (position_of(op) or 0) if exact else None
        positions = Positions(position, position)
        unequal, _ = differing(right, own, positions)
        if unequal.any():
            index = tuple(int(axis[0]) for axis in np.nonzero(unequal))
            first = element(right, own, positions, index)
            return SelftestResult(len(right), len(ops), op.tensor.name, first, int(unequal.sum()))
    return SelftestResult(len(inputs[0]) if inputs else 0, len(ops))


def load_vectors(model: XModel) -> tuple[list[Array], list[Array]]:
    """The recorded inputs and outputs.

    Raises:
        InputError: Q1307 when there are none, they cannot be read, or their number is not the model's.
    """
    raw = value_of(model.attrs, ATTRIBUTE)
    if not raw:
        raise _unfit(
            model, f"no attribute {ATTRIBUTE}", "inputs and outputs recorded by `quantforge compile`"
        )
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise _unfit(model, f"{ATTRIBUTE} that cannot be read ({error})", "an .npz") from error
    sides = [_numbered(arrays, "input"), _numbered(arrays, "output")]
    counts = [sum(op.kind in DATA for op in model.ops.values()), len(outputs_of(model))]
    if [len(side) for side in sides] != counts:
        found = f"{len(sides[0])} inputs and {len(sides[1])} outputs"
        raise _unfit(model, found, f"{counts[0]} and {counts[1]}")
    return sides[0], sides[1]


def _numbered(arrays: dict[str, Array], side: str) -> list[Array]:
    found: list[Array] = []
    while f"{side}_{len(found)}" in arrays:
        found.append(arrays[f"{side}_{len(found)}"])
    return found


def _unfit(model: XModel, found: str, expected: str) -> InputError:
    return InputError(
        "Q1307", model.name, found, expected, "compile the model again with `quantforge compile`"
    )
