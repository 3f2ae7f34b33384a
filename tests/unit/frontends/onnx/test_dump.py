"""Files of tensors: what is in them, and what they are called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import import_model, to_proto
from quantforge.frontends.onnx.absorb_qdq import absorb
from quantforge.frontends.onnx.dump import dump_values
from quantforge.frontends.onnx.forms import Form
from quantforge.graph import Graph, QuantSpec
from quantforge.graph.quantize import quantize_value
from quantforge.numerics.formats import BFLOAT16, INT8, INT16, UINT8, Format

from .text_models import model, random

X = random(2, 4)
K = random(4)


def quantized(form: Format = INT8, zero: int = 0) -> Graph:
    graph = import_model(
        model('g (float[N, 4] x) => (y) { "a/b" = Mul (x, k) a_b = Exp ("a/b") y = Add ("a/b", a_b) }', k=K)
    )
    for name in ("x", "k", "a/b", "y"):
        scale, point = (1.0, 0) if form == BFLOAT16 else (0.25, zero)
        graph.set_value(replace(graph.value(name), quant=QuantSpec(form, (scale,), (point,))))
    return graph


def read(folder: Path, stem: str, dtype: Any) -> Any:
    data = np.fromfile(folder / f"{stem}.bin", dtype)
    text = (folder / f"{stem}.txt").read_text().split("\n")
    assert text.pop() == ""
    np.testing.assert_array_equal(np.array(text, dtype), data)
    return data


@pytest.mark.parametrize(
    ("form", "zero", "dtype"),
    [
        (INT8, 0, "int8"),
        (INT8, -5, "int8"),
        (UINT8, 128, "uint8"),
        (INT16, 0, "int16"),
        (BFLOAT16, 0, "uint16"),
    ],
    ids=str,
)
def test_stored_numbers(form: Format, zero: int, dtype: str, tmp_path: Path) -> None:
    graph = quantized(form, zero)
    files = dump_values(graph, {"x": X}, tmp_path)
    assert {path.stem for path in files} == {"quant_x", "quant_k", "quant_a_b", "quant_y"}
    for name, data in (("x", X), ("k", K)):
        want = quantize_value(data, graph.value(name).quant or QuantSpec(INT8))
        np.testing.assert_array_equal(read(tmp_path, f"quant_{name}", dtype), want.reshape(-1))


def test_real_numbers_also_of_what_is_not_quantized(tmp_path: Path) -> None:
    dump_values(quantized(), {"x": X}, tmp_path / "new" / "folder", floats=True)
    folder = tmp_path / "new" / "folder"
    names = {path.name for path in folder.iterdir()}
    assert {"quant_a_b.bin", "quant_a_b_float.bin", "quant_a_b_1_float.bin", "quant_y_float.txt"} <= names
    assert "quant_a_b_1.bin" not in names, "the exponential is not quantized"
    reals = read(folder, "quant_a_b_float", np.float32)
    np.testing.assert_array_equal(reals, read(folder, "quant_a_b", np.int8) * np.float32(0.25))
    np.testing.assert_allclose(read(folder, "quant_a_b_1_float", np.float32), np.exp(reals), rtol=1e-6)


@pytest.mark.parametrize("form", [Form.QDQ, Form.VITIS, Form.FIX_NEURON, Form.QOPERATOR], ids=str)
def test_every_form_has_the_same_numbers(form: Form, tmp_path: Path) -> None:
    dump_values(quantized(), {"x": X}, tmp_path / "graph")
    dump_values(absorb(import_model(to_proto(quantized(), form=form))), {"x": X}, tmp_path / "file")
    for stem in ("quant_x", "quant_y"):
        want = read(tmp_path / "graph", stem, np.int8)
        np.testing.assert_array_equal(read(tmp_path / "file", stem, np.int8), want)


def test_a_float_model_has_nothing_to_dump_but_real_numbers(tmp_path: Path) -> None:
    graph = import_model(model("g (float[N, 4] x) => (y) { y = Exp (x) }"))
    with pytest.raises(InputError, match="Q0710 model 'g': found no quantized tensor"):
        dump_values(graph, {"x": X}, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    dump_values(graph, {"x": X}, tmp_path, floats=True)
    np.testing.assert_allclose(read(tmp_path, "quant_y_float", np.float32), np.exp(X).reshape(-1), rtol=1e-6)
