"""What the hardware computes instead of the quantized model, and what stays."""

from __future__ import annotations

import numpy as np

from quantforge.compiler.arithmetic import as_hardware, differs
from quantforge.xmodel.model import Attr, Tensor, XModel, XOp


def fix(name: str, source: str, mode: str) -> XOp:
    return XOp(name, "fix", Tensor(name, (1,)), {"input": (source,)}, {"round_mode": Attr("string", mode)})


def flat(mode: str) -> XModel:
    model = XModel("m")
    model.add(XOp("x", "data", Tensor("x", (1,))))
    model.add(XOp("w", "const", Tensor("w", (1,))))
    model.add(fix("x_fix", "x", mode))
    model.add(fix("w_fix", "w", "PY3_ROUND"))
    kernel = {"kernel": Attr("int32_vec", (3, 3))}
    pool = model.add(XOp("p", "avgpool2d", Tensor("p", (1,)), {"input": ("x_fix",)}, kernel))
    if mode == "PY3_ROUND":
        pool.attrs["avg_exact"] = Attr("bool", True)
    return model


def test_activations_round_and_average_as_the_hardware_does() -> None:
    model = flat("PY3_ROUND")
    hardware = as_hardware(model)
    assert hardware.ops["x_fix"].get("round_mode") == "DPU_ROUND"
    assert hardware.ops["p"].get("avg_exact") is None and hardware.ops["p"].get("dpu_factor") == (7, 6)
    assert hardware.ops["w_fix"] is model.ops["w_fix"]
    assert differs(model) and not differs(hardware)
    assert model.ops["x_fix"].get("round_mode") == "PY3_ROUND" and model.ops["p"].get("avg_exact")


def test_averages_of_padded_windows_have_the_factor_of_the_whole_window() -> None:
    from quantforge.compiler.compile import compilation
    from quantforge.compiler.lower import lower
    from quantforge.graph import Graph, Op, QuantSpec, Value
    from quantforge.numerics.formats import INT8
    from quantforge.numerics.rounding import Rounding
    from quantforge.targets.dpu import load_dpu

    spec = QuantSpec.power_of_two(INT8, 4, Rounding.HALF_UP)
    weights = Value("w", (8, 8, 1, 1), const=np.eye(8, dtype=np.float32)[:, :, None, None], quant=spec)
    values = [Value(name, (1, 8, 6, 6), quant=spec) for name in ("x", "a", "b")]
    window = {"stride": (1, 1), "layout": "NCHW"}
    conv = Op("conv2d", "conv", ("x", "w"), ("a",), {**window, "kernel": (1, 1), "weight_layout": "OIHW"})
    for include in (True, False):
        attrs = {**window, "kernel": (3, 3), "pads": (1, 1, 1, 1), "count_include_pad": include}
        pool = Op("avgpool2d", "pool", ("a",), ("b",), attrs)
        model = lower(Graph("net", [*values, weights], [conv, pool], ("x",), ("b",)))
        for flat, exact in ((model, True), (as_hardware(model), None)):
            compiled = compilation(flat, load_dpu("KV260")).model
            (found,) = (op for op in compiled.ops.values() if op.kind == "pool-fix")
            assert found.get("avg_exact") is exact


def test_a_model_of_the_hardware_stays() -> None:
    model = flat("DPU_ROUND")
    assert not differs(model)
    assert as_hardware(model).ops == model.ops
