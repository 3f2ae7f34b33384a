"""An xmodel as a stage, by values and by its own names."""

from __future__ import annotations

import numpy as np
import pytest

from quantforge.debugging.xmodel_stage import XmodelStage, position_of
from quantforge.xmodel.read import read_xmodel
from tests.compiled_digits import compiled, flat, samples
from tests.compiled_xmodels import classifier


def test_by_its_own_names_every_tensor_is_a_signal() -> None:
    model = classifier()
    stage = XmodelStage(model, "ref", "m", native=True)
    tensors = [op.tensor.name for op in model.ops.values() if not op.kind.startswith("const")]
    assert list(stage.signals) == tensors
    assert stage.signals["logits_t"].position == 1 and stage.signals["probabilities_t"].position is None


def test_values_are_found_and_brought_to_their_axes() -> None:
    stage = XmodelStage(read_xmodel(compiled("PY3_ROUND")), "run", "m")
    made = stage.run(samples(1)[0])
    name = "block1/pointwise/relu6"
    assert made[name].shape == (1, 8, 8, 32)
    seen = stage.view(name, made[name], (1, 32, 8, 8))
    assert seen is not None
    np.testing.assert_array_equal(seen, made[name].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(stage.memory(name, seen), made[name])
    assert stage.view(name, made[name], (1, 8, 8)) is None
    assert stage.view(name, made[name], (1, 32, 8, 7)) is None


@pytest.mark.parametrize("compile_it", [False, True])
def test_numbers_on_a_grid_are_integers_compiled_or_not(compile_it: bool) -> None:
    model = read_xmodel(compiled("PY3_ROUND")) if compile_it else flat("PY3_ROUND")
    stage = XmodelStage(model, "run", "m")
    made = stage.run(samples(1)[0])
    assert stage.signals["logits"].position == 4
    assert np.issubdtype(made["logits"].dtype, np.integer) and np.abs(made["logits"]).max() > 4


def test_a_float_tensor_has_no_position() -> None:
    model = classifier()
    assert position_of(model.ops["probabilities"]) is None
    bridge = next(op for op in model.ops.values() if op.kind == "fix2float")
    assert position_of(bridge) == 1
