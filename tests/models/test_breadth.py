"""The smallest architectures of `bench.breadth` through every stage; the whole table is docs/torch_models.md."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from bench.breadth.networks import networks  # noqa: E402
from bench.breadth.row import Network, measure  # noqa: E402

SMALL = (
    "ESPCN", "AlexNet", "SqueezeNet 1.1", "Autoencoder", "CenterNet", "TCN", "C3D", "MLP-Mixer",
    "nn.TransformerEncoder", "ViT", "BERT", "GPT-2", "T5 encoder",
)  # fmt: skip
# Between the float module and the quantized one, in dB; random weights leave no margin, so this only tells broken
# from working. Measured: 19 (ViT) to 57 (TCN).
LEAST_SQNR_DB = 8.0


def small() -> list[Network]:
    found = {network.name: network for network in reversed(networks()) if network.recipe == "torch-dpu"}
    return [found[name] for name in SMALL]


@pytest.mark.parametrize("network", small(), ids=lambda network: network.name)
def test_captured_quantized_exported_and_equal(network: Network) -> None:
    row = measure(network)
    assert row.failure == "" and row.onnx
    assert row.quantized is not None and row.quantized > 3
    assert row.sqnr_db is not None and row.sqnr_db > LEAST_SQNR_DB
    assert (row.steps or 0) <= 1 and (row.relative or 0) < 1e-3, f"{row.steps} steps, {row.relative} relative"
    assert row.steps is not None or row.relative is not None
