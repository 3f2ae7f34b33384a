"""Small flat quantized xmodels written by hand, and the check that compiling changes no number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from quantforge.compiler.compile import compilation
from quantforge.compiler.options import CompileOptions
from quantforge.compiler.plugins import Plugin
from quantforge.compiler.report import CompileReport
from quantforge.graph import Array
from quantforge.runtime.engines import engine_for
from quantforge.runtime.graph_runner import ordered_subgraphs
from quantforge.runtime.program import program_of
from quantforge.runtime.reference import ReferenceEngine
from quantforge.targets.dpu import DpuTarget, load_dpu
from quantforge.xmodel.model import FLOAT32, Attr, Attrs, Tensor, XModel, XOp
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.write import to_bytes
from tests import xir_float

B4096 = "DPUCZDX8G_ISA1_B4096"
VERSAL = "DPUCVDX8G_ISA3_C32B6"  # fuses hard sigmoids into convolutions


class Net:
    """A flat model under construction; every method returns the name of the operator it added."""

    def __init__(self, seed: int = 0, rounding: str = "DPU_ROUND") -> None:
        self.model = XModel("net")
        self.rng = np.random.default_rng(seed)
        self.rounding = rounding

    def op(
        self,
        name: str,
        kind: str,
        inputs: Sequence[str],
        shape: Sequence[int],
        attrs: Attrs | None = None,
        **args: str,
    ) -> str:
        given = {"input": tuple(inputs)} if inputs else {}
        given |= {key: (value,) for key, value in args.items()}
        tensor = Tensor(name, tuple(shape), FLOAT32)
        return self.model.add(XOp(name, kind, tensor, given, dict(attrs or {}))).name

    def fix(
        self, source: str, position: int, name: str | None = None, bits: int = 8, signed: bool = True
    ) -> str:
        attrs = {
            "fix_point": Attr("int32", position),
            "bit_width": Attr("int32", bits),
            "if_signed": Attr("bool", signed),
            "round_mode": Attr("string", self.rounding),
        }
        return self.op(name or f"{source}_fix", "fix", [source], self.shape(source), attrs)

    def data(self, name: str, shape: Sequence[int], position: int | None = None) -> str:
        self.op(name, "data", [], shape, {"shape": ints(*shape), "data_type": text("FLOAT32")})
        return name if position is None else self.fix(name, position)

    def const(self, name: str, data: Array, position: int | None = None) -> str:
        held = np.ascontiguousarray(data, np.float32)
        attrs = {
            "shape": ints(*held.shape),
            "data_type": text("FLOAT32"),
            "data": Attr("bytes", held.tobytes()),
        }
        self.op(name, "const", [], held.shape, attrs)
        return name if position is None else self.fix(name, position)

    def random(self, name: str, shape: Sequence[int], position: int) -> str:
        """A constant all over its grid."""
        return self.const(name, np.ldexp(self.rng.integers(-128, 128, shape), -position), position)

    def conv(
        self,
        name: str,
        source: str,
        channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        pad: int | None = None,
        kind: str = "conv2d",
        positions: tuple[int, int | None] = (7, 6),
    ) -> str:
        """A convolution with weights and bias over its input's channels, without a fix."""
        n, h, w, c = self.shape(source)
        around = kernel // 2 if pad is None else pad
        depthwise = "depthwise" in kind
        weights = self.random(
            f"{name}_w", (1, kernel, kernel, c) if depthwise else (channels, kernel, kernel, c), positions[0]
        )
        args = {"weights": weights}
        if positions[1] is not None:
            args["bias"] = self.random(f"{name}_b", (c if depthwise else channels,), positions[1])
        if "transposed" in kind:
            out = [(size - 1) * stride + kernel - 2 * around for size in (h, w)]
        else:
            out = [(size + 2 * around - kernel) // stride + 1 for size in (h, w)]
        attrs = window(kernel, stride, around) | {"dilation": ints(1, 1), "pad_mode": text("FLOOR")}
        return self.op(name, kind, [source], (n, *out, c if depthwise else channels), attrs, **args)

    def relu(self, source: str, kind: str = "relu", attrs: Attrs | None = None) -> str:
        return self.op(f"{source}_{kind}", kind, [source], self.shape(source), attrs)

    def shape(self, name: str) -> tuple[int, ...]:
        return self.model.ops[name].tensor.shape

    def done(self, *returned: str) -> XModel:
        self.model.root.ops = list(self.model.ops)
        if returned:
            self.model.attrs["return_ops"] = Attr("string_vec", returned)
        return self.model


def ints(*values: int) -> Attr:
    return Attr("int32_vec", tuple(values))


def text(value: str) -> Attr:
    return Attr("string", value)


def window(kernel: int, stride: int, pad: int) -> Attrs:
    return {"kernel": ints(kernel, kernel), "stride": ints(stride, stride), "pad": ints(pad, pad, pad, pad)}


def all_dpu(model: XModel) -> dict[str, str]:
    return dict.fromkeys(model.ops, "DPU")


def compiled(
    flat: XModel,
    target: str | DpuTarget = B4096,
    devices: Mapping[str, str] | None = None,
    options: CompileOptions | None = None,
    plugins: Sequence[Plugin] = (),
) -> tuple[XModel, CompileReport]:
    """Compiled, written and read again."""
    dpu = target if isinstance(target, DpuTarget) else load_dpu(target)
    made = compilation(flat, dpu, options, plugins, devices=devices or all_dpu(flat))
    return read_xmodel(to_bytes(made.model)), made.report


def check_same(
    flat: XModel, target: str = B4096, devices: Mapping[str, str] | None = None, seed: int = 1
) -> tuple[XModel, CompileReport]:
    """Compile, run both on random inputs, and compare every tensor that both have, bit for bit."""
    model, report = compiled(flat, target, devices)
    feeds = random_feeds(flat, seed)
    expected = xir_float.run(flat, feeds)
    actual = run(model, flat, feeds, expected)
    count = 0
    for name, op in model.ops.items():
        source = op.tensor.name.removesuffix("_download_0")
        held = source in flat.ops and flat.ops[source].kind == "fix"
        if not op.tensor.dtype.fixed or not held or name not in actual:
            continue
        wanted = np.ldexp(expected[source].astype(np.float64), op.tensor.fix_point)
        assert np.array_equal(wanted.reshape(-1), actual[name].reshape(-1)), name
        count += 1
    assert count
    returned = flat.attrs["return_ops"].value if "return_ops" in flat.attrs else ()
    for old, new in zip(returned, model.attrs["return_ops"].value, strict=bool(returned)):
        if flat.ops[old].kind == "const":
            continue
        np.testing.assert_allclose(actual[new], expected[old], rtol=1e-6, atol=1e-6)
    return model, report


def random_feeds(flat: XModel, seed: int) -> dict[str, Array]:
    """Numbers that reach beyond the grid of each input."""
    rng = np.random.default_rng(seed)
    readers = flat.consumers()
    feeds = {}
    for name, op in flat.ops.items():
        if op.kind == "data":
            fixes = [flat.ops[reader] for reader in readers[name] if flat.ops[reader].kind == "fix"]
            position = fixes[0].get("fix_point") if fixes else 4
            feeds[name] = np.ldexp(rng.uniform(-140, 140, op.tensor.shape), -position).astype(np.float32)
    return feeds


def run(
    model: XModel, flat: XModel, feeds: Mapping[str, Array], expected: Mapping[str, Array]
) -> dict[str, Any]:
    """Every tensor of a compiled model, on the reference engine."""
    live: dict[str, Array] = {}
    for name, op in model.ops.items():
        if op.kind == "data":
            live[name] = feeds[name]
        elif op.kind == "data-fix":
            live[name] = np.ldexp(expected[op.tensor.name].astype(np.float64), op.tensor.fix_point).astype(
                np.int8
            )
    for part in ordered_subgraphs(model):
        if part.get("device") == "DPU":
            program = program_of(model, part)
            live |= ReferenceEngine(program).run_all({op.name: live[op.name] for op in program.inputs})
        elif part.get("device") == "CPU":
            program = program_of(model, part)
            engine = engine_for(model, part, "ref", None, tuple(op.name for op in program.ops))
            live |= engine.run({op.name: live[op.name] for op in program.inputs})
    return live


def kinds(model: XModel) -> list[str]:
    """Kinds of the operators that are no constants, in order."""
    return [op.kind for op in model.ops.values() if not op.kind.startswith("const")]
