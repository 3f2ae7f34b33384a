"""What every front door must agree on: the same small networks get the same plan, whatever they are written in.

A door subclasses `DoorSuite` in its own test module and says how it builds a `Network` natively and quantizes it.
Tensors are named after the layer that makes them, the input is ``x``, parameters are ``<layer>.weight`` and
``<layer>.bias``. All recipes are the plain power-of-two one: int8, min-MSE, one scale per tensor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from quantforge.graph import Array
from quantforge.numerics.formats import INT8
from quantforge.quantization.recipe import (
    DPU_PLACEMENT,
    BiasRule,
    BiasScale,
    RangeMethod,
    Recipe,
    ScaleKind,
    TensorRule,
)

SHAPE = (3, 8, 8)
_RULE = TensorRule(INT8, ScaleKind.POWER_OF_TWO, method=RangeMethod.MSE)
RECIPE = Recipe(
    name="door",
    activations=_RULE,
    weights=_RULE,
    bias=BiasRule(INT8, BiasScale.OWN),
    placement=DPU_PLACEMENT,
)


@dataclass(frozen=True)
class Layer:
    """One layer of kind conv, depthwise, batchnorm, relu, add, concat, maxpool, avgpool, flatten or linear.

    Convolutions are 3x3 with a padding of 1, `weight` [out, in, 3, 3]; linear layers have `weight` [out, in];
    max pooling is 2x2 with stride 2, average pooling global.
    Batch normalizations have `weight`, `bias`, `mean`, `variance` [channels].
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    params: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """Layers in order, the last one the output; `positions` are those expected, and nothing else is quantized."""

    name: str
    layers: tuple[Layer, ...]
    positions: Mapping[str, int]


def calibration(batches: int = 4) -> list[dict[str, Array]]:
    """Batches of the input ``x``."""
    rng = np.random.default_rng(7)
    return [{"x": rng.standard_normal((4, *SHAPE)).astype(np.float32)} for _ in range(batches)]


class _Maker:
    """Draws parameters in the order of the layers."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(11)

    def normal(self, *shape: int, scale: float = 0.3) -> Array:
        return (scale * self.rng.standard_normal(shape)).astype(np.float32)

    def conv(self, name: str, source: str, channels: int, outputs: int) -> Layer:
        params = {"weight": self.normal(outputs, channels, 3, 3), "bias": self.normal(outputs)}
        return Layer("conv", name, (source,), params)

    def depthwise(self, name: str, source: str, channels: int) -> Layer:
        return Layer(
            "depthwise",
            name,
            (source,),
            {"weight": self.normal(channels, 1, 3, 3), "bias": self.normal(channels)},
        )

    def batchnorm(self, name: str, source: str, channels: int) -> Layer:
        ones = np.ones(channels, np.float32)
        return Layer(
            "batchnorm",
            name,
            (source,),
            {
                "weight": ones + self.normal(channels),
                "bias": self.normal(channels),
                "mean": self.normal(channels),
                "variance": ones + np.abs(self.normal(channels)),
            },
        )

    def linear(self, name: str, source: str, inputs: int, outputs: int) -> Layer:
        return Layer(
            "linear", name, (source,), {"weight": self.normal(outputs, inputs), "bias": self.normal(outputs)}
        )


_POSITIONS: dict[str, dict[str, int]] = {
    "chain": {
        "x": 5,
        "c1.weight": 7,
        "c1.bias": 7,
        "r1": 4,
        "c2.weight": 7,
        "c2.bias": 7,
        "c2": 4,
    },
    "residual": {
        "x": 5,
        "c1.weight": 6,
        "c1.bias": 8,
        "r1": 4,
        "c2.weight": 7,
        "c2.bias": 8,
        "c2": 4,
        "r2": 4,
        "c3.weight": 7,
        "c3.bias": 7,
        "c3": 3,
    },
    "concat": {
        "x": 5,
        "c1.weight": 7,
        "c1.bias": 8,
        "c1": 4,
        "c2.weight": 7,
        "c2.bias": 7,
        "c2": 4,
        "j": 4,
        "c3.weight": 7,
        "c3.bias": 8,
        "c3": 3,
    },
    "depthwise": {
        "x": 5,
        "d.weight": 7,
        "d.bias": 7,
        "r": 5,
        "c.weight": 7,
        "c.bias": 8,
        "c": 5,
    },
    "pool": {
        "x": 5,
        "c.weight": 7,
        "c.bias": 7,
        "c": 4,
        "p": 4,
        "g": 4,
        "f": 4,
        "y.weight": 7,
        "y.bias": 7,
        "y": 6,
    },
}


def _networks() -> tuple[Network, ...]:
    m = _Maker()
    chain = (
        m.conv("c1", "x", 3, 4),
        m.batchnorm("n1", "c1", 4),
        Layer("relu", "r1", ("n1",)),
        m.conv("c2", "r1", 4, 4),
    )
    residual = (
        m.conv("c1", "x", 3, 4),
        Layer("relu", "r1", ("c1",)),
        m.conv("c2", "r1", 4, 4),
        Layer("add", "a", ("c2", "r1")),
        Layer("relu", "r2", ("a",)),
        m.conv("c3", "r2", 4, 2),
    )
    join = (
        m.conv("c1", "x", 3, 4),
        m.conv("c2", "x", 3, 2),
        Layer("concat", "j", ("c1", "c2")),
        m.conv("c3", "j", 6, 2),
    )
    depthwise = (
        m.depthwise("d", "x", 3),
        m.batchnorm("n", "d", 3),
        Layer("relu", "r", ("n",)),
        m.conv("c", "r", 3, 4),
    )
    pool = (
        m.conv("c", "x", 3, 4),
        Layer("maxpool", "p", ("c",)),
        Layer("avgpool", "g", ("p",)),
        Layer("flatten", "f", ("g",)),
        m.linear("y", "f", 4, 5),
    )
    return (
        Network("chain", chain, _POSITIONS["chain"]),
        Network("residual", residual, _POSITIONS["residual"]),
        Network("concat", join, _POSITIONS["concat"]),
        Network("depthwise", depthwise, _POSITIONS["depthwise"]),
        Network("pool", pool, _POSITIONS["pool"]),
    )


NETWORKS = _networks()


def best_position(values: Array) -> int:
    """The int8 position of least squared error, by trying all."""
    positions = range(-8, 24)
    grids = (np.clip(np.rint(values.astype(np.float64) * 2.0**p), -128, 127) / 2.0**p for p in positions)
    errors = [float(((grid - values) ** 2).sum()) for grid in grids]
    return positions[int(np.argmin(errors))]


class DoorSuite(ABC):
    """The tests; a door implements `positions` and `outputs`."""

    @abstractmethod
    def positions(self, network: Network, folder: Path) -> dict[str, int]:
        """Quantize by `RECIPE` on `calibration()`; the position of every quantized tensor, by the names above."""

    @abstractmethod
    def outputs(self, network: Network, folder: Path, x: Array) -> tuple[Array, Array]:
        """The outputs of the native float and quantized models for the batch `x`."""

    @pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
    def test_the_plan_is_the_expected_one(self, network: Network, tmp_path: Path) -> None:
        assert self.positions(network, tmp_path) == dict(network.positions)

    @pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
    def test_the_quantized_model_is_close_to_the_float_one(self, network: Network, tmp_path: Path) -> None:
        x = np.concatenate([batch["x"] for batch in calibration(2)])
        want, got = self.outputs(network, tmp_path, x)
        noise = float(((got - want) ** 2).sum() / (want**2).sum())
        assert 0 < noise < 10 ** (-25 / 10), "8 bits through three layers keep 25 dB"
