"""Inputs of a model in the caller's order of axes."""

from __future__ import annotations

import numpy as np

from quantforge.debugging.model_inputs import ModelInputs
from quantforge.xmodel.model import Attr
from tests.compiled_xmodels import classifier


def test_without_a_record_inputs_are_as_in_memory() -> None:
    inputs = ModelInputs(classifier())
    (info,) = inputs.infos
    assert (info.name, info.dtype, info.shape) == ("image", "float32", (1, 8, 8, 3))
    image = np.full((1, 8, 8, 3), 0.5, np.float32)
    assert inputs.feeds({"image": image})["image"].tolist() == np.full((1, 8, 8, 3), 32).tolist()


def test_the_record_says_how_axes_were_ordered() -> None:
    model = classifier()
    model.attrs["quantforge_orders"] = Attr("map_string_2_int32_vec", {"image": (0, 2, 3, 1)})
    inputs = ModelInputs(model)
    assert inputs.infos[0].shape == (1, 3, 8, 8)
    image = np.arange(192, dtype=np.float32).reshape(1, 3, 8, 8)
    (op,) = inputs.ops
    memory = inputs.memory(op, image)
    np.testing.assert_array_equal(memory, image.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(inputs.value(op, memory), image)
