from __future__ import annotations

import pytest

from quantforge.compiler.checks import check_flat
from quantforge.compiler.options import ANY_INPUT, CompileOptions
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import Attr, Tensor, XModel, XOp
from tests.flat_xmodels import B4096, Net, compiled

TARGET = load_dpu(B4096)


def small(batch: int = 1) -> XModel:
    net = Net()
    net.fix(net.conv("conv", net.data("x", (batch, 5, 5, 3), 4), 4), 3)
    return net.done()


def code_of(model: XModel, options: CompileOptions | None = None, target: str = B4096) -> str:
    with pytest.raises(InputError) as error:
        check_flat(model, load_dpu(target), options or CompileOptions())
    return error.value.diagnostic.code


def test_a_flat_quantized_model_passes() -> None:
    check_flat(small(), TARGET, CompileOptions({ANY_INPUT: (1, 5, 5, 3)}))
    check_flat(small(), TARGET, CompileOptions({"x": (1, 5, 5, 3)}))


def test_what_is_not_quantized_or_compiled_already() -> None:
    net = Net()
    net.op("y", "relu", [net.data("x", (1, 4))], (1, 4))
    assert code_of(net.done()) == "Q1101"
    assert code_of(compiled(small())[0]) == "Q1101"


def test_circles_and_missing_producers() -> None:
    model = small()
    model.ops["x_fix"].args["input"] = ("conv_fix",)
    assert code_of(model) == "Q1102"
    model.ops["x_fix"].args["input"] = ("nobody",)
    assert code_of(model) == "Q1102"


def test_operators_that_are_only_out_of_order_pass() -> None:
    model = small()
    model.ops = dict(reversed(model.ops.items()))
    check_flat(model, TARGET, CompileOptions())


def test_input_shapes() -> None:
    assert code_of(small(), CompileOptions({ANY_INPUT: (1, 6, 6, 3)})) == "Q1103"
    assert code_of(small(), CompileOptions({"z": (1, 5, 5, 3)})) == "Q1103"


def test_a_batch_that_the_target_does_not_take() -> None:
    assert code_of(small(), target="DPUCADF8H_ISA0") == "Q1104"
    check_flat(small(4), load_dpu("DPUCADF8H_ISA0"), CompileOptions())
    check_flat(small(2), TARGET, CompileOptions())


def test_an_unknown_operator() -> None:
    model = small()
    model.add(XOp("odd", "Odd", Tensor("odd", (1,)), {"input": ("conv_fix",)}))
    assert code_of(model) == "Q1110"
    model.ops["odd"].attrs |= {"shape": Attr("int32_vec", (1,)), "data_type": Attr("string", "FLOAT32")}
    check_flat(model, TARGET, CompileOptions())
