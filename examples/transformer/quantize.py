"""A block of a transformer, written the way exporters write it, in eight bits: with and without SmoothQuant.

Nothing is downloaded: the block has random weights and, as trained transformers have, a few channels that are far
larger than the rest. Sentences of different lengths share a batch, so that a mask of -3.4e38 hides the padding.

    python examples/transformer/quantize.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper, parser

import quantforge
from quantforge.quantization.recipe import CPU_CNN, CPU_TRANSFORMER, Recipe

CHANNELS, HEADS, HIDDEN, LOWEST = 64, 4, 256, -3.4e38
OUTLIERS = (7, 40)  # channels
NORM = """
    m = ReduceMean <axes = [-1], keepdims = 1> (x)
    d = Sub (x, m)
    d2 = Mul (d, d)
    variance = ReduceMean <axes = [-1], keepdims = 1> (d2)
    e = Add (variance, epsilon)
    deviation = Sqrt (e)
    normal = Div (d, deviation)
    scaled = Mul (normal, gamma)
    n = Add (scaled, beta)
"""
HEAD = """
    {0}_product = MatMul (n, {0}_weights)
    {0}_sum = Add ({0}_product, {0}_bias)
    {0}_split = Reshape ({0}_sum, split)
    {0} = Transpose <perm = [0, 2, {1}]> ({0}_split)
"""
SCORES = """
    products = MatMul (q, k)
    scores = Div (products, root)
    masked = Add (scores, mask)
    shares = Softmax <axis = -1> (masked)
    heads = MatMul (shares, v)
    joined = Transpose <perm = [0, 2, 1, 3]> (heads)
    back = Reshape (joined, together)
    o_product = MatMul (back, o_weights)
    o_sum = Add (o_product, o_bias)
    a = Add (x, o_sum)
"""
GELU = """
    h_product = MatMul (a, h_weights)
    h = Add (h_product, h_bias)
    h_root = Div (h, root_two)
    h_erf = Erf (h_root)
    h_one = Add (h_erf, one)
    h_both = Mul (h, h_one)
    g = Mul (h_both, half)
    y_product = MatMul (g, y_weights)
    y_sum = Add (y_product, y_bias)
    y = Add (a, y_sum)
"""


def block() -> onnx.ModelProto:
    """[batch, tokens, 64] and a mask [batch, 1, 1, tokens] to [batch, tokens, 64]."""
    body = (
        NORM + HEAD.format("q", "1, 3") + HEAD.format("k", "3, 1") + HEAD.format("v", "1, 3") + SCORES + GELU
    )
    model = parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 17]>
        block (float[N, T, {CHANNELS}] x, float[N, 1, 1, T] mask) => (float[N, T, {CHANNELS}] y) {{ {body} }}""")
    random = np.random.default_rng(0)
    arrays = {
        "epsilon": 1e-12, "root": (CHANNELS / HEADS) ** 0.5, "root_two": 2.0**0.5, "one": 1.0, "half": 0.5,
        "gamma": np.ones(CHANNELS), "beta": random.normal(0, 0.1, CHANNELS),
    }  # fmt: skip
    arrays["gamma"][list(OUTLIERS)] = 30.0
    sizes = dict.fromkeys("qkvo", (CHANNELS, CHANNELS)) | {
        "h": (CHANNELS, HIDDEN),
        "y": (HIDDEN, CHANNELS),
    }
    for name, size in sizes.items():
        arrays[f"{name}_weights"] = random.normal(0, size[0] ** -0.5, size)
        arrays[f"{name}_bias"] = random.normal(0, 0.1, size[1])
        if name in "qkv":
            arrays[f"{name}_weights"][list(OUTLIERS)] /= 10.0
    tensors = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    shapes = {"split": (0, 0, HEADS, CHANNELS // HEADS), "together": (0, 0, CHANNELS)}
    tensors |= {name: np.array(shape, np.int64) for name, shape in shapes.items()}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in tensors.items())
    onnx.checker.check_model(model, full_check=True)
    return model


def batches(count: int, seed: int) -> list[dict[str, np.ndarray]]:
    """Four sequences of at most twelve tokens each; the rest is padding."""
    random = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        lengths = random.integers(5, 13, 4)
        mask = np.where(np.arange(12) < lengths[:, None], 0.0, LOWEST).astype(np.float32)
        x = random.normal(0, 1, (4, 12, CHANNELS)).astype(np.float32)
        found.append({"x": x, "mask": mask[:, None, None, :]})
    return found


def sqnr_db(made: onnx.ModelProto) -> float:
    """Signal to quantization noise over sequences that calibration has not seen, in decibels, in ONNX Runtime."""
    signal = noise = 0.0
    sessions = [onnxruntime.InferenceSession(model.SerializeToString()) for model in (block(), made)]
    for feeds in batches(8, seed=2):
        exact, found = (session.run(None, feeds)[0].astype(np.float64) for session in sessions)
        signal, noise = signal + (exact**2).sum(), noise + ((exact - found) ** 2).sum()
    return float(10 * np.log10(signal / noise))


def main() -> None:
    recipes: dict[str, Recipe] = {
        "every operator on its own": replace(CPU_CNN, placement=replace(CPU_CNN.placement, units=False)),
        "functions as units": CPU_CNN,
        "only what products read": replace(CPU_TRANSFORMER, smooth=None),
        "the same with SmoothQuant (cpu-transformer)": CPU_TRANSFORMER,
    }
    for name, recipe in recipes.items():
        result = quantforge.quantize(block(), batches(8, seed=1), recipe=recipe)
        pairs = sum(node.op_type == "QuantizeLinear" for node in result.model.graph.node)
        print(f"{name:45} {pairs:3} pairs {sqnr_db(result.model):6.1f} dB")
    for note in result.report.notes:
        print("   ", note)


if __name__ == "__main__":
    main()
