from __future__ import annotations

from itertools import product
from math import ceil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantforge.compiler.cost_work import (
    FusedPool,
    Kind,
    LayerWork,
    macs,
    operations,
    up,
    uses_augmentation,
    workload,
    workload_on_arch,
)
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import XModel, XOp
from quantforge.xmodel.read import read_xmodel

PUBLISHED = Path(__file__).parents[4] / "shared" / "data" / "xmodels"
B4096 = load_dpu("DPUCZDX8G_ISA1_B4096")
KINDS: dict[str, Kind] = {"conv2d-fix": "conv", "transposed-conv2d-fix": "transposed", "pool-fix": "pool"}


@st.composite
def layers(draw: st.DrawFn) -> LayerWork:
    def size() -> int:
        return draw(st.integers(1, 40))

    kind = draw(st.sampled_from(["conv", "depthwise", "pool"]))
    kernel = (draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    channels = size()
    return LayerWork(
        kind, size(), size(), channels, size(), size(), size() if kind == "conv" else channels, kernel,
        bias=draw(st.booleans()),
    )  # fmt: skip


@given(layers())
def test_every_operation_is_counted_once(layer: LayerWork) -> None:
    outputs = len(list(product(range(layer.out_h), range(layer.out_w)))) * layer.out_c
    taps = len(list(product(*map(range, layer.kernel))))
    channels = layer.in_c if layer.kind == "conv" else 1
    wanted = taps if layer.kind == "pool" else 2 * taps * channels + layer.bias
    assert workload(layer) == outputs * wanted
    assert macs(layer) == (0 if layer.kind == "pool" else outputs * taps * channels)


@given(layers(), st.sampled_from(["DPUCZDX8G_ISA1_B512", "VCK190", "U50LV", "VCK5000", "V70", "U50"]))
def test_rounding_up_never_makes_less_and_full_engines_waste_nothing(layer: LayerWork, board: str) -> None:
    target = load_dpu(board)
    if not uses_augmentation(layer, target):
        assert workload_on_arch(layer, target) >= workload(layer)
    full = LayerWork("conv", 32, 5, 512, 32, 5, 512, (3, 3), bias=True)
    assert workload_on_arch(full, target) == workload(full)


@given(st.integers(1, 10**6), st.integers(1, 1000))
def test_up_is_the_next_multiple(value: int, step: int) -> None:
    assert up(value, step) == ceil(value / step) * step


def test_what_is_fused_counts_too() -> None:
    plain = LayerWork("conv", 56, 56, 256, 56, 56, 64, bias=True)
    joined = LayerWork("conv", 56, 56, 256, 56, 56, 64, bias=True, fused_eltwise=1)
    pooled = LayerWork("conv", 56, 56, 256, 56, 56, 64, bias=True, fused_pool=FusedPool(28, 28, (3, 3)))
    assert workload(joined) - workload(plain) == 56 * 56 * 256
    assert workload(pooled) - workload(plain) == 28 * 28 * 256 * 9
    assert operations(joined, B4096).eltwise == 56 * 56 * 256
    assert operations(pooled, B4096).pool == 28 * 28 * 256 * 9


def test_an_element_wise_layer_counts_its_additions_and_its_activation() -> None:
    layer = LayerWork("eltwise", 8, 8, 16, 8, 8, 16, inputs=3, relu=True)
    assert workload(layer) == 8 * 8 * 16 * 3
    assert workload(LayerWork("copy", 8, 8, 16, 4, 4, 16)) == 0


def test_a_transposed_layer_counts_one_phase_of_its_kernel() -> None:
    layer = LayerWork("transposed", 248, 216, 64, 62, 54, 64, (4, 4), (4, 4), bias=True)
    assert workload(layer) == 442257408 and workload_on_arch(layer, B4096) == 456523776


def test_kernel_rows_fill_the_lanes_of_a_first_layer() -> None:
    first = LayerWork("conv", 22, 22, 32, 28, 28, 1, (7, 7), bias=True)
    assert uses_augmentation(first, load_dpu("VEK280")) and not uses_augmentation(first, load_dpu("U50LV"))
    assert not uses_augmentation(LayerWork("conv", 9, 9, 64, 9, 9, 4), B4096)
    assert not uses_augmentation(LayerWork("conv", 9, 9, 64, 9, 9, 64, (3, 3)), B4096)


@pytest.mark.parametrize(
    "change", [{"kind": "dense"}, {"out_h": 0}, {"kernel": (0, 1)}, {"inputs": 0}, {"fused_eltwise": -1}]
)
def test_what_is_no_layer_is_refused(change: dict[str, object]) -> None:
    sizes = {"kind": "conv", "out_h": 1, "out_w": 1, "out_c": 1, "in_h": 1, "in_w": 1, "in_c": 1}
    with pytest.raises(InputError, match="Q1021"):
        LayerWork(**{**sizes, **change})  # type: ignore[arg-type]


def layer_of(model: XModel, op: XOp) -> LayerWork:
    source = model.ops[op.args["input"][0]].tensor.shape
    return LayerWork(
        KINDS[op.kind], *op.tensor.shape[1:], *source[1:], tuple(op.get("kernel")), tuple(op.get("stride")),
        bias="bias" in op.args,
    )  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize("name", sorted(path.name for path in PUBLISHED.glob("*_DPU*.xmodel")) or [None])
def test_counts_are_those_of_published_models(name: str | None) -> None:
    if name is None:
        pytest.skip(f"no published models in {PUBLISHED}")
    model, target = read_xmodel(PUBLISHED / name), load_dpu(name.split("_", 1)[1].removesuffix(".xmodel"))
    ops = [op for op in model.ops.values() if op.kind in KINDS and op.get("workload") is not None]
    assert len(ops) >= 5
    for op in ops:
        layer = layer_of(model, op)
        found = (workload(layer), workload_on_arch(layer, target), uses_augmentation(layer, target))
        wanted = (op.get("workload"), op.get("workload_on_arch"), bool(op.get("channel_augmentation")))
        assert found == wanted, op.name
