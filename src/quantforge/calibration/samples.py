"""From what a source yields to batches that fit the model: names, dtypes, shapes and numbers of samples.

A source yields items: dicts by input name, arrays for the one input of a model, or tuples in the order of the inputs.
An item holds one sample (without the batch axis) or several (with it). Inputs are *batched* when all of them have the
same first dimension; otherwise every item is one run of the model, whatever its axes mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantforge.diagnostics import Diagnostic, InputError
from quantforge.graph import Array, Shape
from quantforge.graph.execution import sample_count

Item = Any  # what a user's reader yields: checked here
Chunk = dict[str, Array]


@dataclass(frozen=True)
class InputInfo:
    """What one input of a model expects: `shape` has names or None for sizes that may vary, or is None if unknown."""

    name: str
    dtype: str
    shape: Shape | None


@dataclass(frozen=True)
class Layout:
    """The inputs of a model and how their samples stack.

    Attributes:
        inputs: In the model's order.
        batched: Whether all inputs share their first axis as the batch.
        fixed: Batch size that the model insists on, None when it may vary.
    """

    inputs: tuple[InputInfo, ...]
    batched: bool
    fixed: int | None

    @classmethod
    def of(cls, inputs: Sequence[InputInfo]) -> Layout:
        """The layout of a model with these inputs."""
        first = [info.shape[0] if info.shape else None for info in inputs]
        batched = all(info.shape is None or info.shape for info in inputs)
        batched = batched and len({dim if isinstance(dim, int) else None for dim in first}) == 1
        fixed = first[0] if batched and first and isinstance(first[0], int) else None
        return cls(tuple(inputs), batched, fixed)


class Conformer:
    """Checks items against the inputs and makes them chunks: arrays by input name, in the model's dtypes.

    Attributes:
        notices: Q0216 once for each input whose numbers were narrowed.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.notices: dict[str, Diagnostic] = {}

    def chunk(self, item: Item, where: str) -> Chunk:
        """The arrays of one item, with their batch axis.

        Raises:
            InputError: Q0208 names, Q0209 dtypes, Q0210 shapes, Q0212 numbers of samples that do not fit.
        """
        arrays = {
            info.name: self._array(info, value, where)
            for info, value in zip(self.layout.inputs, self._values(item, where), strict=True)
        }
        sizes = {name: len(array) for name, array in arrays.items()} if self.layout.batched else {}
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{size} of {name!r}" for name, size in sizes.items())
            raise InputError(
                "Q0212", where, found, "equally many samples of every input", "cut them to one length"
            )
        return arrays

    def _values(self, item: Item, where: str) -> list[Any]:
        names = [info.name for info in self.layout.inputs]
        if isinstance(item, Mapping):
            if set(item) == set(names):
                return [item[name] for name in names]
            found = f"inputs named {', '.join(map(repr, item)) or 'nothing'}"
            raise InputError(
                "Q0208", where, found, ", ".join(map(repr, names)), "name the arrays after the inputs"
            )
        values = list(item) if isinstance(item, tuple | list) and _holds_arrays(item) else [item]
        if len(values) != len(names):
            found, expected = f"{len(values)} arrays", f"{len(names)}: {', '.join(map(repr, names))}"
            fix = "leave labels out" if len(values) > len(names) else "yield a dict of arrays by input name"
            raise InputError("Q0208", where, found, expected, fix)
        return values

    def _array(self, info: InputInfo, value: Any, where: str) -> Array:
        where = f"{where}, input {info.name!r}"
        array = self._converted(info, np.asarray(value), where)
        if info.shape is None:
            return array
        if self.layout.batched and array.ndim == len(info.shape) - 1:
            array = array[None]
        wanted = info.shape[1:] if self.layout.batched else info.shape
        dims = array.shape[1:] if self.layout.batched else array.shape
        fits = array.ndim == len(info.shape) and all(
            not isinstance(want, int) or want == have for want, have in zip(wanted, dims, strict=True)
        )
        if not fits:
            raise InputError(
                "Q0210",
                where,
                f"shape {_text(array.shape)}",
                f"shape {_text(info.shape)}",
                _shape_fix(array, info.shape),
            )
        return array

    def _converted(self, info: InputInfo, array: Array, where: str) -> Array:
        if array.dtype.name == info.dtype:
            return array
        want = np.dtype(info.dtype) if array.dtype.kind in "fiub" and info.dtype != "string" else None
        if want is not None and array.dtype.kind == want.kind and np.can_cast(array.dtype, want):
            return array.astype(want)
        if want is not None and array.dtype.kind == "f" and want.kind == "f":
            expected, fix = f"dtype {info.dtype}", "nothing to do; the values were rounded"
            found = f"dtype {array.dtype.name}"
            self.notices.setdefault(
                info.name, Diagnostic("Q0216", f"calibration data, input {info.name!r}", found, expected, fix)
            )
            return array.astype(want)
        fix = f"convert it with .astype({info.dtype!r})"
        if array.dtype == np.uint8 and want is not None and want.kind == "f":
            fix = f"normalize it as in training, such as (x.astype({info.dtype!r}) / 255 - mean) / std"
        raise InputError("Q0209", where, f"dtype {array.dtype.name}", f"dtype {info.dtype}", fix)


