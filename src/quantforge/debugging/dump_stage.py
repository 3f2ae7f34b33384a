"""A folder of dumped tensors as a stage: files made by `quantforge run --dump`, a runner, or a quantizer.

Files are raw numbers (.bin) or .npy, anywhere below the folder, called after tensors as in `dump`, with the numbers
of sample and engine and the ending ``_aquant`` left aside. What a raw file means is taken from the stage it is
compared with, or from the dump's index (`dump.read_index`) where that stage is the source model: as many bytes as
elements are integers, four times as many are float32, twice as many int16, half as many integers of 4 bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from quantforge.calibration.samples import InputInfo
from quantforge.debugging.deploy_check import is_deploy_check
from quantforge.debugging.dump import Kept
from quantforge.debugging.names import layer_file
from quantforge.debugging.nibbles import unpacked
from quantforge.debugging.stage import Array, Arrays, Signal, Stage, from_memory, real, reshaped
from quantforge.diagnostics import InputError

_ENGINE = re.compile(r"^(\d+)\.(.+)$")
_SAMPLE = re.compile(r"^(.+)_(\d+)$")


class DumpStage:
    """Tensors read from files. Its samples are those of the dump, in order."""

    def __init__(
        self,
        folder: str | Path,
        other: Stage,
        shapes: Mapping[str, tuple[int, ...]],
        index: Mapping[str, Kept] | None = None,
    ) -> None:
        """Find the files of the tensors of `other`, whose `shapes` of one sample are given by signal.

        `index` says how the dump keeps the signals, where that is otherwise than `other` does.

        Raises:
            InputError: Q1303 for a folder that is not there or has no file of any tensor, Q1308 for files of sizes
                that no tensor of that name has.
        """
        self.label = str(folder)
        self.inputs: tuple[InputInfo, ...] = other.inputs
        self._shapes = shapes
        self._kept = index or {}
        names = _known_names(other, self._kept)
        self._files = _files(Path(folder), names, numbered=not is_deploy_check(folder))
        self.signals: dict[str, Signal] = {}
        self._found: dict[str, dict[int, Path]] = {}
        for name, signal in other.signals.items():
            known = self._samples_of(signal)
            if known and name in shapes:
                self._found[name] = known
                position = self._position(signal) if self._holds_integers(name, known) else None
                self.signals[name] = Signal(name, next(iter(known.values())).name, position)
        if not self.signals:
            expected = f"a file of a tensor of {other.label}"
            raise InputError(
                "Q1303", self.label, f"{len(self._files)} files", expected, "name another folder"
            )
        self.samples = 1 + max(max(known) for known in self._found.values())
        self._next = 0

    def run(self, feeds: Arrays) -> dict[str, Array]:
        """The tensors of the next sample; those of other samples are not there. `feeds` are not looked at."""
        sample, self._next = self._next, self._next + 1
        return {
            name: self._read(name, known[sample]) for name, known in self._found.items() if sample in known
        }

    def view(self, name: str, array: Array, shape: tuple[int, ...]) -> Array | None:
        """In the order of the stage it is compared with: the files' own, unless the index says otherwise."""
        kept = self._kept.get(name)
        return from_memory(array, kept.order, shape) if kept and kept.order else reshaped(array, shape)

    def feeds(self, inputs: Mapping[str, str]) -> Iterator[dict[str, Array]]:
        """The inputs of every sample as real numbers; `inputs` maps their names to the signals that hold them.

        Raises:
            InputError: Q1303 when an input is not in the dump.
        """
        for sample in range(self.samples):
            yield {name: self._input(signal, sample) for name, signal in inputs.items()}

    def _input(self, signal: str, sample: int) -> Array:
        path = self._found.get(signal, {}).get(sample)
        if path is None:
            found, fix = f"no file of the input {signal!r}, sample {sample}", "give the data with --data"
            raise InputError("Q1303", self.label, found, "all inputs of the model", fix)
        stored = self.view(signal, self._read(signal, path), self._shapes[signal])
        if stored is None:
            expected, fix = f"the shape {list(self._shapes[signal])}", "dump the same model again"
            raise InputError("Q1308", str(path), "axes that do not fit", expected, fix)
        return real(stored, self.signals[signal].position).astype(np.float32)

    def _samples_of(self, signal: Signal) -> dict[int, Path]:
        kept = self._kept.get(signal.name)
        for name in (*([kept.tensor] if kept else ()), signal.tensor, signal.name, *signal.aliases):
            known = self._files.get(layer_file(name))
            if known:
                return known
        return {}

    def _position(self, signal: Signal) -> int | None:
        """Fractional bits of a signal's integers: as the other stage says, or the index."""
        kept = self._kept.get(signal.name)
        return signal.position if signal.position is not None or kept is None else kept.position

    def _holds_integers(self, name: str, known: Mapping[int, Path]) -> bool:
        path = next(iter(known.values()))
        if path.suffix == ".npy":
            return bool(np.issubdtype(np.load(path, mmap_mode="r").dtype, np.integer))
        return path.stat().st_size != 4 * int(np.prod(self._file_shape(name)))

    def _file_shape(self, name: str) -> tuple[int, ...]:
        """The shape of one sample as its file holds it."""
        kept = self._kept.get(name)
        return self._shapes[name] if kept is None else kept.shape

    def _read(self, name: str, path: Path) -> Array:
        shape = self._file_shape(name)
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
            return np.asarray(array.reshape(shape) if array.size == int(np.prod(shape)) else array)
        raw, count = path.read_bytes(), int(np.prod(shape))
        types = {2 * count: np.int16, 4 * count: np.float32, count: np.int8}
        if len(raw) == (count + 1) // 2 and count > 1:  # integers of 4 bits, two in a byte
            return unpacked(np.frombuffer(raw, np.uint8), count).reshape(shape)
        if len(raw) not in types:
            expected = f"{count} bytes of int8 or {4 * count} of float32: one sample of {list(shape)}"
            raise InputError("Q1308", str(path), f"{len(raw)} bytes", expected, "dump the same model again")
        return np.frombuffer(raw, types[len(raw)]).reshape(shape)


def _known_names(other: Stage, index: Mapping[str, Kept]) -> frozenset[str]:
    """The names that files of the tensors of `other` may have."""
    names = {name for s in other.signals.values() for name in (s.tensor, s.name, *s.aliases)}
    return frozenset(map(layer_file, names | {kept.tensor for kept in index.values()}))


def _files(folder: Path, known: frozenset[str], numbered: bool) -> dict[str, dict[int, Path]]:
    """Files by layer name and sample. Of two files of a name in different folders the first counts.

    Without `numbered` numbers at the end of names belong to the names, and there is one sample.
    """
    if not folder.is_dir():
        expected = "a folder of .bin or .npy files"
        raise InputError("Q1303", str(folder), "no such folder", expected, "check the path")
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".bin", ".npy") and path.is_file():
            name, sample = _meaning(path.stem, known) if numbered else (layer_file(path.stem), 0)
            found.setdefault(name, {}).setdefault(sample, path)
    return found


def _meaning(stem: str, known: frozenset[str]) -> tuple[str, int]:
    """The tensor and sample that a file's name says: ``1.fc`` or ``fc_1``, unless a tensor is called fc_1."""
    engine = _ENGINE.match(stem)
    if engine is not None:
        return layer_file(engine[2].removesuffix("_aquant")), int(engine[1])
    whole = layer_file(stem.removesuffix("_aquant"))
    sample = _SAMPLE.match(stem)
    if sample is None or whole in known or layer_file(sample[1]) not in known:
        return whole, 0
    return layer_file(sample[1]), int(sample[2])
