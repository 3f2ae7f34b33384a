"""Small compiled models built by hand: a USER input, one DPU subgraph, CPU operators around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantforge.xmodel.model import Attr, DataType, Subgraph, Tensor, XModel, XOp

XINT8 = DataType("XINT", 8)
FLOAT32 = DataType("FLOAT", 32)


def attr(value: Any) -> Attr:
    """An attribute of the kind that fits a Python value."""
    if isinstance(value, bool):
        return Attr("bool", value)
    if isinstance(value, int):
        return Attr("int32", value)
    if isinstance(value, float):
        return Attr("float", value)
    if isinstance(value, bytes):
        return Attr("bytes", value)
    if isinstance(value, str):
        return Attr("string", value)
    if isinstance(value, dict):
        return Attr("map_string_2_string", value)
    kind = "float_vec" if any(isinstance(item, float) for item in value) else "int32_vec"
    return Attr(kind, tuple(value))


class ModelBuilder:
    """Adds operators one by one; `device` says to which device-level subgraph they go."""

    def __init__(self, name: str = "model", round_mode: str = "DPU_ROUND") -> None:
        self.model = XModel(name)
        self.round_mode = round_mode
        self.parts: list[tuple[str, list[str]]] = []

    def op(
        self,
        kind: str,
        inputs: Sequence[str] | dict[str, Sequence[str]] = (),
        shape: Sequence[int] = (),
        position: int | None = None,
        /,
        device: str = "DPU",
        name: str | None = None,
        dtype: DataType | None = None,
        signed: bool = True,
        **attrs: Any,
    ) -> str:
        name = name or f"{kind.replace('-', '_')}_{len(self.model.ops)}"
        fixed = position is not None
        letters = DataType("XINT" if signed else "XUINT", 8) if fixed else FLOAT32
        tensor = Tensor(f"{name}_t", tuple(int(n) for n in shape), dtype or letters)
        if fixed:
            meaning = {
                "fix_point": position, "bit_width": tensor.dtype.bits, "if_signed": signed,
                "round_mode": self.round_mode,
            }  # fmt: skip
            tensor.attrs = {key: attr(value) for key, value in meaning.items()}
        args = inputs if isinstance(inputs, dict) else {"input": inputs} if inputs else {}
        record = XOp(
            name,
            kind,
            tensor,
            {arg: tuple(names) for arg, names in args.items()},
            {key: attr(value) for key, value in attrs.items()},
        )
        self.model.add(record)
        if not self.parts or self.parts[-1][0] != device:
            self.parts.append((device, []))
        self.parts[-1][1].append(name)
        return name

    def data(self, shape: Sequence[int], position: int | None, **more: Any) -> str:
        kind = "data" if position is None else "data-fix"
        return self.op(kind, (), shape, position, "USER", **more)

    def const(self, array: np.ndarray[Any, Any], position: int | None, **more: Any) -> str:
        dtype = DataType("XINT" if position is not None else "FLOAT", array.dtype.itemsize * 8)
        kind = "const" if position is None else "const-fix"
        device = more.pop("device", "DPU" if position is not None else "CPU")
        return self.op(kind, (), array.shape, position, device, dtype=dtype, data=array.tobytes(), **more)

    def finish(self) -> XModel:
        """The model with its tree of subgraphs; consecutive operators of a device make one subgraph."""
        runner = {
            "run": "libvart-dpu-runner.so",
            "ref": "libvart-cpu-runner.so",
            "sim": "libvart-sim-runner.so",
        }
        for i, (device, names) in enumerate(self.parts):
            part = Subgraph(f"subgraph_{i}_{device.lower()}", attrs={"device": attr(device)})
            if device == "DPU":
                part.attrs["runner"] = attr(runner)
                part.children = [Subgraph(f"{part.name}_leaf", list(names))]
            else:
                part.ops = list(names)
            self.model.root.children.append(part)
        self.model.root.attrs["device"] = attr("graph")
        return self.model


def dpu_part(model: XModel, index: int = 0) -> Subgraph:
    """The DPU subgraph number `index`."""
    return [part for part in model.root.children if part.get("device") == "DPU"][index]


def single(
    kind: str,
    arrays: Sequence[np.ndarray[Any, Any]],
    positions: Sequence[int],
    shape: Sequence[int],
    position: int,
    /,
    constants: dict[str, tuple[np.ndarray[Any, Any], int]] | None = None,
    round_mode: str = "DPU_ROUND",
    **attrs: Any,
) -> XModel:
    """One DPU operator between uploads and a download."""
    b = ModelBuilder(round_mode=round_mode)
    raw = [
        b.data(a.shape, p, name=f"data{i}") for i, (a, p) in enumerate(zip(arrays, positions, strict=True))
    ]
    inputs = [b.op("upload", [name], a.shape, p) for name, a, p in zip(raw, arrays, positions, strict=True)]
    args = {"input": inputs}
    for arg, (array, at) in (constants or {}).items():
        args[arg] = [b.const(array, at)]
    result = b.op(kind, args, shape, position, name="result", **attrs)
    b.op("download", [result], shape, position, name="out")
    return b.finish()


def classifier(
    seed: int = 0, size: int = 8, channels: int = 8, round_mode: str = "DPU_ROUND", softmax: bool = True
) -> XModel:
    """float input -> float2fix -> DPU (two convolutions, a sum, a pool, a matrix product) -> fix2float -> softmax."""
    rng = np.random.default_rng(seed)
    b = ModelBuilder("classifier", round_mode)
    image = b.data((1, size, size, 3), 6, name="image")
    x = b.op("upload", [image], (1, size, size, 3), 6)

    def conv(source: str, ci: int, co: int, k: int, hw: int, positions: tuple[int, int], **attrs: Any) -> str:
        weights = b.const(rng.integers(-128, 128, (co, k, k, ci)).astype(np.int8), 7)
        bias = b.const(rng.integers(-128, 128, co).astype(np.int8), 6)
        inputs = {"input": [source], "weights": [weights], "bias": [bias]}
        p = k // 2
        return b.op(
            "conv2d-fix", inputs, (1, hw, hw, co), positions[1], kernel=(k, k), stride=(1, 1), dilation=(1, 1),
            pad=(p, p, p, p), **attrs,
        )  # fmt: skip

    first = conv(x, 3, channels, 3, size, (6, 3), nonlinear="RELU")
    second = conv(first, channels, channels, 3, size, (3, 1), nonlinear="NONE")
    joined = b.op("eltwise-fix", [first, second], (1, size, size, channels), 1, type="ADD", nonlinear="RELU")
    shape = (1, 1, 1, channels)
    pooled = b.op("pool-fix", [joined], shape, 2, kernel=(size, size), stride=(1, 1), type="AVG")
    logits = conv(pooled, channels, 10, 1, 1, (2, 1), nonlinear="NONE")
    flat = b.op("reshape-fix", [logits], (1, 10), 1, shape=(1, 10))
    out = b.op("download", [flat], (1, 10), 1, name="logits")
    if softmax:
        reals = b.op(
            "fix2float", [out], (1, 10), device="CPU",
            fix_point=1, bit_width=8, if_signed=True, round_mode=round_mode,
        )  # fmt: skip
        b.op("softmax", [reals], (1, 10), device="CPU", axis=-1, name="probabilities")
    return b.finish()
