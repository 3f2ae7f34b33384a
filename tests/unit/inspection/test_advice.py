"""What is advised really helps, and is near."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.inspection.advice import nearest
from quantforge.inspection.engines import numbers_of
from quantforge.inspection.rules import Rule, depth_of, rules_for
from quantforge.targets.dpu import DpuTarget, load_dpu
from tests.unit.inspection.boundaries import CP, TARGETS, base, cases

CASES = [case for case in cases() if "3d" not in case.op]
WINDOWS = ["conv2d", "depthwise-conv2d", "transposed-conv2d", "maxpool2d", "avgpool2d"]


def broken_rules(kind: str, names: dict, target: DpuTarget) -> list[tuple[Rule, tuple]]:
    found = ((rule, rule.broken(names, target, kind)) for rule in rules_for(kind, target))
    return [(rule, broken) for rule, broken in found if broken and rule.holds is None]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.op}-{case.column}")
def test_each_alternative_mends_the_rule(case) -> None:
    target = load_dpu(TARGETS[case.column])
    names = numbers_of(target, depth_of(target)) | case.outside
    for rule, broken in broken_rules(case.op, names, target):
        for change in nearest(rule, broken, names, target, case.op):
            assert change and not rule.broken(names | change, target, case.op)


@settings(max_examples=200)
@given(
    st.sampled_from(sorted(CP)), st.sampled_from(WINDOWS), st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 300), st.integers(1, 300)), st.integers(1, 20000), st.integers(0, 40),
)  # fmt: skip
def test_random_windows_are_mended(letter, kind, kernel, stride, channels, pad) -> None:
    target = load_dpu(TARGETS[letter])
    given_ = {"kernel": kernel, "stride": stride, "ic": channels, "oc": channels, "pad_left": pad}
    names = numbers_of(target, depth_of(target)) | base(kind, given_)
    for rule, broken in broken_rules(kind, names, target):
        for change in nearest(rule, broken, names, target, kind):
            assert not rule.broken(names | change, target, kind)
            assert all(value >= (0 if name.startswith("pad") else 1) for name, value in change.items())


def advice(kind: str, rule_id: str, board: str = "ZCU102", **given_) -> tuple[dict[str, int], ...]:
    target = load_dpu(board)
    names = numbers_of(target, depth_of(target)) | base(kind, given_)
    (found,) = [(rule, broken) for rule, broken in broken_rules(kind, names, target) if rule.id == rule_id]
    return nearest(*found, names, target, kind)


def test_the_nearest_legal_kernel() -> None:
    assert advice("conv2d", "conv2d.kernel", kernel=(17, 3)) == ({"kernel_w": 16},)


def test_alternatives_for_a_full_bank() -> None:
    # 11 x 11 x ceil(ic / 16) <= 2048
    assert advice("conv2d", "conv2d.in_size", kernel=(11, 11), ic=512) == (
        {"ic": 256},
        {"kernel_w": 8, "kernel_h": 8},
    )


def test_far_away_is_found_too() -> None:
    assert advice("conv2d", "conv2d.out_channel", oc=100_000) == ({"oc": 4096},)


def test_a_kernel_below_its_stride_grows() -> None:
    assert advice(
        "transposed-conv2d", "transposed-conv2d.kernel_over_stride", kernel=(1, 3), stride=(3, 3)
    ) == ({"kernel_w": 3},)


def test_a_variable_that_cannot_mend_is_no_alternative() -> None:
    # (6 * stride_w + kernel_w) * kernel_h + 4 <= 512: no stride is short enough for 256 rows
    assert advice("depthwise-conv2d", "depthwise-conv2d.in_size", "VEK280", kernel=(3, 256)) == (
        {"kernel_h": 56},
    )
