from __future__ import annotations

from quantforge.compiler.settle import in_order, moves, settle, unique
from quantforge.xmodel.model import Attr, Tensor, XModel, XOp
from tests.flat_xmodels import Net, ints, text


def settled(net: Net) -> dict[str, tuple[str, ...]]:
    """Producers by operator."""
    return {name: op.producers for name, op in settle(net.done()).model.ops.items()}


def test_a_repeated_fix_goes() -> None:
    net = Net()
    x = net.fix(net.data("x", (1, 4), 3), 3, "again")
    net.op("y", "relu", [x], (1, 4))
    result = settle(net.done())
    assert "again" not in result.model.ops and result.model.ops["y"].producers == ("x_fix",)
    assert result.renamed == {"again": "x_fix"}
    assert "again" in net.model.ops  # the model itself stays


def test_another_grid_does_not_go() -> None:
    net = Net()
    net.fix(net.data("x", (1, 4), 3), 2, "coarser")
    assert settled(net)["coarser"] == ("x_fix",)


def test_a_fix_passes_moving_operators() -> None:
    net = Net()
    x = net.relu(net.data("x", (1, 2, 2, 1), 3))
    flat = net.op("flat", "reshape", [x], (1, 4), {"shape": ints(1, 4)})
    net.fix(net.op("same", "identity", [flat], (1, 4)), 2)
    found = settled(net)
    assert found["same_fix"] == ("same",)
    assert found["same"] == ("flat_inserted_fix_0",) and found["flat_inserted_fix_0"] == ("flat",)
    assert found["flat"] == ("x_fix_relu_inserted_fix_0",)


def test_a_moving_operator_gets_the_grid_of_its_input() -> None:
    net = Net()
    x = net.data("x", (1, 4), 3)
    net.op("r", "reshape", [x], (4, 1), {"shape": ints(4, 1)})
    net.op("y", "softmax", ["r"], (4, 1), {"axis": Attr("int32", 0)})
    result = settle(net.done())
    assert result.model.ops["y"].producers == ("r_fix",)
    assert result.model.ops["r_fix"].get("fix_point") == 3 and result.renamed == {"r": "r_fix"}


def test_claimed_operators_keep_their_surroundings() -> None:
    net = Net()
    x = net.data("x", (1, 4), 3)
    net.op("r", "reshape", [x], (4, 1), {"shape": ints(4, 1)})
    net.op("y", "softmax", ["r"], (4, 1), {"axis": Attr("int32", 0)})
    assert settle(net.done(), {"r"}).model.ops["y"].producers == ("r",)


def test_what_moves() -> None:
    def op(kind: str, **attrs: Attr) -> XOp:
        return XOp("o", kind, Tensor("o", (1,)), {}, attrs)

    assert moves(op("concat")) and moves(op("maxpool2d")) and not moves(op("conv2d"))
    assert moves(op("resize", mode=text("NEAREST"))) and not moves(op("resize", mode=text("BILINEAR")))
    assert moves(op("pad", mode=text("CONSTANT")))
    assert not moves(op("pad", mode=text("CONSTANT"), constant_values=Attr("float_vec", (1.0,))))


def test_order_and_names() -> None:
    model = XModel("m")
    for name, args in (("b", ("a",)), ("a", ()), ("c", ("b", "a"))):
        model.ops[name] = XOp(name, "relu", Tensor(name, (1,)), {"input": args} if args else {})
    assert list(in_order(model.ops)) == ["a", "b", "c"]
    assert unique({"a", "a_1"}, "a") == "a_2"


def test_what_the_caller_gets_is_not_rounded_before() -> None:
    net = Net()
    x = net.relu(net.data("x", (1, 4)))
    net.op("r", "reshape", [x], (4, 1), {"shape": ints(4, 1)})
    net.fix("r", 3)
    assert settle(net.done()).model.ops["r"].producers == ("x_relu_inserted_fix_0",)
    assert settle(net.done(), returned=("r", "r_fix")).model.ops["r"].producers == ("x_relu",)


def test_a_part_that_is_joined_twice() -> None:
    net = Net()
    x = net.relu(net.data("x", (1, 4)))
    net.op("cat", "concat", [x, x], (1, 8), {"axis": Attr("int32", 1)})
    net.fix("cat", 3)
    assert len(settle(net.done()).model.ops["cat"].producers) == 2
