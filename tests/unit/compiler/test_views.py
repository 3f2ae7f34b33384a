from __future__ import annotations

import numpy as np

from quantforge.compiler.views import View, dense, find_views
from quantforge.xmodel.model import Attr, Tensor, XModel, XOp


def model(*ops: tuple[str, str, tuple[str, ...], tuple[int, ...]]) -> XModel:
    made = XModel("m")
    for name, kind, args, shape in ops:
        attrs = {"axis": Attr("int32", len(shape) - 1)} if kind == "concat-fix" else {}
        made.add(XOp(name, kind, Tensor(name, shape), {"input": args} if args else {}, attrs))
    return made


def layers(made: XModel) -> list[list[str]]:
    return [[name] for name in made.ops]


def test_parts_lie_in_the_whole() -> None:
    made = model(
        ("u", "upload", (), (1, 2, 2, 3)),
        ("a", "conv2d-fix", ("u",), (1, 2, 2, 4)),
        ("b", "conv2d-fix", ("u",), (1, 2, 2, 8)),
        ("c", "concat-fix", ("a", "b"), (1, 2, 2, 12)),
    )
    views, silent = find_views(made, layers(made), {"c"})
    strides = dense((1, 2, 2, 12))
    assert views == {"a": View("c", 0, strides), "b": View("c", 4, strides)} and silent == {"u", "c"}
    memory = np.arange(48).reshape(1, 2, 2, 12)
    part = np.lib.stride_tricks.as_strided(memory.reshape(-1)[4:], (1, 2, 2, 8), [s * 8 for s in strides])
    assert np.array_equal(part, memory[..., 4:])


def test_what_is_needed_elsewhere_keeps_its_place() -> None:
    made = model(
        ("u", "upload", (), (1, 1, 1, 4)),
        ("a", "conv2d-fix", ("u",), (1, 1, 1, 4)),
        ("c", "concat-fix", ("a", "u"), (1, 1, 1, 8)),
        ("d", "concat-fix", ("a", "a"), (1, 1, 1, 8)),
    )
    assert find_views(made, layers(made), {"a"}) == ({}, {"u"})
    assert find_views(made, layers(made), set()) == ({}, {"u"})  # an upload, and a part that comes twice


def test_a_reshape_is_another_name() -> None:
    made = model(
        ("u", "upload", (), (1, 2, 2, 3)),
        ("r", "reshape-fix", ("u",), (1, 12)),
        ("a", "conv2d-fix", ("r",), (1, 1, 1, 6)),
        ("s", "reshape-fix", ("a",), (1, 6)),
        ("t", "reshape-fix", ("s",), (6, 1)),
    )
    views, silent = find_views(made, layers(made), {"t"})
    assert views["s"] == View("t", 0, (6, 1)) and views["r"] == View("u", 0, (12, 1))
    assert "a" not in views or views["a"].base == "t"
    assert {"u", "r", "t"} <= silent


def test_a_concatenation_that_is_reshaped() -> None:
    made = model(
        ("u", "upload", (), (1, 1, 1, 4)),
        ("a", "conv2d-fix", ("u",), (1, 1, 1, 4)),
        ("b", "conv2d-fix", ("u",), (1, 1, 1, 4)),
        ("c", "concat-fix", ("a", "b"), (1, 1, 1, 8)),
        ("r", "reshape-fix", ("c",), (1, 8)),
    )
    views, _ = find_views(made, layers(made), {"r"})
    assert views["c"] == View("r", 0, (8, 8, 8, 1)) and views["b"] == View("r", 4, (8, 8, 8, 1))


def test_a_part_inside_a_part_stays_outside() -> None:
    made = model(
        ("u", "upload", (), (1, 1, 2, 4)),
        ("a", "conv2d-fix", ("u",), (1, 1, 2, 4)),
        ("b", "conv2d-fix", ("u",), (1, 1, 2, 4)),
        ("c", "concat-fix", ("a", "b"), (1, 1, 2, 8)),
        ("d", "conv2d-fix", ("u",), (1, 1, 2, 4)),
        ("e", "concat-fix", ("c", "d"), (1, 1, 2, 12)),
    )
    views, silent = find_views(made, layers(made), set())
    assert set(views) == {"c", "d"} and silent == {"u", "e"}
