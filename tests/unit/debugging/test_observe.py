"""All tensors of a model, by either engine."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.debugging.observe import Observer, programs, stored
from quantforge.diagnostics import InputError
from quantforge.runtime.graph_runner import GraphRunner
from quantforge.xmodel.model import Attr, DataType, Tensor, XOp
from tests.compiled_xmodels import classifier


def images(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)


def test_both_engines_give_the_same_tensors_and_the_runner_s_outputs() -> None:
    model = classifier()
    made = [Observer(model, mode).run({"image": images()}) for mode in ("run", "ref")]
    names = {op.name for op in model.ops.values() if not op.kind.startswith("const")}
    assert set(made[0]) == set(made[1]) == names
    for name in names:
        np.testing.assert_array_equal(made[0][name], made[1][name])
    with GraphRunner(model) as runner:
        np.testing.assert_array_equal(runner.run(images())[0], made[0]["probabilities"])


def test_an_engine_that_is_none() -> None:
    with pytest.raises(InputError, match="Q1207"):
        Observer(classifier(), "fpga")


def test_a_compiled_model_has_a_program_per_device_subgraph() -> None:
    assert [program.device for program in programs(classifier())] == ["DPU", "CPU"]


@given(
    st.floats(-(2.0**100), 2.0**100, width=32),
    st.integers(-4, 12),
    st.sampled_from(["DPU_ROUND", "PY3_ROUND"]),
)
def test_inputs_are_rounded_and_saturated(x: float, position: int, mode: str) -> None:
    attrs = {"fix_point": Attr("int32", position), "round_mode": Attr("string", mode)}
    op = XOp("x", "data-fix", Tensor("x", (1,), DataType("XINT", 8), attrs))
    steps = Fraction(x) * Fraction(2) ** position
    rounded = round(steps) if mode == "PY3_ROUND" else math.floor(steps + Fraction(1, 2))
    assert stored(op, np.array([x], np.float32)).tolist() == [max(-128, min(127, rounded))]


def test_an_input_of_real_numbers_stays() -> None:
    op = XOp("x", "data", Tensor("x", (2,)))
    assert stored(op, np.array([0.3, 7.0])).dtype == np.float32
