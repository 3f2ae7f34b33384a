"""Neighbours: fused activations and pads, reshapes, concatenations, shuffles, batches, and what follows from it."""

from __future__ import annotations

from quantforge.inspection.resolve import Scene, resolve
from quantforge.inspection.view import View
from quantforge.targets.dpu import load_dpu
from tests.unit.inspection.models import Build

IMAGE = (1, 8, 8, 8)


def scene_of(build: Build, board: str = "ZCU102") -> Scene:
    return resolve(View(build.model), load_dpu(board))


def ids(scene: Scene) -> dict[str, str]:
    """The first reason of every operator that has one."""
    return {name: reasons[0].id for name, reasons in scene.reasons.items() if reasons}


def test_activations_go_into_what_is_before_them() -> None:
    build = Build()
    build.unary("relu6", build.conv(build.data(IMAGE)))
    scene = scene_of(build)
    assert (ids(scene), scene.fused) == ({}, {"relu6": "conv"})


def test_an_activation_that_does_not_fit_stands_alone_or_leaves() -> None:
    build = Build()
    x = build.data(IMAGE)
    total = build.many("add", [build.conv(x, out=8), x], "total", IMAGE)
    build.unary("relu6", total)
    assert ids(scene_of(build)) == {"relu6": "activation"}
    assert ids(scene_of(build, "VEK280")) == {}  # its ALU lists relu6 on its own


def test_an_operator_that_leaves_takes_its_followers_along() -> None:
    build = Build()
    wide = build.conv(build.data((1, 32, 32, 8)), kernel=(17, 17))
    act = build.unary("relu6", wide)
    build.op("reshape", "flat", (1, 32 * 32 * 16), {"input": (act,)}, shape=(1, 32 * 32 * 16))
    scene = scene_of(build)
    assert ids(scene) == {"conv": "kernel_range", "relu6": "activation", "flat": "reshape_input_cpu"}
    assert scene.fused == {}


def test_in_a_quantized_model_an_activation_that_leaves_takes_its_producer_along() -> None:
    build = Build(fixed=True)
    build.unary("leaky-relu", build.conv(build.data(IMAGE), fix=False), alpha=0.1)
    assert ids(scene_of(build)) == {"conv": "quantization", "leaky-relu": "leaky_alpha"}
    build = Build(fixed=True)
    build.unary("leaky-relu", build.conv(build.data(IMAGE), fix=False), alpha=26 / 256)
    assert ids(scene_of(build)) == {}


def padded(
    amount: int, mode: str = "CONSTANT", value: float = 0.0, fixed: bool = False, rank: int = 4
) -> Build:
    build = Build(fixed)
    x = build.data((1, 8, 8, 8))
    size = 8 + 2 * amount
    pad = build.op(
        "pad", "pad", (1, size, size, 8), {"input": (x,)},
        paddings=(0, 0, amount, amount, amount, amount, 0, 0), mode=mode, constant_values=[value] * 8,
    )  # fmt: skip
    build.conv(pad, pad=(0, 0, 0, 0))
    return build


def test_zero_pads_go_into_the_convolution_behind_them() -> None:
    for fixed in (False, True):
        scene = scene_of(padded(2, fixed=fixed))
        assert (ids(scene), scene.fused) == ({}, {"pad": "conv"})


def test_pads_that_are_too_wide_stand_alone() -> None:
    scene = scene_of(padded(3))
    assert (ids(scene), scene.fused) == ({}, {})


def test_pads_of_another_kind() -> None:
    assert ids(scene_of(padded(1, "REFLECT"))) == {"pad": "pad_mode"}
    assert ids(scene_of(padded(1, value=1.0))) == {"pad": "pad_mode"}
    assert ids(scene_of(padded(1, "SYMMETRIC"))) == {}


def test_a_pad_in_front_of_a_volume_leaves_when_its_convolution_does() -> None:
    build = Build()
    x = build.data((1, 4, 4, 4, 8))
    pad = build.op(
        "pad",
        "pad",
        (1, 6, 6, 4, 8),
        {"input": (x,)},
        paddings=(0, 0, 1, 1, 1, 1, 0, 0, 0, 0),
        mode="CONSTANT",
    )
    weights = build.const("w", (8, 3, 3, 1, 8))
    build.op(
        "conv3d", "conv", (1, 4, 4, 4, 8), {"input": (pad,), "weights": (weights,)},
        kernel=(3, 3, 1), stride=(1, 1, 1), dilation=(1, 1, 1), pad=(0,) * 6, pad_mode="FLOOR",
    )  # fmt: skip
    scene = scene_of(build, "VCK190")
    assert (ids(scene), scene.fused) == ({}, {"pad": "conv"})
    assert ids(scene_of(build)) == {"pad": "pad_mode", "conv": "conv3d_family"}


