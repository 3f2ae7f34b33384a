from quantforge.passes.result import Note
from quantforge.passes.units.unit import Unit, unit_of
from tests.networks import Net


def test_what_lies_inside_and_what_is_bare() -> None:
    net = Net()
    half = net.const("half", 0.5)
    graph = net.done(net.add("relu", "r", (net.add("eltwise-mul", "m", ("x", half)),)))
    unit = unit_of(graph, "gelu", "here", ["r", "m"], "r.out", ["x"])
    assert isinstance(unit, Unit)
    assert unit.ops == ("m", "r") and unit.inner == {"m.out"} and unit.bare == {"half"}


def test_a_stranger_that_reads_an_inner_value_is_named() -> None:
    net = Net()
    inner = net.add("relu", "r", ("x",))
    graph = net.done(net.add("neg", "n", (inner,)), net.add("abs", "a", (inner,)))
    note = unit_of(graph, "gelu", "here", ["r", "n"], "n.out", ["x"])
    assert note == Note("here", "n", False, "a reads r.out, which a gelu keeps to itself")


def test_an_inner_value_that_the_caller_gets() -> None:
    net = Net()
    inner = net.add("relu", "r", ("x",))
    note = unit_of(net.done(net.add("neg", "n", (inner,)), inner), "gelu", "here", ["r", "n"], "n.out", ["x"])
    assert isinstance(note, Note) and note.text.startswith("the caller gets r.out")
