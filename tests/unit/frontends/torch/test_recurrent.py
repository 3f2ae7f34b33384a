from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from pytorch_nndct.apis import torch_quantizer  # noqa: E402
from quantforge.frontends.torch.quantizer import ModuleQuantizer  # noqa: E402
from quantforge.frontends.torch.recipes import dpu_recipe  # noqa: E402
from quantforge.frontends.torch.recurrent import recurrent_recipe  # noqa: E402
from quantforge.numerics.formats import INT8, INT16  # noqa: E402


class Tagger(nn.Module):
    """Words to scores, by a recurrent layer that gives its state back."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.table = nn.Embedding(12, 6)
        self.cells = getattr(nn, kind)(6, 8, batch_first=True, bidirectional=kind == "GRU")
        self.head = nn.Linear(16 if kind == "GRU" else 8, 3)

    def forward(self, words: Any) -> Any:
        found, state = self.cells(self.table(words))
        return torch.log_softmax(self.head(found[:, -1]), 1), state


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers_are_quantized_step_by_step(kind: str) -> None:
    torch.manual_seed(0)
    module, words = Tagger(kind).eval(), torch.randint(0, 12, (16, 4))
    quantizer = ModuleQuantizer(module, words[:1], None, recurrent_recipe(dpu_recipe()))
    assert quantizer.recipe.name == "torch-dpu-recurrent"
    with torch.no_grad():
        quantizer.observed_module()(words)
        graph = quantizer.solve()
        (found, _), (want, _) = quantizer.quantized_module()(words), module(words)
    formats = {value.quant.format for value in graph.values if value.quant and not value.is_const}
    assert formats == {INT16}
    weights = [
        graph.value(place.value).quant for place in (*quantizer.places.weights, *quantizer.places.biases)
    ]
    assert {spec.format for spec in weights if spec is not None} == {INT8}
    assert not [op for op in quantizer.places.floats if op.kind in ("sigmoid", "tanh", "inner-product")]
    noise = float(((found - want) ** 2).sum() / (want**2).sum())
    assert 0 < noise < 10 ** (-35 / 10)


def test_a_configuration_file_keeps_its_choices() -> None:
    base = dpu_recipe()
    found = recurrent_recipe(base, from_file=True)
    assert (found.activations, found.equalize, found.correct_bias) == (base.activations, base.equalize, True)
    assert "tanh" in found.placement.kinds and "maxpool2d" not in found.placement.kinds


def test_the_door_takes_them_from_calibration_to_files(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module, words, cpu = Tagger("LSTM").eval(), torch.randint(0, 12, (16, 3)), torch.device("cpu")
    quantizer = torch_quantizer("calib", module, (words[:1]), output_dir=tmp_path, device=cpu, lstm=True)
    quantizer.quant_model(words)
    quantizer.export_quant_config()
    quantizer = torch_quantizer("test", module, words[:1], None, None, tmp_path, app_deploy="NLP", device=cpu)
    with torch.no_grad():
        quantizer.quant_model(words[:1])
        want = quantizer.quant_model(words)[0].numpy()
    quantizer.export_onnx_model(tmp_path, dynamic_batch=True)
    quantizer.export_xmodel(tmp_path)
    session = ort.InferenceSession(str(tmp_path / "Tagger_int.onnx"), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: words.numpy()})[0]
    np.testing.assert_allclose(found, want, atol=2 * np.diff(np.unique(want)).min())
    assert (tmp_path / "Tagger_int.xmodel").stat().st_size > 1000
