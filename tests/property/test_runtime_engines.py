"""The fast engine equals the reference engine bit for bit: operators, shapes, windows, fix points, roundings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from quantforge.numerics.law import average_pool_factor
from quantforge.runtime.engine import FastEngine
from quantforge.runtime.program import program_of
from quantforge.runtime.reference import ReferenceEngine
from quantforge.xmodel.model import XModel
from tests.compiled_xmodels import dpu_part, single

ROUND_MODES = st.sampled_from(["DPU_ROUND", "PY3_ROUND", "STD_ROUND"])
NONLINEAR = st.sampled_from(["NONE", "RELU", "RELU6", "LEAKYRELU", "HSIGMOID", "HSWISH"])
SEEDS = st.integers(0, 2**32 - 1)
THOROUGH = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def equal(model: XModel, feeds: dict[str, np.ndarray[Any, Any]]) -> None:
    program = program_of(model, dpu_part(model))
    expected = ReferenceEngine(program).run_all(feeds)
    found = FastEngine(program, threads=1, observe=True).run_all(feeds)
    assert expected.keys() == found.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def integers(rng: np.random.Generator, shape: tuple[int, ...], extreme: bool = False) -> np.ndarray[Any, Any]:
    """Random bytes; `extreme` ones are mostly the limits, where accumulators are largest."""
    if extreme:
        return rng.choice(np.array([-128, 127, -127, 0], np.int8), shape)
    return rng.integers(-128, 128, shape).astype(np.int8)


@st.composite
def activation(draw: Any) -> dict[str, Any]:
    name = draw(NONLINEAR)
    if name not in ("HSIGMOID", "HSWISH"):
        return {"nonlinear": name}
    return {"nonlinear": name, "hsigmoid_in": draw(st.integers(0, 8))}


@st.composite
def convolution(draw: Any) -> tuple[XModel, dict[str, np.ndarray[Any, Any]]]:
    rng = np.random.default_rng(draw(SEEDS))
    rank = draw(st.sampled_from([2, 2, 2, 1, 3]))
    prefix = draw(st.sampled_from(["", "depthwise-", "transposed-", "transposed-depthwise-"]))
    sizes = st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
    kernel, stride, dilation = draw(sizes), draw(sizes), draw(sizes)
    space = draw(st.lists(st.integers(1, 7), min_size=rank, max_size=rank))
    pads = draw(st.lists(st.integers(0, 3), min_size=2 * rank, max_size=2 * rank))
    group, per_group, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 20)), draw(st.integers(1, 6))
    depthwise, transposed = "depthwise" in prefix, "transposed" in prefix
    if depthwise:
        channels, weights_shape = per_group, (draw(st.integers(1, 2)), *swapped(kernel), per_group)
        out_channels = weights_shape[0] * channels
    else:
        channels, weights_shape = group * per_group, (group * outputs, *swapped(kernel), per_group)
        out_channels = group * outputs
    out = []
    for axis, size in enumerate(swapped(space)):
        k, s, d = (swapped(v)[axis] for v in (kernel, stride, dilation))
        p = sum(swapped([pads[2 * i] + pads[2 * i + 1] for i in range(rank)])[axis : axis + 1])
        out.append(
            (size - 1) * s + d * (k - 1) + 1 - p if transposed else (size + p - d * (k - 1) - 1) // s + 1
        )
        assume(out[-1] >= 1 and (transposed or size + p >= d * (k - 1) + 1))
    extreme = draw(st.booleans())
    fi, fw = draw(st.integers(-2, 12)), draw(st.integers(-2, 12))
    cut, shift_bias = draw(st.integers(-3, 17)), draw(st.integers(-8, 12))
    constants = {"weights": (integers(rng, weights_shape, extreme), fw)}
    if draw(st.booleans()):
        constants["bias"] = (integers(rng, (out_channels,), extreme), fi + fw - shift_bias)
    attrs: dict[str, Any] = {"kernel": kernel, "stride": stride, "dilation": dilation, "pad": pads}
    if not depthwise:
        attrs["group"] = group
    x = integers(rng, (draw(st.integers(1, 3)), *swapped(space), channels), extreme)
    model = single(
        f"{prefix}conv{rank}d-fix", [x[:1]], [fi], (1, *out, out_channels), fi + fw - cut,
        constants=constants, round_mode=draw(ROUND_MODES), **attrs, **draw(activation()),
    )  # fmt: skip
    return model, {"data0": x}


def swapped(items: Any) -> tuple[int, ...]:
    """(w, h[, d]) as (h, w[, d])."""
    return (items[1], items[0], *items[2:]) if len(items) > 1 else tuple(items)


@settings(THOROUGH, max_examples=250)
@given(convolution())
def test_convolutions(case: tuple[XModel, dict[str, np.ndarray[Any, Any]]]) -> None:
    equal(*case)


@THOROUGH
@given(st.data())
def test_convolutions_on_every_tie(data: st.DataObject) -> None:
    """One input value per accumulator: all sums around every tie of the rounding."""
    cut, mode = data.draw(st.integers(0, 16)), data.draw(ROUND_MODES)
    name = data.draw(st.sampled_from(["NONE", "RELU", "LEAKYRELU"]))
    half = 1 << max(cut - 1, 0)
    bias = data.draw(st.integers(-128, 127).map(lambda n: n * half))
    near = np.clip(np.arange(-128, 128), -128, 127).astype(np.int8).reshape(1, 16, 16, 1)
    x = np.concatenate([near, np.full_like(near, data.draw(st.integers(-128, 127)))], axis=-1)
    weight = data.draw(st.sampled_from([1, 2, -1, 64, 127]))
    weights = np.array([[[[1, weight]]], [[[-1, weight]]]], np.int8)
    constants = {"weights": (weights, 8), "bias": (np.array([bias, -bias], np.int32), 16)}
    model = single(
        "conv2d-fix", [x], [8], (1, 16, 16, 2), 16 - cut, constants=constants, round_mode=mode,
        kernel=(1, 1), stride=(1, 1), pad=(0, 0, 0, 0), nonlinear=name,
    )  # fmt: skip
    equal(model, {"data0": x})


@pytest.mark.parametrize("mode", ["DPU_ROUND", "PY3_ROUND", "STD_ROUND"])
@pytest.mark.parametrize("nonlinear", ["NONE", "LEAKYRELU"])
@pytest.mark.parametrize("cut", range(18))
def test_all_accumulators_next_to_a_tie(cut: int, nonlinear: str, mode: str) -> None:
    """The bias of each channel is one accumulator: every tie of the output, and its neighbours."""
    slope = 26 / 256 if nonlinear == "LEAKYRELU" else 1.0
    ties = [(n + 0.5) * 2.0**cut / (slope if n < 0 else 1.0) for n in range(-131, 131)]
    sums = np.array(sorted({int(np.floor(tie)) + d for tie in ties for d in (-1, 0, 1, 2)}), np.int64)
    constants = {
        "weights": (np.zeros((len(sums), 1, 1, 1), np.int8), 8),
        "bias": (sums.astype(np.int32), 16),
    }
    x = np.zeros((1, 1, 1, 1), np.int8)
    model = single(
        "conv2d-fix", [x], [8], (1, 1, 1, len(sums)), 16 - cut, constants=constants, round_mode=mode,
        kernel=(1, 1), stride=(1, 1), pad=(0, 0, 0, 0), nonlinear=nonlinear,
    )  # fmt: skip
    equal(model, {"data0": x})


@settings(THOROUGH, max_examples=200)
@given(st.data())
def test_pools(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(SEEDS))
    pair = st.lists(st.integers(1, 4), min_size=2, max_size=2)
    kernel, stride = data.draw(pair), data.draw(pair)
    pad = data.draw(st.lists(st.integers(0, 4), min_size=4, max_size=4))
    h, w = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    oh, ow = (
        (h + pad[2] + pad[3] - kernel[1]) // stride[1] + 1,
        (w + pad[0] + pad[1] - kernel[0]) // stride[0] + 1,
    )
    assume(oh >= 1 and ow >= 1 and h + pad[2] + pad[3] >= kernel[1] and w + pad[0] + pad[1] >= kernel[0])
    x = integers(rng, (data.draw(st.integers(1, 2)), h, w, data.draw(st.integers(1, 20))))
    position, other = data.draw(st.integers(-2, 8)), data.draw(st.integers(-2, 10))
    attrs = {
        "kernel": kernel,
        "stride": stride,
        "pad": pad,
        "type": data.draw(st.sampled_from(["MAX", "AVG"])),
    }
    if data.draw(st.booleans()):
        attrs |= {"avg_exact": True, "count_include_pad": data.draw(st.booleans())}
    model = single(
        "pool-fix",
        [x[:1]],
        [position],
        (1, oh, ow, x.shape[-1]),
        other,
        round_mode=data.draw(ROUND_MODES),
        **attrs,
    )
    equal(model, {"data0": x})


@THOROUGH
@given(SEEDS, st.integers(1, 16), st.integers(1, 16), ROUND_MODES, st.booleans())
def test_global_averages(seed: int, h: int, w: int, mode: str, exact: bool) -> None:
    x = integers(np.random.default_rng(seed), (2, h, w, 5))
    assert average_pool_factor((h, w)).numerator < 128
    attrs = {"type": "AVG", "kernel": (w, h), "stride": (1, 1), "avg_exact": exact}
    equal(single("pool-fix", [x[:1]], [4], (1, 1, 1, 5), 5, round_mode=mode, **attrs), {"data0": x})


@settings(THOROUGH, max_examples=200)
@given(st.data())
def test_sums_and_products(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(SEEDS))
    count = data.draw(st.integers(2, 3))
    full = (2, 3, 4, 5)
    shapes = data.draw(
        st.lists(
            st.sampled_from([full, full, (1, 1, 1, 5), (1, 3, 1, 1)]), min_size=count - 1, max_size=count - 1
        )
    )
    arrays = [integers(rng, full), *(integers(rng, shape) for shape in shapes)]
    positions = data.draw(st.lists(st.integers(-3, 12), min_size=count, max_size=count))
    kind = data.draw(st.sampled_from(["eltwise-fix", "depthwise-fix"]))
    model = single(
        kind, arrays, positions, full, data.draw(st.integers(-4, 14)), round_mode=data.draw(ROUND_MODES),
        type=data.draw(st.sampled_from(["ADD", "MUL"])), **data.draw(activation()),
    )  # fmt: skip
    equal(model, {f"data{i}": array for i, array in enumerate(arrays)})


@THOROUGH
@given(
    ROUND_MODES,
    st.integers(-3, 15),
    st.integers(-3, 15),
    st.integers(-4, 16),
    st.sampled_from(["ADD", "MUL"]),
)
@example("PY3_ROUND", 0, 0, 16, "MUL")
@example("PY3_ROUND", 0, -1, 16, "MUL")  # -128 * -128 reaches 2**31
@example("PY3_ROUND", -3, -3, 16, "MUL")
def test_every_pair_of_bytes(mode: str, first: int, second: int, out: int, kind: str) -> None:
    a, b = np.meshgrid(np.arange(-128, 128, dtype=np.int8), np.arange(-128, 128, dtype=np.int8))
    arrays = [v.reshape(1, 16, 16, 256) for v in (a, b)]
    model = single("eltwise-fix", arrays, [first, second], (1, 16, 16, 256), out, round_mode=mode, type=kind)
    equal(model, {"data0": arrays[0], "data1": arrays[1]})


@THOROUGH
@given(SEEDS, st.integers(0, 15), st.integers(-2, 12), ROUND_MODES)
def test_hard_sigmoid(seed: int, position: int, out: int, mode: str) -> None:
    x = np.arange(-128, 128, dtype=np.int8).reshape(1, 4, 4, 16)
    model = single("hard-sigmoid-fix", [x], [position], x.shape, out, round_mode=mode)
    equal(model, {"data0": x})


@settings(THOROUGH, max_examples=150)
@given(st.data())
def test_resampling(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(SEEDS))
    h, w = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    oh, ow = data.draw(st.integers(1, 13)), data.draw(st.integers(1, 13))
    kind = data.draw(st.sampled_from(["upsample-fix", "downsample-fix"]))
    align, half = data.draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    x = integers(rng, (2, h, w, 3))
    model = single(
        kind, [x[:1]], [data.draw(st.integers(-2, 8))], (1, oh, ow, 3), data.draw(st.integers(-2, 8)),
        round_mode=data.draw(ROUND_MODES), scale=(ow / w, oh / h),
        mode=data.draw(st.sampled_from(["NEAREST", "BILINEAR"])), align_corners=align, half_pixel_centers=half,
    )  # fmt: skip
    equal(model, {"data0": x})


MOVES: list[tuple[str, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ("tile-fix", (1, 4, 6, 3), (1, 2, 3, 12), {"stride": 2, "reverse": False}),
    ("tile-fix", (1, 2, 3, 12), (1, 4, 6, 3), {"stride": 2, "reverse": True}),
    ("reorg-fix", (1, 8, 4, 3), (1, 4, 2, 12), {"scale": 2, "reverse": False}),
    ("reorg-fix", (1, 4, 2, 12), (1, 8, 4, 3), {"scale": 2, "reverse": True}),
    ("reorg-fix", (1, 9, 6, 2), (1, 3, 2, 18), {"scale": 3, "reverse": False}),
    ("pixel-shuffle-fix", (1, 3, 2, 12), (1, 6, 4, 3), {"scale": 2, "upscale": True}),
    ("pixel-shuffle-fix", (1, 6, 4, 3), (1, 3, 2, 12), {"scale": 2, "upscale": False}),
    ("reshape-fix", (1, 4, 6, 3), (1, 72), {}),
    ("pad-fix", (1, 4, 6, 3), (1, 7, 7, 3), {"paddings": (0, 0, 1, 2, 0, 1, 0, 0), "mode": "CONSTANT"}),
    ("pad-fix", (1, 4, 6, 3), (1, 7, 9, 4), {"paddings": (0, 0, 1, 2, 0, 3, 1, 0), "mode": "SYMMETRIC"}),
    ("pad-fix", (1, 4, 6, 3), (1, 7, 9, 4), {"paddings": (0, 0, 1, 2, 0, 3, 1, 0), "mode": "REFLECT"}),
    ("pad-fix", (1, 2, 2, 1), (1, 3, 2, 1), {"paddings": (0, 0, 1, 0, 0, 0, 0, 0), "constant_values": b"\xfb"}),
    ("strided_slice-fix", (1, 4, 6, 3), (1, 2, 2, 2),
     {"begin": (0, 1, 1, 1), "end": (1, 3, 5, 3), "strides": (1, 1, 2, 1)}),
    ("strided_slice-fix", (1, 4, 6, 3), (1, 3, 6, 3),
     {"begin": (0, -3), "end": (1, 0), "strides": (1, 1), "end_mask": 2}),
    ("reduction_max-fix", (1, 4, 6, 3), (1, 1, 1, 3), {"axis": (1, 2), "keep_dims": True}),
    ("reduction_max-fix", (1, 4, 6, 3), (1, 4, 6), {"axis": (3,), "keep_dims": False}),
    ("argmax-fix", (1, 4, 6, 3), (1, 4, 6, 1), {"axis": 3}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "shape", "out", "attrs"), MOVES, ids=lambda v: v if isinstance(v, str) else ""
)
@pytest.mark.parametrize("batch", [1, 3])
def test_moves(
    kind: str, shape: tuple[int, ...], out: tuple[int, ...], attrs: dict[str, Any], batch: int
) -> None:
    x = integers(np.random.default_rng(0), (batch, *shape[1:]))
    model = single(kind, [x[:1]], [4], out, 4, **attrs)
    equal(model, {"data0": x})


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concat(axis: int) -> None:
    shapes = [[2, 4, 6, 3], [2, 4, 6, 3]]
    shapes[1][axis] += 1
    arrays = [integers(np.random.default_rng(i), tuple(shape)) for i, shape in enumerate(shapes)]
    out = np.concatenate([a[:1] for a in arrays], axis=axis).shape
    model = single("concat-fix", [a[:1] for a in arrays], [4, 4], out, 4, axis=axis)
    equal(model, {"data0": arrays[0], "data1": arrays[1]})
