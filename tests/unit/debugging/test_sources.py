"""From words on a command line to a comparison."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.calibration.preprocessing import Preprocessing
from quantforge.debugging.model_run import run_model
from quantforge.debugging.sources import DataChoice, SourceName, compare_sources, own_preprocessing
from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attr, XModel
from quantforge.xmodel.read import read_xmodel
from tests.compiled_digits import DATA, FLOAT, PREPROCESSING, compiled, quantized

CHOICE = DataChoice(str(DATA), samples=3)


def test_words_name_stages(tmp_path: Path) -> None:
    assert SourceName.parse("a@b/net.xmodel@ref") == SourceName("xmodel", Path("a@b/net.xmodel"), "ref")
    assert SourceName.parse("net.xmodel").label == "net.xmodel@run"
    assert SourceName.parse("net@1.onnx") == SourceName("onnx", Path("net@1.onnx"))
    assert SourceName.parse(str(tmp_path)).kind == "dump"
    with pytest.raises(InputError, match="Q1309"):
        SourceName.parse("net.xmodel@fpga")


@pytest.mark.parametrize("mode", ["run", "ref"])
def test_the_original_comes_first_whatever_the_order(mode: str) -> None:
    xmodel = f"{compiled('PY3_ROUND')}@{mode}"
    found = compare_sources(xmodel, str(quantized()), CHOICE)
    assert (found.first, found.second, found.samples) == (str(quantized()), xmodel, 3)
    assert found.equal and found.explained


def test_a_float_model_differs_from_its_integers() -> None:
    found = compare_sources(str(FLOAT), f"{compiled('PY3_ROUND')}@run", CHOICE)
    assert found.tensors[0].name == "image" and found.tensors[0].different == 0  # half a step is rounding
    assert not found.equal and not any(row.integers for row in found.tensors)


def test_two_engines_of_one_file_are_equal() -> None:
    path = compiled("DPU_ROUND")
    found = compare_sources(f"{path}@ref", f"{path}@run", CHOICE)
    assert found.equal and len(found.tensors) >= 12
    assert all(row.alone is None for row in found.tensors)


def test_two_files_are_compared_by_the_names_of_tensors() -> None:
    found = compare_sources(str(compiled("PY3_ROUND")), str(compiled("DPU_ROUND")), CHOICE)
    assert not found.equal and found.explained
    assert found.culprit is not None and found.culprit.name == "stem/relu6_fix"


def test_a_dump_has_its_own_inputs(tmp_path: Path) -> None:
    path = compiled("DPU_ROUND")
    run_model(read_xmodel(path), CHOICE, "ref", tmp_path)
    found = compare_sources(str(tmp_path), f"{path}@run")
    assert found.equal and found.samples == 3 and found.second == str(tmp_path)
    file = next(tmp_path.rglob("1.block3_add_fix.bin"))
    raw = bytearray(file.read_bytes())
    raw[7] ^= 1
    file.write_bytes(raw)
    found = compare_sources(f"{path}@run", str(tmp_path), CHOICE)
    (row,) = [row for row in found.tensors if row.different]
    assert row.name == "block3/add_fix" and row.first is not None
    shape = (1, 4, 4, 48)
    assert row.first.index[0] == 1 and row.first.index[1:] == tuple(map(int, np.unravel_index(7, shape)[1:]))
    assert compare_sources(f"{path}@run", str(tmp_path), samples=1).equal


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Q1309 .*two folders"):
        compare_sources(str(tmp_path), str(tmp_path))
    with pytest.raises(InputError, match=r"Q1309 .*no data"):
        compare_sources(str(quantized()), str(compiled("PY3_ROUND")))


def test_the_record_of_preprocessing() -> None:
    assert own_preprocessing(XModel("m")) is None
    found = own_preprocessing(XModel("m"), read_xmodel(compiled("PY3_ROUND")))
    assert found == Preprocessing(scale=0.00392157, color="gray") and "gray" in PREPROCESSING
    broken = XModel("m", attrs={"quantforge_preprocessing": Attr("string", "{")})
    with pytest.raises(InputError, match="Q0211"):
        own_preprocessing(broken)


@pytest.mark.parametrize("data", [None, CHOICE], ids=["its own inputs", "the data"])
def test_a_dump_beside_the_model_it_was_compiled_from(tmp_path: Path, data: DataChoice | None) -> None:
    run_model(read_xmodel(compiled("PY3_ROUND")), CHOICE, dump=tmp_path / "dump")
    found = compare_sources(str(quantized()), str(tmp_path / "dump"), data)
    assert found.equal and found.samples == 3
    assert sum(tensor.integers for tensor in found.tensors) > 8
    images = [tensor for tensor in found.tensors if tensor.elements > 3 * 64]
    assert images  # tensors that lie channels last in the dump

    file = next((tmp_path / "dump").rglob("internal/1.*.bin"))
    numbers = np.fromfile(file, np.int8)
    numbers[0] += 1
    numbers.tofile(file)
    culprit = compare_sources(str(quantized()), str(tmp_path / "dump"), CHOICE).culprit
    assert culprit is not None and culprit.different == 1 and culprit.largest == 1


def test_an_index_that_cannot_be_read(tmp_path: Path) -> None:
    run_model(read_xmodel(compiled("PY3_ROUND")), CHOICE, dump=tmp_path)
    (tmp_path / "index.json").write_text('{"image": {"tensor": "x"}}')
    with pytest.raises(InputError, match=r"Q1308.*index.json"):
        compare_sources(str(quantized()), str(tmp_path), CHOICE)