class Regrouper:
    """Joins and cuts chunks into batches of one size.

    Attributes:
        left_over: Samples at the end that did not fill a batch of the size the model insists on.
    """

    def __init__(self, layout: Layout, size: int | None) -> None:
        self._size = layout.fixed if layout.fixed is not None else size
        self._fixed = layout.fixed is not None
        self._batched = layout.batched
        self.left_over = 0

    def batches(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks as batches; as they come when no size is asked for."""
        if not self._batched or self._size is None:
            yield from chunks
            return
        held: list[Chunk] = []
        for chunk in chunks:
            if held and _sample_shapes(held[0]) != _sample_shapes(chunk):
                yield from self._rest(held)  # samples of another size cannot be stacked with these
                held = []
            held.append(chunk)
            while sum(map(sample_count, held)) >= self._size:
                batch, held = _cut(held, self._size)
                yield batch
        yield from self._rest(held)

    def _rest(self, held: list[Chunk]) -> Iterator[Chunk]:
        if held and self._fixed:
            self.left_over += sum(map(sample_count, held))
        elif held:
            yield _joined(held)


def limited(chunks: Iterable[Chunk], limit: int | None) -> Iterator[Chunk]:
    """The first `limit` samples."""
    left = limit
    for chunk in chunks:
        if left is None:
            yield chunk
            continue
        size = sample_count(chunk)
        yield chunk if size <= left else {name: array[:left] for name, array in chunk.items()}
        left -= size
        if left <= 0:
            return


def _sample_shapes(chunk: Chunk) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape[1:] for array in chunk.values())


def _joined(held: list[Chunk]) -> Chunk:
    if len(held) == 1:
        return held[0]
    return {name: np.concatenate([chunk[name] for chunk in held]) for name in held[0]}


def _cut(held: list[Chunk], size: int) -> tuple[Chunk, list[Chunk]]:
    """The first `size` samples of `held`, and the rest."""
    whole = _joined(held)
    if sample_count(whole) == size:
        return whole, []
    rest = {name: array[size:] for name, array in whole.items()}
    return {name: array[:size] for name, array in whole.items()}, [rest]


def _holds_arrays(item: Sequence[Any]) -> bool:
    """Whether a tuple or list is one array per input, rather than numbers or rows of one array."""
    return isinstance(item, tuple) or all(hasattr(value, "shape") for value in item)


def _text(shape: Sequence[object]) -> str:
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in shape) + "]"


def _shape_fix(array: Array, shape: Shape) -> str:
    if array.ndim == len(shape) == 4 and tuple(array.shape[i] for i in (0, 3, 1, 2))[1:] == tuple(shape[1:]):
        return "the channels come last in the data: transpose it with (0, 3, 1, 2)"
    if array.ndim == len(shape) == 4 and tuple(array.shape[i] for i in (0, 2, 3, 1))[1:] == tuple(shape[1:]):
        return "the channels come first in the data: transpose it with (0, 2, 3, 1)"
    return "resize or reshape the samples"
