from __future__ import annotations

import pytest

from quantforge.compiler.cut import cut_at
from quantforge.compiler.options import CompileOptions
from quantforge.diagnostics import InputError
from quantforge.xmodel.model import XModel
from tests.flat_xmodels import Net, compiled


def chain() -> XModel:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    first = net.fix(net.conv("first", x, 3), 3)
    net.fix(net.conv("second", first, 3), 3)
    net.data("unused", (1, 2))
    return net.done("second_fix")


def test_no_names_change_nothing() -> None:
    model = chain()
    assert cut_at(model, ()) is model


@pytest.mark.parametrize("name", ["first", "first_fix"])
def test_a_model_ends_behind_the_fix(name: str) -> None:
    found = cut_at(chain(), [name])
    assert found.attrs["return_ops"].value == ("first_fix",)
    assert list(found.ops) == [
        "x",
        "x_fix",
        "first_w",
        "first_w_fix",
        "first_b",
        "first_b_fix",
        "first",
        "first_fix",
        "unused",
    ]
    assert found.root.ops == list(found.ops)


def test_compiled_with_output_ops() -> None:
    model, _ = compiled(chain(), options=CompileOptions(output_ops=("first",)))
    assert "second" not in model.ops and model.attrs["return_ops"].value == ("first_fix_",)


def test_an_operator_that_does_not_exist() -> None:
    with pytest.raises(InputError, match="Q1103") as error:
        cut_at(chain(), ["frist"])
    assert "'first'" in error.value.diagnostic.fix
