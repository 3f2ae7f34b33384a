"""A network with something for every option of `quantize_static` to act on."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from quantforge.graph import Array
from tests.unit.frontends.onnx.text_models import model, random

SIDE = 12
TEXT = f"""agraph (float[n,3,{SIDE},{SIDE}] x, float[1,4,1,1] gain) => (float[n,5] y) {{
    [c1] c1 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w1, b1)
    [bn] n1 = BatchNormalization (c1, g, b, m, v)
    [r1] r1 = Relu (n1)
    [c2] c2 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (r1, w2, b2)
    [r2] r2 = Relu (c2)
    [cb] cb = Conv <kernel_shape = [1, 1]> (r2, w5, b5)
    [k6] k6 = Clip (cb, zero, six)
    [c3] c3 = Conv <kernel_shape = [1, 1]> (k6, w3, b3)
    [lr] lr = LeakyRelu <alpha = 0.3> (c3)
    [c4] c4 = Conv <kernel_shape = [1, 1]> (lr, w4)
    [pr] pr = PRelu (c4, slope)
    [s1] s1, s2 = Split <axis = 1> (pr)
    [sg] sg = Sigmoid (s1)
    [sw] sw = Mul (s1, sg)
    [hs] hs = HardSigmoid <alpha = 0.16666667> (s2)
    [cc] cc = Concat <axis = 1> (sw, hs)
    [k2] k2 = Clip (cc, zero, two)
    [ga] ga = Mul (k2, gain)
    [mp] mp = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (ga)
    [ap] ap = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (mp)
    [ad] ad = Add (ap, lr)
    [gp] gp = GlobalAveragePool (ad)
    [rm] rm = ReduceMean <axes = [2, 3], keepdims = 1> (ap)
    [su] su = Sub (gp, rm)
    [fl] fl = Flatten (su)
    [g1] g1 = Gemm <transB = 1> (fl, w6, b6)
    [un] un = Unsqueeze (g1, one_axis)
    [tr] tr = Transpose <perm = [0, 2, 1]> (un)
    [mm] mm = MatMul (tr, un)
    [rs] rs = ReduceMean <axes = [2], keepdims = 0> (mm)
    [m2] m2 = MatMul (rs, w7)
    [y] y = Softmax <axis = 1> (m2)
}}"""


def everything() -> Any:
    """The model; `gain` is an input that has an initializer too."""
    spread = np.array([6, 1, 0.5, 2], np.float32)
    constants = {
        "w1": random(4, 3, 3, 3) * spread[:, None, None, None], "b1": random(4), "g": np.ones(4, np.float32),
        "b": random(4, seed=1), "m": random(4, seed=2), "v": 1 + random(4, seed=3) ** 2,
        "w2": random(4, 4, 3, 3, seed=4) / spread[:, None, None], "b2": random(4, seed=5),
        "w3": random(4, 4, 1, 1, seed=6) * spread[:, None, None, None] / 8, "b3": 4 * random(4, seed=7),
        "w4": random(4, 4, 1, 1, seed=8) / 2, "w5": random(4, 4, 1, 1, seed=9) / 4,
        "b5": random(4, seed=14), "w6": random(4, 4, seed=10) / 2, "b6": random(4, seed=11) / 2,
        "w7": random(4, 5, seed=12) / 4, "slope": np.full((4, 1, 1), 0.25, np.float32),
        "gain": np.abs(random(1, 4, 1, 1, seed=13)), "zero": np.float32(0), "two": np.float32(2), 
        "six": np.float32(6),
        "one_axis": np.array([1]),
    }  # fmt: skip
    return model(TEXT, opset=13, **constants)


class Reader:
    """Four batches of two images, the last ones larger."""

    def __init__(self) -> None:
        self.left = [random(2, 3, SIDE, SIDE, seed=seed) * np.float32(1 + seed) for seed in range(4)]

    def get_next(self) -> dict[str, Array] | None:
        """The next batch."""
        return {"x": self.left.pop(0)} if self.left else None


class Written:
    """A quantized model, looked at."""

    def __init__(self, path: str) -> None:
        self.proto = onnx.load(path)
        self.nodes = list(self.proto.graph.node)
        self.arrays = {t.name: onnx.numpy_helper.to_array(t) for t in self.proto.graph.initializer}

    def count(self, op_type: str) -> int:
        """How many nodes of a type there are."""
        return sum(node.op_type == op_type for node in self.nodes)

    def scale(self, name: str) -> float:
        """The scale of an activation, or nan where it has none."""
        return float(self.arrays.get(f"{name}_scale", np.float32("nan")).reshape(-1)[0])

    def zero(self, name: str) -> Any:
        """The zero point of an activation, or None where it has none."""
        return self.arrays.get(f"{name}_zero_point")

    def stored(self, name: str) -> bool:
        """Whether an activation is quantized."""
        return f"{name}_scale" in self.arrays

    def weights(self, name: str) -> Array | None:
        """The integers of a constant, or None where it has none."""
        found = self.arrays.get(f"{name}_quantized")
        return None if found is None else np.asarray(found)
