"""Activations that an engine applies to its sums before they are rounded."""

from __future__ import annotations

from quantforge.compiler.fusing.draft import Scene
from quantforge.numerics.law import LEAKY_RELU_SLOPE
from quantforge.targets.dpu_records import Engine
from quantforge.xmodel.model import XOp

# Words of the target files and of the attribute `nonlinear`, by kind of operator.
WORDS = {"relu": ("relu", "RELU"), "relu6": ("relu_six", "RELU6"), "leaky-relu": ("leaky_relu", "LEAKYRELU")}


def fusable(scene: Scene, name: str, engine: Engine | None) -> dict[str, str]:
    """The activation behind operator `name`, if `engine` has it: its kind and the word for `nonlinear`."""
    follower = scene.only_reader(name)
    if follower is None or follower.kind not in WORDS or engine is None:
        return {}
    word, nonlinear = WORDS[follower.kind]
    if scene.devices.get(follower.name) != "DPU" or word not in engine.nonlinear or not _exact(follower):
        return {}
    return {follower.kind: nonlinear}


def depthwise_engine(scene: Scene) -> Engine | None:
    """The engine of depthwise convolutions."""
    return scene.target.depthwise or scene.target.alu


def eltwise_engine(scene: Scene) -> Engine | None:
    """The engine of sums and products."""
    return scene.target.eltwise or scene.target.alu


def _exact(op: XOp) -> bool:
    """A DPU's leaky relu has one slope; 0.1015625 in the nearest float32."""
    return op.kind != "leaky-relu" or abs(op.get("alpha", 0.0) - LEAKY_RELU_SLOPE.value) < 1e-7
