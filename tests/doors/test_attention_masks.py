"""Masks of attention must not take the scale of the scores, whatever number stands for nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import quantforge
import vai_q_onnx
from tests.unit.frontends.onnx.text_models import model, random, run

FORMS = {
    "added": "z = Div (s, root) a = Add (z, mask) p = Softmax (a)",
    "chosen": "z = Div (s, root) b = Less (mask, zero) a = Where (b, lowest, z) p = Softmax (a)",
}


def attention(form: str, lowest: float) -> Any:
    text = f"""agraph (float[N,T,8] x, float[N,1,T] mask) => (float[N,T,8] y) {{
        q = MatMul (x, wq) kt = MatMul (x, wk) k = Transpose <perm = [0, 2, 1]> (kt) v = MatMul (x, wv)
        s = MatMul (q, k) {FORMS[form]} y = MatMul (p, v) }}"""
    numbers = {"root": 8**0.5, "zero": 0.0, "lowest": lowest}
    arrays = {name: np.array(value, np.float32) for name, value in numbers.items()}
    weights = {f"w{name}": random(8, 8, seed=seed) / 2 for seed, name in enumerate("qkv")}
    return model(text, **arrays, **weights)


def batches(lowest: float) -> list[dict[str, np.ndarray]]:
    hidden = np.where(np.arange(6) < np.array([[3], [6], [5], [4]]), 0.0, lowest).astype(np.float32)
    return [{"x": random(4, 6, 8, seed=seed), "mask": hidden[:, None, :]} for seed in range(4)]


def sqnr_db(exact: Any, found: Any, lowest: float) -> float:
    pairs = [(run(exact, feeds)[0], run(found, feeds)[0]) for feeds in batches(lowest)]
    return float(
        10 * np.log10(sum((a**2).sum() for a, _ in pairs) / sum(((a - b) ** 2).sum() for a, b in pairs))
    )


@pytest.mark.parametrize("lowest", [-1e4, -3.4e38, float(np.finfo(np.float32).min), -np.inf], ids=str)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("recipe", ["dpu-cnn", "cpu-cnn", "cpu-transformer", "npu-transformer"])
def test_the_scores_keep_their_scale(recipe: str, form: str, lowest: float) -> None:
    exact = attention(form, lowest)
    found = quantforge.quantize(exact, batches(lowest), recipe=recipe).model
    assert sqnr_db(exact, found, lowest) > (18.0 if recipe == "dpu-cnn" else 24.0)


@pytest.mark.parametrize("lowest", [-3.4e38, -np.inf], ids=str)
def test_through_the_original_s_door(lowest: float, tmp_path: Path) -> None:
    class Reader:
        def __init__(self) -> None:
            self.rows = iter(batches(lowest))

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.rows, None)

    exact = attention("added", lowest)
    source, made = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    onnx.save(exact, source)
    vai_q_onnx.quantize_static(
        str(source), str(made), Reader(), calibrate_method=vai_q_onnx.CalibrationMethod.MinMax,
        activation_type=vai_q_onnx.QuantType.QInt8, weight_type=vai_q_onnx.QuantType.QInt8,
    )  # fmt: skip
    assert sqnr_db(exact, onnx.load(made), lowest) > 24.0
