"""The expected plans themselves: positions of inputs and parameters against a search over all positions."""

import numpy as np
import pytest

from tests.doors.template import NETWORKS, Network, best_position, calibration


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_expected_positions_of_known_values_are_the_best(network: Network) -> None:
    assert network.positions["x"] == best_position(np.concatenate([batch["x"] for batch in calibration()]))
    followed = {layer.inputs[0] for layer in network.layers if layer.kind == "batchnorm"}
    for layer in network.layers:
        if layer.kind in ("conv", "depthwise", "linear") and layer.name not in followed:
            assert network.positions[f"{layer.name}.weight"] == best_position(layer.params["weight"])
