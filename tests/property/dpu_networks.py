"""Random small networks of the operators that a DPU has, with ranges that lie far apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from quantforge.graph import Array

CHANNELS, SIDE = 4, 8
KINDS = (
    *(
        "conv",
        "conv",
        "depthwise",
        "add",
        "sub",
        "mul",
        "concat",
        "maxpool",
        "avgpool",
        "relu",
        "clip",
        "leaky",
    ),
    *("sigmoid", "hard-sigmoid", "swish", "hard-swish", "scaled"),
)


@dataclass
class _Network:
    """A network as it grows; every tensor has shape [1, CHANNELS, SIDE, SIDE]."""

    draw: Callable[[Any], Any]
    rng: np.random.Generator
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    tensors: list[str] = field(default_factory=lambda: ["x"])

    def pick(self) -> str:
        """A tensor, a recent one more often."""
        return str(self.draw(st.sampled_from([*self.tensors, *self.tensors[-2:]])))

    def node(self, op_type: str, *inputs: str, keep: bool = True, **attrs: Any) -> str:
        """A node and what it computes."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), [name], f"n{len(self.nodes)}", **attrs))
        if keep:
            self.tensors.append(name)
        return name

    def const(self, array: Any) -> str:
        """A constant times a power of two that is drawn."""
        name = f"k{len(self.constants)}"
        scale = 2.0 ** self.draw(st.integers(-12, 8))
        self.constants[name] = np.asarray(array * scale, np.float32)
        return name

    def normal(self, *shape: int) -> Array:
        """Normal numbers."""
        return self.rng.standard_normal(shape)

    def add(self, kind: str) -> None:
        """Another operator of `kind`, with what belongs to it."""
        x = self.pick()
        if kind in ("conv", "depthwise"):
            size = self.draw(st.sampled_from([1, 3]))
            groups = CHANNELS if kind == "depthwise" else 1
            inputs = [x, self.const(self.normal(CHANNELS, CHANNELS // groups, size, size))]
            if self.draw(st.booleans()):
                inputs.append(self.const(self.normal(CHANNELS)))
            pads = [size // 2] * 4
            self.node("Conv", *inputs, kernel_shape=[size, size], pads=pads, group=groups)
        elif kind in ("add", "sub", "mul"):
            self.node(kind.title(), x, self.pick())
        elif kind == "scaled":
            self.node("Mul", x, self.const(self.normal(1, CHANNELS, 1, 1)))
        elif kind == "concat":
            joined = self.node("Concat", x, self.pick(), keep=False, axis=1)
            weights = self.const(self.normal(CHANNELS, 2 * CHANNELS, 1, 1))
            self.node("Conv", joined, weights, kernel_shape=[1, 1])
        elif kind in ("maxpool", "avgpool"):
            attrs: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1] * 4}
            if kind == "avgpool":
                attrs["count_include_pad"] = 1
            self.node("MaxPool" if kind == "maxpool" else "AveragePool", x, **attrs)
        elif kind == "clip":
            low, high = (f"k{len(self.constants) + i}" for i in range(2))
            self.constants |= {low: np.float32(0), high: np.float32(6)}
            self.node("Clip", x, low, high)
        elif kind == "swish":
            self.node("Mul", x, self.node("Sigmoid", x, keep=False))
        else:
            simple = {"relu": "Relu", "leaky": "LeakyRelu", "sigmoid": "Sigmoid", "hard-swish": "HardSwish"}
            attrs = {"alpha": 0.1} if kind == "leaky" else {}
            if kind == "hard-sigmoid":
                attrs = {"alpha": 1 / 6, "beta": 0.5}
            self.node(simple.get(kind, "HardSigmoid"), x, **attrs)


class Drawn:
    """A ModelProto and two batches of data; printed as its operators."""

    def __init__(self, model: Any, feeds: list[dict[str, Array]]) -> None:
        self.model, self.feeds = model, feeds

    def __repr__(self) -> str:
        nodes = self.model.graph.node
        return "; ".join(
            f"{n.name}: {', '.join(n.output)} = {n.op_type}({', '.join(n.input)})" for n in nodes
        )


@st.composite
def dpu_networks(draw: Any) -> Drawn:
    """A network from 2 to 9 operators, and data for it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    net = _Network(draw, rng)
    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=2, max_size=8)):
        net.add(kind)
    last = net.node("Add", net.tensors[-1], net.pick())
    shape = [1, CHANNELS, SIDE, SIDE]
    graph = helper.make_graph(
        net.nodes,
        "random",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(array, name) for name, array in net.constants.items()],
    )
    scale = 2.0 ** draw(st.integers(-12, 8))
    feeds = [{"x": np.asarray(scale * net.normal(*shape), np.float32)} for _ in range(2)]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Drawn(model, feeds)
