"""Who competes: a name, the module that runs it, and its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Contestant:
    """`writes` is false for the bare float pass, which makes no model.

    `environment` names one of `bench.peers.ENVIRONMENTS`; without it the tool runs in ours.
    """

    module: str
    options: dict[str, Any] = field(default_factory=dict)
    writes: bool = True
    environment: str | None = None


def _ours(recipe: str) -> Contestant:
    return Contestant("bench.tools.ours", {"recipe": recipe})


def _quark(config: str) -> Contestant:
    return Contestant("bench.tools.quark_onnx", {"config": config}, environment="quark")


def _ort(method: str, per_channel: bool, types: tuple[str, ...] = ()) -> Contestant:
    options = {"method": method, "per_channel": per_channel, "types": list(types)}
    return Contestant("bench.tools.ort_static", options)


ALL: dict[str, Contestant] = {
    "float": Contestant("bench.tools.bare_float", writes=False),
    "dpu-cnn": _ours("dpu-cnn"),
    "dpu-cnn-equalized": _ours(str(RECIPES / "dpu-cnn-equalized.toml")),
    "dpu-cnn-finetuned": _ours(str(RECIPES / "dpu-cnn-finetuned.toml")),
    "dpu-cnn-adaround": _ours(str(RECIPES / "dpu-cnn-adaround.toml")),
    "cpu-cnn": _ours("cpu-cnn"),
    "cpu-cnn-per-channel": _ours(str(RECIPES / "cpu-cnn-per-channel.toml")),
    "cpu-cnn-a16w8": _ours(str(RECIPES / "cpu-cnn-a16w8.toml")),
    "cpu-transformer": _ours("cpu-transformer"),
    "cpu-transformer-a16w8": _ours(str(RECIPES / "cpu-transformer-a16w8.toml")),
    "npu-transformer": _ours("npu-transformer"),
    "ort-minmax": _ort("MinMax", False),
    "ort-minmax-per-channel": _ort("MinMax", True),
    "ort-percentile": _ort("Percentile", False),
    "ort-percentile-per-channel": _ort("Percentile", True),
    "ort-entropy": _ort("Entropy", False),
    "ort-entropy-per-channel": _ort("Entropy", True),
    "ort-minmax-products": _ort("MinMax", True, ("MatMul", "Gemm", "Gather")),
    "quark-xint8": _quark("XINT8"),
    "quark-xint8-adaquant": _quark("XINT8_ADAQUANT"),
    "quark-xint8-adaround": _quark("XINT8_ADAROUND"),
    "quark-a8w8": _quark("A8W8"),
    "quark-a16w8": _quark("A16W8"),
    "nncf": Contestant("bench.tools.nncf_onnx", environment="nncf"),
    "nncf-transformer": Contestant(
        "bench.tools.nncf_onnx", {"model_type": "transformer"}, environment="nncf"
    ),
}
PEERS = tuple(name for name, one in ALL.items() if one.environment is not None)
HOME = tuple(name for name in ALL if name not in PEERS)
_FOR_SENTENCES_ALONE = (
    "cpu-transformer", "cpu-transformer-a16w8", "npu-transformer", "ort-minmax-products", "nncf-transformer",
)  # fmt: skip
FOR_IMAGES = tuple(name for name in ALL if name not in _FOR_SENTENCES_ALONE)
FOR_SENTENCES = (
    "float", *_FOR_SENTENCES_ALONE, "ort-minmax", "ort-minmax-per-channel", "quark-a8w8", "quark-a16w8",
)  # fmt: skip
