"""Two stages side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from quantforge.calibration.samples import InputInfo
from quantforge.debugging.explain import Explanation
from quantforge.debugging.onnx_stage import OnnxStage
from quantforge.debugging.stage import Array, Arrays, Signal, reshaped
from quantforge.debugging.teacher import Teacher
from quantforge.debugging.walk import StageComparison, TensorComparison, compare_stages
from quantforge.debugging.xmodel_stage import XmodelStage
from quantforge.diagnostics import InputError
from quantforge.xmodel.read import read_xmodel
from tests.compiled_digits import compiled, flat, quantized, samples


class Fixed:
    """A stage that gives what it was made with, the input scaled."""

    def __init__(self, factors: Mapping[str, int], inputs: tuple[str, ...] = ("x",)) -> None:
        self.label = "fixed"
        self.inputs = tuple(InputInfo(name, "float32", (1, 2)) for name in inputs)
        self.signals = {name: Signal(name, f"{name}_t", 0) for name in factors}
        self._factors = factors

    def run(self, feeds: Arrays) -> dict[str, Array]:
        first = next(iter(feeds.values())).astype(np.int64)
        return {name: first * factor for name, factor in self._factors.items()}

    def view(self, name: str, array: Array, shape: tuple[int, ...]) -> Array | None:
        return reshaped(array, shape)


BATCHES = [{"x": np.array([[0.0, 0.0]])}, {"x": np.array([[0.0, 2.0]])}]


def test_the_first_tensor_and_element_are_named() -> None:
    found = compare_stages(
        Fixed({"a": 1, "b": 1, "c": 1, "d": 1}), Fixed({"a": 1, "b": 3, "c": -1, "e": 1}), BATCHES
    )
    assert found.samples == 2 and found.unmatched == ("d",) and not found.equal
    culprit = found.culprit
    assert culprit is not None and culprit.name == "b" and culprit.tensors == ("b_t", "b_t")
    assert culprit.first is not None
    assert (culprit.first.index, culprit.first.first, culprit.first.second) == ((1, 1), 2, 6)
    assert (culprit.elements, culprit.different, culprit.largest) == (4, 1, 4.0)
    assert [row.different for row in found.tensors] == [0, 1, 1]


def test_inputs_of_other_names_go_by_order() -> None:
    assert compare_stages(Fixed({"a": 1}), Fixed({"a": 1}, ("other",)), BATCHES).equal
    with pytest.raises(InputError, match="Q1306"):
        compare_stages(Fixed({"a": 1}), Fixed({"a": 1}, ("u", "v")), BATCHES)


def test_stages_of_different_models() -> None:
    with pytest.raises(InputError, match="Q1305"):
        compare_stages(Fixed({"a": 1}), Fixed({"b": 1}), BATCHES)


@pytest.mark.parametrize("mode", ["run", "ref"])
def test_the_compiled_model_computes_the_integers_of_the_quantized_one(mode: str) -> None:
    first = OnnxStage(quantized())
    second = XmodelStage(read_xmodel(compiled("PY3_ROUND")), mode, "m")
    found = compare_stages(first, second, samples(4))
    assert found.equal and sum(row.integers for row in found.tensors) >= 10


def test_a_model_that_is_not_compiled_computes_them_too() -> None:
    found = compare_stages(OnnxStage(quantized()), XmodelStage(flat("PY3_ROUND"), "run", "m"), samples(2))
    assert found.equal


def test_another_rounding_is_explained_element_by_element() -> None:
    first = OnnxStage(quantized())
    second = XmodelStage(read_xmodel(compiled("DPU_ROUND")), "ref", "m")
    found = compare_stages(first, second, samples(6), teacher=Teacher(second, first.signals))
    assert not found.equal and found.explained
    rows = [row.alone for row in found.tensors if row.alone is not None]
    total = sum(rows, Explanation(0, 0, 0, 0))
    assert total.ties == total.different > 100 and total.unexplained == 0
    assert found.culprit is not None and found.culprit.alone is not None
    # the first tensor has nothing carried along: it differs alone as it differs in the run
    assert found.culprit.different == found.culprit.alone.different


def test_a_comparison_without_a_teacher_explains_nothing() -> None:
    row = TensorComparison("a", ("a", "a"), True, 1, 0, 0.0, None)
    assert not StageComparison("f", "s", 1, (row,), ()).explained
