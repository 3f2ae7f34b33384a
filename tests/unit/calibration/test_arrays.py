"""Arrays on disk, read by rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.calibration.arrays import ArrayFile, open_npy, open_npz
from quantforge.diagnostics import InputError

DATA = np.random.default_rng(23).standard_normal((7, 3, 2)).astype(np.float32)


def stored(tmp_path: Path, kind: str) -> ArrayFile:
    if kind == "npy":
        np.save(tmp_path / "a.npy", DATA)
        return open_npy(tmp_path / "a.npy")
    (np.savez if kind == "npz" else np.savez_compressed)(tmp_path / "a.npz", x=DATA, y=np.arange(7))
    return open_npz(tmp_path / "a.npz")["x"]


@pytest.mark.parametrize("kind", ["npy", "npz", "compressed"])
@pytest.mark.parametrize("rows", [1, 3, 7, 100])
def test_rows_come_in_order(tmp_path: Path, kind: str, rows: int) -> None:
    file = stored(tmp_path, kind)
    assert (file.shape, file.dtype) == (DATA.shape, DATA.dtype)
    blocks = list(file.blocks(rows))
    assert all(len(block) == rows for block in blocks[:-1])
    np.testing.assert_array_equal(np.concatenate(blocks), DATA)
    np.testing.assert_array_equal(np.concatenate(list(file.blocks(rows))), DATA)  # and again
    np.testing.assert_array_equal(file.whole(), DATA)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, DATA)
    path.write_bytes(path.read_bytes()[:-10])
    blocks = open_npy(path).blocks(4)
    assert len(next(blocks)) == 4
    with pytest.raises(InputError) as caught:
        next(blocks)
    assert str(caught.value) == (
        f"Q0207 {path}: found a file that ends 10 bytes early; expected a complete .npy or .npz file of numbers; "
        "try: write the file again with numpy.save or numpy.savez, from np.ascontiguousarray(data)"
    )


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 no archive"])
def test_files_of_another_kind(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match="Q0207"):
        open_npy(path) if name.endswith("npy") else open_npz(path)


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=DATA)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(InputError, match="Q0207"):
        list(open_npz(path)["x"].blocks(7))


def test_objects_and_fortran_order_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([{}, None]), allow_pickle=True)
    with pytest.raises(InputError, match=r"Q0207 .*found an array of Python objects"):
        open_npy(tmp_path / "o.npy")
    np.save(tmp_path / "f.npy", np.asfortranarray(DATA))
    with pytest.raises(InputError, match=r"Q0207 .*found an array in Fortran order"):
        open_npy(tmp_path / "f.npy")
