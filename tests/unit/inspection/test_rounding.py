"""What an operator of a quantized model needs on both sides."""

from __future__ import annotations

import pytest

from quantforge.inspection.rounding import rounding_reason
from quantforge.inspection.view import View
from quantforge.xmodel.model import Attr
from tests.unit.inspection.models import Build


def problem(build: Build, name: str, fused: dict[str, str] | None = None) -> str | None:
    view = View(build.model)
    reason = rounding_reason(view, view.op(name), fused or {})
    if reason is not None:
        assert (reason.id, reason.rule) == ("quantization", "fix")
    return None if reason is None else reason.found


def test_rounded_on_both_sides() -> None:
    build = Build(fixed=True)
    build.conv(build.data((1, 4, 4, 8)))
    assert problem(build, "conv") is None


def test_unrounded_input_weights_and_output() -> None:
    build = Build(fixed=True)
    build.conv(build.data((1, 4, 4, 8), fix=False))
    assert problem(build, "conv") == "its input 'x' is not quantized"
    build = Build(fixed=True)
    build.conv(build.data((1, 4, 4, 8)), fix=False)
    assert problem(build, "conv") == "its output is not quantized"
    build.model.ops["conv"].args["weights"] = ("conv_w",)
    assert problem(build, "conv") == "its input 'conv_w' is not quantized"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"bit_width": 16}, "'conv_fix' rounds to signed 16 bits"),
        ({"if_signed": False}, "'conv_fix' rounds to unsigned 8 bits"),
    ],
)
def test_other_grids(changes: dict, found: str) -> None:
    build = Build(fixed=True)
    build.conv(build.data((1, 4, 4, 8)), fix=False)
    build.fix("conv", **changes)
    assert problem(build, "conv") == found


def test_a_fix_without_its_numbers() -> None:
    build = Build(fixed=True)
    build.conv(build.data((1, 4, 4, 8)))
    del build.model.ops["x_fix"].attrs["fix_point"]
    assert problem(build, "conv") == "the fix 'x_fix' does not say fix_point, bit_width and if_signed"


def test_what_goes_unrounded_into_something_else() -> None:
    build = Build(fixed=True)
    conv = build.conv(build.data((1, 4, 4, 8)), fix=False)
    build.unary("softmax", conv, axis=3)
    assert problem(build, "conv") == "its output goes unquantized into 'softmax' (softmax)"
    build.unary("relu", conv)
    assert problem(build, "conv") == "its unquantized output is read by 'softmax', 'relu'"


def test_an_activation_in_the_same_step_passes_the_question_on() -> None:
    build = Build(fixed=True)
    build.unary("relu", build.conv(build.data((1, 4, 4, 8)), fix=False))
    assert problem(build, "conv", {"relu": "conv"}) is None
    assert problem(build, "relu", {"relu": "conv"}) is None
    assert problem(build, "conv") == "its output goes unquantized into 'relu' (relu)"
    assert problem(build, "relu") == "its input 'conv' is not quantized"


def test_rounding_behind_what_only_moves_counts() -> None:
    build = Build(fixed=True)
    x = build.data((1, 4, 4, 8))
    parts = [build.conv(x, name, fix=False) for name in ("a", "b")]
    joined = build.many("concat", parts, "joined", (1, 4, 4, 32), axis=3)
    build.conv(joined)
    assert [problem(build, name) for name in ("a", "b", "joined", "conv")] == [None] * 4


def test_rounding_in_front_of_what_only_moves_counts() -> None:
    build = Build(fixed=True)
    flat = build.op(
        "reshape", "flat", (1, 128), {"input": (build.data((1, 4, 4, 8)),)}, fix=False, shape=(1, 128)
    )
    build.many("matmul", [flat, build.const("w", (5, 128))], "fc", (1, 5), transpose_b=True)
    assert problem(build, "flat") is None
    assert problem(build, "fc") is None


def test_parts_on_two_grids_are_not_rounded() -> None:
    build = Build(fixed=True)
    a = build.data((1, 4, 4, 8), "a")
    build.data((1, 4, 4, 8), "b", fix=False)
    b = build.fix("b", fix_point=3)
    joined = build.many("concat", [a, b], "joined", (1, 4, 4, 16), fix=False, axis=3)
    build.unary("softmax", joined, axis=3)
    assert problem(build, "joined") == "its output goes unquantized into 'softmax' (softmax)"


def test_a_value_that_the_caller_gets_is_rounded_first() -> None:
    build = Build(fixed=True)
    build.conv(build.data((1, 4, 4, 8)), fix=False)
    build.model.attrs["return_ops"] = Attr("string_vec", ("conv",))
    assert problem(build, "conv") == "its output is not quantized"


def test_the_factor_of_an_average_needs_no_rounding_of_its_own() -> None:
    build = Build(fixed=True)
    pool = build.unary("avgpool2d", build.data((1, 4, 4, 8)), "pool", fix=False, kernel=(4, 4), stride=(1, 1))
    build.many("mul", [pool, build.const("c", (1,), fix=False)], "scaled", (1, 4, 4, 8))
    assert problem(build, "pool") is None
    assert problem(build, "scaled") is None
