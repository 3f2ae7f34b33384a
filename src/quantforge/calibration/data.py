"""Calibration data from anywhere, as batches that fit the model, one at a time.

    a folder of images        every image file in it and below; `limit` of them are spread evenly over all
    a folder of .npy, .npz    one array per input where files are named after the inputs, else one item per file
    .npy, .npz                an array of samples; an .npz holds one per input
    an iterable               of dicts by input name, of arrays (one input), or of tuples in the order of the inputs
    a callable                that returns such an iterable, so that the data can be read again
    an object with get_next   as ONNX Runtime's CalibrationDataReader: returns a dict, and None at the end

Nothing is read before it is needed and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from quantforge.calibration.arrays import ArrayFile, open_npy, open_npz
from quantforge.calibration.samples import Chunk, Conformer, InputInfo, Item, Layout, Regrouper, limited
from quantforge.diagnostics import Diagnostic, InputError

if TYPE_CHECKING:
    from quantforge.calibration.preprocessing import Preprocessing

__all__ = ["DataSource", "InputInfo", "open_data", "suggested_batch"]

Items = Iterator[tuple[str, Item]]  # where it came from, and what
_BATCH_BYTES = 96 << 20  # of observed values: larger batches are hardly faster, and cost their size in memory
_MAX_BATCH = 8  # of small samples: more per batch save little time, and their activations are memory


class DataSource:
    """Batches of feeds for a model; iterate it as often as the source allows.

    Attributes:
        description: The source in words, for reports.
        samples: Number of samples where it is known in advance.
        batch_size: Samples per batch; None when items are used as they come.
    """

    def __init__(
        self,
        items: Callable[[], Items],
        layout: Layout,
        description: str,
        *,
        samples: int | None = None,
        batch_size: int | None = None,
        limit: int | None = None,
    ) -> None:
        self.description = description
        self.samples = samples if limit is None or samples is None else min(samples, limit)
        self.batch_size = layout.fixed if layout.fixed is not None else batch_size
        self._items, self._layout, self._limit = items, layout, limit
        self._conformer = Conformer(layout)
        self._left_over = 0

    @property
    def batches(self) -> int | None:
        """Number of batches where it is known in advance."""
        if self.samples is None or self.batch_size is None or not self._layout.batched:
            return None
        whole = self.samples // self.batch_size
        return whole if self._layout.fixed is not None else -(-self.samples // self.batch_size)

    @property
    def divisible(self) -> bool:
        """Whether a batch may be cut into smaller ones: the model takes any batch size."""
        return self._layout.batched and self._layout.fixed is None

    @property
    def notices(self) -> tuple[Diagnostic, ...]:
        """What happened to the data so far: Q0216 rounded numbers, Q0220 samples left out."""
        notices = list(self._conformer.notices.values())
        if self._left_over:
            found = f"{self._left_over} samples after the last whole batch"
            expected, fix = f"a multiple of {self._layout.fixed}", "nothing to do; they were left out"
            notices.append(Diagnostic("Q0220", "calibration data", found, expected, fix))
        return tuple(notices)

    def __iter__(self) -> Iterator[Chunk]:
        regrouper = Regrouper(self._layout, self.batch_size)
        chunks = (self._conformer.chunk(item, where) for where, item in self._items())
        yield from regrouper.batches(limited(chunks, self._limit))
        self._left_over = regrouper.left_over


def open_data(
    source: Any,
    inputs: Sequence[InputInfo],
    *,
    batch_size: int | None = None,
    limit: int | None = None,
    preprocessing: Preprocessing | None = None,
) -> DataSource:
    """Open calibration data of any of the kinds in the module's text.

    Args:
        source: A path, an iterable, a callable, or an object with ``get_next``.
        inputs: What the model expects.
        batch_size: Samples per batch; by default what the model insists on, `suggested_batch` for files, and the
            items as they come for iterables.
        limit: Use at most so many samples.
        preprocessing: How images become inputs.

    Raises:
        InputError: Q0207 when the source cannot be read, Q0211 when images and preprocessing do not fit the input.
            While reading: Q0208 to Q0210, Q0212, Q0213, Q0218.
    """
    layout = Layout.of(inputs)
    if isinstance(source, str | Path):
        size = batch_size or suggested_batch(_sample_bytes(inputs))
        return _open_path(Path(source), layout, size, limit, preprocessing)
    items = _items_of(source)
    samples = len(source) if isinstance(source, np.ndarray) and len(inputs) == 1 else None
    if samples is not None:  # rows of an array are single samples, which run faster together
        batch_size = batch_size or suggested_batch(_sample_bytes(inputs))
    return DataSource(items, layout, _words(source), samples=samples, batch_size=batch_size, limit=limit)


def suggested_batch(sample_bytes: int, observed_per_input: int = 70) -> int:
    """Samples per batch that keep the observed values of one batch within 96 MiB.

    Args:
        sample_bytes: Size of the inputs of one sample.
        observed_per_input: Bytes of observed values for each byte of input; about 70 in a ResNet-50.

    >>> suggested_batch(3 * 224 * 224 * 4), suggested_batch(3 * 32 * 32 * 4)
    (2, 8)
    """
    return min(max(_BATCH_BYTES // max(sample_bytes * observed_per_input, 1), 1), _MAX_BATCH)


def _sample_bytes(inputs: Sequence[InputInfo]) -> int:
    return sum(
        4 * int(np.prod([dim for dim in (info.shape or ())[1:] if isinstance(dim, int)], dtype=np.int64))
        for info in inputs
    )


def _open_path(
    path: Path, layout: Layout, size: int, limit: int | None, preprocessing: Preprocessing | None
) -> DataSource:
    rows = layout.fixed or size
    if path.is_dir():
        return _open_folder(path, layout, size, limit, preprocessing)
    if path.suffix == ".npy":
        files = {_only_input(layout, str(path)): open_npy(path)}
    elif path.suffix == ".npz":
        files = _by_input(open_npz(path), layout, str(path))
    else:
        raise _unreadable(
            path, "no such file or folder" if not path.exists() else f"a {path.suffix or 'nameless'} file"
        )
    return _of_arrays(files, layout, str(path), rows, size, limit)


def _open_folder(
    path: Path, layout: Layout, size: int, limit: int | None, preprocessing: Preprocessing | None
) -> DataSource:
    arrays = sorted(file for file in path.iterdir() if file.suffix in (".npy", ".npz"))
    stems = {file.stem: file for file in arrays if file.suffix == ".npy"}
    names = [info.name for info in layout.inputs]
    if set(names) <= set(stems):
        files = {name: open_npy(stems[name]) for name in names}
        return _of_arrays(files, layout, str(path), layout.fixed or size, size, limit)
    if arrays:
        return DataSource(
            lambda: _array_items(arrays, layout),
            layout,
            f"{len(arrays)} files of {path}",
            batch_size=size,
            limit=limit,
        )
    from quantforge.calibration import images
    from quantforge.calibration.preprocessing import Preprocessing  # pydantic takes a while to import

    found = images.image_files(path)
    if not found:
        raise _unreadable(path, "a folder without images, .npy or .npz files")
    info = layout.inputs[0]
    name = _only_input(layout, str(path))
    reader = images.image_reader(preprocessing or Preprocessing(), name, info.dtype, info.shape)
    chosen = images.spread(found, limit)
    words = (
        f"{len(found)} images of {path}"
        if len(chosen) == len(found)
        else f"{len(chosen)} of {len(found)} images of {path}"
    )
    return DataSource(
        lambda: ((str(file), {name: reader.read(file)}) for file in chosen),
        layout,
        words,
        samples=len(chosen),
        batch_size=size,
    )


def _of_arrays(
    files: dict[str, ArrayFile], layout: Layout, where: str, rows: int, size: int, limit: int | None
) -> DataSource:
    """A source of arrays of samples: one file per input, read in step."""
    ranks = {info.name: len(info.shape) for info in layout.inputs if info.shape is not None}
    single = all(
        len(file.shape) == ranks.get(name, -1) - (1 if layout.batched else 0) for name, file in files.items()
    )
    if single:
        return DataSource(
            lambda: iter([(where, {name: file.whole() for name, file in files.items()})]),
            layout,
            where,
            samples=1,
        )
    lengths = {file.shape[0] if file.shape else 0 for file in files.values()}
    if len(lengths) > 1:
        found = ", ".join(f"{file.shape[0]} of {name!r}" for name, file in files.items())
        raise InputError(
            "Q0212", where, found, "equally many samples of every input", "cut them to one length"
        )
    rows = rows if layout.batched else 1

    def items() -> Items:
        blocks = zip(*(file.blocks(rows) for file in files.values()), strict=True)
        for number, arrays in enumerate(blocks):
            values = arrays if layout.batched else tuple(array[0] for array in arrays)
            yield f"{where}, samples from {number * rows}", dict(zip(files, values, strict=True))

    return DataSource(items, layout, where, samples=next(iter(lengths)), batch_size=size, limit=limit)


def _array_items(files: Sequence[Path], layout: Layout) -> Items:
    """Each file of a folder is one item."""
    for path in files:
        if path.suffix == ".npy":
            yield str(path), {_only_input(layout, str(path)): open_npy(path).whole()}
        else:
            members = _by_input(open_npz(path), layout, str(path))
            yield str(path), {name: member.whole() for name, member in members.items()}


def _by_input(members: dict[str, ArrayFile], layout: Layout, where: str) -> dict[str, ArrayFile]:
    """The members that are inputs; a lone member serves a lone input whatever its name."""
    names = [info.name for info in layout.inputs]
    if len(members) == len(names) == 1:
        return {names[0]: next(iter(members.values()))}
    if not set(names) <= set(members):
        found = f"arrays named {', '.join(map(repr, members)) or 'nothing'}"
        raise InputError(
            "Q0208", where, found, ", ".join(map(repr, names)), "name the arrays after the inputs"
        )
    return {name: members[name] for name in names}


def _only_input(layout: Layout, where: str) -> str:
    if len(layout.inputs) != 1:
        names = ", ".join(repr(info.name) for info in layout.inputs)
        fix = "give an .npz, or a folder of .npy files, named after the inputs"
        raise InputError("Q0208", where, "data for one input", f"data for {len(layout.inputs)}: {names}", fix)
    return layout.inputs[0].name


def _items_of(source: Any) -> Callable[[], Items]:
    """A function that starts reading the source from its beginning."""
    if hasattr(source, "get_next"):
        return _Once(lambda: _numbered(_until_none(source.get_next)), getattr(source, "rewind", None))
    if callable(source) and not isinstance(source, Iterable):
        return lambda: _numbered(source())
    if isinstance(source, Iterator):
        return _Once(lambda: _numbered(source), None)
    if isinstance(source, Iterable) and not isinstance(source, bytes | dict):
        return lambda: _numbered(source)
    expected = (
        "a path, an iterable of dicts or arrays, a function returning one, or an object with get_next()"
    )
    raise InputError("Q0207", "calibration data", f"{type(source).__name__}", expected, "wrap it in a list")


class _Once:
    """Starts a source that ends for good, unless it has a ``rewind``."""

    def __init__(self, start: Callable[[], Items], rewind: Callable[[], object] | None) -> None:
        self._start, self._rewind, self._used = start, rewind, False

    def __call__(self) -> Items:
        if self._used and self._rewind is None:
            raise InputError(
                "Q0218",
                "calibration data",
                "a source that is used up",
                "data that can be read again",
                "pass a list, or a function that returns a fresh iterator; or give the reader a rewind()",
            )
        if self._used and self._rewind is not None:
            self._rewind()
        self._used = True
        return self._start()


def _until_none(get_next: Callable[[], Item | None]) -> Iterator[Item]:
    while (item := get_next()) is not None:
        yield item


def _numbered(items: Iterable[Item]) -> Items:
    return ((f"calibration data, item {number}", item) for number, item in enumerate(items))


def _words(source: Any) -> str:
    kind = type(source)
    return "Python data" if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _unreadable(path: Path, found: str) -> InputError:
    expected = "a folder of images or arrays, a .npy or an .npz file"
    return InputError("Q0207", str(path), found, expected, "check the path")
