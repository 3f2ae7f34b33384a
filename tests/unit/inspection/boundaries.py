"""The tables of limits as cases at their boundaries, written out by hand: the oracle for `rules.toml`.

A case is a rule, the columns it is printed for, an operator, numbers just inside, and numbers just outside. `also`
names other rules that the inside numbers break, where a stricter one hides this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

TARGETS = {
    "Z": "DPUCZDX8G_ISA1_B4096",
    "L": "DPUCAHX8L_ISA0",
    "V": "DPUCVDX8G_ISA3_C32B3",
    "H": "DPUCAHX8H_ISA2_DWC",
    "F": "DPUCADF8H_ISA0",
    "W": "DPUCVDX8H_ISA1_F2W4_4PE",
    "M": "DPUCV2DX8G_ISA1_C20B1",
}
ALL, NOT_F = "ZLVHFWM", "ZLVHWM"
CP = {"Z": 16, "L": 32, "V": 16, "H": 16, "F": 16, "W": 64, "M": 32}
MOST = {letter: 256 * cp for letter, cp in CP.items()}
DEPTH = {"Z": 2048, "L": 4096, "V": 8192, "H": 2048, "F": 8192, "W": 2048, "M": 65528}
BANKS = {"Z": 8, "L": 4, "V": 8, "H": 8, "F": 8, "W": 8, "M": 1}

Names = dict[str, Any]
Given = Names | Callable[[str], Names]


@dataclass(frozen=True)
class Case:
    rule: str
    column: str
    op: str
    inside: Names
    outside: Names
    also: tuple[str, ...] = ()


def window(axes: str = "wh", **given: Any) -> Names:
    """A window of 3 with step 1 over 32 channels, and what is given."""
    names: Names = {"ic": 32, "oc": 32, "whole": False, "group": 1}
    for axis in axes:
        names |= {
            f"kernel_{axis}": 3,
            f"stride_{axis}": 1,
            f"dilation_{axis}": 1,
            f"output_padding_{axis}": 0,
        }
    for pair in (("left", "right"), ("top", "bottom"), ("front", "back"))[: len(axes)]:
        names |= {f"pad_{side}": 0 for side in pair}
    for short in ("kernel", "stride", "dilation"):
        names |= {f"{short}_{axis}": size for axis, size in zip(axes, given.pop(short, ()), strict=False)}
    return names | given


def base(op: str, given: Names) -> Names:
    """Legal numbers of an operator on every column that has it, changed as `given` says."""
    if "3d" in op:
        return window("whd", **given)
    if op.endswith("pool2d"):
        return window(**{"kernel": (2, 2), "stride": (2, 2), **given})
    if "conv" in op:
        names = window(**given)
        if op == "transposed-depthwise-conv2d" and "kernel" not in given:
            names |= {"kernel_w": 6, "kernel_h": 6, "stride_w": 2, "stride_h": 2}
        if "depthwise" in op and "group" not in given:
            names["group"] = names["ic"]
        return names | {key: value for key, value in given.items() if key in names}
    defaults: dict[str, Names] = {
        "add": {"ic": 32, "num_inputs": 2, "same_shape": True, "shapes": "-"},
        "mul": {"ic": 32, "num_inputs": 2, "same_shape": True, "shapes": "-"},
        "reorg": {"ic": 32, "scale": 2, "reverse": False},
        "pad": {"mode": "SYMMETRIC", "rank": 4, "ic": 32, "value_least": 0, "value_most": 0},
        "resize": {
            "mode": "NEAREST", "rank": 4, "ic": 32, "align_corners": False, "half_pixel_centers": False,
            "scale_w": Fraction(2), "scale_h": Fraction(2),
        },
        "strided_slice": {"stride_batch": 1, "stride_channel": 1},
        "argmax": {"axis": 3, "rank": 4, "ic": 32},
        "reduction_max": {"axis": 3, "rank": 4, "ic": 32},
    }  # fmt: skip
    return defaults.get(op, {"ic": 32}) | given


def cases() -> Iterator[Case]:
    for rule, columns, op, inside, outside, *also in ROWS:
        for column in columns:
            yield Case(
                rule,
                column,
                op,
                base(op, inside(column) if callable(inside) else inside),
                base(op, outside(column) if callable(outside) else outside),
                tuple(also),
            )


def at(name: str, table: dict[str, int], **more: Any) -> Given:
    return lambda column: {name: table[column], **more}


def over(name: str, table: dict[str, int], **more: Any) -> Given:
    return lambda column: {name: table[column] + 1, **more}


ONE = {"kernel": (1, 1)}
HALF = {letter: most // 2 for letter, most in MOST.items()}
FORWARD = {letter: most // 4 for letter, most in MOST.items()}
NEAREST = {c: DEPTH[c] // (-(-2 // BANKS[c]) * 2) * CP[c] for c in ALL}
# kernel 8 x 8: how many channels fill the bank
FULL = {"Z": 512, "L": 2048, "V": 2048, "H": 512, "F": 2048}

DW, TC, TDW = "depthwise-conv2d", "transposed-conv2d", "transposed-depthwise-conv2d"
ROWS: list[Any] = [
    # conv2d
    ("conv2d.kernel", ALL, "conv2d", {"kernel": (16, 3)}, {"kernel": (17, 3)}),
    ("conv2d.kernel", ALL, "conv2d", {"kernel": (3, 16)}, {"kernel": (3, 17)}),
    ("conv2d.kernel_volume", "V", "conv2d", {"kernel": (8, 8), "ic": 2048}, {"kernel": (8, 8), "ic": 2049}),
    ("conv2d.kernel_volume", "V", "conv2d", {"kernel": (16, 4)}, {"kernel": (13, 5)}),
    ("conv2d.kernel_area", "M", "conv2d", {"kernel": (13, 4)}, {"kernel": (9, 6)}),
    ("conv2d.stride", "ZVFM", "conv2d", {"stride": (8, 8)}, {"stride": (9, 8)}),
    ("conv2d.stride", "LHW", "conv2d", {"stride": (4, 4)}, {"stride": (4, 5)}),
    (
        "conv2d.dilation",
        ALL,
        "conv2d",
        at("ic", HALF, dilation=(2, 2), **ONE),
        over("ic", HALF, dilation=(1, 2), **ONE),
    ),
    ("conv2d.pad_w", ALL, "conv2d", {"dilation": (2, 2), "pad_left": 4}, {"dilation": (2, 2), "pad_left": 5}),
    ("conv2d.pad_w", ALL, "conv2d", {"pad_right": 0}, {"pad_right": -1}),
    ("conv2d.pad_h", ALL, "conv2d", {"pad_bottom": 2}, {"pad_bottom": 3}),
    ("conv2d.in_size", "ZLHF", "conv2d", at("ic", FULL, kernel=(8, 8)), over("ic", FULL, kernel=(8, 8))),
    ("conv2d.in_size", "V", "conv2d", at("ic", FULL, kernel=(8, 8)), over("ic", FULL, kernel=(8, 8))),
    (
        "conv2d.in_size",
        "W",
        "conv2d",
        {"kernel": (8, 8), "ic": 2048},
        {"kernel": (8, 8), "ic": 2049},
        "conv2d.weight_bank",
    ),
    (
        "conv2d.in_size",
        "M",
        "conv2d",
        {"kernel": (16, 16), "ic": 8160},
        {"kernel": (16, 16), "ic": 8192},
        "conv2d.kernel_area",
    ),
    ("conv2d.weight_bank", "W", "conv2d", {"kernel": (4, 4), "ic": 2048}, {"kernel": (4, 4), "ic": 2049}),
    ("conv2d.in_channel", ALL, "conv2d", at("ic", MOST, **ONE), over("ic", MOST, **ONE)),
    ("conv2d.out_channel", ALL, "conv2d", at("oc", MOST), over("oc", MOST)),
    ("conv2d.group", ALL, "conv2d", {"group": 1}, {"group": 2}),
    # depthwise-conv2d
    (DW + ".kernel", "ZVM", DW, {"kernel": (256, 1)}, {"kernel": (257, 1)}),
    (DW + ".kernel", "L", DW, {"kernel": (3, 3)}, {"kernel": (3, 2)}),
    (DW + ".kernel", "L", DW, {"kernel": (3, 3)}, {"kernel": (4, 3)}),
    *(
        (DW + ".kernel", "H", DW, {"kernel": (good, good)}, {"kernel": (bad, good)})
        for good, bad in ((1, 4), (2, 6), (3, 8), (5, 9), (7, 0))
    ),
    (DW + ".kernel", "W", DW, {"kernel": (8, 8)}, {"kernel": (9, 8)}),
    (DW + ".kernel_area", "M", DW, {"kernel": (215, 2)}, {"kernel": (216, 2)}),
    (DW + ".stride", "ZVM", DW, {"stride": (1, 256)}, {"stride": (1, 257)}),
    (DW + ".stride", "L", DW, {"stride": (2, 2)}, {"stride": (3, 2)}),
    (DW + ".stride", "HW", DW, {"stride": (4, 4)}, {"stride": (4, 5)}),
    (DW + ".dilation", NOT_F, DW, at("ic", HALF, dilation=(2, 2)), over("ic", HALF, dilation=(2, 1))),
    (DW + ".pad_w", "ZVM", DW, {"kernel": (17, 17), "pad_left": 15}, {"kernel": (17, 17), "pad_left": 16}),
    (DW + ".pad_w", "ZVM", DW, {"dilation": (2, 1), "pad_right": 4}, {"dilation": (2, 1), "pad_right": 5}),
    (DW + ".pad_h", "ZVM", DW, {"kernel": (17, 17), "pad_top": 15}, {"kernel": (17, 17), "pad_bottom": 16}),
    (DW + ".pad_w", "LHW", DW, {"pad_left": 2}, {"pad_left": 3}),
    (DW + ".pad_h", "LHW", DW, {"pad_top": 2}, {"pad_top": 3}),
    (DW + ".in_size", "Z", DW, {"kernel": (32, 32), "ic": 32}, {"kernel": (32, 32), "ic": 33}),
    (DW + ".in_size", "V", DW, {"kernel": (64, 64), "ic": 32}, {"kernel": (64, 64), "ic": 33}),
    (DW + ".in_size", "L", DW, {"ic": 14560}, {"ic": 14592}),
    (DW + ".in_size", "H", DW, {"kernel": (7, 7), "ic": 656}, {"kernel": (7, 7), "ic": 657}),
    (DW + ".in_size", "W", DW, {"kernel": (8, 8), "ic": 2048}, {"kernel": (8, 8), "ic": 2049}),
    (
        DW + ".in_size",
        "M",
        DW,
        {"kernel": (14, 2), "stride": (40, 1)},
        {"kernel": (15, 2), "stride": (40, 1)},
    ),
    (DW + ".out_channel", NOT_F, DW, at("oc", MOST), over("oc", MOST)),
    (DW + ".group", NOT_F, DW, {"group": 32}, {"group": 16}),
    # transposed
    (
        TC + ".kernel_over_stride",
        ALL,
        TC,
        {"kernel": (32, 16), "stride": (2, 1)},
        {"kernel": (33, 16), "stride": (2, 1)},
    ),
    (
        TC + ".kernel_over_stride",
        ALL,
        TC,
        {"kernel": (2, 2), "stride": (2, 2)},
        {"kernel": (2, 1), "stride": (2, 2)},
    ),
    (TC + ".pad_w", ALL, TC, {"pad_left": 2}, {"pad_left": 3}),
    (TC + ".pad_h", ALL, TC, {"pad_bottom": 2}, {"pad_bottom": -1}),
    (TC + ".out_channel", ALL, TC, at("oc", MOST), over("oc", MOST)),
    ("transposed.output_padding", ALL, TC, {"output_padding_h": 0}, {"output_padding_h": 1}),
    ("transposed.output_padding", NOT_F, TDW, {"output_padding_w": 0}, {"output_padding_w": 1}),
    (
        TDW + ".kernel_over_stride",
        "ZVM",
        TDW,
        {"kernel": (512, 2), "stride": (2, 2)},
        {"kernel": (514, 2), "stride": (2, 2)},
    ),
    (
        TDW + ".kernel_over_stride",
        "L",
        TDW,
        {"kernel": (6, 6), "stride": (2, 2)},
        {"kernel": (4, 6), "stride": (2, 2)},
    ),
    (
        TDW + ".kernel_over_stride",
        "H",
        TDW,
        {"kernel": (14, 10), "stride": (2, 2)},
        {"kernel": (14, 8), "stride": (2, 2)},
    ),
    (
        TDW + ".kernel_over_stride",
        "H",
        TDW,
        {"kernel": (4, 4), "stride": (2, 2)},
        {"kernel": (5, 4), "stride": (2, 2)},
    ),
    (
        TDW + ".kernel_over_stride",
        "W",
        TDW,
        {"kernel": (16, 16), "stride": (2, 2)},
        {"kernel": (17, 16), "stride": (2, 2)},
    ),
    (TDW + ".pad_w", "ZVM", TDW, {"kernel": (17, 17), "pad_left": 15}, {"kernel": (17, 17), "pad_left": 16}),
    (TDW + ".pad_h", "ZVM", TDW, {"kernel": (17, 17), "pad_top": 15}, {"kernel": (17, 17), "pad_top": 16}),
    (TDW + ".pad_w", "LHW", TDW, {"pad_right": 5}, {"pad_right": 6}),
    (TDW + ".pad_h", "LHW", TDW, {"pad_bottom": 5}, {"pad_bottom": 6}),
    (TDW + ".out_channel", NOT_F, TDW, at("oc", MOST), over("oc", MOST)),
    # pools
    *(
        row
        for op in ("maxpool2d", "avgpool2d")
        for row in (
            ("pool.kernel", "ZVM", op, {"kernel": (256, 1)}, {"kernel": (257, 1)}),
            ("pool.kernel", "L", op, {"kernel": (8, 8)}, {"kernel": (9, 9)}),
            ("pool.kernel", "L", op, {"kernel": (2, 2)}, {"kernel": (1, 1)}),
            ("pool.kernel", "L", op, {"kernel": (7, 7)}, {"kernel": (6, 6)}),
            ("pool.kernel", "L", op, {"kernel": (5, 5)}, {"kernel": (4, 4)}),
            ("pool.kernel", "H", op, {"kernel": (8, 8)}, {"kernel": (9, 9)}),
            ("pool.kernel", "F", op, {"kernel": (16, 16)}, {"kernel": (16, 17)}),
            ("pool.kernel", "W", op, {"kernel": (128, 128)}, {"kernel": (129, 129)}),
            ("pool.area", "Z", op, {"kernel": (64, 256)}, {"kernel": (65, 256)}),
            ("pool.area", "V", op, {"kernel": (256, 256)}, {"kernel": (256, 257)}),
            ("pool.area", "M", op, {"kernel": (255, 256)}, {"kernel": (256, 256)}),
            ("pool.stride", "ZVM", op, {"stride": (256, 256)}, {"stride": (257, 256)}),
            ("pool.stride", "LHF", op, {"stride": (8, 8)}, {"stride": (8, 9)}),
            ("pool.stride", "W", op, {"stride": (128, 128)}, {"stride": (129, 128)}),
            (
                "pool.pad_w",
                "ZVM",
                op,
                {"kernel": (17, 17), "pad_left": 15},
                {"kernel": (17, 17), "pad_left": 16},
            ),
            (
                "pool.pad_h",
                "ZVM",
                op,
                {"kernel": (17, 17), "pad_bottom": 15},
                {"kernel": (17, 17), "pad_bottom": 16},
            ),
            ("pool.pad_w", "LHFW", op, {"pad_right": 1}, {"pad_right": 2}),
            ("pool.pad_h", "LHFW", op, {"pad_top": 0}, {"pad_top": 2}),
        )
    ),
    ("avgpool2d.square", "LHW", "avgpool2d", {"kernel": (3, 3)}, {"kernel": (3, 2)}),
    # element-wise
    ("eltwise.shape", ALL, "add", {}, {"same_shape": False}),
    ("eltwise.shape", "ZVWM", "mul", {}, {"same_shape": False}),
    ("eltwise.arity", "M", "add", {"num_inputs": 2}, {"num_inputs": 3}),
    ("eltwise.arity", "M", "mul", {"num_inputs": 2}, {"num_inputs": 3}),
    ("eltwise.in_channel", ALL, "add", at("ic", MOST), over("ic", MOST)),
    ("eltwise.in_channel", "ZVWM", "mul", at("ic", MOST), over("ic", MOST)),
    # the rest
    ("reorg.forward", ALL, "reorg", at("ic", FORWARD), over("ic", FORWARD)),
    ("reorg.reverse", ALL, "reorg", at("ic", MOST, reverse=True), over("ic", MOST, reverse=True)),
    ("pad.in_channel", ALL, "pad", at("ic", MOST), over("ic", MOST)),
    ("pad.mode", ALL, "pad", {"mode": "SYMMETRIC"}, {"mode": "REFLECT"}),
    ("pad.rank", ALL, "pad", {"mode": "CONSTANT"}, {"mode": "CONSTANT", "rank": 3}),
    (
        "pad.value",
        "ZLVHFM",
        "pad",
        {"mode": "CONSTANT"},
        {"mode": "CONSTANT", "value_least": 1, "value_most": 1},
    ),
    (
        "pad.value",
        "W",
        "pad",
        {"mode": "CONSTANT", "value_least": 1, "value_most": 1},
        {"mode": "CONSTANT", "value_most": 1},
    ),
    ("resize.mode", "ZLHFWM", "resize", {"mode": "BILINEAR"}, {"mode": "TRILINEAR", "rank": 5}),
    ("resize.mode", "V", "resize", {"mode": "TRILINEAR", "rank": 5}, {"mode": "CUBIC"}),
    ("resize.nearest_size", ALL, "resize", at("ic", NEAREST), over("ic", NEAREST)),
    ("resize.nearest_integer", ALL, "resize", {"scale_w": Fraction(3)}, {"scale_w": Fraction(5, 2)}),
    ("resize.nearest_integer", ALL, "resize", {"scale_h": Fraction(1)}, {"scale_h": Fraction(1, 2)}),
    ("resize.bilinear_rank", ALL, "resize", {"mode": "BILINEAR"}, {"mode": "BILINEAR", "rank": 5}),
    ("resize.trilinear_rank", "V", "resize", {"mode": "TRILINEAR", "rank": 5}, {"mode": "TRILINEAR"}),
    (
        "resize.trilinear_rank",
        "ZLHFWM",
        "resize",
        {"mode": "TRILINEAR", "rank": 5},
        {"mode": "TRILINEAR"},
        "resize.mode",
    ),
    ("resize.corners", ALL, "resize", {"mode": "BILINEAR"}, {"mode": "BILINEAR", "align_corners": True}),
    *(
        (
            "resize.bilinear_scale",
            ALL,
            "resize",
            {
                "mode": "BILINEAR",
                "half_pixel_centers": half,
                "scale_w": Fraction(good),
                "scale_h": Fraction(good),
            },
            {"mode": "BILINEAR", "half_pixel_centers": half, "scale_w": Fraction(w), "scale_h": Fraction(h)},
        )
        for half, good, w, h in (
            (False, 2, 2, 4),
            (False, 4, 3, 3),
            (False, 8, 16, 16),
            (True, 2, 1, 1),
            (True, 4, 8, 8),
        )
    ),
    ("strided_slice.stride", ALL, "strided_slice", {"stride_batch": 1}, {"stride_batch": 2}),
    ("strided_slice.stride", ALL, "strided_slice", {"stride_channel": 1}, {"stride_channel": 2}),
    *(
        ("correlation.in_channel", "ZV", op, at("ic", MOST), over("ic", MOST))
        for op in ("correlation1d_elemwise", "correlation2d_elemwise", "cost_volume")
    ),
    ("argmax.axis", "ZVM", "argmax", {"axis": 3}, {"axis": 2}),
    ("argmax.in_channel", "ZVM", "argmax", {"ic": 128}, {"ic": 129}),
    ("reduction_max.axis", "ZVM", "reduction_max", {"axis": 3}, {"axis": 0}),
    ("reduction_max.in_channel", "ZVM", "reduction_max", {"ic": 4095}, {"ic": 4096}),
    # 3-D
    ("conv3d.kernel", "V", "conv3d", {"kernel": (16, 1, 16)}, {"kernel": (1, 1, 17)}),
    (
        "conv3d.kernel_volume",
        "V",
        "conv3d",
        {"kernel": (8, 8, 16), "ic": 128},
        {"kernel": (8, 8, 16), "ic": 129},
    ),
    ("conv3d.stride", "V", "conv3d", {"stride": (8, 8, 8)}, {"stride": (8, 8, 9)}),
    ("conv3d.in_size", "V", "conv3d", {"kernel": (8, 8, 16), "ic": 128}, {"kernel": (8, 8, 16), "ic": 129}),
    ("conv3d.in_size", "V", "depthwise-conv3d", {"kernel": (32, 32, 4)}, {"kernel": (32, 32, 4), "ic": 33}),
    (
        "conv3d.in_channel",
        "V",
        "conv3d",
        at("ic", MOST, kernel=(1, 1, 1)),
        over("ic", MOST, kernel=(1, 1, 1)),
    ),
    *(
        ("conv3d.out_channel", "V", op, at("oc", MOST), over("oc", MOST))
        for op in ("conv3d", "depthwise-conv3d", "transposed-conv3d", "transposed-depthwise-conv3d")
    ),
    *(
        (f"conv3d.pad_{axis}", "V", op, {first: 2, second: 2}, {first: 3})
        for op in ("conv3d", "transposed-conv3d")
        for axis, first, second in (
            ("w", "pad_left", "pad_right"),
            ("h", "pad_top", "pad_bottom"),
            ("d", "pad_front", "pad_back"),
        )
    ),
    *(
        (
            f"depthwise-conv3d.pad_{axis}",
            "V",
            op,
            {"kernel": (16, 16, 16), second: 15},
            {"kernel": (16, 16, 16), second: 16},
        )
        for op in ("transposed-depthwise-conv3d",)
        for axis, second in (("w", "pad_right"), ("h", "pad_bottom"), ("d", "pad_back"))
    ),
    *(
        (f"depthwise-conv3d.pad_{axis}", "V", "depthwise-conv3d", {first: 2}, {first: 3})
        for axis, first in (("w", "pad_left"), ("h", "pad_top"), ("d", "pad_front"))
    ),
    (
        "depthwise-conv3d.pad_w",
        "V",
        "depthwise-conv3d",
        {"kernel": (17, 3, 3), "pad_left": 15},
        {"kernel": (17, 3, 3), "pad_left": 16},
    ),
    ("depthwise-conv3d.kernel_wh", "V", "depthwise-conv3d", {"kernel": (256, 1, 1)}, {"kernel": (257, 1, 1)}),
    ("depthwise-conv3d.kernel_d", "V", "depthwise-conv3d", {"kernel": (1, 1, 16)}, {"kernel": (1, 1, 17)}),
    (
        "depthwise-conv3d.stride_wh",
        "V",
        "depthwise-conv3d",
        {"stride": (256, 256, 1)},
        {"stride": (257, 1, 1)},
    ),
    ("depthwise-conv3d.stride_d", "V", "depthwise-conv3d", {"stride": (1, 1, 1)}, {"stride": (1, 1, 2)}),
    *(
        (
            "transposed-conv3d.kernel_over_stride",
            "V",
            op,
            {"kernel": (16, 32, 3), "stride": (1, 2, 3)},
            {"kernel": (3, 33, 3), "stride": (1, 2, 1)},
        )
        for op in ("transposed-conv3d", "transposed-depthwise-conv3d")
    ),
]

# Operators the table gives to some families only.
UNSUPPORTED = {
    "depthwise-conv2d": "F",
    "transposed-depthwise-conv2d": "F",
    "mul": "LHF",
    "conv3d": "ZLHFWM",
    "depthwise-conv3d": "ZLHFWM",
    "transposed-conv3d": "ZLHFWM",
    "transposed-depthwise-conv3d": "ZLHFWM",
    "correlation1d_elemwise": "LHFWM",
    "correlation2d_elemwise": "LHFWM",
    "cost_volume": "LHFWM",
    "argmax": "LHFW",
    "reduction_max": "LHFW",
}

# Activations behind an operator: the table and the target files' lists, both.
FUSED = {
    "conv2d": {
        "Z": {"relu", "leaky-relu", "relu6"},  # the table has the hard ones too, the target file has not
        "L": {"relu", "relu6"},
        "V": {"relu", "leaky-relu", "relu6", "hard-swish", "hard-sigmoid"},
        "H": {"relu", "leaky-relu", "relu6"},
        "F": {"relu", "leaky-relu"},  # the target file has relu6 too, the table has not
        "W": {"relu", "leaky-relu", "relu6", "hard-swish", "hard-sigmoid"},
        "M": {"relu", "leaky-relu", "relu6", "hard-swish", "hard-sigmoid"},
    },
    "depthwise-conv2d": {
        "Z": {"relu", "relu6"},
        "L": {"relu", "relu6"},
        "V": {"relu", "relu6"},
        "H": {"relu", "relu6"},
        "W": {"relu", "relu6"},
        "M": {"relu", "relu6", "leaky-relu", "hard-swish", "hard-sigmoid"},
    },
    "maxpool2d": {
        "Z": {"relu", "relu6"},
        "L": set(),
        "V": {"relu", "relu6"},
        "H": set(),
        "F": set(),
        "W": set(),
        "M": {"relu", "relu6"},
    },
    "add": {
        "Z": {"relu"},
        "L": {"relu"},
        "V": {"relu"},
        "H": {"relu"},
        "F": {"relu"},
        "W": {"relu", "hard-sigmoid"},
        "M": {"relu"},
    },
    "conv3d": {"V": {"relu", "leaky-relu", "relu6", "hard-swish", "hard-sigmoid"}},
    "depthwise-conv3d": {"V": {"relu", "relu6"}},
}
FUSED["transposed-conv2d"] = FUSED["conv2d"]
FUSED["transposed-depthwise-conv2d"] = FUSED["depthwise-conv2d"]
FUSED["avgpool2d"] = FUSED["maxpool2d"]
