from __future__ import annotations

from quantforge.compiler.tree import devices_of
from quantforge.xmodel.model import XModel
from tests.flat_xmodels import Net, check_same, compiled, text, window


def two_parts() -> XModel:
    """DPU, CPU, DPU, with a result that skips the CPU."""
    net = Net()
    x = net.fix(net.conv("a", net.data("x", (1, 6, 6, 3), 4), 3), 3)
    s = net.fix(net.op("s", "sigmoid", [x], (1, 6, 6, 3)), 7)
    net.fix(net.op("sum", "add", [s, x], (1, 6, 6, 3)), 3)
    return net.done()


def test_children_devices_and_borders() -> None:
    model, _ = check_same(two_parts())
    children = [(child.name, child.get("device")) for child in model.root.children]
    assert children == [
        ("subgraph_x", "USER"), ("subgraph_a", "DPU"), ("subgraph_a_fix_s", "CPU"), ("subgraph_sum", "DPU"),
        ("subgraph_sum_fix_", "CPU"),
    ]  # fmt: skip
    second = model.root.children[3]
    assert [leaf.ops for leaf in second.children] == [
        ["s_fix_upload_0"], ["a_download_0_upload_0"], ["sum"], ["sum_download_0"],
    ]  # fmt: skip
    assert model.ops["a_download_0"].tensor.name == "a_fix"
    assert model.ops["a"].tensor.name == "a_fix_download_0"
    assert devices_of(model)["x"] == "USER" and devices_of(model)["sum"] == "DPU"


def test_superlayers_hold_constants_and_a_pool() -> None:
    net = Net()
    x = net.fix(net.conv("conv", net.data("x", (1, 6, 6, 3), 4), 3), 3)
    attrs = window(2, 2, 0) | {"pad_mode": text("FLOOR")}
    net.fix(net.op("pool", "maxpool2d", [x], (1, 3, 3, 3), attrs), 3)
    model, _ = check_same(net.done())
    leaves = [leaf.ops for leaf in model.root.children[1].children]
    assert leaves == [["x_upload_0"], ["conv_w", "conv_b", "conv", "pool_fix"], ["pool_fix_download_0"]]
    assert model.root.children[1].children[0].get("skip_code_gen") is True
    assert model.ops["conv"].tensor.attrs["location"].value == 0


def test_a_pool_beside_other_readers_is_a_superlayer_of_its_own() -> None:
    net = Net()
    x = net.fix(net.conv("conv", net.data("x", (1, 6, 6, 3), 4), 3), 3)
    attrs = window(2, 2, 0) | {"pad_mode": text("FLOOR")}
    net.fix(net.op("pool", "maxpool2d", [x], (1, 3, 3, 3), attrs), 3)
    net.fix(net.conv("next", x, 3), 3)
    model, _ = check_same(net.done())
    assert ["pool_fix"] in [leaf.ops for leaf in model.root.children[1].children]


def test_shared_constants_are_kept_once() -> None:
    net = Net()
    x = net.data("x", (1, 6, 6, 3), 4)
    weights = net.random("w", (3, 1, 1, 3), 7)
    attrs = window(1, 1, 0) | {"pad_mode": text("FLOOR")}
    y = net.fix(net.op("a", "conv2d", [x], (1, 6, 6, 3), attrs, weights=weights), 4)
    s = net.fix(net.op("s", "sigmoid", [y], (1, 6, 6, 3)), 7)
    net.fix(net.op("b", "conv2d", [s], (1, 6, 6, 3), attrs, weights=weights), 4)
    model, _ = check_same(net.done())
    assert [name for name, op in model.ops.items() if op.kind == "const-fix"] == ["w"]
    assert sum("w" in list(child.all_ops()) for child in model.root.children) == 1


def test_a_model_for_the_cpu_alone() -> None:
    net = Net()
    net.fix(net.op("s", "sigmoid", [net.data("x", (1, 4), 4)], (1, 4)), 7)
    model, report = compiled(net.done("s_fix"))
    assert [child.get("device") for child in model.root.children] == ["USER", "CPU"]
    assert report.devices == {"USER": 1, "CPU": 1} and model.ops["s_fix"].kind == "fix"
