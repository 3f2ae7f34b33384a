"""The template suite through the torch door: its executor, its shared flow."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.calibration.data import open_data  # noqa: E402
from quantforge.frontends.torch import TorchExecutor, import_module, input_infos  # noqa: E402
from quantforge.graph import Array, Graph  # noqa: E402
from quantforge.quantization.flow import quantize_graph  # noqa: E402
from tests.doors.template import RECIPE, SHAPE, DoorSuite, Network, calibration  # noqa: E402
from tests.doors.torch_networks import to_torch  # noqa: E402

# The template names a joined or added value after its layer; torch names the call inside a user's own module.
INNER = {".add": "", ".cat": ""}


def quantized(network: Network) -> Graph:
    graph = import_module(to_torch(network), torch.zeros(1, *SHAPE))
    data = open_data(calibration(), input_infos(graph))
    return quantize_graph(graph, TorchExecutor(), data, RECIPE).graph


class TestTorchDoor(DoorSuite):
    def positions(self, network: Network, folder: Path) -> dict[str, int]:
        found = {}
        for value in quantized(network).quantized():
            assert value.quant is not None and value.quant.position is not None
            found[template_name(value.name)] = value.quant.position
        return found

    def outputs(self, network: Network, folder: Path, x: Array) -> tuple[Array, Array]:
        graph = quantized(network)
        with torch.no_grad():
            want = to_torch(network)(torch.from_numpy(x)).numpy()
        return want, TorchExecutor().session(graph, graph.outputs).run({"x": x})[graph.outputs[0]]


def template_name(name: str) -> str:
    for suffix, instead in INNER.items():
        name = name.replace(suffix, instead)
    return name
