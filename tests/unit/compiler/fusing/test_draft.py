from __future__ import annotations

import numpy as np
import pytest

from quantforge.compiler.fusing.draft import Cluster, Draft, NotOnDpuError, Scene, const_data
from quantforge.compiler.grid import Grid
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import Attr, DataType
from tests.flat_xmodels import B4096, Net, all_dpu

TARGET = load_dpu(B4096)


def scene(*returned: str) -> Scene:
    net = Net()
    x = net.data("x", (1, 5, 5, 3), 4)
    net.fix(net.relu(net.conv("conv", x, 4)), 3)
    net.fix(x, 3, "wide", bits=16)
    model = net.done()
    return Scene(model, all_dpu(model), TARGET, returned)


def test_a_tail_ends_at_the_fix() -> None:
    tail = scene().tail("conv", {"relu": "RELU"})
    assert tail.members == ("conv", "conv_relu", "conv_relu_fix")
    assert (tail.nonlinear, tail.grid) == ("RELU", Grid(3))


def test_a_tail_does_not_swallow_what_the_caller_gets() -> None:
    with pytest.raises(NotOnDpuError, match="not quantized"):
        scene("conv").tail("conv", {"relu": "RELU"})
    with pytest.raises(NotOnDpuError, match="not quantized"):
        scene("conv_relu").tail("conv", {"relu": "RELU"})


def test_arguments_are_fixes_of_signed_bytes() -> None:
    found = scene()
    assert found.fixed("x_fix") == Grid(4)
    for name, why in (("x", "not quantized"), ("wide", "16 bits")):
        with pytest.raises(NotOnDpuError, match=why):
            found.fixed(name)


def test_constants() -> None:
    found = scene()
    assert found.constant("x_fix") is None
    integers, grid = found.constant("conv_b_fix") or (np.zeros(0), Grid(0))
    assert np.array_equal(
        np.ldexp(integers.astype(float), -6), const_data(found.op("conv_b"))
    ) and grid == Grid(6)
    odd = found.op("conv_b")
    odd.tensor.dtype, odd.attrs["data"] = DataType("BFLOAT", 16), Attr("bytes", b"")
    with pytest.raises(NotOnDpuError, match="BFLOAT16"):
        const_data(odd)


def test_a_cluster_reads_what_is_not_its_own() -> None:
    drafts = (
        Draft("a", "k", (1,), Grid(0), {"input": ("x",)}),
        Draft("b", "k", (1,), Grid(0), {"input": ("a", "y")}),
    )
    assert Cluster(("m",), "r", drafts).reads == ("x", "y")
