from quantforge.quantization.grouping import grouping_of
from quantforge.quantization.recipe import CPU_TRANSFORMER, DPU_CNN, Override
from tests.unit.passes.units.test_attention import FORMS
from tests.unit.passes.units.test_attention import graph as attention
from tests.unit.passes.units.test_find import graph


def test_recipes_ask_for_units() -> None:
    found = grouping_of(graph(), CPU_TRANSFORMER)
    assert len(found.units) == 7 and found.inner == {"m", "d", "e", "o", "g"}
    op = graph().op("Erf_3")
    assert found.kind(op) == "gelu" and found.bare(op) == {"root", "one", "half"}
    assert grouping_of(graph(), DPU_CNN).units == {}


def test_masks_are_kept_out_of_scales_by_every_recipe() -> None:
    masked = attention(FORMS["bias and mask"])
    for recipe, ops in ((DPU_CNN, 2), (CPU_TRANSFORMER, 4)):
        found = grouping_of(masked, recipe)
        assert len(found.units) == ops and "mask" in found.bare(masked.op("Add_3"))
    assert grouping_of(attention(FORMS["scaled"]), DPU_CNN).units == {}


def test_what_is_in_no_unit_speaks_for_itself() -> None:
    found = grouping_of(graph(), DPU_CNN)
    op = graph().op("Erf_3")
    assert (found.kind(op), found.bare(op), found.inner) == ("erf", frozenset(), set())


def test_a_unit_that_an_override_cuts_is_none() -> None:
    for override in (Override(op="Add_1", keep_float=True), Override(kinds=("matmul",), keep_float=True)):
        found = grouping_of(graph(), CPU_TRANSFORMER.with_overrides((override,)))
        assert {unit.kind for unit in found.units.values()} == {"gelu"}
    whole = Override(op="*", keep_float=True)
    assert len(grouping_of(graph(), CPU_TRANSFORMER.with_overrides((whole,))).units) == 7
