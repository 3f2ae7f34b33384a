from __future__ import annotations

import pytest

from quantforge.compiler.grouping import group
from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Tensor, XModel, XOp


def model(edges: str) -> XModel:
    """ "x=, a=x, b=a" adds x, then a that reads x, ..."""
    made = XModel("m")
    for item in edges.split(","):
        name, _, args = item.strip().partition("=")
        kind = "data" if name.startswith("x") else "relu"
        made.add(XOp(name, kind, Tensor(name, (1,)), {"input": tuple(args.split())} if args else {}))
    return made


def test_few_groups_in_order() -> None:
    made = model("x=, a=x, b=a, c=b, d=b c")
    found = group(made, {"x": "USER", "a": "DPU", "b": "DPU", "c": "CPU", "d": "CPU"})
    assert [(g.device, g.ops) for g in found] == [("USER", ("x",)), ("DPU", ("a", "b")), ("CPU", ("c", "d"))]


def test_a_claim_is_a_group_of_its_own() -> None:
    made = model("x=, a=x, b=a, c=b")
    found = group(made, {"x": "USER", "a": "CPU", "b": "CPU", "c": "CPU"}, {"mine": ("b",)})
    assert [(g.device, g.ops, g.claim) for g in found][1:] == [
        ("CPU", ("a",), None), ("CPU", ("b",), "mine"), ("CPU", ("c",), None),
    ]  # fmt: skip


def test_a_claim_around_something_else_cannot_run() -> None:
    made = model("x=, a=x, b=a, c=b")
    devices = {"x": "USER", "a": "CPU", "b": "DPU", "c": "CPU"}
    with pytest.raises(InputError, match="Q1105"):
        group(made, devices, {"mine": ("a", "c")})
