from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import UnsupportedError
from quantforge.runtime.program import program_of
from quantforge.runtime.reference import CONVOLUTIONS, KERNELS, ReferenceEngine, evaluate
from tests.compiled_xmodels import classifier, dpu_part, single


def test_a_subgraph_runs_and_shows_every_tensor() -> None:
    model = classifier()
    engine = ReferenceEngine(program_of(model, dpu_part(model)))
    x = np.random.default_rng(0).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)
    every = engine.run_all({"image": x})
    assert set(every) == {op.name for op in engine.program.ops}
    assert all(array.shape == model.ops[name].tensor.shape for name, array in every.items())
    assert engine.run({"image": x}).keys() == {"logits"}
    np.testing.assert_array_equal(engine.run({"image": x})["logits"], every["logits"])


def test_samples_of_a_batch_do_not_touch_each_other() -> None:
    model = classifier()
    engine = ReferenceEngine(program_of(model, dpu_part(model)))
    x = np.random.default_rng(0).integers(-128, 128, (3, 8, 8, 3)).astype(np.int8)
    whole = engine.run({"image": x})["logits"]
    np.testing.assert_array_equal(whole[1:2], engine.run({"image": x[1:2]})["logits"])


def test_an_operator_alone() -> None:
    x = np.arange(4, dtype=np.int8).reshape(1, 4)
    model = single("reshape-fix", [x], [0], (1, 2, 2), 0)
    assert evaluate(model.ops["result"], {"input": [x]}, model.ops.__getitem__).shape == (1, 2, 2)


def test_unknown_operators_are_refused_before_anything_runs() -> None:
    model = single("sorting-fix", [np.zeros((1, 4), np.int8)], [3], (1, 4), 3)
    with pytest.raises(UnsupportedError, match=r"Q1202 result.*'sorting-fix'"):
        ReferenceEngine(program_of(model, dpu_part(model)))


def test_every_dpu_operator_has_a_kernel() -> None:
    assert len(CONVOLUTIONS) == 12
    assert set(CONVOLUTIONS) < set(KERNELS)
