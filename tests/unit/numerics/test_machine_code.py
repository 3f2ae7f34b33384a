"""Machine code survives a process, and nothing else passes for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InternalError
from quantforge.numerics import machine_code
from quantforge.numerics.machine_code import Argument, keep, load

ARGUMENTS = tuple(map(Argument.parse, ("int64", "float32[2] const", "float32[1]")))


def column_sums(start: int, x: Any, sums: Any) -> None:
    for i in range(x.shape[0]):
        for k in range(start, x.shape[1]):
            sums[k] += x[i, k]


def concatenated(start: int, x: Any, sums: Any) -> None:
    """Needs numba's memory manager."""
    rows = np.zeros(x.shape[1], np.float32)
    for i in range(x.shape[0]):
        rows += x[i]
    sums[:] = rows


def results(code: Any) -> list[float]:
    sums = np.zeros(3, np.float32)
    code(1, np.arange(6, dtype=np.float32).reshape(2, 3), sums)
    return [float(value) for value in sums]


def test_what_was_kept_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_code, "_folders", lambda function: (tmp_path,))
    assert load(column_sums, ARGUMENTS, False) is None
    assert results(keep(column_sums, ARGUMENTS, False)) == [0.0, 5.0, 7.0]
    assert len(list(tmp_path.iterdir())) == 1
    assert results(load(column_sums, ARGUMENTS, False)) == [0.0, 5.0, 7.0]
    assert load(column_sums, ARGUMENTS, True) is None


def test_a_damaged_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_code, "_folders", lambda function: (tmp_path,))
    keep(column_sums, ARGUMENTS, False)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for content in (b"", whole[:20], whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        file.write_bytes(content)
        assert load(column_sums, ARGUMENTS, False) is None


def test_code_that_needs_something_from_outside_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_code, "_folders", lambda function: (tmp_path,))
    assert keep(concatenated, ARGUMENTS, False) is None
    assert not list(tmp_path.iterdir())


def test_without_a_folder_the_code_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(machine_code, "_folders", lambda function: (tmp_path / "file" / "below",))
    assert results(keep(column_sums, ARGUMENTS, False)) == [0.0, 5.0, 7.0]


@pytest.mark.parametrize(
    "given",
    [
        (1, np.zeros((2, 3), np.float64), np.zeros(3, np.float32)),
        (1, np.zeros((3, 2), np.float32).T, np.zeros(3, np.float32)),
        (1, np.zeros(6, np.float32), np.zeros(3, np.float32)),
        (np.zeros(1, np.int64), np.zeros((2, 3), np.float32), np.zeros(3, np.float32)),
        (1, np.zeros((2, 3), np.float32)),
    ],
)
def test_other_arguments_are_refused(
    given: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_code, "_folders", lambda function: (tmp_path,))
    with pytest.raises(TypeError, match="column_sums"):
        keep(column_sums, ARGUMENTS, False)(*given)


def test_results_are_not_written_into_read_only_arrays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_code, "_folders", lambda function: (tmp_path,))
    code, x, sums = keep(column_sums, ARGUMENTS, False), np.zeros((2, 3), np.float32), np.zeros(3, np.float32)
    x.flags.writeable = False
    code(0, x, sums)
    sums.flags.writeable = False
    with pytest.raises(TypeError):
        code(0, x, sums)


def test_an_argument_that_cannot_be_read() -> None:
    with pytest.raises(InternalError, match="Q0491"):
        Argument.parse("float32[:, ::1]")


def test_the_kernels_of_a_quantization_load_without_numba() -> None:
    script = """
import sys
from quantforge.calibration.sketch import count_bits
from quantforge.passes.equalize_layers import largest_magnitudes
from quantforge.quantization.channel_statistics import add_channel_sums
from quantforge.quantization.weights import add_squared_errors
for kernel in (count_bits, largest_magnitudes, add_channel_sums, add_squared_errors):
    kernel.compile()
print("numba" in sys.modules)
"""
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True, text=True) for _ in range(2)]
    assert runs[1].stdout == "False\n", runs[1].stderr
