from __future__ import annotations

from typing import Any

import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import XINT8, Attr, Tensor, XOp
from quantforge.xmodel.operator_rules import check_operator
from tests.unit.xmodel.samples import attr, small

CONV = {"kernel": (3, 3), "stride": (1, 1), "pad_mode": "FLOOR"}
FIX = {"fix_point": 4, "bit_width": 8, "round_mode": "DPU_ROUND", "if_signed": True}


def op(kind: str, inputs: dict[str, int], **attrs: Any) -> XOp:
    args = {name: tuple(f"{name}{i}" for i in range(count)) for name, count in inputs.items()}
    return XOp("op", kind, Tensor("op", (2, 3)), args, {key: attr(value) for key, value in attrs.items()})


@pytest.mark.parametrize(
    ("kind", "inputs", "message"),
    [
        ("relu", {}, "0 producers for the argument 'input'; expected 1;"),
        ("relu", {"input": 2}, "2 producers for the argument 'input'; expected at most 1"),
        ("relu", {"x": 1}, "found the argument 'x'; expected relu with input"),
        ("data", {"input": 1}, "expected data with no arguments"),
        ("add", {"input": 1}, "1 producers for the argument 'input'; expected 2 or more"),
        ("concat", {"input": 0}, "expected 1 or more"),
        ("prelu", {"input": 1}, "0 producers for the argument 'weight'"),
        ("Mine", {"weights": 1}, "expected a custom operator with input"),
    ],
)
def test_arguments(kind: str, inputs: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=rf"Q0905 op \({kind}\): .*{message}"):
        check_operator(op(kind, inputs))


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (op("fix", {"input": 1}, fix_point=1), "bit_width"),
        (op("Mine", {"input": 3}, shape=(1, 2)), "data_type"),
        (op("leaky-relu", {"input": 1}), "alpha"),
        (op("conv2d", {"input": 1, "weights": 1}, kernel=(3, 3), stride=(1, 1)), "pad_mode"),
    ],
)
def test_required_attributes(made: XOp, name: str) -> None:
    with pytest.raises(InputError, match=f"Q0906.*no attribute '{name}'"):
        check_operator(made)


def test_kinds_of_attributes() -> None:
    wrong = op("conv2d", {"input": 1, "weights": 1}, **CONV, group=Attr("int64", 1))
    for lenient in (False, True):
        with pytest.raises(InputError, match=r"Q0907 .*'group' of kind int64; expected kind int32"):
            check_operator(wrong, lenient)
    double = op("leaky-relu", {"input": 1}, alpha=Attr("double", 0.5))
    with pytest.raises(InputError, match="Q0907"):
        check_operator(double)
    check_operator(double, lenient=True)
    assert double.attrs["alpha"] == Attr("float", 0.5)
    scale = op("resize", {"input": 1}, mode="NEAREST", scale=(2, 2))
    check_operator(scale, lenient=True)
    assert scale.attrs["scale"] == Attr("float_vec", (2.0, 2.0))


@pytest.mark.parametrize(
    ("kind", "inputs", "attrs", "message"),
    [
        (
            "conv2d",
            {"input": 1, "weights": 1},
            {**CONV, "kernel": (3,)},
            r"kernel = \(3,\); expected a list of 2",
        ),
        ("conv2d", {"input": 1, "weights": 1}, {**CONV, "stride": (0, 1)}, "expected numbers of 1 or more"),
        (
            "conv2d",
            {"input": 1, "weights": 1},
            {**CONV, "pad_mode": "floor"},
            "one of FLOOR, CEIL, SAME, VALID",
        ),
        ("fix", {"input": 1}, {**FIX, "round_mode": "UP"}, "round_mode = 'UP'"),
        ("data", {}, {"shape": (1,), "data_type": "Float32"}, "data_type = 'Float32'"),
        ("resize", {"input": 1}, {"mode": "CUBIC"}, "NEAREST, BILINEAR, TRILINEAR"),
        ("pad", {"input": 1}, {"mode": "EDGE", "paddings": (0, 0)}, "CONSTANT, REFLECT, SYMMETRIC"),
        ("pool-fix", {"input": 1}, {"kernel": (1, 1), "stride": (1, 1), "type": "MIN"}, "one of MAX, AVG"),
        ("eltwise-fix", {"input": 2}, {"type": "SUB"}, "one of ADD, MUL"),
        ("eltwise-fix", {"input": 2}, {"nonlinear": "TANH"}, "one of NONE, RELU"),
    ],
)
def test_values(kind: str, inputs: dict[str, int], attrs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"Q0914.*{message}"):
        check_operator(op(kind, inputs, **attrs))


def test_constants_hold_what_their_tensor_needs() -> None:
    made = {"shape": (2, 3), "data_type": "FLOAT32", "data": bytes(24)}
    check_operator(op("const", {}, **made))
    with pytest.raises(InputError, match=r"Q0914.*23 bytes of data; expected 24 for \[2, 3\] of FLOAT32"):
        check_operator(op("const", {}, **{**made, "data": bytes(23)}))
    with pytest.raises(InputError, match=r"Q0914.*0 bytes"):
        check_operator(op("const", {}, **{**made, "data": b""}))
    emptied = op("const-fix", {}, shape=(2, 3), data_type="XINT8", data=b"")
    emptied.tensor.dtype = XINT8
    check_operator(emptied)


def test_hard_activations_need_their_shifts() -> None:
    geometry = {"kernel": (1, 1), "stride": (1, 1)}
    shifts = {"hsigmoid_in": 3, "shift_hsigmoid": 10, "shift_bias": 0, "shift_cut": 5}
    args = {"input": 1, "weights": 1}
    check_operator(op("conv2d-fix", args, **geometry, **shifts, nonlinear="HSIGMOID"))
    check_operator(op("conv2d-fix", args, **geometry, **shifts, shift_hswish=2, nonlinear="HSWISH"))
    check_operator(op("conv2d-fix", args, **geometry, nonlinear="RELU"))
    with pytest.raises(InputError, match=r"Q0906.*'shift_hswish'"):
        check_operator(op("conv2d-fix", args, **geometry, **shifts, nonlinear="HSWISH"))
    for missing in shifts:
        kept = {name: value for name, value in shifts.items() if name != missing}
        with pytest.raises(InputError, match=f"Q0906.*'{missing}'"):
            check_operator(op("conv2d-fix", args, **geometry, **kept, nonlinear="HSIGMOID"))


def test_attributes_without_a_definition_are_allowed() -> None:
    check_operator(op("relu", {"input": 1}, device="DPU", alpha="anything"))
    for one in small().ops.values():
        check_operator(one)
