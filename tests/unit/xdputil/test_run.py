"""`xdputil run` and `run_op`, with the cross-check's variables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.debugging.observe import Observer
from tests.compiled_xmodels import classifier
from tests.published_xmodels import published
from tests.written_xmodels import write_classifier
from xdputil.cli import main

IMAGE = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    monkeypatch.chdir(tmp_path)
    model = write_classifier("net.xmodel")
    IMAGE.tofile("in.bin")
    return Observer(model, "ref").run({"image": IMAGE})


def test_a_subgraph_and_the_whole_model(
    made: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "net.xmodel", "in.bin"]) == 0
    assert capsys.readouterr().out == "0.logits_t.bin\n"
    assert Path("0.logits_t.bin").read_bytes() == made["logits"].tobytes()
    assert main(["run", "net.xmodel", "-i", "-1", "-r", "ref", "in.bin"]) == 0
    assert Path("0.probabilities_t.bin").read_bytes() == made["probabilities"].tobytes()


def test_the_cross_check_while_running(
    made: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = Path("golden")
    golden.mkdir()
    (golden / "image_t.bin").write_bytes(IMAGE.tobytes())
    (golden / "logits_t.bin").write_bytes((made["logits"] + np.int8(1)).tobytes())
    monkeypatch.setenv("XLNX_GOLDEN_DIR", "golden")
    monkeypatch.setenv("XLNX_ENABLE_DUMP", "1")
    monkeypatch.setenv("USE_VART_CPU_RUNNER", "1")
    assert main(["run", "net.xmodel", "in.bin"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "compare data success !layer_name image_t" in lines[0]
    assert "compare data failed ! layer_name logits_t" in lines[1] and len(lines) == 2
    assert Path("dump/subgraph_1_dpu/output/0.logits_t.bin").read_bytes() == made["logits"].tobytes()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["net.xmodel", "-i", "7", "in.bin"], "Q1301"),
        (["net.xmodel", "-i", "0", "in.bin"], "Q1207"),
        (["net.xmodel"], "Q1311"),
        (["net.xmodel", "net.xmodel"], "Q1311"),
    ],
)
def test_mistakes(
    words: list[str], code: str, made: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", *words]) == 2
    assert code in capsys.readouterr().err


def test_a_file_of_the_original_compiler_cannot_run(
    made: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(published("mnist_DPUCV2DX8G_ISA1_C20B14.xmodel")), "in.bin"]) == 2
    assert "Q1205" in capsys.readouterr().err


def test_one_operator(made: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run_op", "net.xmodel", "logits_t"]
    assert main(words) == 1
    assert Path("ref").is_dir() and "made ref" in capsys.readouterr().out
    assert main(words) == 2
    assert "Q1312" in capsys.readouterr().err
    model = classifier()
    source = model.ops[model.ops["logits"].producers[0]]
    made[source.name].tofile(f"ref/{source.tensor.name}.bin")
    assert main(words) == 1
    assert "test failed: no logits_t.bin in ref" in capsys.readouterr().out
    made["logits"].tofile("ref/logits_t.bin")
    assert main(words) == 0
    assert capsys.readouterr().out.endswith("test pass\n") and Path("dump/logits_t.bin").exists()
    (made["logits"] + np.int8(1)).tofile("ref/logits_t.bin")
    assert main([*words, "-r", "./ref", "-d", "./other"]) == 1
    assert "test failed: 10 numbers differ" in capsys.readouterr().out