def reshaped(shape: tuple[int, ...], last: str | None) -> Build:
    build = Build()
    flat = build.op("reshape", "flat", shape, {"input": (build.conv(build.data(IMAGE)),)}, shape=shape)
    if last:
        build.unary(last, flat, "last", axis=-1)
    return build


def test_reshapes_follow_their_producer_and_keep_the_first_axis_at_the_border() -> None:
    assert ids(scene_of(reshaped((1, 64, 16), None))) == {}
    assert ids(scene_of(reshaped((8, 8, 16), None))) == {"flat": "reshape_first_dim"}
    assert ids(scene_of(reshaped((8, 8, 16), "softmax"))) == {
        "flat": "reshape_first_dim",
        "last": "no_dpu_pattern",
    }
    assert ids(scene_of(reshaped((8, 8, 16), "relu"))) == {}


def test_a_reshape_of_the_input_stays_with_the_caller() -> None:
    build = Build()
    x = build.data((8, 8, 8))
    build.conv(build.op("reshape", "image", IMAGE, {"input": (x,)}, shape=IMAGE))
    assert ids(scene_of(build)) == {"image": "reshape_input_cpu"}


def test_concatenations() -> None:
    def joined(axis: int, convolutions: int) -> dict[str, str]:
        build = Build()
        parts = [build.data(IMAGE, "x"), build.data(IMAGE, "y")]
        for index in range(convolutions):
            parts[index] = build.conv(parts[index], f"conv{index}", out=8)
        shape = [1, 8, 8, 8]
        shape[axis] *= 2
        joined = build.many("concat", parts, "joined", shape, axis=axis)
        build.conv(joined, "last")
        return ids(scene_of(build))

    assert joined(3, 2) == joined(1, 2) == joined(3, 1) == {}
    assert joined(1, 1) == {"joined": "concat_mixed"}
    assert joined(3, 0) == {"joined": "concat_all_cpu"}


def test_pixel_shuffles_belong_to_a_convolution() -> None:
    build = Build()
    x = build.data(IMAGE)
    build.op(
        "pixel-shuffle",
        "a",
        (1, 16, 16, 2),
        {"input": (build.unary("relu", build.conv(x, out=8)),)},
        scale=2,
        upscale=True,
    )
    build.op("pixel-shuffle", "b", (1, 16, 16, 2), {"input": (x,)}, scale=2, upscale=True)
    assert ids(scene_of(build)) == {"b": "pattern_rejected"}


def test_nobody_starts_a_dpu_to_move_bytes() -> None:
    build = Build()
    sliced = build.op(
        "strided_slice", "s", (1, 4, 8, 8), {"input": (build.data(IMAGE),)},
        begin=(0, 0, 0, 0), end=(1, 4, 8, 8), strides=(1, 1, 1, 1),
    )  # fmt: skip
    build.unary("softmax", sliced, axis=3)
    assert ids(scene_of(build)) == {"s": "pattern_rejected", "softmax": "no_dpu_pattern"}
    build.conv(sliced)
    assert ids(scene_of(build)) == {"softmax": "no_dpu_pattern"}


def test_a_dpu_of_four_images_takes_no_other_batch() -> None:
    def batch(size: int) -> dict[str, str]:
        build = Build()
        build.unary("softmax", build.conv(build.data((size, 8, 8, 8))), axis=3)
        return ids(scene_of(build, "DPUCADF8H_ISA0"))

    assert batch(4) == {"softmax": "no_dpu_pattern"}
    assert batch(1) == {"conv": "batch", "softmax": "no_dpu_pattern"}


def test_a_factor_stays_with_its_average() -> None:
    def scaled(kernel: int, board: str) -> dict[str, str]:
        build = Build(fixed=True)
        x = build.data((1, kernel, kernel, 8))
        pool = build.op(
            "avgpool2d", "pool", (1, 1, 1, 8), {"input": (x,)}, fix=False,
            kernel=(kernel, kernel), stride=(1, 1), pad_mode="FLOOR",
        )  # fmt: skip
        build.many("mul", [pool, build.const("c", (1,), fix=False)], "scaled", (1, 1, 1, 8))
        return ids(scene_of(build, board))

    assert scaled(7, "DPUCAHX8H_ISA2") == {}
    assert scaled(9, "DPUCAHX8H_ISA2") == {"pool": "kernel_range", "scaled": "pattern_rejected"}
