"""Threads that run a model for some time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.debugging.benchmark import Benchmark, BenchmarkSettings, benchmark_settings, random_tensor
from quantforge.debugging.raw_run import open_runner
from quantforge.diagnostics import InputError
from quantforge.xmodel.model import DataType, Tensor
from tests.compiled_xmodels import classifier

MODEL = classifier()
SHORT = BenchmarkSettings(seconds=0.1, references=2, memcmp=True)


def bench(settings: BenchmarkSettings, lines: list[str] | None = None) -> Benchmark:
    return Benchmark(lambda: open_runner(MODEL, 1), settings, (lines if lines is not None else []).append)


def test_every_thread_runs_and_the_outputs_stay_the_same() -> None:
    lines: list[str] = []
    found = bench(SHORT, lines).run(2)
    assert len(found.frames) == 2 and min(found.frames) > 0 and found.errors == 0
    assert found.fps == sum(found.frames) / found.seconds
    assert lines == [f"{tenth}0 %" for tenth in range(1, 11)]


def test_other_outputs_than_expected_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    image = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)
    with open_runner(MODEL, 1) as runner:
        right = runner.run(image)
    assert bench(SHORT).run(1, [[image]], [right]).errors == 0
    settings = BenchmarkSettings(seconds=0.05, memcmp=True, save_errors=True, copy_input=False, shuffle=False)
    found = bench(settings).run(1, [[image]], [[right[0] + 1]])
    assert found.errors == sum(found.frames)
    assert (tmp_path / "error_0.0.logits_t.bin").read_bytes() == right[0].tobytes()


def test_inputs_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bench(BenchmarkSettings(seconds=0.01, references=3, save_inputs=True)).run(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"input.{i}.image_t.bin" for i in range(3)]


def test_what_a_job_raises_reaches_the_caller() -> None:
    with pytest.raises(InputError, match="Q1208"):
        bench(BenchmarkSettings(seconds=5)).run(2, [[np.zeros((1, 8, 8, 3), np.float32)]])


def test_settings_of_the_environment() -> None:
    assert benchmark_settings({}) == BenchmarkSettings()
    given = {
        "SLEEP_MS": "250", "NUM_OF_REF": "7", "ENABLE_MEMCMP": "1", "COPY_INPUT": "0", "COPY_OUTPUT": "0",
        "ENABLE_SHUFFLE": "0", "SAVE_INPUT_TO_FILE": "1", "SAVE_ERROR_OUTPUT_TO_FILE": "1",
    }  # fmt: skip
    assert benchmark_settings(given) == BenchmarkSettings(0.25, 7, True, False, False, False, True, True)
    assert benchmark_settings({**given, "SAME_INPUT": "1"}).references == 1


@pytest.mark.parametrize("given", [{"SLEEP_MS": "long"}, {"SLEEP_MS": "0"}, {"NUM_OF_REF": "-1"}])
def test_settings_that_are_no_numbers(given: dict[str, str]) -> None:
    with pytest.raises(InputError, match="Q1313"):
        benchmark_settings(given)


def test_random_tensors_cover_their_type() -> None:
    random = np.random.default_rng(0)
    assert random_tensor(Tensor("f", (100,)), random).std() > 0.5
    flags = random_tensor(Tensor("b", (100,), DataType("UINT", 8)), random)
    assert set(flags.tolist()) == {0, 1} and flags.dtype == np.uint8
