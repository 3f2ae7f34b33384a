"""Small flat models, operator by operator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from quantforge.xmodel.model import Attr, Tensor, XModel, XOp

GRID = {
    "fix_point": Attr("int32", 5),
    "bit_width": Attr("int32", 8),
    "if_signed": Attr("bool", True),
    "round_mode": Attr("string", "DPU_ROUND"),
}
KINDS: dict[type, str] = {bool: "bool", int: "int32", float: "float", str: "string"}


def attr(value: Any) -> Attr:
    """An attribute of the kind that its value suggests; lists of floats and of whole numbers."""
    if isinstance(value, Attr):
        return value
    if isinstance(value, tuple | list):
        kind = "float_vec" if any(isinstance(item, float) for item in value) else "int32_vec"
        return Attr(kind, tuple(value))
    return Attr(KINDS[type(value)], value)


class Build:
    """Appends operators; each method returns the name, and with `fixed` every value gets a fix behind it."""

    def __init__(self, fixed: bool = False) -> None:
        self.model = XModel("net")
        self.fixed = fixed

    def op(
        self, kind: str, name: str, shape: Sequence[int], args: dict[str, tuple[str, ...]], /, *, fix: bool = True,
        **attrs: Any,
    ) -> str:  # fmt: skip
        made = {key: attr(value) for key, value in attrs.items()}
        self.model.add(XOp(name, kind, Tensor(name, tuple(shape)), args, made))
        return self.fix(name) if self.fixed and fix else name

    def fix(self, name: str, **changes: Any) -> str:
        attrs = GRID | {key: attr(value) for key, value in changes.items()}
        shape = self.model.ops[name].tensor.shape
        made = f"{name}_fix" if f"{name}_fix" not in self.model.ops else f"{name}_fix2"
        self.model.add(XOp(made, "fix", Tensor(made, shape), {"input": (name,)}, attrs))
        return made

    def data(self, shape: Sequence[int], name: str = "x", fix: bool = True) -> str:
        return self.op("data", name, shape, {}, fix=fix, shape=tuple(shape), data_type="FLOAT32")

    def const(self, name: str, shape: Sequence[int], value: float = 0.5, fix: bool = True) -> str:
        raw = np.full(shape, value, np.float32).tobytes()
        return self.op(
            "const",
            name,
            shape,
            {},
            fix=fix,
            shape=tuple(shape),
            data_type="FLOAT32",
            data=Attr("bytes", raw),
        )

    def conv(
        self, source: str, name: str = "conv", *, out: int = 16, kernel: tuple[int, int] = (3, 3), stride: int = 1,
        kind: str = "conv2d", fix: bool = True, **attrs: Any,
    ) -> str:  # fmt: skip
        """A convolution that keeps the size of the image at stride 1, unless it is given pads."""
        n, h, w, c = self.model.ops[source].tensor.shape
        pad = attrs.pop("pad", (kernel[0] // 2, (kernel[0] - 1) // 2, kernel[1] // 2, (kernel[1] - 1) // 2))
        depthwise = "depthwise" in kind
        weights = (out // c if depthwise else out, kernel[1], kernel[0], c)
        made = self.const(f"{name}_w", weights)
        rows = math.floor((h + pad[2] + pad[3] - kernel[1]) / stride) + 1
        columns = math.floor((w + pad[0] + pad[1] - kernel[0]) / stride) + 1
        return self.op(
            kind, name, (n, rows, columns, out), {"input": (source,), "weights": (made,)}, fix=fix,
            kernel=kernel, stride=(stride, stride), dilation=(1, 1), pad=tuple(pad), pad_mode="FLOOR", **attrs,
        )  # fmt: skip

    def unary(self, kind: str, source: str, name: str | None = None, fix: bool = True, **attrs: Any) -> str:
        shape = self.model.ops[source].tensor.shape
        return self.op(kind, name or kind, shape, {"input": (source,)}, fix=fix, **attrs)

    def many(
        self,
        kind: str,
        sources: Sequence[str],
        name: str,
        shape: Sequence[int],
        fix: bool = True,
        **attrs: Any,
    ) -> str:
        return self.op(kind, name, shape, {"input": tuple(sources)}, fix=fix, **attrs)
