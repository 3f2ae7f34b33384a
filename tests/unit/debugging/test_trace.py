"""Results before rounding, followed through moves."""

from __future__ import annotations

import numpy as np

from quantforge.debugging.trace import Trace, input_trace, moves, trace_of
from quantforge.runtime.cpu_ops import kernel_of
from quantforge.runtime.program import program_of
from quantforge.xmodel.model import Attr, DataType, Tensor, XOp
from tests.compiled_xmodels import ModelBuilder, dpu_part, single


def test_a_concatenation_moves_what_stood_before_rounding() -> None:
    x = np.array([[1, 2]], np.int8)
    model = single("concat-fix", [x, x], [3, 3], (1, 4), 3, axis=1)
    program, op = program_of(model, dpu_part(model)), model.ops["result"]
    known = Trace(np.array([[0.5, 2.25]]), np.array([[0.0, 0.125]]))
    first = op.args["input"][0]
    found = trace_of(program, op, {"input": [x, x]}, None, {first: lambda: known})
    assert found is not None
    assert found.exact.tolist() == [[0.5, 2.25, 1.0, 2.0]] and found.slack.tolist() == [
        [0.0, 0.125, 0.0, 0.0]
    ]


def test_a_move_of_given_numbers_explains_nothing() -> None:
    x = np.array([[1, 2]], np.int8)
    model = single("reshape-fix", [x], [3], (2, 1), 3, shape=(2, 1))
    program = program_of(model, dpu_part(model))
    assert trace_of(program, model.ops["result"], {"input": [x]}, None, {}) is None


def test_the_largest_of_unrounded_numbers() -> None:
    x = np.array([1, 2, 3, 4], np.int8).reshape(1, 2, 2, 1)
    model = single(
        "pool-fix", [x], [3], (1, 1, 1, 1), 3, kernel=(2, 2), stride=(1, 1), pad=(0, 0, 0, 0), type="MAX"
    )
    program, op = program_of(model, dpu_part(model)), model.ops["result"]
    known = Trace(np.array([1.5, -2.0, 3.5, 3.25]).reshape(1, 2, 2, 1), np.zeros((1, 2, 2, 1)))
    found = trace_of(program, op, {"input": [x]}, None, {op.args["input"][0]: lambda: known})
    assert found is not None and found.exact.item() == 3.5


def test_moves_on_the_cpu_and_steps_onto_a_grid() -> None:
    b = ModelBuilder()
    image = b.data((1, 2), None, name="x")
    b.op("reshape", [image], (2, 1), device="CPU", name="r", shape=(2, 1))
    b.op(
        "fix",
        ["r"],
        (2, 1),
        device="CPU",
        name="f",
        fix_point=1,
        bit_width=8,
        if_signed=True,
        round_mode="DPU_ROUND",
    )
    model = b.finish()
    program = program_of(model, model.root.children[1])
    x = np.array([[0.25, 3.0]], np.float32)
    fix = model.ops["f"]
    found = trace_of(program, fix, {"input": [x.T]}, kernel_of(fix, program), {})
    assert found is not None and found.exact.tolist() == [[0.5], [6.0]]
    shape, known = model.ops["r"], Trace(np.array([[0.5, 6.0]]), np.zeros((1, 2)))
    moved = trace_of(program, shape, {"input": [x]}, kernel_of(shape, program), {"x": lambda: known})
    assert moved is not None and moved.exact.tolist() == [[0.5], [6.0]]


def test_what_moves_depends_on_attributes() -> None:
    tensor = Tensor("t", (1,))
    kinds = {"pool-fix": ("type", "AVG"), "upsample-fix": ("mode", "BILINEAR")}
    for kind, (name, value) in kinds.items():
        assert not moves(XOp("o", kind, tensor, attrs={name: Attr("string", value)}))
    assert moves(XOp("o", "upsample-fix", tensor, attrs={"mode": Attr("string", "NEAREST")}))
    assert not moves(XOp("o", "conv2d-fix", tensor))


def test_an_input_s_trace_is_the_number_in_steps() -> None:
    op = XOp("x", "data-fix", Tensor("x", (2,), DataType("XINT", 8), {"fix_point": Attr("int32", 2)}))
    found = input_trace(op, np.array([0.125, -1.0], np.float32))
    assert found is not None and found.exact.tolist() == [0.5, -4.0]
    assert input_trace(XOp("x", "data", Tensor("x", (2,))), np.zeros(2)) is None
