"""The shape and the element type that an operator's result has, from its inputs and attributes.

`infer_shape` gives None where the result does not follow from them (a shape that is computed while the model runs).
Convolutions and pools are in `window_shapes`, operators that move elements in `movement_shapes`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantforge.xmodel.catalogue import definition, setting
from quantforge.xmodel.model import FLOAT32, DataType, XModel, XOp
from quantforge.xmodel.movement_shapes import (
    block_shape,
    concat_shape,
    pad_shape,
    reshape_shape,
    sampled_shape,
    slice_shape,
    squeeze_shape,
    stack_shape,
)
from quantforge.xmodel.window_shapes import Shape, axis_of, conv_shape, misfit, pool_shape


@dataclass(frozen=True)
class _Inputs:
    """The producers of an operator, by argument."""

    op: XOp
    producers: Mapping[str, tuple[XOp, ...]]

    def shape(self, name: str = "input", index: int = 0) -> Shape:
        return self.producers[name][index].tensor.shape

    def shapes(self, name: str = "input") -> list[Shape]:
        return [producer.tensor.shape for producer in self.producers.get(name, ())]

    def optional(self, name: str) -> Shape | None:
        found = self.shapes(name)
        return found[0] if found else None

    def numbers(self, name: str) -> tuple[int, ...] | None:
        """The elements of an integer constant; None for an argument that is absent or no such constant."""
        found = self.producers.get(name, ())
        array = constant(found[0]) if found else None
        return None if array is None else tuple(int(number) for number in array.flat)


def constant(op: XOp) -> NDArray[np.generic] | None:
    """The elements of a constant, in its shape; None for another operator, and for an emptied or odd-typed one."""
    dtype = op.tensor.dtype.numpy
    if op.kind not in ("const", "const-fix") or dtype is None or not op.get("data"):
        return None
    array: NDArray[np.generic] = np.frombuffer(op.get("data"), dtype.newbyteorder("<"))
    return array.reshape(op.tensor.shape)


def infer_shape(model: XModel, op: XOp) -> Shape | None:
    """The shape of what `op` gives, or None where it is not known before the model runs.

    Args:
        model: Holds the producers of `op`; `op` itself may be not in it yet.
        op: An operator that fits its definition (`operator_rules.check_operator`).

    Raises:
        InputError: Q0912 where inputs and attributes do not fit each other.
    """
    rule = _RULES.get(op.kind)
    if rule is None:
        declared = "shape" in definition(op.kind).attrs
        return tuple(op.get("shape")) if declared else None
    producers = {name: tuple(model.ops[one] for one in names) for name, names in op.args.items()}
    return rule(op, _Inputs(op, producers))


def infer_type(model: XModel, op: XOp) -> DataType:
    """The element type of what `op` gives: what it declares, or that of its first input."""
    if op.kind in ("fix", "fix2float"):
        return FLOAT32
    if op.kind == "float2fix":
        return DataType("XINT" if op.get("if_signed") else "XUINT", op.get("bit_width"))
    if "data_type" in definition(op.kind).attrs:
        return DataType.parse(op.get("data_type"))
    if op.kind in ("argmax", "argmax-fix", "shape"):
        return DataType("INT", 32)
    producers = op.producers
    return model.ops[producers[0]].tensor.dtype if producers else FLOAT32


Rule = Callable[[XOp, _Inputs], "Shape | None"]


def _conv(op: XOp, inputs: _Inputs) -> Shape:
    return conv_shape(op, inputs.shape(), inputs.shape("weights"), inputs.optional("bias"))


def _pool(op: XOp, inputs: _Inputs) -> Shape:
    return pool_shape(op, inputs.shape())


def _same(op: XOp, inputs: _Inputs) -> Shape:
    return inputs.shape()


def _broadcast(op: XOp, inputs: _Inputs) -> Shape:
    try:
        return np.broadcast_shapes(*inputs.shapes())
    except ValueError as error:
        listed = ", ".join(str(list(shape)) for shape in inputs.shapes())
        raise misfit(op, f"inputs {listed}", "shapes that broadcast") from error


def _reduction(op: XOp, inputs: _Inputs) -> Shape:
    shape = inputs.shape()
    axes = {axis_of(op, axis, len(shape)) for axis in setting(op, "axis")} or set(range(len(shape)))
    if setting(op, "keep_dims"):
        return tuple(1 if i in axes else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in axes) or (1,)


def _argmax(op: XOp, inputs: _Inputs) -> Shape:
    shape = list(inputs.shape())
    shape[axis_of(op, setting(op, "axis"), len(shape))] = 1
    return tuple(shape)


def _transpose(op: XOp, inputs: _Inputs) -> Shape:
    shape, order = inputs.shape(), setting(op, "order")
    if sorted(order) != list(range(len(shape))):
        raise misfit(op, f"order {list(order)}", f"each of 0 to {len(shape) - 1} once")
    return tuple(shape[axis] for axis in order)


def _flatten(op: XOp, inputs: _Inputs) -> Shape:
    shape = inputs.shape()
    start, end = (axis_of(op, setting(op, name), len(shape)) for name in ("start_axis", "end_axis"))
    if start > end:
        raise misfit(op, f"axes {start} to {end}", "a start that is not after the end")
    return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def _matmul(op: XOp, inputs: _Inputs) -> Shape:
    if len(inputs.producers["input"]) != 2:
        raise misfit(op, f"{len(inputs.producers['input'])} inputs", "two")
    left, right = inputs.shapes()
    if len(left) < 2 or len(right) < 2:
        raise misfit(op, f"inputs {list(left)} and {list(right)}", "two axes or more each")
    rows, inner = left[-2:][::-1] if setting(op, "transpose_a") else left[-2:]
    other, columns = right[-2:][::-1] if setting(op, "transpose_b") else right[-2:]
    try:
        batch = np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError as error:
        raise misfit(op, f"inputs {list(left)} and {list(right)}", "batches that broadcast") from error
    if inner != other:
        raise misfit(op, f"inputs {list(left)} and {list(right)}", "equal inner sizes")
    return (*batch, rows, columns)


def _inner_product(op: XOp, inputs: _Inputs) -> Shape:
    shape = inputs.shape()
    return (*shape[: axis_of(op, setting(op, "axis"), len(shape))], inputs.shape("weights")[0])


def _reshape(op: XOp, inputs: _Inputs) -> Shape | None:
    wanted = inputs.numbers("shape") if inputs.optional("shape") else setting(op, "shape")
    return None if wanted is None else reshape_shape(op, inputs.shape(), wanted)


def _sampled(op: XOp, inputs: _Inputs) -> Shape | None:
    size = inputs.numbers("size")
    if size is None and inputs.optional("size"):
        return None
    return sampled_shape(op, inputs.shape(), size)


def _rank(op: XOp, inputs: _Inputs) -> Shape:
    return (len(inputs.shape()),)


# fmt: off
_SAME_KINDS = (
    "relu", "relu6", "gelu", "mish", "selu", "sigmoid", "swish", "tanh", "hard-sigmoid", "hard-sigmoid-fix",
    "hard-swish", "hard-tanh", "exp", "neg", "leaky-relu", "elu", "celu", "prelu", "softmax", "hard-softmax", "fix",
    "float2fix", "fix2float", "threshold", "l2_normalize", "batchnorm", "instancenorm", "groupnorm", "scale",
    "identity", "upload", "download", "placeholder", "cast",
)
_BROADCAST_KINDS = ("add", "sub", "mul", "div", "min", "max", "eltwise-fix", "depthwise-fix")
# fmt: on

_RULES: dict[str, Rule] = {
    "conv1d": _conv,
    **{
        f"{form}conv{rank}d{fix}": _conv
        for form in ("", "depthwise-", "transposed-", "transposed-depthwise-")
        for rank in (2, 3)
        for fix in ("", "-fix")
    },
    **dict.fromkeys(("maxpool1d", "maxpool2d", "avgpool2d", "pool-fix"), _pool),
    **dict.fromkeys(_BROADCAST_KINDS, _broadcast),
    **dict.fromkeys(_SAME_KINDS, _same),
    **{f"reduction_{what}": _reduction for what in ("mean", "product", "sum", "max", "max-fix")},
    **dict.fromkeys(("argmax", "argmax-fix"), _argmax),
    **dict.fromkeys(("reshape", "reshape-fix"), _reshape),
    **dict.fromkeys(("resize", "upsample-fix"), _sampled),
    **dict.fromkeys(("concat", "concat-fix"), lambda op, inputs: concat_shape(op, inputs.shapes())),
    **dict.fromkeys(
        ("strided_slice", "strided_slice-fix"), lambda op, inputs: slice_shape(op, inputs.shape())
    ),
    **dict.fromkeys(("pad", "pad-fix"), lambda op, inputs: pad_shape(op, inputs.shape())),
    **{
        kind: lambda op, inputs: block_shape(op, inputs.shape())
        for kind in ("reorg", "reorg-fix", "pixel-shuffle", "pixel-shuffle-fix", "gstiling", "tile-fix")
    },
    "transpose": _transpose,
    "flatten": _flatten,
    "squeeze": lambda op, inputs: squeeze_shape(op, inputs.shape()),
    "stack": lambda op, inputs: stack_shape(op, inputs.shapes()),
    "matmul": _matmul,
    "inner-product": _inner_product,
    "shape": _rank,
    "downsample-fix": lambda op, inputs: None,  # published descriptions of its `scale` contradict each other
}
