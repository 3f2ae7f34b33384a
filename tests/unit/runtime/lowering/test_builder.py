from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import UnsupportedError
from quantforge.runtime.engine import lower, open_session
from quantforge.runtime.fixed import Fixed
from quantforge.runtime.lowering.builder import Builder, Held
from quantforge.runtime.program import program_of
from quantforge.xmodel.model import XOp
from tests.compiled_xmodels import ModelBuilder, dpu_part


def test_equal_constants_are_stored_once() -> None:
    builder = Builder()
    assert builder.constant(1.0, "float32") == builder.constant(1.0, "float32")
    assert builder.constant(1.0, "float32") != builder.constant(1.0, "float64")
    assert builder.constant([1.0], "float32") != builder.constant(1.0, "float32")


def test_a_graph_of_bytes_runs() -> None:
    builder = Builder()
    name = builder.pad("in0", [(0, 0), (1, 0)], 9)
    name = builder.crop(name, {1: slice(None, None, -1)})
    name = builder.clip(builder.reshape(name, (-1, 1, 3)), 2, 200, "uint8")
    session = open_session(builder.model({"in0": (1, 2)}, {"out0": name}), 1)
    assert session.run(None, {"in0": np.array([[1, 250], [3, 4]], np.uint8)})[0].tolist() == [
        [[200, 2, 9]],
        [[4, 3, 9]],
    ]


def test_what_is_held() -> None:
    assert Held("t", Fixed(0), (1,)).zero == 128
    assert Held("t", Fixed(0, signed=False), (1,)).zero == 0
    assert Held("t", Fixed(0), (1,)).magnitude == 128


def test_parameters_that_are_computed_are_refused() -> None:
    b = ModelBuilder()
    sources = [b.data((1, 1, 1, 1), 0) for _ in range(2)]
    image, weights = (b.op("upload", [source], (1, 1, 1, 1), 0) for source in sources)
    b.op("conv2d-fix", {"input": [image], "weights": [weights]}, (1, 1, 1, 1), 0, kernel=(1, 1), name="conv")
    model = b.finish()
    with pytest.raises(UnsupportedError, match=r"Q1202 conv: .*weights computed by"):
        lower(program_of(model, dpu_part(model)))


def test_constants_are_inputs_too() -> None:
    b = ModelBuilder()
    image = b.op("upload", [b.data((1, 2), 0, name="image")], (1, 2), 0)
    offset = b.const(np.array([[5, -5]], np.int8), 0)
    b.op("eltwise-fix", [image, offset], (1, 2), 0, type="ADD", name="sum")
    model = b.finish()
    low = lower(program_of(model, dpu_part(model)))
    assert low.held[offset].shape == (1, 2)
    assert isinstance(model.ops["sum"], XOp)
