"""An ONNX model as a stage: integers where it stores integers, real numbers elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.debugging.onnx_stage import OnnxStage, rounded_value
from quantforge.debugging.stage import real
from quantforge.diagnostics import InputError
from quantforge.frontends.onnx import absorb, import_model
from quantforge.ops.interpreter import Interpreter
from tests.compiled_digits import FLOAT, quantized, samples


def test_a_float_model_has_real_numbers_only() -> None:
    stage = OnnxStage(FLOAT)
    assert not stage.quantized and stage.label == str(FLOAT)
    made = stage.run(samples(1)[0])
    assert set(made) == set(stage.signals) and made["logits"].dtype == np.float32


def test_integers_are_those_of_the_reference_interpreter() -> None:
    stage = OnnxStage(quantized(), "int8")
    graph = absorb(import_model(quantized()))
    names = [name for name, signal in stage.signals.items() if signal.position is not None]
    session = Interpreter("integer").session(graph, names)
    for feeds in samples(3):
        made, exact = stage.run(feeds), session.run_integers(feeds)
        assert len(names) > 10
        for name in names:
            assert made[name].dtype == np.int8
            np.testing.assert_array_equal(made[name], exact[name])


def test_what_a_stage_gives_stays_when_it_runs_again() -> None:
    stage = OnnxStage(quantized())
    first, second = samples(2)
    kept = stage.run(first)
    made = {name: array.copy() for name, array in kept.items()}
    stage.run(second)
    assert all((made[name] == kept[name]).all() for name in made)


def test_the_rounded_value_is_behind_the_pair() -> None:
    graph = import_model(quantized())
    assert rounded_value(graph, "stem/relu6") == "stem/relu6_DequantizeLinear_Output"
    assert rounded_value(graph, "stem/relu6_DequantizeLinear_Output") == "stem/relu6_DequantizeLinear_Output"
    assert rounded_value(graph, "stem/bn") == "stem/bn"


def test_integers_stand_for_what_the_model_computes_on() -> None:
    stage, feeds = OnnxStage(quantized()), samples(1)[0]
    made = stage.run(feeds)["image"]
    position = stage.signals["image"].position
    assert position is not None
    assert np.abs(real(made, position) - np.clip(feeds["image"], -2, 2)).max() <= 2.0 ** -(position + 1)


def test_a_file_that_is_no_model() -> None:
    with pytest.raises(InputError, match="Q0102"):
        OnnxStage("missing.onnx")
