"""Tensors kept under a stated budget: in memory up to a limit, beyond it in mapped files that go at the end.

What a quantized network computes lies on grids, so it is kept as integers: a quarter of the bytes, and the same
numbers when it is read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import torch

from quantforge.diagnostics import InputError

Tensors = Mapping[str, torch.Tensor]
_INTEGERS = (torch.int8, torch.uint8, torch.int16)


@dataclass(frozen=True)
class Budget:
    """How much may be kept.

    Attributes:
        memory_bytes: In memory; what does not fit goes to files.
        folder: Where the files go; the system's folder for temporary files when None.
    """

    memory_bytes: int = 1 << 30
    folder: Path | None = None

    @property
    def place(self) -> Path:
        """The folder that files go to."""
        return Path(tempfile.gettempdir()) if self.folder is None else self.folder


@dataclass(eq=False)
class Kept:
    """One tensor in a `Vault`; with a step its integers are what is kept."""

    size: int
    _tensor: torch.Tensor | None = None
    _file: Path | None = None
    _dtype: torch.dtype = torch.float32
    _step: float | None = None

    def tensor(self) -> torch.Tensor:
        """The tensor; a view of the file where it lies in one. Not to be written to."""
        found = self._tensor
        if found is None:
            mapped = np.load(str(self._file), mmap_mode="c")  # copy on write: torch asks for writable memory
            found = torch.from_numpy(mapped).view(self._dtype)
        return found if self._step is None else found.float() * self._step


@dataclass
class Vault:
    """Keeps tensors on the processor's side. Leaving the `with` block removes its files.

    >>> with Vault(Budget(memory_bytes=8)) as vault:
    ...     inside, beyond = vault.keep(torch.ones(2)), vault.keep(torch.zeros(3))
    ...     vault.in_memory, vault.in_files, beyond.tensor().tolist()
    (8, 12, [0.0, 0.0, 0.0])
    """

    budget: Budget = field(default_factory=Budget)
    in_memory: int = 0
    in_files: int = 0
    peak_memory: int = 0
    peak_files: int = 0
    _folder: Path | None = None
    _count: int = 0

    def __enter__(self) -> Vault:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the files."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def keep(self, tensor: torch.Tensor, step: float | None = None) -> Kept:
        """A copy of `tensor` where there is room; as integers when it holds nothing but multiples of `step`.

        Raises:
            InputError: Q1444 when the folder for files is full.
        """
        found = tensor.detach().to("cpu")
        integers = None if step is None else _integers(found, step)
        if integers is None:
            step = None
        else:
            found = integers
        size = found.numel() * found.element_size()
        if self.in_memory + size <= self.budget.memory_bytes:
            self.in_memory += size
            self.peak_memory = max(self.peak_memory, self.in_memory)
            return Kept(size, found.clone(memory_format=torch.contiguous_format), _step=step)
        kept = Kept(size, None, self._write(found.contiguous()), found.dtype, step)
        self.in_files += size
        self.peak_files = max(self.peak_files, self.in_files)
        return kept

    def free(self, kept: Iterable[Kept]) -> None:
        """Give up tensors; each once."""
        for item in kept:
            if item._file is None:
                self.in_memory -= item.size
                item._tensor = None
            else:
                self.in_files -= item.size
                item._file.unlink(missing_ok=True)

    def _write(self, tensor: torch.Tensor) -> Path:
        try:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="quantforge-tuning-", dir=self.budget.place))
            self._count += 1
            path = self._folder / f"{self._count}.npy"
            array = tensor.reshape(1) if tensor.ndim == 0 else tensor
            raw = array.view(torch.int16) if tensor.dtype == torch.bfloat16 else array
            np.save(path, raw.numpy())
        except OSError as error:
            raise InputError(
                "Q1444", str(self.budget.place), error.strerror or str(error), "room for what fine-tuning keeps",
                "use fewer samples, allow more memory, or free some space",
            ) from error  # fmt: skip
        return path


def _integers(tensor: torch.Tensor, step: float) -> torch.Tensor | None:
    """n with  tensor = n step  to the last bit; None where there is none of 8 or 16 bits."""
    if tensor.dtype != torch.float32 or not tensor.numel():
        return None
    whole = torch.round(tensor / step)
    low, high = (float(end) for end in torch.aminmax(whole))
    for dtype in _INTEGERS:
        if torch.iinfo(dtype).min <= low and high <= torch.iinfo(dtype).max:
            found = whole.to(dtype)
            return found if torch.equal(found.float() * step, tensor) else None
    return None


class Samples:
    """Inputs of a graph as they came in batches, to be taken out again one unit at a time.

    A unit is one sample where batches may be cut and all samples have one shape, else one whole batch.

    Args:
        vault: Where they lie.
        divisible: Whether the first axis of every input counts samples, and the graph takes any number of them.
    """

    def __init__(self, vault: Vault, divisible: bool) -> None:
        self._vault = vault
        self._divisible = divisible
        self._batches: list[dict[str, Kept]] = []
        self._sizes: list[int] = []
        self._shapes: set[tuple[tuple[int, ...], ...]] = set()
        self._mirrored = False

    def add(self, inputs: Tensors) -> None:
        """Keep one batch."""
        self._batches.append({name: self._vault.keep(tensor) for name, tensor in inputs.items()})
        counts = {tensor.shape[0] if tensor.ndim else 1 for tensor in inputs.values()}
        self._sizes.append(max(counts, default=1))
        self._divisible = self._divisible and len(counts) == 1 and all(t.ndim for t in inputs.values())
        self._shapes.add(tuple(tuple(tensor.shape[1:]) for tensor in inputs.values()))

    @property
    def count(self) -> int:
        """How many samples there are."""
        return sum(self._sizes)

    @property
    def cut(self) -> bool:
        """Whether a unit is one sample."""
        return self._divisible and len(self._shapes) <= 1

    @property
    def units(self) -> int:
        """How many units there are."""
        if not self.cut:
            return len(self._batches)
        return 2 * self.count if self._mirrored else self.count

    def mirror(self) -> bool:
        """Count every image a second time, mirrored, as the units behind the others; whether there are any."""
        self._mirrored = self.cut and any(len(shape) == 3 for shapes in self._shapes for shape in shapes)
        return self._mirrored

    def undivided(self) -> None:
        """Take whole batches from now on."""
        self._divisible = False

    def take(self, units: Sequence[int], device: torch.device) -> dict[str, torch.Tensor]:
        """The inputs of some units as one batch; several only where they are samples."""
        if not self.cut:
            (unit,) = units
            return {name: kept.tensor().to(device) for name, kept in self._batches[unit].items()}
        count, ends = self.count, np.cumsum(self._sizes)
        turned = torch.tensor([unit >= count for unit in units])
        rows = [(int(k), int(unit - (ends[k] - self._sizes[k]))) for unit in (unit % count for unit in units)
                for k in [np.searchsorted(ends, unit, side="right")]]  # fmt: skip
        opened = {k: {name: kept.tensor() for name, kept in self._batches[k].items()} for k, _ in rows}
        found = {name: torch.stack([opened[k][name][row] for k, row in rows]) for name in self._batches[0]}
        if turned.any():
            found = {name: _turned(tensor, turned) for name, tensor in found.items()}
        return {name: tensor.to(device) for name, tensor in found.items()}


def _turned(tensor: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Some samples of images [samples, channels, height, width] mirrored; other tensors as they are."""
    if tensor.ndim != 4:
        return tensor
    return torch.where(which.reshape(-1, 1, 1, 1), tensor.flip(-1), tensor)
