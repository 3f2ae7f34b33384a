"""``quantforge run``: summary, dump, self-test, mistakes."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from quantforge.cli import main
from quantforge.debugging.vectors import load_vectors
from quantforge.xmodel.model import Attr
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.write import write_xmodel
from tests.compiled_digits import DATA, compiled


def test_a_summary_of_the_outputs(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", str(compiled("PY3_ROUND")), "--data", str(DATA), "--samples", "12", "--top", "2"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("12 samples, ") and "ms per sample (run)" in out
    assert out.count("  sample ") == 10 and "and 2 samples more" in out


def test_json_and_the_reference_engine(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", str(compiled("PY3_ROUND")), "--data", str(DATA), "--samples", "2", "--json"]
    found = {}
    for engine in ("run", "ref"):
        assert main([*words, "--engine", engine]) == 0
        found[engine] = json.loads(capsys.readouterr().out)
    assert found["ref"]["engine"] == "ref" and found["run"]["outputs"] == found["ref"]["outputs"]
    assert len(found["run"]["outputs"][0]["classes"][0]) == 5


def test_every_tensor_is_dumped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "run",
        str(compiled("PY3_ROUND")),
        "--data",
        str(DATA),
        "--samples",
        "2",
        "--dump",
        str(tmp_path),
    ]
    assert main(words) == 0
    assert len(list(tmp_path.rglob("*.stem_relu6_fix.bin"))) == 2
    assert main(["compare", f"{compiled('PY3_ROUND')}@ref", str(tmp_path)]) == 0
    assert "equal" in capsys.readouterr().out


def test_the_model_tests_itself(capsys: pytest.CaptureFixture[str]) -> None:
    for engine in ("run", "ref"):
        assert main(["run", str(compiled("DPU_ROUND")), "--selftest", "--engine", engine]) == 0
        assert capsys.readouterr().out == "equal: 1 outputs of 2 samples\n"


def test_other_outputs_fail_the_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = read_xmodel(compiled("DPU_ROUND"))
    inputs, outputs = load_vectors(model)
    outputs[0][0, 3] += 1
    file = io.BytesIO()
    np.savez(file, input_0=inputs[0], output_0=outputs[0])
    model.attrs["quantforge_vectors"] = Attr("bytes", file.getvalue())
    path = write_xmodel(model, tmp_path / "changed.xmodel")
    assert main(["run", str(path), "--selftest"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("different: ") and "in the model's vectors" in out and "element [0, 3]" in out
    assert main(["run", str(path), "--selftest", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["equal"] is False


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["missing.xmodel", "--selftest"], "Q0902"),
        ([str(DATA), "--selftest"], "Q09"),
        (["MODEL"], "Q0002"),
        (["MODEL", "--data", "missing"], "Q0207"),
        (["MODEL", "--engine", "fpga"], "Q0002"),
    ],
)
def test_a_mistake_is_a_coded_error(words: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(compiled("PY3_ROUND")) if word == "MODEL" else word for word in words]
    assert main(["run", *given]) == 2
    assert capsys.readouterr().err.startswith(code)
