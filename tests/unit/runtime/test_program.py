from __future__ import annotations

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime.program import constant_data, program_of
from quantforge.xmodel.model import Attr, Subgraph
from tests.compiled_xmodels import classifier, dpu_part


def test_inputs_outputs_and_constants_of_a_subgraph() -> None:
    model = classifier()
    program = program_of(model, dpu_part(model))
    assert [op.name for op in program.inputs] == ["image"]
    assert [op.name for op in program.outputs] == ["logits"]
    assert len(program.constants) == 6
    assert all(op.kind != "const-fix" for op in program.ops)
    assert program.device == "DPU"


def test_a_kept_operator_is_an_output_too() -> None:
    model = classifier()
    kept = next(op.name for op in model.ops.values() if op.kind == "pool-fix")
    assert [op.name for op in program_of(model, dpu_part(model), (kept,)).outputs] == [kept, "logits"]


def test_constants_outside_the_subgraph_are_found() -> None:
    model = classifier()
    part = dpu_part(model)
    part.children[0].ops = [name for name in part.children[0].ops if model.ops[name].kind != "const-fix"]
    assert len(program_of(model, part).constants) == 6


def test_emptied_constants_are_the_original_compilers() -> None:
    op = next(op for op in classifier().ops.values() if op.kind == "const-fix")
    op.attrs["data"] = Attr("bytes", b"")
    with pytest.raises(InputError, match=r"Q1205 .*original compiler.*compile the quantized model"):
        constant_data(op)


def test_short_constants_are_damaged() -> None:
    op = next(op for op in classifier().ops.values() if op.kind == "const-fix")
    op.attrs["data"] = Attr("bytes", op.get("data")[:-1])
    with pytest.raises(InputError, match=r"Q1205 .*bytes; expected XINT8"):
        constant_data(op)


def test_constants_are_read_in_their_shape() -> None:
    op = next(op for op in classifier().ops.values() if op.kind == "const-fix")
    data = constant_data(op)
    assert data.shape == op.tensor.shape
    assert data.dtype == np.int8


def test_a_subgraph_of_unknown_operators() -> None:
    with pytest.raises(InputError, match=r"Q1207 odd: found no operator 'nowhere'"):
        program_of(classifier(), Subgraph("odd", ["nowhere"]))
