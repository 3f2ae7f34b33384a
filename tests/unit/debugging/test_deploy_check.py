from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.compiler.lower import lower
from quantforge.debugging.deploy_check import (
    file_stem,
    is_deploy_check,
    stored_integers,
    write_deploy_check,
)
from quantforge.debugging.sources import compare_sources
from quantforge.graph import Graph, Op, QuantSpec, Value
from quantforge.numerics.formats import IntFormat
from quantforge.xmodel.write import write_xmodel


@given(st.sampled_from([3, 8, 12, 16]), st.integers(-3, 9), st.data())
def test_integers_are_those_of_the_grid(bits: int, position: int, data: st.DataObject) -> None:
    spec = QuantSpec.power_of_two(IntFormat(bits), position)
    numbers = data.draw(
        st.lists(st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1), min_size=1, max_size=9)
    )
    real = np.array([float(Fraction(number) / Fraction(2) ** position) for number in numbers], np.float32)
    found = stored_integers(real, spec)
    assert found is not None and found.tolist() == numbers
    assert found.dtype == (np.int8 if bits <= 8 else np.int16)


def test_what_has_no_integers() -> None:
    assert stored_integers(np.zeros(2), QuantSpec(IntFormat(8), (0.3,), (0,))) is None


def net(bits: int) -> Graph:
    """A convolution from 2 to 4 channels, all on grids of `bits`."""
    spec = QuantSpec.power_of_two(IntFormat(bits), 1)
    weights = np.arange(8, dtype=np.float32).reshape(4, 2, 1, 1) % 3
    values = [
        Value("x", (1, 2, 3, 3), quant=spec),
        Value("conv.weight", weights.shape, const=weights, quant=spec),
        Value("conv/y", (1, 4, 3, 3), quant=spec),
    ]
    attrs = {"kernel": (1, 1), "stride": (1, 1), "layout": "NCHW", "weight_layout": "OIHW"}
    return Graph(
        "Net", values, [Op("conv2d", "conv", ("x", "conv.weight"), ("conv/y",), attrs)], ("x",), ("conv/y",)
    )


def tensors(graph: Graph) -> dict[str, np.ndarray]:
    x = (np.arange(18, dtype=np.float32).reshape(1, 2, 3, 3) % 5 - 2) / 2
    weights = np.asarray(graph.value("conv.weight").const)[:, :, 0, 0]
    spec = graph.value("x").quant
    assert spec is not None and isinstance(spec.format, IntFormat)
    low, high = (limit / 2 for limit in (spec.format.qmin, spec.format.qmax))
    return {"x": x, "conv/y": np.einsum("oi,nihw->nohw", weights, x).clip(low, high)}


@pytest.mark.parametrize(("bits", "size"), [(4, 18), (8, 36), (16, 72)])
def test_the_folder_is_a_stage(bits: int, size: int, tmp_path: Path) -> None:
    graph = net(bits)
    model = lower(graph)
    folder = tmp_path / "Net"
    written = write_deploy_check(folder, graph, model, tensors(graph))
    names = {path.name for path in written}
    assert {
        "x.bin",
        "x_fix.bin",
        "conv_y_fix.bin",
        "Net__conv_weight.bin",
        "shape.txt",
        "index.json",
    } <= names
    assert (folder / "conv_y_fix.bin").stat().st_size == size
    assert "[1, 3, 3, 4]: conv/y" in (folder / "shape.txt").read_text("utf-8")
    weights = np.fromfile(folder / "Net__conv_weight.bin", np.float32).reshape(4, 1, 1, 2)
    np.testing.assert_array_equal(weights[:, 0, 0], np.asarray(graph.value("conv.weight").const)[:, :, 0, 0])
    assert json.loads((folder / "index.json").read_text("utf-8"))["conv/y"]["position"] == 1
    assert is_deploy_check(folder) and not is_deploy_check(tmp_path)
    write_xmodel(model, tmp_path / "net.xmodel")
    for engine in ("run", "ref"):
        found = compare_sources(f"{tmp_path / 'net.xmodel'}@{engine}", str(folder))
        assert found.equal and all(tensor.integers for tensor in found.tensors)
        assert {tensor.name for tensor in found.tensors} == {"x", "conv/y"}


def test_file_names() -> None:
    assert file_stem("Net::layer1.0.conv/y:0") == "Net__layer1_0_conv_y_0"
