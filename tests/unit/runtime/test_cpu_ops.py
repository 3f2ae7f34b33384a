from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import UnsupportedError
from quantforge.runtime.cpu_ops import CpuEngine
from quantforge.runtime.program import Program, program_of
from tests.compiled_xmodels import ModelBuilder, classifier


def last_part(builder: ModelBuilder) -> Program:
    model = builder.finish()
    return program_of(model, model.root.children[-1])


def test_a_subgraph_runs_any_number_of_samples() -> None:
    model = classifier()
    engine = CpuEngine(program_of(model, model.root.children[-1]))
    logits = np.array([[10] * 10, list(range(10)), [-128] * 9 + [127]], np.int8)
    found = engine.run({"logits": logits})["probabilities"]
    np.testing.assert_allclose(found[0], 0.1, rtol=1e-6)
    np.testing.assert_allclose(
        found[1], np.exp(np.arange(10) / 2) / np.exp(np.arange(10) / 2).sum(), rtol=1e-6
    )
    assert engine.run_all({"logits": logits[:1]}).keys() == {op.name for op in engine.program.ops}


def test_operators_that_mix_samples_run_one_by_one() -> None:
    b = ModelBuilder()
    x = b.data((1, 2, 3), None, name="x")
    b.op("transpose", [x], (2, 1, 3), device="CPU", order=(1, 0, 2), name="out")
    engine = CpuEngine(last_part(b))
    data = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    assert engine.run({"x": data})["out"].reshape(2, 2, 3).tolist() == data.tolist()


def test_constants_and_shared_results() -> None:
    b = ModelBuilder()
    x = b.data((1, 2), None, name="x")
    one = b.const(np.array([1.0, 2.0], np.float32), None)
    doubled = b.op("add", [x, x], (1, 2), device="CPU", name="doubled")
    b.op("mul", [doubled, one], (1, 2), device="CPU", name="scaled")
    b.op("sub", [doubled, one], (1, 2), device="CPU", name="moved")
    found = CpuEngine(last_part(b)).run({"x": np.array([[1, 2]], np.float32)})
    assert {name: array.tolist() for name, array in found.items()} == {"scaled": [[2, 8]], "moved": [[1, 2]]}


def test_an_operator_that_nothing_computes_is_named() -> None:
    b = ModelBuilder()
    x = b.data((1, 2), None)
    b.op("NoSuchLayer", [x], (1, 2), device="CPU", name="strange")
    with pytest.raises(UnsupportedError, match=r"Q1210 strange: .*register_op\('NoSuchLayer'\)"):
        CpuEngine(last_part(b))
