from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.compiler.tiling import Chip, Tiling, tiling
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import XModel
from tests.flat_xmodels import B4096, Net, compiled


def conv(height: int, width: int, channels: int, out: int, kernel: int = 3, stride: int = 1) -> XModel:
    net = Net()
    net.conv("conv", net.data("x", (1, height, width, channels), 4), out, kernel, stride=stride)
    return net.model


def cut(model: XModel, chip: Chip, free: int | None = None) -> Tiling:
    return tiling(model, ["x_fix"], [model.ops["conv"]], chip, chip.image_bytes if free is None else free)


def test_the_banks_of_a_target() -> None:
    chip = Chip.of(load_dpu(B4096))
    assert (chip.image_bytes, chip.param_bytes, chip.lanes) == (2 * 8 * 16 * 2048, 16 * 16 * 2048, 16)
    assert Chip.of(replace(load_dpu(B4096), banks=())) == Chip(0, 0, 16)
    model = conv(4, 5, 17, 3)
    assert chip.bytes_of(model.ops["x"].tensor) == 4 * 5 * 32


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(3, 40), width=st.integers(3, 30), channels=st.integers(1, 40), out=st.integers(1, 40),
    stride=st.integers(1, 2), free=st.integers(64, 40_000),
)  # fmt: skip
def test_pieces_fit(height: int, width: int, channels: int, out: int, stride: int, free: int) -> None:
    model, chip = conv(height, width, channels, out, stride=stride), Chip(free, 1 << 20, 16)
    found = cut(model, chip)
    shape = model.ops["conv"].tensor.shape
    assert 1 <= found.rows <= shape[1] and 1 <= found.columns <= shape[2]
    if found.columns > 1 or found.channels > 1:
        assert found.rows == shape[1]
        return
    rows = -(-shape[1] // found.rows)
    inputs = min((rows - 1) * stride + 3, height) * width * chip.pixel(model.ops["x"].tensor)
    assert inputs + rows * shape[2] * chip.pixel(model.ops["conv"].tensor) <= free


def test_by_rows_columns_and_channels() -> None:
    model = conv(8, 8, 16, 16)
    assert cut(model, Chip(1 << 20, 1 << 20, 16)) == Tiling()
    assert cut(model, Chip(1600, 1 << 20, 16)).rows > 1
    assert cut(model, Chip(300, 1 << 20, 16)).columns > 1
    assert cut(model, Chip(16, 1 << 20, 16)).channels > 1
    assert cut(model, Chip(1 << 20, 1000, 16)) == Tiling(channels=3)  # 2304 bytes of weights
    assert cut(model, Chip(0, 0, 16)) == Tiling()


def test_the_pieces_are_in_the_report_and_the_file() -> None:
    net = Net()
    net.fix(net.conv("conv", net.data("x", (1, 200, 200, 16), 4), 16), 3)
    model, report = compiled(net.done())
    leaf = next(leaf for leaf in model.root.children[1].children if "conv" in leaf.ops)
    rows = leaf.get("tiling")["rows"]
    assert rows == 3 and report.subgraphs[1].tiled == (("subgraph_conv", rows, 1, 1),)
    assert "in 3 pieces" in report.text()
