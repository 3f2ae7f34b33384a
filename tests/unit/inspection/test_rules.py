"""Every rule of the tables on both sides of its boundary, in every column it is printed for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from quantforge.inspection.rules import (
    UNKNOWN_FAMILY,
    column,
    depth_of,
    fusable,
    operators,
    reasons_against,
    rules_for,
)
from quantforge.targets.dpu import dpu_names, load_dpu
from tests.unit.inspection.boundaries import FUSED, TARGETS, UNSUPPORTED, Case, base, cases

CASES = list(cases())


def name_of(case: Case) -> str:
    return f"{case.rule}-{case.op}-{case.column}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_inside(case: Case) -> None:
    broken = {reason.rule for reason in reasons_against(case.op, case.inside, load_dpu(TARGETS[case.column]))}
    assert broken == set(case.also)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_outside(case: Case) -> None:
    reasons = reasons_against(case.op, case.outside, load_dpu(TARGETS[case.column]))
    found = [reason for reason in reasons if reason.rule == case.rule]
    assert len(found) == 1
    assert found[0].found and found[0].limit and found[0].fix


def test_every_rule_is_tested_in_every_column_and_for_every_operator() -> None:
    written = {
        (rule.id, kind, letter)
        for letter, name in TARGETS.items()
        for kind in operators()
        for rule in rules_for(kind, load_dpu(name))
        if letter not in UNSUPPORTED.get(kind, "")
    }
    tested = {(case.rule, case.op, case.column) for case in CASES}
    assert written - tested == set()
    assert tested - written == set()


@pytest.mark.parametrize(("kind", "letters"), UNSUPPORTED.items(), ids=UNSUPPORTED)
def test_operators_that_a_family_has_not(kind: str, letters: str) -> None:
    for letter, name in TARGETS.items():
        reasons = reasons_against(kind, base(kind, {}), load_dpu(name))
        if letter in letters:
            assert [r.id for r in reasons] == ["conv3d_family" if "3d" in kind else "engine_missing"]
            assert reasons[0].rule == f"{kind}.supported"
        else:
            assert reasons == ()


@pytest.mark.parametrize(
    ("kind", "letter"), [(kind, letter) for kind, row in FUSED.items() for letter in row], ids=str
)
def test_fused_activations(kind: str, letter: str) -> None:
    assert set(fusable(kind, load_dpu(TARGETS[letter]))) == FUSED[kind][letter]


@pytest.mark.parametrize("name", dpu_names())
def test_every_dpu_runs_a_small_convolution(name: str) -> None:
    assert reasons_against("conv2d", base("conv2d", {"ic": 8, "oc": 8}), load_dpu(name)) == ()


def test_siblings_keep_the_rules_of_the_family_with_their_own_numbers() -> None:
    small = load_dpu("DPUCZDX8G_ISA1_B512")  # 8 channels in parallel, 4 banks
    assert reasons_against("conv2d", base("conv2d", {"oc": 2048}), small) == ()
    (reason,) = reasons_against("conv2d", base("conv2d", {"oc": 2049}), small)
    assert (reason.id, str(reason)) == (
        "output_channel",
        "output channels 2049; supported: at most 2048 = 256 * cp",
    )
    assert reasons_against("maxpool2d", base("maxpool2d", {"kernel": (32, 256)}), small) == ()
    assert (
        reasons_against("maxpool2d", base("maxpool2d", {"kernel": (33, 256)}), small)[0].rule == "pool.area"
    )


def test_the_target_file_counts_where_it_allows_less() -> None:
    narrow = load_dpu("DPUCVDX8H_ISA1_F2W2_8PE")  # pools of 1-3 and 7 only
    assert reasons_against("maxpool2d", base("maxpool2d", {"kernel": (7, 7)}), narrow) == ()
    (reason,) = reasons_against("maxpool2d", base("maxpool2d", {"kernel": (5, 5)}), narrow)
    assert reason.limit == "1-3,7 (target file)"
    assert reason.fix.startswith("kernel width 3, kernel height 3")
    assert [r.id for r in reasons_against("mul", base("mul", {}), narrow)] == ["engine_missing"]
    (reason,) = reasons_against("depthwise-conv2d", base("depthwise-conv2d", {}), narrow)
    assert "DPUCVDX8H_ISA1_F2W4_4PE" in reason.limit and "conv2d" in reason.fix


def test_the_pads_of_an_alu_are_limited_by_its_target_file() -> None:
    dpu = load_dpu(TARGETS["Z"])
    wide = {"kernel": (17, 17), "dilation": (2, 2)}
    assert reasons_against("depthwise-conv2d", base("depthwise-conv2d", {**wide, "pad_right": 30}), dpu) == ()
    (reason,) = reasons_against("depthwise-conv2d", base("depthwise-conv2d", {**wide, "pad_left": 30}), dpu)
    assert (reason.rule, reason.limit) == ("depthwise-conv2d.pad_w", "0-15 (target file)")
    assert reason.fix == "left padding 15"


def test_a_family_that_the_table_lacks_is_judged_by_its_target_file() -> None:
    dpu = load_dpu("AMD_AIE2_1x4_Overlay")
    assert column(dpu) == UNKNOWN_FAMILY and depth_of(dpu) == "weight"
    assert {r.rule for r in reasons_against("conv2d", base("conv2d", {"kernel": (9, 3)}), dpu)} == {
        "conv2d.kernel"
    }
    assert fusable("conv2d", dpu) == ("relu", "relu6")
    assert [r.id for r in reasons_against("argmax", base("argmax", {}), dpu)] == ["engine_missing"]


def test_no_stride_is_too_long_for_a_window_over_everything() -> None:
    dpu = load_dpu(TARGETS["L"])
    assert reasons_against("conv2d", base("conv2d", {"stride": (9, 9), "whole": True}), dpu) == ()


def test_an_engine_that_is_not_there() -> None:
    without = replace(load_dpu(TARGETS["Z"]), eltwise=None)
    assert [r.id for r in reasons_against("add", base("add", {}), without)] == ["engine_missing"]
    assert fusable("add", without) == ()
