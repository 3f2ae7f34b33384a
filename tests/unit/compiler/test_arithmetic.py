"""What the hardware computes instead of the quantized model, and what stays."""

from __future__ import annotations

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
    pool = model.add(XOp("p", "avgpool2d", Tensor("p", (1,)), {"input": ("x_fix",)}))
    if mode == "PY3_ROUND":
        pool.attrs["avg_exact"] = Attr("bool", True)
    return model


def test_activations_round_and_average_as_the_hardware_does() -> None:
    model = flat("PY3_ROUND")
    hardware = as_hardware(model)
    assert hardware.ops["x_fix"].get("round_mode") == "DPU_ROUND"
    assert hardware.ops["p"].get("avg_exact") is None
    assert hardware.ops["w_fix"] is model.ops["w_fix"]
    assert differs(model) and not differs(hardware)
    assert model.ops["x_fix"].get("round_mode") == "PY3_ROUND" and model.ops["p"].get("avg_exact")


def test_a_model_of_the_hardware_stays() -> None:
    model = flat("DPU_ROUND")
    assert not differs(model)
    assert as_hardware(model).ops == model.ops
