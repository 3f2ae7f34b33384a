"""Looking through roundings, and who reads what."""

from __future__ import annotations

from quantforge.inspection.view import Grid, View
from tests.unit.inspection.models import Build


def test_fixes_are_looked_through() -> None:
    build = Build(fixed=True)
    relu = build.unary("relu", build.conv(build.data((1, 8, 8, 8))))
    view = View(build.model)
    assert view.quantized
    assert view.through(relu).name == "relu"
    assert [op.name for op in view.inputs(view.op("relu"))] == ["conv"]
    assert [op.name for op in view.used_by("conv")] == ["relu"]
    assert view.is_const("conv_w_fix") and not view.is_const("conv_fix")
    assert view.only_reader("conv").kind == "fix"
    assert [op.name for op in view.computed(view.op("conv"))] == ["x"]


def test_a_value_read_twice_has_no_only_reader() -> None:
    build = Build()
    x = build.data((1, 4, 4, 8))
    build.many("add", [x, x], "twice", (1, 4, 4, 8))
    view = View(build.model)
    assert view.only_reader("x") is None
    assert view.only_reader("twice") is None
    assert not view.quantized


def test_numbers_of_constants() -> None:
    build = Build(fixed=True)
    build.const("one", (1,), 0.25)
    build.const("many", (3,), 0.25)
    build.op("const", "hollow", (1,), {}, shape=(1,), data_type="FLOAT32")
    view = View(build.model)
    assert view.const_number("one_fix") == 0.25
    assert view.const_number("many_fix") is None
    assert view.const_number("hollow_fix") is None


def test_grids_are_read_and_say_when_they_are_incomplete() -> None:
    build = Build(fixed=True)
    build.data((1, 4), "x")
    wide = build.fix("x", bit_width=16)
    build.model.ops["x_fix"].attrs.pop("fix_point")
    view = View(build.model)
    assert view.grid(view.op(wide)) == Grid(5, 16, True)
    assert str(Grid(5, 16, False)) == "unsigned 16 bits"
    assert not Grid(5, 16, True).on_dpu and Grid(5, 8, True).on_dpu
    assert view.grid(view.op("x_fix")) is None


def test_a_factor_belongs_to_the_average_before_it_when_nothing_is_rounded_between() -> None:
    for fixed_between, start in ((False, "pool"), (True, None)):
        build = Build(fixed=True)
        x = build.data((1, 4, 4, 8))
        pool = build.unary("avgpool2d", x, "pool", fix=fixed_between, kernel=(4, 4), stride=(1, 1))
        build.many("mul", [pool, build.const("factor", (1,))], "scaled", (1, 4, 4, 8))
        view = View(build.model)
        found = view.chain_start(view.op("scaled"))
        assert (found.name if found is not None else None) == start
