from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.compiler.schedule import CONST, INPUT, OUTPUT, WORKSPACE
from quantforge.compiler.tiling import Chip
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import Attr, Subgraph, XModel
from tests.flat_xmodels import B4096, Net, check_same, compiled

CHIP = Chip.of(load_dpu(B4096))


def random_net(sizes: list[int], skips: list[bool], joins: list[bool]) -> Net:
    """A row of convolutions, some with a sum over a skip or a concatenation behind."""
    net = Net()
    x = net.data("x", (1, 24, 24, 8), 4)
    for index, (channels, skip, join) in enumerate(zip(sizes, skips, joins, strict=True)):
        y = net.fix(net.conv(f"c{index}", x, channels), 4)
        if skip and net.shape(x) == net.shape(y):
            y = net.fix(net.op(f"s{index}", "add", [x, y], net.shape(y)), 4)
        if join:
            z = net.fix(net.conv(f"d{index}", x, 4, 1), 4)
            shape = (*net.shape(y)[:3], net.shape(y)[3] + 4)
            y = net.fix(net.op(f"j{index}", "concat", [y, z], shape, {"axis": Attr("int32", 3)}), 4)
        x = y
    return net


def spans(model: XModel, subgraph: Subgraph) -> dict[str, tuple[int, int]]:
    """Steps at which each tensor of a DPU subgraph is needed."""
    steps: dict[str, tuple[int, int]] = {}
    for step, leaf in enumerate(subgraph.children):
        for name in leaf.ops:
            for used in (name, *model.ops[name].producers):
                first, _ = steps.get(used, (step, step))
                steps[used] = (first, step)
    return steps


def occupied(model: XModel, name: str) -> set[tuple[int, int]]:
    """Bytes of memory that a tensor uses, as (space, offset)."""
    tensor = model.ops[name].tensor
    base, space = tensor.attrs["ddr_addr"].value, tensor.attrs["reg_id"].value
    strides = tensor.attrs["stride"].value
    offsets = {base}
    for size, stride in zip(tensor.shape, strides, strict=True):
        offsets = {at + stride * index for at in offsets for index in range(size)}
    return {(space, offset) for offset in offsets}


@settings(deadline=None, max_examples=10)
@given(data=st.data(), count=st.integers(1, 5))
def test_tensors_that_live_together_do_not_share_memory(data: st.DataObject, count: int) -> None:
    sizes = data.draw(st.lists(st.sampled_from([8, 12, 500]), min_size=count, max_size=count))
    skips = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    joins = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    model, report = compiled(random_net(sizes, skips, joins).done())
    subgraph = next(child for child in model.root.children if child.get("device") == "DPU")
    steps = spans(model, subgraph)
    placed = [
        name
        for name in subgraph.all_ops()
        if "location" in model.ops[name].tensor.attrs and model.ops[name].tensor.attrs["location"].value
        if model.ops[name].kind not in ("const-fix", "concat-fix")
    ]
    used = {name: occupied(model, name) for name in placed}
    for a, b in combinations(placed, 2):
        if steps[a][0] <= steps[b][1] and steps[b][0] <= steps[a][1]:
            assert used[a].isdisjoint(used[b]), (a, b)
    sizes_of = subgraph.get("reg_id_to_size")
    assert all(offset < sizes_of[f"REG_{space}"] for name in placed for space, offset in used[name])
    assert report.subgraphs[1].on_chip_bytes <= CHIP.image_bytes


@settings(deadline=None, max_examples=10)
@given(data=st.data(), count=st.integers(2, 6))
def test_what_stays_on_the_chip_does_not_overlap(data: st.DataObject, count: int) -> None:
    sizes = data.draw(st.lists(st.sampled_from([8, 100, 300]), min_size=count, max_size=count))
    model, _ = compiled(random_net(sizes, [True] * count, [False] * count).done())
    subgraph = next(child for child in model.root.children if child.get("device") == "DPU")
    steps = spans(model, subgraph)
    on_chip = [
        name
        for name in subgraph.all_ops()
        if model.ops[name].tensor.attrs.get("location") == Attr("int32", 0)
    ]
    for a, b in combinations(on_chip, 2):
        if steps[a][0] <= steps[b][1] and steps[b][0] <= steps[a][1]:
            low, high = sorted((a, b), key=lambda name: model.ops[name].tensor.attrs["ddr_addr"].value)
            end = model.ops[low].tensor.attrs["ddr_addr"].value + CHIP.bytes_of(model.ops[low].tensor)
            assert end <= model.ops[high].tensor.attrs["ddr_addr"].value


def test_spaces_follow_published_files() -> None:
    net = Net()
    x = net.data("x", (1, 200, 200, 16), 4)
    y = net.fix(net.conv("a", x, 16), 3)
    net.fix(net.conv("b", y, 16), 3)
    model, _ = check_same(net.done())
    space = {
        name: op.tensor.attrs["reg_id"].value for name, op in model.ops.items() if "reg_id" in op.tensor.attrs
    }
    assert space == {
        "x_upload_0": INPUT, "a_w": CONST, "a_b": CONST, "a": WORKSPACE, "b_w": CONST, "b_b": CONST, "b": OUTPUT,
    }  # fmt: skip
    assert model.ops["a_b"].tensor.attrs["ddr_addr"].value == 0  # the bias before the weights
    assert model.ops["a_w"].tensor.attrs["ddr_addr"].value == 4096
    subgraph = model.root.children[1]
    assert subgraph.get("reg_id_to_size") == {
        "REG_0": 4 * 4096, "REG_1": 640000, "REG_2": 640000, "REG_3": 640000,
    }  # fmt: skip


def test_a_small_network_stays_on_the_chip() -> None:
    net = random_net([8, 8, 8], [True, True, True], [False, False, False])
    model, report = check_same(net.done())
    subgraph = model.root.children[1]
    assert "REG_1" not in subgraph.get("reg_id_to_size")
    assert report.subgraphs[1].workspace_bytes == 0 < report.subgraphs[1].on_chip_bytes


def test_concatenation_without_instructions() -> None:
    model, _ = check_same(random_net([12], [False], [True]).done())
    subgraph = model.root.children[1]
    leaf = next(leaf for leaf in subgraph.children if leaf.ops == ["j0"])
    assert leaf.get("skip_code_gen") is True
    assert (
        model.ops["d0"].tensor.attrs["ddr_addr"].value == model.ops["j0"].tensor.attrs["ddr_addr"].value + 12
    )
    assert model.ops["d0"].tensor.attrs["stride"] == model.ops["j0"].tensor.attrs["stride"]
