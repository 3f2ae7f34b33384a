"""Activations: which operator takes them along, and which run alone."""

from __future__ import annotations

import pytest

from quantforge.inspection.activations import (
    Activations,
    activation_reason,
    form_reason,
    hard_factor,
    runs_alone,
)
from quantforge.inspection.view import View
from quantforge.targets.dpu import load_dpu
from tests.unit.inspection.models import Build

ZCU102 = load_dpu("ZCU102")
SLOPE = 26 / 256
HARD = 6 * 2731 / 2**14


def behind(kind: str, **attrs) -> View:
    build = Build()
    build.unary(kind, build.conv(build.data((1, 8, 8, 8))), "act", **attrs)
    return View(build.model)


@pytest.mark.parametrize(
    ("board", "kind", "fits"),
    [
        ("ZCU102", "relu", True),
        ("ZCU102", "relu6", True),
        ("ZCU102", "hard-sigmoid", False),
        ("VEK280", "hard-sigmoid", True),
        ("VEK280", "hard-swish", True),
        ("DPUCAHX8L_ISA0", "relu6", True),
        ("DPUCADF8H_ISA0", "relu6", False),
    ],
)
def test_behind_a_convolution(board: str, kind: str, fits: bool) -> None:
    view = behind(kind)
    activations = Activations(view, load_dpu(board))
    producer = activations.producer(view.op("act"))
    assert producer is not None and producer.name == "conv"
    assert activations.fits(producer, view.op("act")) is fits


@pytest.mark.parametrize(
    ("alpha", "found"),
    [
        (SLOPE, None),
        (SLOPE + 1e-9, None),
        (0.1, "a slope of 0.1"),
        (0.01, "a slope of 0.01"),
        (0.102, "a slope of 0.102"),
    ],
)
def test_leaky_relu_has_one_slope(alpha: float, found: str | None) -> None:
    view = behind("leaky-relu", alpha=alpha)
    reason = form_reason(view, view.op("act"))
    assert (reason.found if reason is not None else None) == found
    assert Activations(view, ZCU102).fits(view.op("conv"), view.op("act")) is (found is None)
    if reason is not None:
        assert (reason.id, reason.limit) == ("leaky_alpha", "0.1015625 (26/256)")


def test_a_producer_that_others_read_takes_nothing_along() -> None:
    build = Build()
    conv = build.conv(build.data((1, 8, 8, 8)))
    build.unary("relu", conv, "a")
    build.unary("relu", conv, "b")
    view = View(build.model)
    assert Activations(view, ZCU102).producer(view.op("a")) is None


def test_rounding_between_separates_all_but_hard_sigmoids() -> None:
    for kind, expected in (("relu", None), ("hard-sigmoid", "conv")):
        build = Build(fixed=True)
        build.unary(kind, build.conv(build.data((1, 8, 8, 8))), "act")
        view = View(build.model)
        found = Activations(view, load_dpu("VEK280")).producer(view.op("act"))
        assert (found.name if found is not None else None) == expected


def hard(factor: float | None) -> View:
    build = Build(fixed=True)
    act = build.unary("hard-sigmoid", build.conv(build.data((1, 8, 8, 8))), "act", fix=factor is None)
    if factor is not None:
        build.many("mul", [act, build.const("c", (1,), factor, fix=False)], "scaled", (1, 8, 8, 16))
    return View(build.model)


def test_a_quantized_hard_sigmoid_has_the_slope_of_the_hardware() -> None:
    view = hard(HARD)
    assert hard_factor(view, view.op("act")) == pytest.approx(HARD)
    assert form_reason(view, view.op("act")) is None
    for factor, found in ((0.9, "a factor of 0.9 behind it"), (None, "a slope of 1/6")):
        view = hard(factor)
        reason = form_reason(view, view.op("act"))
        assert reason is not None and (reason.id, reason.found) == ("activation", found)


@pytest.mark.parametrize(
    ("kind", "board", "alone"),
    [
        ("relu", "ZCU102", True),
        ("relu6", "ZCU102", False),
        ("hard-sigmoid", "ZCU102", True),
        ("hard-swish", "ZCU102", True),
        ("leaky-relu", "ZCU102", False),
        ("relu6", "VEK280", True),
        ("hard-sigmoid", "DPUCAHX8H_ISA2_DWC", False),
        ("hard-swish", "DPUCAHX8H_ISA2_DWC", False),
        ("hard-sigmoid", "DPUCVDX8H_ISA1_F2W4_4PE", True),
        ("hard-sigmoid", "DPUCVDX8H_ISA1_F2W4_6PE_aieDWC", False),
    ],
)
def test_alone(kind: str, board: str, alone: bool) -> None:
    assert runs_alone(kind, load_dpu(board)) is alone


def test_reasons_say_what_would_take_it_along() -> None:
    view = behind("relu6")
    pooled = view.op("act")
    assert activation_reason(view, load_dpu("VEK280"), pooled, None) is None
    reason = activation_reason(view, ZCU102, pooled, None)
    assert reason is not None
    assert (reason.id, reason.rule, reason.found) == ("activation", "relu6.fused", "relu6 on its own")
    assert "conv2d" in reason.limit and reason.fix == "put it directly behind conv2d"
    reason = activation_reason(
        view, load_dpu("DPUCAHX8L_ISA0"), behind("hard-swish").op("act"), view.op("conv")
    )
    assert reason is not None and reason.found == "hard-swish behind conv2d"
    assert (reason.limit, reason.fix) == ("none on DPUCAHX8L_ISA0", "relu")


def test_a_product_with_factors_fuses_as_a_depthwise_convolution() -> None:
    build = Build()
    scaled = build.many("mul", [build.data((1, 4, 4, 8)), build.const("c", (8,))], "m", (1, 4, 4, 8))
    build.unary("relu6", scaled, "act")
    view = View(build.model)
    assert Activations(view, ZCU102).fits(view.op("m"), view.op("act"))
