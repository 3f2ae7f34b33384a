from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

import quantforge
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import import_model
from quantforge.frontends.tuner import open_tuner
from quantforge.quantization.fine_tuning import FineTune
from quantforge.quantization.recipe import DPU_CNN
from tests.unit.frontends.onnx.text_models import model, random, run

TEXT = """
small (float[N, 3, 8, 8] x) => (float[N, 4] y) {
  c = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w1, b1)
  r = Relu (c)
  p = GlobalAveragePool (r)
  f = Flatten (p)
  y = Gemm <transB = 1> (f, w2, b2)
}
"""
SMALL = model(TEXT, w1=random(5, 3, 3, 3), b1=random(5), w2=random(4, 5), b2=random(4))
DATA = random(64, 3, 8, 8, seed=1)


def test_none_is_opened_where_none_is_asked_for() -> None:
    with open_tuner(DPU_CNN, import_model(SMALL)) as tuner:
        assert tuner is None


def test_without_torch_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"Q0524.*pip install 'quantforge\[torch\]'"):
        open_tuner(replace(DPU_CNN, finetune=FineTune()), import_model(SMALL))


def test_an_onnx_model_gets_nearer_to_float() -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    expected = run(SMALL, {"x": DATA})[0]
    found = {}
    for name, tuning in {"plain": None, "tuned": FineTune(samples=48, epochs=2, batch=16)}.items():
        result = quantforge.quantize(SMALL, DATA[:48], recipe=replace(DPU_CNN, finetune=tuning))
        found[name] = float(np.square(run(result.model, {"x": DATA})[0] - expected).sum())
        notes = [note for note in result.report.notes if note.made_by == "fine-tune"]
        assert bool(notes) is (tuning is not None)
    assert found["tuned"] <= found["plain"]
