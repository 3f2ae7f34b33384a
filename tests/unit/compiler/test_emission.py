from __future__ import annotations

import numpy as np
import pytest

from quantforge.xmodel.model import Attr, XModel
from tests.flat_xmodels import Net, check_same, kinds, text


def readers(model: XModel, name: str) -> list[str]:
    return [model.ops[reader].kind for reader in model.consumers()[name]]


def test_an_input_that_the_dpu_alone_reads_is_quantized_by_the_caller() -> None:
    net = Net()
    net.fix(net.conv("conv", net.data("x", (1, 5, 5, 3), 4), 4), 3)
    model, _ = check_same(net.done())
    data = model.ops["x"]
    assert (data.kind, data.tensor.name, str(data.tensor.dtype), data.tensor.fix_point) == (
        "data-fix",
        "x_fix",
        "XINT8",
        4,
    )
    assert data.get("data_type") == "XINT8"


def test_an_input_with_two_readers_stays_float() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    net.fix(net.conv("conv", x, 3), 3)
    net.op("s", "sigmoid", ["x"], (1, 5, 5, 3))
    net.op("y", "add", ["s", "conv_fix"], (1, 5, 5, 3))
    model, _ = check_same(net.done("y"))
    assert (model.ops["x"].kind, model.ops["x_fix"].kind) == ("data", "float2fix")


def test_a_quantized_input_that_both_devices_read() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    net.fix(net.conv("conv", x, 3), 3)
    net.op("s", "sigmoid", [x], (1, 5, 5, 3))
    net.op("y", "add", ["s", "conv_fix"], (1, 5, 5, 3))
    model, _ = check_same(net.done("y"))
    assert model.ops["x"].kind == "data-fix"
    assert model.ops["s"].producers == ("x_fix_s",) and model.ops["x_fix_s"].kind == "fix2float"
    assert model.ops["y"].producers == ("s", "conv_fix_y")


def test_a_fix_of_the_cpu_that_both_devices_read() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3))
    s = net.fix(net.op("s", "sigmoid", [x], (1, 5, 5, 3)), 7)
    net.fix(net.conv("conv", s, 3), 3)
    net.op("y", "tanh", [s], (1, 5, 5, 3))
    model, _ = check_same(net.done("y", "conv_fix"))
    assert model.ops["s_fix"].kind == "fix" and model.ops["s_fix_float2fix"].kind == "float2fix"
    assert readers(model, "s_fix_float2fix") == ["upload"]


def test_a_constant_that_both_devices_read_is_written_twice() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    c = net.random("c", (3,), 5)
    net.fix(net.op("sum", "add", [x, c], (1, 5, 5, 3)), 4)
    net.op("s", "sigmoid", ["sum_fix"], (1, 5, 5, 3))
    net.op("y", "sub", ["s", c], (1, 5, 5, 3))
    model, _ = check_same(net.done("y"))
    assert model.ops["c"].kind == "const" and model.ops["c_1"].kind == "const-fix"
    assert model.ops["y"].producers == ("s", "c_fix") and model.ops["c_fix"].kind == "fix"


def test_what_is_returned_and_read_on_the_way() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    first = net.fix(net.conv("first", x, 3), 3)
    net.fix(net.conv("second", first, 3), 3)
    model, _ = check_same(net.done("second_fix", first))
    assert model.attrs["return_ops"].value == ("second_fix_", "first_fix_")
    assert sorted(readers(model, "first")) == ["conv2d-fix", "download"]


def test_a_value_that_nobody_needs_is_not_written() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    net.data("unused", (1, 2), 4)
    net.fix(net.conv("used", x, 3), 3)
    net.fix(net.conv("dead", x, 3), 3)
    model, _ = check_same(net.done("used_fix"))
    assert "dead" not in model.ops and "dead_w" not in model.ops
    assert model.ops["unused"].kind == "data"


def test_a_returned_input_and_a_returned_constant() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    net.const("c", np.ones(2))
    net.fix(net.conv("conv", x, 3), 3)
    model, _ = check_same(net.done("x", "c", "conv_fix"))
    assert model.attrs["return_ops"].value == ("x", "c", "conv_fix_")


@pytest.mark.parametrize("kind", ["PPScatter", "onnx:Foo"])
def test_custom_operators_keep_their_attributes(kind: str) -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    conv = net.fix(net.conv("conv", x, 3), 3)
    attrs = {"shape": Attr("int32_vec", (1, 5, 5, 3)), "data_type": text("FLOAT32"), "deep": Attr("int32", 7)}
    net.op("custom", kind, [conv], (1, 5, 5, 3), attrs)
    from tests.flat_xmodels import compiled

    model, _ = compiled(net.done())
    assert model.ops["custom"].get("deep") == 7 and kinds(model)[-1] == kind
