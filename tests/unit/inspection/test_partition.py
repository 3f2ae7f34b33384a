"""Groups of operators: whole, one device each, connected, without circles, few."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.diagnostics import InternalError
from quantforge.inspection.partition import Group, constant_ops, partition
from quantforge.xmodel.model import Tensor, XModel, XOp
from quantforge.xmodel.read import read_xmodel

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "xmodels"


def model_of(edges: dict[str, tuple[str, ...]], kinds: dict[str, str] | None = None) -> XModel:
    """A model of operators by name with their producers."""
    model = XModel("m")
    for name, producers in edges.items():
        kind = (kinds or {}).get(name, "add" if producers else "data")
        model.add(XOp(name, kind, Tensor(name, (1,)), {"input": producers} if producers else {}))
    return model


def letters(groups: list[Group]) -> list[str]:
    return [f"{group.device}:{''.join(group.ops)}" for group in groups]


def check(model: XModel, devices: dict[str, str], groups: list[Group]) -> None:
    """Every operator once, one device each, whatever is read lies in the group or before it."""
    assert sorted(name for group in groups for name in group.ops) == sorted(model.ops)
    place = {name: index for index, group in enumerate(groups) for name in group.ops}
    constants = constant_ops(model)
    for name, op in model.ops.items():
        assert name in constants or groups[place[name]].device == devices[name]
        assert all(place[producer] <= place[name] for producer in op.producers)


def connected(model: XModel, group: Group) -> bool:
    members = set(group.ops) - constant_ops(model)
    reached, pending = set[str](), [*members][:1]
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            near = [*model.ops[name].producers, *(o for o in members if name in model.ops[o].producers)]
            pending += [other for other in near if other in members]
    return reached == members


@st.composite
def graphs(draw: st.DrawFn) -> tuple[XModel, dict[str, str]]:
    count = draw(st.integers(1, 14))
    names = [f"n{index}" for index in range(count)]
    edges, kinds, devices = {}, {}, {}
    for index, name in enumerate(names):
        edges[name] = (
            tuple(draw(st.lists(st.sampled_from(names[:index]), max_size=3, unique=True))) if index else ()
        )
        kinds[name] = "add" if edges[name] else draw(st.sampled_from(["data", "const"]))
        devices[name] = draw(st.sampled_from(["CPU", "DPU"])) if edges[name] else "USER"
    return model_of(edges, kinds), devices


@given(graphs())
def test_whole_connected_without_circles_and_the_same_each_time(case: tuple[XModel, dict[str, str]]) -> None:
    model, devices = case
    groups = partition(model, devices)
    check(model, devices, groups)
    assert all(connected(model, group) for group in groups)
    assert partition(model, devices) == groups


@given(graphs())
def test_no_two_groups_could_be_one(case: tuple[XModel, dict[str, str]]) -> None:
    model, devices = case
    groups = partition(model, devices)
    constants = constant_ops(model)
    place = {name: i for i, group in enumerate(groups) for name in group.ops if name not in constants}
    edges = {(place[p], place[n]) for n in place for p in model.ops[n].producers if p in place}
    for upper, lower in {(u, v) for u, v in edges if u != v and groups[u].device == groups[v].device}:
        between, pending = set[int](), [v for u, v in edges if u == upper and v not in (upper, lower)]
        while pending:
            group = pending.pop()
            if group not in between:
                between.add(group)
                pending += [v for u, v in edges if u == group]
        assert lower in between


def test_a_skip_over_the_cpu_keeps_two_groups() -> None:
    model = model_of({"x": (), "a": ("x",), "b": ("a",), "c": ("a", "b")})
    devices = {"x": "USER", "a": "DPU", "b": "CPU", "c": "DPU"}
    assert letters(partition(model, devices)) == ["USER:x", "DPU:a", "CPU:b", "DPU:c"]


def test_what_waits_anyway_joins_what_comes_later() -> None:
    # "y" could run at once, but then it would be a subgraph of its own
    model = model_of({"x": (), "y": ("x",), "b": ("x",), "c": ("y", "b")})
    devices = {"x": "USER", "y": "DPU", "b": "CPU", "c": "DPU"}
    assert letters(partition(model, devices)) == ["USER:x", "CPU:b", "DPU:yc"]


def test_independent_branches_are_subgraphs_of_their_own_and_inputs_come_first() -> None:
    model = model_of({"x": (), "a": ("x",), "y": (), "b": ("y",)})
    devices = {"x": "USER", "y": "USER", "a": "CPU", "b": "CPU"}
    assert letters(partition(model, devices)) == ["USER:x", "USER:y", "CPU:a", "CPU:b"]


def test_a_constant_goes_to_its_first_reader_and_makes_no_dependency() -> None:
    kinds = {"w": "const", "f": "fix", "u": "const"}
    model = model_of({"w": (), "f": ("w",), "u": (), "x": (), "a": ("x", "f"), "b": ("a", "f")}, kinds)
    devices = {"w": "DPU", "f": "DPU", "u": "CPU", "x": "USER", "a": "CPU", "b": "DPU"}
    assert letters(partition(model, devices)) == ["CPU:u", "USER:x", "CPU:wfa", "DPU:b"]


def test_an_operator_without_a_device_is_refused() -> None:
    with pytest.raises(InternalError, match="Q1090 b: found no device"):
        partition(model_of({"x": (), "b": ("x",)}), {"x": "USER"})


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"no published models in {PUBLISHED}")
@pytest.mark.parametrize(
    "name",
    [
        "mnist_DPUCAHX8H_ISA2_DWC",
        "mnist_DPUCV2DX8G_ISA1_C20B14",
        "mnist_DPUCVDX8H_ISA1_F2W4_6PE_aieDWC",
        "pointpillars_DPUCVDX8G_ISA3_C32B6",
        "pointpillars_DPUCZDX8G_ISA1_B4096",
    ],
)
def test_the_subgraphs_of_published_models(name: str) -> None:
    model = read_xmodel(PUBLISHED / f"{name}.xmodel")
    devices = {op: child.get("device") for child in model.root.children for op in child.all_ops()}
    constants = constant_ops(model)
    found = {frozenset(group.ops) - constants for group in partition(model, devices)}
    assert found == {frozenset(child.all_ops()) - constants for child in model.root.children}
