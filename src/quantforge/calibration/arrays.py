"""Rows of .npy and .npz files, read a few at a time.

Files are read, not mapped: pages of a mapped file count as memory of the process as long as the system has no better
use for them, and would make the peak grow with the data. Compressed members of an .npz are unpacked as they are read.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from quantforge.diagnostics import InputError
from quantforge.graph import Array

_BROKEN = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


@dataclass(frozen=True)
class ArrayFile:
    """One array on disk: a .npy file, or the `member` of an .npz file.

    Attributes:
        path: The file.
        member: Name within the .npz, None for a .npy.
        shape: Of the whole array.
        dtype: Of its elements.
    """

    path: Path
    member: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def label(self) -> str:
        """The file and the member, for messages."""
        return str(self.path) if self.member is None else f"{self.path}[{self.member}]"

    def blocks(self, rows: int) -> Iterator[Array]:
        """The array in pieces of up to `rows` along its first axis, in order.

        Raises:
            InputError: Q0207 when the file ends early or is damaged.
        """
        row_bytes = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        with _opened(self.path, self.member) as file:
            _header(file, self.label)
            for start in range(0, self.shape[0], rows):
                count = min(rows, self.shape[0] - start)
                data = _read(file, count * row_bytes, self.label)
                yield np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])

    def whole(self) -> Array:
        """The whole array, for a file that is one sample."""
        with _opened(self.path, self.member) as file:
            _header(file, self.label)
            size = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
            return np.frombuffer(_read(file, size, self.label), self.dtype).reshape(self.shape)


def open_npy(path: Path) -> ArrayFile:
    """Look at the header of a .npy file.

    Raises:
        InputError: Q0207 when it is not one.
    """
    with _opened(path, None) as file:
        shape, dtype = _header(file, str(path))
    return ArrayFile(path, None, shape, dtype)


def open_npz(path: Path) -> dict[str, ArrayFile]:
    """Look at the headers of all arrays in an .npz file, by name.

    Raises:
        InputError: Q0207 when it is not one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".npy")]
    except _BROKEN as error:
        raise _broken(str(path), str(error)) from error
    arrays = {}
    for member in members:
        name = member.removesuffix(".npy")
        with _opened(path, name) as file:
            shape, dtype = _header(file, f"{path}[{name}]")
        arrays[name] = ArrayFile(path, name, shape, dtype)
    return arrays


@contextmanager
def _opened(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    label = str(path) if member is None else f"{path}[{member}]"
    try:
        if member is None:
            with path.open("rb") as file:
                yield file
        else:
            with zipfile.ZipFile(path) as archive, archive.open(f"{member}.npy") as file:
                yield file
    except _BROKEN as error:
        raise _broken(label, str(error)) from error


def _header(file: IO[bytes], label: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise _broken(label, "an array of Python objects")
    if fortran and len(shape) > 1:
        raise _broken(label, "an array in Fortran order")
    return shape, dtype


def _read(file: IO[bytes], size: int, label: str) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise _broken(label, f"a file that ends {size - len(data)} bytes early")
    return data


def _broken(label: str, found: str) -> InputError:
    fix = "write the file again with numpy.save or numpy.savez, from np.ascontiguousarray(data)"
    return InputError("Q0207", label, found, "a complete .npy or .npz file of numbers", fix)
