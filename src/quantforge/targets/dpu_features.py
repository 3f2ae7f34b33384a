"""DPUs that are described by the feature bits of their fingerprint alone.

A fingerprint is `type << 56 | isa_version << 48 | features`. Six designs (DPUCZDX8G, DPUCVDX8G and DPUCV2DX8G, two
versions of each) say in the feature bits how they were configured, so that hardware built with unusual options has
a description too. Bits and tables are those of the target factory of Vitis AI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from quantforge.diagnostics import InputError
from quantforge.targets.dpu_limits import parse_limits
from quantforge.targets.dpu_records import FAMILIES, Bank, DpuTarget, Engine

Fields = Mapping[str, int]
Layout = Mapping[str, tuple[int, int]]  # field -> lowest bit, number of bits

# DPUCZDX8G, by ARCH: pixel and channel parallelism (input and output alike)
_Z_ARCH = (
    (4, 8), (4, 10), (8, 8), (4, 12), (8, 10), (8, 12),
    (8, 14), (8, 16), (4, 4), (2, 6), (2, 8), (2, 4),
)  # fmt: skip
# DPUCVDX8G, by ARCH: output channel parallelism; by RDEPTH: log2 of the depths of image and weight banks
_V_OCP = (16, 32, 64)
_V_DEPTH = ((13, 14), (13, 13), (12, 13), (13, 12), (12, 12), (14, 14), (14, 13))
# DPUCV2DX8G, by CV_ARCH: pixel, input channel and output channel parallelism
_M_ARCH = ((1, 16, 16), (1, 16, 32), (1, 32, 32), (2, 32, 32), (4, 32, 32))

_ALU_TYPES = (
    "dwconv", "prelu", "avg_pool", "max_pool", "leaky_relu", "max_reduce", "dwconv_no_bias", "hsigmoid",
)  # fmt: skip
_ALU_PADS = tuple(parse_limits(text) for text in ("0-15", "0-255", "0-15", "0-255"))
_WIDE = parse_limits("1-256")

_SHARED: Layout = {"ARCH": (0, 4), "IMG_BG": (24, 2), "AUGM": (26, 1), "CV_LKRL": (28, 1)}
_ISA_1_OR_3: Layout = {
    **_SHARED, "ALU_PP": (8, 4), "DW_LKRL": (29, 1), "ARGMAX": (30, 1), "CV_WP": (32, 2), "ALU_WP": (34, 2),
}  # fmt: skip


def decode_fingerprint(fingerprint: int) -> DpuTarget:
    """The DPU that the feature bits of `fingerprint` describe, under a synthetic name.

    >>> decode_fingerprint(0x01000020F6014407).name
    'DPUCZDX8G_ISA0_B4096_01000020F6014407'

    Raises:
        InputError: Q1001 for a design whose bits say nothing, Q1003 for bits outside the tables of a design.
    """
    code, isa, features = fingerprint >> 56, fingerprint >> 48 & 0xFF, fingerprint & (1 << 48) - 1
    family = FAMILIES[code - 1] if 1 <= code <= len(FAMILIES) else None
    if family is None or (family, isa) not in _DESIGNS:
        found = f"0x{fingerprint:016x}, type {code} ({family or 'unknown'}), instruction set {isa}"
        fix = "quantforge targets lists the known fingerprints; describe other hardware in a .toml file"
        raise InputError("Q1001", "fingerprint", found, "a known fingerprint, or one with feature bits", fix)
    layout, build = _DESIGNS[family, isa]
    fields = {name: features >> low & (1 << bits) - 1 for name, (low, bits) in layout.items()}
    try:
        return build(fingerprint, fields)
    except IndexError as error:
        found = ", ".join(f"{name} {value}" for name, value in fields.items())
        fix = "check the digits against the arch.json of the hardware build"
        raise InputError("Q1003", f"0x{fingerprint:016x}", found, f"a {family} that exists", fix) from error


def _z1(fingerprint: int, bits: Fields) -> DpuTarget:
    """DPUCZDX8G, instruction set 1."""
    pp, cp = _Z_ARCH[bits["ARCH"]]
    leaky = ("leaky_relu",) if bits["CV_LKRL"] else ()
    conv = _conv(bits, pp, cp, cp, ("relu", *leaky, "relu_six"), "1-8")
    return _target(
        fingerprint,
        f"B{2 * pp * cp * cp}",
        banks=_z_banks(bits, pp, cp, depthwise=True),
        conv=_with_rows(conv, pp, bits["CV_WP"]),
        eltwise=_eltwise(bits, cp, bits["ALU_PP"], ("add", "mult")),
        alu=_with_rows(_alu(bits, cp, bits["ALU_PP"], "BIAS"), pp, bits["ALU_WP"]),
        argmax=bool(bits["ARGMAX"]),
    )


def _z0(fingerprint: int, bits: Fields) -> DpuTarget:
    """DPUCZDX8G, instruction set 0: pooling and depthwise engines instead of an ALU."""
    pp, cp = _Z_ARCH[:-1][bits["ARCH"]]
    leaky = ("leaky_relu",) if bits["CV_LKRL"] else ()
    six = ("relu_six",) if bits["CV_RL6"] else ()
    images = _image_names(bits)
    pool = Engine(
        channel_parallel=cp,
        pixel_parallel=bits["PL_PP"],
        nonlinear=("relu",),
        types=("max", *(("avg",) if bits["PL_AVG"] else ()), *(("max_reduce",) if bits["PL_DSM"] else ())),
        max_kernel=parse_limits("1-8"),
        max_stride=parse_limits("1-8"),
        avg_kernel=parse_limits("2-8") if bits["PL_AVG"] else None,
        avg_stride=parse_limits("1-8") if bits["PL_AVG"] else None,
        input_banks=images,
        output_banks=images,
    )
    depthwise = Engine(
        channel_parallel=cp,
        pixel_parallel=bits["DW_PP"],
        nonlinear=("relu", *(("relu_six",) if bits["DW_RL6"] else ())),
        kernel=parse_limits("1-16"),
        stride=parse_limits("1-8"),
        weight_bank="DWCONVW",
        bias_bank="BIAS",
        input_banks=images,
        output_banks=images,
    )
    return _target(
        fingerprint,
        f"B{2 * pp * cp * cp}",
        banks=_z_banks(bits, pp, cp, depthwise=bits["DW_PP"] > 0),
        conv=_conv(bits, pp, cp, cp, ("relu", *leaky, *six), "1-8"),
        eltwise=_eltwise(bits, cp, bits["EL_PP"], ("add", *(("mult",) if bits["EL_MULT"] else ()))),
        pool=pool,
        depthwise=depthwise if bits["DW_PP"] else None,
    )


def _v3(fingerprint: int, bits: Fields) -> DpuTarget:
    """DPUCVDX8G, instruction set 3."""
    ocp = _V_OCP[bits["ARCH"]]
    conv = _conv(bits, 8, 16, ocp, _v_activations(bits, six=True), "1-8", stride_out_h="1-8")
    return _target(
        fingerprint,
        f"C{ocp}B{bits['BATCH']}",
        banks=_v_banks(bits, alu=True),
        conv=conv,
        eltwise=_eltwise(bits, 16, bits["ALU_PP"], ("add", "mult")),
        alu=_with_rows(_alu(bits, 16, bits["ALU_PP"], "DWCVBIAS"), 8, bits["ALU_WP"]),
        argmax=bool(bits["ARGMAX"]),
        batch=bits["BATCH"],
    )


def _v2(fingerprint: int, bits: Fields) -> DpuTarget:
    """DPUCVDX8G, instruction set 2: the ALU is absent (0), for planes (1) or for volumes too (2)."""
    ocp = _V_OCP[bits["ARCH"]]
    mode = (0, 1, 2)[bits["ALU"]]
    alu = Engine(
        channel_parallel=16,
        pixel_parallel=bits["ALU_PP"],
        nonlinear=("relu", "relu_six"),
        types=(*_ALU_TYPES, *(("w16b0",) if mode == 2 else ())),
        kernel=_WIDE,
        stride=_WIDE if mode == 2 else parse_limits("1-8"),
        pad_limit=_ALU_PADS,  # type: ignore[arg-type]  # four of them
        weight_bank="DWCONVW",
        bias_bank="DWCVBIAS",
        input_banks=_image_names(bits),
        output_banks=_image_names(bits),
    )
    return _target(
        fingerprint,
        f"C{ocp}B{bits['BATCH']}",
        banks=_v_banks(bits, alu=mode > 0),
        conv=_conv(bits, 8, 16, ocp, _v_activations(bits, six=bits["CV_RL6"] > 0), "1-8"),
        eltwise=_eltwise(bits, 16, bits["EL_PP"], ("add", *(("mult",) if bits["EL_MULT"] else ()))),
        alu=alu if mode else None,
        batch=bits["BATCH"],
    )


def _m(fingerprint: int, bits: Fields) -> DpuTarget:
    """DPUCV2DX8G: one image bank, one parameter bank, and an ALU that adds and multiplies too."""
    pp, icp, ocp = _M_ARCH[bits["ARCH"]]
    activations = ("relu", "leaky_relu", "hsigmoid", "hswish", "relu_six")
    banks = (Bank("VB0", "image", 1, icp, 65528), Bank("CONVW", "param", 4, icp // 2, 32768))
    alu = Engine(
        channel_parallel=icp,
        pixel_parallel=bits["ALU_CORES"] // 2,
        nonlinear=activations,
        types=("macc_temp", "comp_temp", "elew_add", "elew_mult"),
        kernel=_WIDE,
        stride=_WIDE,
        pad_limit=_ALU_PADS,  # type: ignore[arg-type]
        weight_bank="CONVW",
        bias_bank="CONVW",
        input_banks=("VB0",),
        output_banks=("VB0",),
    )
    return _target(
        fingerprint,
        f"C{(1 << bits['ARCH']) + bits['ALU_CORES']}B{bits['BATCH']}",
        banks=banks,
        conv=_conv({**bits, "IMG_BG": 1}, pp, icp, ocp, activations, "1-16", bias_bank="CONVW"),
        alu=alu,
        argmax=bool(bits["ARGMAX"]),
        batch=bits["BATCH"],
    )


def _target(
    fingerprint: int,
    size: str,
    *,
    banks: tuple[Bank, ...],
    conv: Engine,
    eltwise: Engine | None = None,
    pool: Engine | None = None,
    depthwise: Engine | None = None,
    alu: Engine | None = None,
    argmax: bool = False,
    batch: int = 1,
) -> DpuTarget:
    family, isa = FAMILIES[(fingerprint >> 56) - 1], fingerprint >> 48 & 0xFF
    return DpuTarget(
        name=f"{family}_ISA{isa}_{size}_{fingerprint:016X}",
        family=family,
        isa_version=isa,
        feature_code=fingerprint & (1 << 48) - 1,
        batch=max(batch, 1),
        banks=banks,
        conv=conv,
        eltwise=eltwise,
        pool=pool,
        depthwise=depthwise,
        alu=alu,
        load_parallel=conv.input_channel_parallel,
        save_parallel=conv.input_channel_parallel,
        argmax=argmax,
    )


def _conv(
    bits: Fields,
    pp: int,
    icp: int,
    ocp: int,
    nonlinear: tuple[str, ...],
    stride: str,
    *,
    bias_bank: str = "BIAS",
    stride_out_h: str | None = None,
) -> Engine:
    images = _image_names(bits)
    return Engine(
        input_channel_parallel=icp,
        output_channel_parallel=ocp,
        pixel_parallel=pp,
        nonlinear=nonlinear,
        kernel=parse_limits("1-16"),
        stride=parse_limits(stride),
        stride_out_h=None if stride_out_h is None else parse_limits(stride_out_h),
        channel_augmentation=2 * icp if bits["AUGM"] else None,
        weight_bank="CONVW",
        bias_bank=bias_bank,
        input_banks=images,
        output_banks=images,
    )


def _alu(bits: Fields, cp: int, pp: int, bias_bank: str) -> Engine:
    return Engine(
        channel_parallel=cp,
        pixel_parallel=pp,
        nonlinear=("relu", *(("leaky_relu",) if bits["DW_LKRL"] else ()), "relu_six"),
        types=(*_ALU_TYPES, "w16b0"),
        kernel=_WIDE,
        stride=_WIDE,
        pad_limit=_ALU_PADS,  # type: ignore[arg-type]
        weight_bank="DWCONVW",
        bias_bank=bias_bank,
        input_banks=_image_names(bits),
        output_banks=_image_names(bits),
    )


def _eltwise(bits: Fields, cp: int, pp: int, types: tuple[str, ...]) -> Engine:
    images = _image_names(bits)
    return Engine(
        channel_parallel=cp,
        pixel_parallel=pp,
        nonlinear=("relu",),
        types=types,
        input_banks=images,
        output_banks=images,
    )


def _with_rows(engine: Engine, pp: int, log2_width: int) -> Engine:
    """The engine with its legal vertical output strides, which follow from how many columns it takes at once."""
    rows = pp >> log2_width
    most = 4 if log2_width == 0 or rows >= 4 else rows
    return replace(engine, stride_out_h=((1, most),))


def _v_activations(bits: Fields, *, six: bool) -> tuple[str, ...]:
    extra = ("leaky_relu", "hsigmoid", "hswish") if bits["CV_LKRL"] else ()
    return ("relu", *extra, *(("relu_six",) if six else ()))


def _image_names(bits: Fields) -> tuple[str, ...]:
    return tuple(f"VB{index}" for index in range(bits["IMG_BG"]))


def _z_banks(bits: Fields, pp: int, cp: int, *, depthwise: bool) -> tuple[Bank, ...]:
    return (
        *(Bank(name, "image", pp, cp, 2048) for name in _image_names(bits)),
        Bank("CONVW", "param", cp, cp, 2048),
        *((Bank("DWCONVW", "param", 1, cp, 2048),) if depthwise else ()),
        Bank("BIAS", "param", 1, cp, 2048),
    )


def _v_banks(bits: Fields, *, alu: bool) -> tuple[Bank, ...]:
    image, weight = _V_DEPTH[bits["RDEPTH"]]
    return (
        *(Bank(name, "image", 8, 16, 1 << image) for name in _image_names(bits)),
        Bank("CONVW", "param", 16, 16, 1 << weight),
        *((Bank("DWCONVW", "param", 1, 16, 1 << weight),) if alu else ()),
        Bank("BIAS", "param", 1, 16, 2048),
        *((Bank("DWCVBIAS", "param", 1, 16, 2048),) if alu else ()),
    )


_M_BITS: Layout = {
    "ARCH": (0, 4), "ALU_CORES": (4, 4), "BATCH": (8, 8), "AUGM": (26, 1), "ARGMAX": (30, 1),
}  # fmt: skip
_DESIGNS: Mapping[tuple[str, int], tuple[Layout, Callable[[int, Fields], DpuTarget]]] = {
    ("DPUCZDX8G", 0): (
        {
            **_SHARED, "PL_PP": (8, 4), "DW_PP": (12, 4), "EL_PP": (16, 4), "CV_RL6": (29, 1),
            "PL_AVG": (30, 1), "DW_RL6": (31, 1), "EL_MULT": (36, 1), "PL_DSM": (37, 1),
        },
        _z0,
    ),
    ("DPUCZDX8G", 1): (_ISA_1_OR_3, _z1),
    ("DPUCVDX8G", 2): (
        {
            **_SHARED, "BATCH": (4, 4), "ALU": (8, 4), "ALU_PP": (12, 4), "EL_PP": (16, 4), "CV_RL6": (29, 1),
            "RDEPTH": (32, 4), "EL_MULT": (36, 1),
        },
        _v2,
    ),
    ("DPUCVDX8G", 3): ({**_ISA_1_OR_3, "BATCH": (4, 4), "RDEPTH": (12, 4)}, _v3),
    ("DPUCV2DX8G", 0): (_M_BITS, _m),
    ("DPUCV2DX8G", 1): (_M_BITS, _m),
}  # fmt: skip
