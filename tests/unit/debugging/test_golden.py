"""The golden cross-check: settings, log lines, dumps, uploads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vart
import vitis_ai_library
from quantforge.debugging.dump import dumped
from quantforge.debugging.golden import GoldenSettings, WatchedEngine, settings_of, watcher
from quantforge.debugging.names import layer_file
from quantforge.runtime.program import Program, program_of
from quantforge.runtime.reference import ReferenceEngine
from tests.compiled_xmodels import classifier, dpu_part

MODEL = classifier()
IMAGES = np.random.default_rng(0).integers(-128, 128, (2, 8, 8, 3)).astype(np.int8)


def engine() -> ReferenceEngine:
    return ReferenceEngine(program_of(MODEL, dpu_part(MODEL)))


def golden(folder: Path, program: Program, sample: int = 0) -> Path:
    """Golden files of every tensor of one sample."""
    made = {
        **ReferenceEngine(program).run_all({"image": IMAGES[sample : sample + 1]}),
        "image": IMAGES[sample],
    }
    for _, op in dumped(program):
        (folder / f"{layer_file(op.tensor.name)}.bin").write_bytes(made[op.name].tobytes())
    return folder


def run(settings: GoldenSettings, images: np.ndarray = IMAGES[:1]) -> tuple[dict[str, np.ndarray], list[str]]:
    lines: list[str] = []
    results = WatchedEngine(engine(), settings, "ref", lines.append).run({"image": images})
    return results, lines


def test_settings_of_the_environment() -> None:
    assert settings_of({}).idle and settings_of({"XLNX_ENABLE_DEBUG_MODE": "1"}).idle
    names = {
        "XLNX_ENABLE_DEBUG_MODE": "debug_mode", "XLNX_ENABLE_DUMP": "dump", "XLNX_ENABLE_UPLOAD": "upload",
        "XLNX_ENABLE_CLEAR": "clear", "XLNX_SHOW_DPU_COUNTER": "counter", "DEBUG_DPU_RUNNER_DRY_RUN": "dry_run",
        "XLNX_ENABLE_DUMP_PARAMTER": "parameters",
    }  # fmt: skip
    for variable, field in names.items():
        assert settings_of({variable: "1"}) == replace(GoldenSettings(), **{field: True})
        assert settings_of({variable: "0"}) == GoldenSettings()
    assert settings_of({"XLNX_GOLDEN_DIR": "g"}).golden == Path("g")


def test_only_dpu_subgraphs_are_watched_and_only_when_asked() -> None:
    assert watcher(GoldenSettings(debug_mode=True), "ref") is None
    watch = watcher(GoldenSettings(counter=True), "ref")
    assert watch is not None and isinstance(watch(engine()), WatchedEngine)


def test_golden_tensors_are_met(tmp_path: Path) -> None:
    program = engine().program
    _, lines = run(GoldenSettings(debug_mode=True, golden=golden(tmp_path, program)))
    assert len(lines) == 1 + len(program.ops)
    assert all(line.startswith("XLNX_GOLDEN_DIR: compare data success !layer_name ") for line in lines)


def test_without_debug_mode_only_the_borders_are_compared(tmp_path: Path) -> None:
    _, lines = run(GoldenSettings(golden=golden(tmp_path, engine().program)))
    assert [line.split("layer_name ")[1].split()[0] for line in lines] == ["image_t", "logits_t"]


def test_a_failure_can_be_searched_for_in_both_spellings(tmp_path: Path) -> None:
    golden(tmp_path, engine().program)
    (tmp_path / "logits_t.bin").write_bytes(bytes(10))
    (tmp_path / "image_t.bin").unlink()
    _, lines = run(GoldenSettings(golden=tmp_path), IMAGES)
    failures = [line for line in lines if "fail" in line]
    assert len(failures) == 4  # both samples of both tensors: one file is missing, one differs
    assert all(
        "compare data failed ! layer_name" in line and "fail ! layer_name" in line for line in failures
    )
    assert "not found" in failures[0] and "batch_idx 1" in failures[1] and "golden_md5" in failures[2]


def test_each_sample_is_compared_with_the_one_in_the_file(tmp_path: Path) -> None:
    _, lines = run(GoldenSettings(golden=golden(tmp_path, engine().program, sample=1)), IMAGES)
    assert ["success" in line for line in lines if "logits_t" in line] == [False, True]


def test_uploads_make_every_layer_compute_on_golden_tensors(tmp_path: Path) -> None:
    program = engine().program
    golden(tmp_path, program)
    first = next(op for op in program.ops if op.kind == "conv2d-fix")
    raw = bytearray((tmp_path / f"{first.tensor.name}.bin").read_bytes())
    raw[0] ^= 1
    (tmp_path / f"{first.tensor.name}.bin").write_bytes(raw)
    settings = GoldenSettings(debug_mode=True, golden=tmp_path, upload=True)
    _, lines = run(settings)
    assert any(
        line.startswith(f"XLNX_ENABLE_UPLOAD: upload data success ! layer_name {first.tensor.name}")
        for line in lines
    )
    failed = [line for line in lines if "compare data failed" in line]
    # the layer itself, and at most what reads the changed number; nothing is carried on to the result
    assert first.tensor.name in failed[0] and not any("logits_t" in line for line in failed)


def test_an_upload_of_another_size_is_reported(tmp_path: Path) -> None:
    (tmp_path / "image_t.bin").write_bytes(b"12")
    results, lines = run(GoldenSettings(golden=tmp_path, upload=True))
    assert "upload data failed ! layer_name image_t, 2 bytes, not 192" in lines[0]
    np.testing.assert_array_equal(results["logits"], engine().run({"image": IMAGES[:1]})["logits"])


def test_a_dry_run_computes_nothing() -> None:
    results, _ = run(GoldenSettings(dry_run=True))
    assert not results["logits"].any()
    results, _ = run(GoldenSettings(dry_run=True, clear=True), IMAGES)
    assert results["logits"].tobytes() == bytes(range(20))


def test_dumps_and_parameters_lie_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    watched = WatchedEngine(engine(), GoldenSettings(dump=True, parameters=True), "ref", print)
    for _ in range(2):
        watched.run({"image": IMAGES[:1]})
    place = tmp_path / "dump" / "subgraph_1_dpu"
    assert sorted(path.name for path in (place / "input").iterdir()) == ["0.image_t.bin", "1.image_t.bin"]
    assert not (place / "internal").exists()
    constants = {op.name for op in MODEL.ops.values() if op.kind == "const-fix"}
    assert {path.stem for path in (place / "parameter").iterdir()} == {layer_file(name) for name in constants}


def test_the_time_of_a_run_is_said_to_be_of_software() -> None:
    _, (line,) = run(GoldenSettings(counter=True))
    assert line.startswith("XLNX_SHOW_DPU_COUNTER: subgraph_1_dpu ") and "software" in line


@pytest.mark.parametrize("door", ["vart", "vitis_ai_library"])
def test_the_doors_look_at_the_environment(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XLNX_GOLDEN_DIR", str(golden(tmp_path, engine().program)))
    image = np.ascontiguousarray(IMAGES[:1])
    if door == "vart":
        runner: Any = vart.Runner.create_runner((MODEL, dpu_part(MODEL)), "run")
        result = np.empty((1, 10), np.int8)
    else:
        runner = vitis_ai_library.GraphRunner.create_graph_runner(MODEL)
        result = np.empty((1, 10), np.float32)
    assert runner.wait(runner.execute_async([image], [result])) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all("compare data success" in line for line in lines)
