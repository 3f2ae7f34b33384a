"""The fast engine: a DPU subgraph lowered once to an integer ONNX graph, equal to the reference bit for bit.

Tensors are unsigned bytes in NHWC; convolutions and average pools are QLinearConv, whose accumulators are exact.
`lowering/` says why each node gives the integers of the reference engine. ONNX Runtime's optimizer is kept to its
basic level: what it might fuse beyond that is not part of those proofs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import onnxruntime as ort

from quantforge.diagnostics import UnsupportedError
from quantforge.runtime.fixed import Array
from quantforge.runtime.lowering import convolution, elementwise, movement, sampling
from quantforge.runtime.lowering.builder import Builder, Held, Lowering, bytes_of, zero_of
from quantforge.runtime.program import Program
from quantforge.runtime.reference import CONVOLUTIONS
from quantforge.xmodel.model import XOp

LOWERINGS: dict[str, Callable[[Lowering, XOp], Held | None]] = {
    **dict.fromkeys(CONVOLUTIONS, convolution.lower_convolution),
    "pool-fix": convolution.lower_pool,
    "eltwise-fix": elementwise.lower_combine,
    "depthwise-fix": elementwise.lower_combine,
    "hard-sigmoid-fix": elementwise.lower_hard_sigmoid,
    "upload": movement.lower_copy,
    "download": movement.lower_copy,
    "identity": movement.lower_copy,
    "concat-fix": movement.lower_concat,
    "reshape-fix": movement.lower_reshape,
    "pad-fix": movement.lower_pad,
    "strided_slice-fix": movement.lower_slice,
    "tile-fix": movement.lower_tile,
    "reorg-fix": movement.lower_reorg,
    "pixel-shuffle-fix": movement.lower_pixel_shuffle,
    "reduction_max-fix": movement.lower_reduce_max,
    "argmax-fix": movement.lower_argmax,
    "upsample-fix": sampling.lower_resample,
    "downsample-fix": sampling.lower_resample,
}


class FastEngine:
    """Runs one DPU subgraph. Any number of threads may call `run` at once; they share the compiled graph."""

    def __init__(self, program: Program, threads: int | None = None, observe: bool = False) -> None:
        """Lower and compile; with `observe` every tensor of the subgraph is kept for `run_all`.

        Raises:
            UnsupportedError: Q1202 for operators that the engine does not run.
            InputError: Q1201, Q1203, Q1204 as in the reference engine.
        """
        self.program = program
        self._low = lower(program)
        names = [op.name for op in (program.ops if observe else program.outputs)]
        self._outputs = {f"out{i}": name for i, name in enumerate(names)}
        tensors = {out: self._tensor(name) for out, name in self._outputs.items()}
        feeds = {f"in{i}": op.tensor.shape for i, op in enumerate(program.inputs)}
        self._session = open_session(self._low.builder.model(feeds, tensors), threads)
        self._observe = observe
        self._one_by_one = not batchable(program)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by operator name, from the integers of each input by operator name, any number of samples."""
        first = self.program.inputs[0] if self.program.inputs else None
        size = first.tensor.shape[0] if first else 1
        count = len(feeds[first.name]) if first else 1
        if self._one_by_one and count > size:
            starts = range(0, count, size)
            parts = [self._run({k: v[i : i + size] for k, v in feeds.items()}) for i in starts]
            return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return self._run(feeds)

    def run_all(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """As `run`, with every tensor that is computed on the way; only of an engine made with `observe`."""
        return self._run(feeds)

    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        bytes_in = {
            f"in{i}": to_bytes(feeds[op.name], zero_of(bytes_of(op)))
            for i, op in enumerate(self.program.inputs)
        }
        results = self._session.run(list(self._outputs), bytes_in)
        named = zip(self._outputs.values(), results, strict=True)
        return {name: self._integers(name, result) for name, result in named}

    def _tensor(self, name: str) -> str:
        return self._low.extra[name] if name in self._low.extra else self._low.held[name].name

    def _integers(self, name: str, result: Array) -> Array:
        dtype = self.program.read(name).tensor.dtype.numpy
        if name in self._low.extra:
            return result.astype(dtype)
        held = self._low.held[name]
        return from_bytes(result, held.zero).astype(dtype, copy=False)


def lower(program: Program) -> Lowering:
    """All nodes of the subgraph.

    Raises:
        UnsupportedError: Q1202 for operators that the engine does not run.
    """
    low = Lowering(program, signed_weights_are_exact())
    for i, op in enumerate(program.inputs):
        low.held[op.name] = Held(f"in{i}", bytes_of(op), op.tensor.shape)
    for op in program.ops:
        lowering = LOWERINGS.get(op.kind)
        if lowering is None:
            raise UnsupportedError(
                "Q1202", op.name, f"operator type {op.kind!r}", "a DPU operator", "leave it to the CPU"
            )
        held = lowering(low, op)
        if held is not None:
            low.held[op.name] = held
    return low


def to_bytes(integers: Array, zero: int) -> Array:
    """The byte of each 8-bit integer: integer + zero; flipping the top bit adds 128."""
    raw = integers.view(np.uint8)
    return raw ^ np.uint8(zero) if zero else raw


def from_bytes(raw: Array, zero: int) -> Array:
    """The inverse of `to_bytes`; works in place on memory of its own."""
    if not zero:
        return raw
    return np.bitwise_xor(raw, np.uint8(zero), out=raw if raw.flags.writeable else None).view(np.int8)


def batchable(program: Program) -> bool:
    """Whether more samples than the model says may run at once: no operator works along the first axis."""
    sizes = {op.tensor.shape[0] for op in program.inputs}
    if len(sizes) != 1:
        return False
    size = sizes.pop()
    for op in program.ops:
        shapes = [
            program.read(n).tensor.shape for n in op.args.get("input", ()) if n not in program.constants
        ]
        rank = len(shapes[0]) if shapes else 1
        axes = op.get("axis", ()) if op.kind != "hard-sigmoid-fix" else ()
        touched = {int(a) % rank for a in (axes if isinstance(axes, tuple) else (axes,))}
        mixed = "eltwise" in op.kind and len({len(shape) for shape in shapes}) > 1
        if 0 in touched or mixed or op.tensor.shape[0] % size:
            return False
        if op.kind in ("strided_slice-fix", "pad-fix") and shapes[0][0] != op.tensor.shape[0]:
            return False
    return True


def open_session(model: bytes, threads: int | None = None) -> ort.InferenceSession:
    """A session on the CPU; `threads` is the number of threads within an operator."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@cache
def signed_weights_are_exact() -> bool:
    """Whether this processor multiplies unsigned by signed bytes without saturating in 16 bits.

    Processors with VNNI do. Older ones with AVX2 add two products in 16 bits, which overflow at 2 * 255 * 127;
    weights are then stored unsigned, which every processor multiplies exactly. Found out by trying the largest
    products in each of the library's kernels: pointwise, windows, depthwise, and as a plain matrix product.
    """
    return all(
        _probe(channels, group, kernel)
        for channels, group, kernel in ((64, 1, 1), (16, 1, 3), (32, 32, 3), (5, 1, 3))
    )


def _probe(channels: int, group: int, kernel: int) -> bool:
    weights = np.full((channels, channels // group, kernel, kernel), 127)
    weights[::2] = -128
    terms = weights[0].size
    shift = max(0, int(np.ceil(np.log2(255 * 128 * terms / 100))))
    builder = Builder()
    one, zero = builder.constant(1.0, "float32"), builder.constant(0, "uint8")
    inputs = ["in0", one, zero, builder.constant(weights, "int8"), builder.constant(2.0**-shift, "float32")]
    inputs += [builder.constant(0, "int8"), one, builder.constant(128, "uint8")]
    name = builder.node(
        "QLinearConv", inputs, domain="com.microsoft", channels_last=1, group=group, kernel_shape=[kernel] * 2
    )
    session = open_session(builder.model({"in0": (1, kernel, kernel, channels)}, {"out0": name}), 1)
    found = session.run(None, {"in0": np.full((1, kernel, kernel, channels), 255, np.uint8)})[0]
    sums = 255 * weights.reshape(channels, -1).sum(axis=1)
    return bool((found.reshape(-1) == np.rint(sums / 2.0**shift) + 128).all())
