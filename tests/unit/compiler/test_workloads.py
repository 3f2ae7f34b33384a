from __future__ import annotations

from tests.flat_xmodels import B4096, Net, compiled, text, window


def test_operations_are_counted_and_summed() -> None:
    net = Net()
    x = net.fix(net.conv("conv", net.data("x", (1, 6, 6, 3), 4), 4), 3)
    attrs = window(2, 2, 0) | {"pad_mode": text("FLOOR")}
    y = net.fix(net.op("pool", "maxpool2d", [x], (1, 3, 3, 4), attrs), 3)
    z = net.fix(net.relu(net.op("sum", "add", [y, y], (1, 3, 3, 4))), 3)
    net.op("s", "sigmoid", [z], (1, 3, 3, 4))
    model, report = compiled(net.done(), B4096)
    conv, pool, total = 6 * 6 * 4 * (2 * 9 * 3 + 1), 3 * 3 * 4 * 4, 3 * 3 * 4 * 2
    assert [model.ops[name].get("workload") for name in ("conv", "pool_fix", "sum", "s", "x_upload_0")] == [
        conv, pool, total, None, None,
    ]  # fmt: skip
    assert model.ops["conv"].get("workload_on_arch") == 8 * 6 * 16 * (2 * 3 * 16 + 1)  # channel augmentation
    assert model.ops["conv"].get("channel_augmentation") == 1
    subgraph = model.root.children[1]
    leaves = {leaf.name: leaf.get("workload") for leaf in subgraph.children}
    assert leaves["subgraph_conv"] == conv + pool and leaves["subgraph_x_upload_0"] == 0
    assert subgraph.get("workload") == model.root.get("workload") == report.workload == conv + pool + total
    assert [child.get("workload") for child in model.root.children if child.get("device") != "DPU"] == [0, 0]


def test_batches_count_every_image() -> None:
    works = []
    for batch in (1, 3):
        net = Net()
        net.fix(net.conv("conv", net.data("x", (batch, 6, 6, 3), 4), 4), 3)
        works.append(compiled(net.done())[0].ops["conv"].get("workload"))
    assert works[1] == 3 * works[0]
