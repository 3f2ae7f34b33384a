"""``quantforge quantize``: files written, options passed on, mistakes answered with a code and no output."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from quantforge.cli import main
from quantforge.quantization.plan import Plan
from quantforge.reporting import from_json

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
MODEL = str(DIGITS / "digits.onnx")
DATA = str(DIGITS / "calibration.npy")


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_writes_a_model_that_agrees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "int8.onnx"
    assert main(["quantize", MODEL, "--data", DATA, "-o", str(output)]) == 0
    out = capsys.readouterr().out
    assert "dpu-cnn" in out and f"model: {output}\n" in out
    images = {"image": np.load(DATA)}
    answers = [
        onnxruntime.InferenceSession(path).run(None, images)[0].argmax(1) for path in (MODEL, str(output))
    ]
    assert np.mean(answers[0] == answers[1]) >= 0.97  # 124 of 128: SQNR is about 25 dB
    assert files_in(tmp_path) == ["int8.onnx"]


@pytest.mark.parametrize(("form", "kind"), [("qoperator", "QLinearConv"), ("fix-neuron", "FixNeuron")])
def test_the_form_of_the_file(form: str, kind: str, tmp_path: Path) -> None:
    output = tmp_path / "q.onnx"
    assert main(["quantize", MODEL, "--data", DATA, "-o", str(output), "--form", form]) == 0
    assert kind in {node.op_type for node in onnx.load(output).graph.node}
    images = {"image": np.load(DATA)}
    assert onnxruntime.InferenceSession(str(output)).run(None, images)[0].shape == (128, 10)


def test_json_is_the_whole_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--recipe", "cpu-cnn", "--samples", "20", "--batch", "8", "--json"]
    assert main(["quantize", MODEL, "--data", DATA, "-o", str(tmp_path / "q.onnx"), *words]) == 0
    report = from_json(capsys.readouterr().out)
    assert (report.recipe, report.data.samples, report.data.batches) == ("cpu-cnn", 20, 3)


def test_the_report_folder_and_its_remedies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "made" / "report"
    command = ["quantize", MODEL, "--data", DATA, "-o", str(tmp_path / "q.onnx")]
    assert main([*command, "--report", str(folder)]) == 0
    assert f"report: {folder / 'report.html'}\n" in capsys.readouterr().out
    assert files_in(folder) == ["plan.json", "report.html", "report.json"]
    assert "stem/relu6" in Plan.from_json((folder / "plan.json").read_text()).tensors
    assert "<html" in (folder / "report.html").read_text("utf-8")[:200]
    before = from_json((folder / "report.json").read_text("utf-8"))
    assert main([*command, "--json", "--apply", str(folder / "report.json")]) == 0
    after = from_json(capsys.readouterr().out)
    assert after.recipe_text != before.recipe_text


def test_the_page_says_what_runs_on_a_dpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["quantize", MODEL, "--data", DATA, "-o", str(tmp_path / "int8.onnx"), "--inspect", "KV260"]
    assert main(arguments) == 2
    assert "--inspect needs --report" in capsys.readouterr().err
    assert main([*arguments, "--report", str(tmp_path / "report")]) == 0
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "Where it runs: DPUCZDX8G_ISA1_B4096" in page


def test_sketches_are_written_then_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sketches = tmp_path / "digits.sketches"
    command = ["quantize", MODEL, "--data", DATA, "--sketches", str(sketches), "--json", "-o"]
    plans = []
    for name in ("first.onnx", "second.onnx"):
        assert main([*command, str(tmp_path / name)]) == 0
        report = from_json(capsys.readouterr().out)
        plans.append([(tensor.name, tensor.spec) for tensor in report.tensors])
        stages = {timing.stage for timing in report.timings}
        assert ("calibration" in stages) == (name == "first.onnx")
    assert sketches.exists() and plans[0] == plans[1]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"model": "missing.onnx"}, "Q0102"),
        ({"--data": "missing"}, "Q0207"),
        ({"--recipe": "gpu"}, "Q0311"),
        ({"--recipe": "missing.toml"}, "Q0312"),
        ({"--apply": "missing.json"}, "Q0004"),
        ({"--preprocess": "missing.toml"}, "Q0211"),
        ({"--output": "missing/q.onnx"}, "Q0601"),
        ({"--report": MODEL}, "Q0601"),
        ({"--report": f"{MODEL}/below"}, "Q0601"),
        ({"--samples": "0"}, "Q0002"),
        ({"--layout": "CHWN"}, "Q0002"),
    ],
)
def test_a_mistake_is_a_coded_error_without_output(
    change: dict[str, str],
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    words = {"model": MODEL, "--data": DATA, "--output": "q.onnx", "--report": "report"} | change
    command = ["quantize", words.pop("model"), *(word for pair in words.items() for word in pair)]
    assert main(command) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(code) and "  try       " in captured.err
    assert captured.out == ""
    assert files_in(tmp_path) == []


def test_an_unreadable_model_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.onnx").write_text("not a model")
    assert main(["quantize", "text.onnx", "--data", DATA, "-o", "q.onnx", "--report", "r"]) == 2
    assert "Q0101" in capsys.readouterr().err
    assert files_in(tmp_path) == ["text.onnx"]


def test_an_output_that_cannot_be_written_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quantforge.frontends.quantize.quantize", lambda *a, **k: pytest.fail("it began"))
    assert main(["quantize", MODEL, "--data", DATA, "-o", str(tmp_path / "no" / "q.onnx")]) == 2


SLOW = """
import sys, time
from quantforge.cli import main
import quantforge.calibration.data as data
original = data.DataSource.__iter__
def slow(self):
    for batch in original(self):
        print("batch", flush=True)
        time.sleep(30)
        yield batch
data.DataSource.__iter__ = slow
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_leaves_nothing_and_shows_no_traceback(tmp_path: Path) -> None:
    command = ["quantize", MODEL, "--data", DATA, "-o", "q.onnx", "--report", "r", "--sketches", "s"]
    run = subprocess.Popen(
        [sys.executable, "-c", SLOW, *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None and run.stdout.readline() == "batch\n"
    time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=20)
    assert run.returncode == 130
    assert errors.lstrip().startswith("Q0003 Interrupted") and "Traceback" not in errors
    assert files_in(tmp_path) == []


def test_the_report_is_json_with_a_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["quantize", MODEL, "--data", DATA, "-o", str(tmp_path / "q.onnx"), "--json"])
    assert json.loads(capsys.readouterr().out)["version"] == 1
