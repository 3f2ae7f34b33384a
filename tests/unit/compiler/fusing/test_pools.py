from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.numerics.law import average_pool_factor
from quantforge.xmodel.model import Attr
from tests.flat_xmodels import Net, check_same, compiled, ints, kinds, text, window


def pooled(kind: str, kernel: int, stride: int, pad: int, out: int, **attrs: Attr) -> Net:
    net = Net()
    x = net.data("x", (1, 7, 6, 5), 4)
    sizes = [(size + 2 * pad - kernel) // stride + 1 for size in (7, 6)]
    given = window(kernel, stride, pad) | {"pad_mode": text("FLOOR")} | attrs
    net.fix(net.op("pool", kind, [x], (1, *sizes, 5), given), out)
    return net


@settings(deadline=None, max_examples=20)
@given(kernel=st.integers(1, 4), stride=st.integers(1, 3), pad=st.integers(0, 1), out=st.integers(1, 6))
def test_max_pooling(kernel: int, stride: int, pad: int, out: int) -> None:
    model, _ = check_same(pooled("maxpool2d", kernel, stride, min(pad, kernel - 1), out).done())
    assert kinds(model) == ["data-fix", "upload", "pool-fix", "download", "fix2float"]
    assert model.ops["pool_fix"].get("type") == "MAX"  # pools are called after their fix


@settings(deadline=None, max_examples=20)
@given(kernel=st.integers(1, 4), stride=st.integers(1, 3), pad=st.integers(0, 1), include=st.booleans())
def test_exact_averages(kernel: int, stride: int, pad: int, include: bool) -> None:
    attrs = {"avg_exact": Attr("bool", True), "count_include_pad": Attr("bool", include)}
    net = pooled("avgpool2d", kernel, stride, min(pad, kernel - 1), 4, **attrs)
    model, _ = check_same(net.done())
    assert model.ops["pool_fix"].get("type") == "AVG"


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_averages_with_the_factor_of_a_dpu(kernel: int) -> None:
    factor = average_pool_factor((kernel, kernel))
    model, _ = check_same(pooled("avgpool2d", kernel, 1, 1, 4, dpu_factor=ints(*factor)).done())
    assert model.ops["pool_fix"].get("avg_exact") is None


def test_another_factor_is_refused() -> None:
    _, report = compiled(pooled("avgpool2d", 3, 1, 1, 4, dpu_factor=ints(1, 3)).done())
    assert "1/2**3" in report.reasons["pool"]


@pytest.mark.parametrize("fixed", [True, False])
def test_an_average_times_a_constant_is_the_one_of_a_dpu(fixed: bool) -> None:
    """The PyTorch exporter writes avgpool2d and mul by 9 * 7 / 64."""
    net = Net()
    x = net.data("x", (1, 5, 5, 4), 4)
    attrs = window(3, 1, 0) | {"pad_mode": text("FLOOR")}
    net.op("pool", "avgpool2d", [x], (1, 3, 3, 4), attrs)
    factor = net.const("factor", np.asarray([9 * 7 / 64]), 6 if fixed else None)
    net.fix(net.op("mul", "mul", ["pool", factor], (1, 3, 3, 4)), 4)
    model, _ = compiled(net.done())
    assert kinds(model) == ["data-fix", "upload", "pool-fix", "download", "fix2float"]
    assert model.ops["mul_fix"].get("avg_exact") is None


def test_an_average_times_something_else_stays_on_the_cpu() -> None:
    net = Net()
    x = net.data("x", (1, 5, 5, 4), 4)
    net.op("pool", "avgpool2d", [x], (1, 3, 3, 4), window(3, 1, 0) | {"pad_mode": text("FLOOR")})
    net.fix(net.op("mul", "mul", ["pool", net.const("factor", np.asarray([0.25]))], (1, 3, 3, 4)), 4)
    assert "multiplied by 0.25" in compiled(net.done())[1].reasons["pool"]


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("exact", [True, False])
def test_means_over_an_image(keep: bool, exact: bool) -> None:
    net = Net()
    x = net.data("x", (1, 7, 7, 4), 4)
    attrs = {"axis": ints(1, 2), "keep_dims": Attr("bool", keep)}
    attrs["avg_exact"] = Attr("bool", True)
    if not exact:
        del attrs["avg_exact"]
        attrs["dpu_factor"] = ints(*average_pool_factor((7, 7)))
    net.fix(net.op("mean", "reduction_mean", [x], (1, 1, 1, 4) if keep else (1, 4), attrs), 5)
    model, _ = check_same(net.done())
    assert ("reshape-fix" in kinds(model)) == (not keep)
    pool = next(op for op in model.ops.values() if op.kind == "pool-fix")
    assert pool.get("kernel") == (7, 7) and bool(pool.get("avg_exact")) == exact


def test_means_over_channels_stay_on_the_cpu() -> None:
    net = Net()
    x = net.data("x", (1, 4, 4, 4), 4)
    attrs = {"axis": ints(3), "keep_dims": Attr("bool", True)}
    net.fix(net.op("mean", "reduction_mean", [x], (1, 4, 4, 1), attrs), 5)
    assert "averages over axes [3]" in compiled(net.done())[1].reasons["mean"]


@pytest.mark.parametrize(("axes", "shape"), [((2,), (1, 4, 1, 6)), ((1, 2), (1, 1, 1, 6))])
def test_maxima_over_an_image_are_pools(axes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    net = Net()
    x = net.data("x", (1, 4, 5, 6), 4)
    attrs = {"axis": ints(*axes), "keep_dims": Attr("bool", True)}
    net.fix(net.op("max", "reduction_max", [x], shape, attrs), 4)
    model, _ = check_same(net.done())
    assert model.ops["max_fix"].kind == "pool-fix"


def test_maxima_over_channels() -> None:
    net = Net()
    x = net.data("x", (1, 4, 5, 6), 4)
    attrs = {"axis": ints(3), "keep_dims": Attr("bool", True)}
    net.fix(net.op("max", "reduction_max", [x], (1, 4, 5, 1), attrs), 4)
    model, _ = check_same(net.done())
    assert model.ops["max_fix"].kind == "reduction_max-fix"


def test_ceil_that_counts_what_is_not_there_is_refused() -> None:
    net = Net()
    x = net.data("x", (1, 6, 6, 4), 4)
    attrs = window(3, 2, 0) | {
        "pad_mode": text("CEIL"),
        "count_include_pad": Attr("bool", True),
        "count_include_invalid": Attr("bool", False),
    }
    net.fix(net.op("pool", "avgpool2d", [x], (1, 3, 3, 4), attrs), 4)
    assert "leave the image" in compiled(net.done())[1].reasons["pool"]


def test_tensors_that_are_no_images_are_refused() -> None:
    net = Net()
    x = net.data("x", (1, 6), 4)
    net.fix(
        net.op("max", "reduction_max", [x], (1, 1), {"axis": ints(1), "keep_dims": Attr("bool", True)}), 4
    )
    assert "2 axes" in compiled(net.done())[1].reasons["max"]
