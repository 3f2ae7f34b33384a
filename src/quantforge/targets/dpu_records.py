"""What is known of a DPU: its memories, its engines and their limits, its clock and its boards.

The terms are those of the target files of Vitis AI (`vitis.ai.Target`): an engine works on `pixel_parallel` pixels
times `input_channel_parallel` times `output_channel_parallel` channels per clock cycle, and reads and writes banks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantforge.targets.dpu_limits import Limits

BankKind = Literal["image", "param", "special"]
BANK_KINDS: tuple[BankKind, ...] = ("image", "param", "special")

# Families in the order of the type codes in a fingerprint, the first of which is 1.
FAMILIES = (
    "DPUCZDX8G",
    "DPUCAHX8H",
    "DPUCAHX8L",
    "DPUCZDI4G",
    "DPUCVDX8H",
    "DPUCVDX8G",
    "DPUCADF8H",
    "IPU_PHX",
    "DPUCV2DX8G",
)


@dataclass(frozen=True)
class Bank:
    """A group of equal on-chip memories.

    Attributes:
        name: Its name in the target file, such as VB0 or CONVW.
        kind: "image" holds feature maps, "param" weights and biases, "special" is neither.
        number: How many banks the group has.
        width: Words in a row of one bank.
        depth: Rows of one bank.
        word_bits: Bits of a word.
    """

    name: str
    kind: BankKind
    number: int
    width: int
    depth: int
    word_bits: int = 8

    @property
    def bytes(self) -> int:
        """Capacity of the whole group in bytes.

        >>> Bank("VB0", "image", 8, 16, 2048).bytes
        262144
        """
        return self.number * self.width * self.depth * self.word_bits // 8


@dataclass(frozen=True)
class Engine:
    """One engine: how wide it is, what it computes and within which limits. None means "not stated".

    Attributes:
        input_channel_parallel: Input channels per cycle of a convolution engine.
        output_channel_parallel: Output channels per cycle of a convolution engine.
        channel_parallel: Channels per cycle of every other engine.
        pixel_parallel: Pixels per cycle.
        nonlinear: Activations it can fuse: relu, prelu, leaky_relu, relu_six, hsigmoid, hswish.
        types: What it computes: eltwise add, mult, ...; pool max, avg, max_reduce; alu dwconv, max_pool, ...
        kernel: Legal kernel sizes.
        stride: Legal strides.
        max_kernel: Legal kernel sizes of max pooling (pool engines only), and so on for the next three.
        max_stride: Legal strides of max pooling.
        avg_kernel: Legal kernel sizes of average pooling.
        avg_stride: Legal strides of average pooling.
        stride_out_h: Legal vertical strides of the written rows.
        pad_limit: Legal pads, as (left, right, top, bottom).
        channel_augmentation: Input channels below which kernel columns fill the channel lanes.
        weight_bank: Name of the bank of its weights.
        bias_bank: Name of the bank of its biases.
        input_banks: Names of the banks that it reads.
        output_banks: Names of the banks that it writes.
    """

    input_channel_parallel: int | None = None
    output_channel_parallel: int | None = None
    channel_parallel: int | None = None
    pixel_parallel: int = 1
    nonlinear: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    kernel: Limits | None = None
    stride: Limits | None = None
    max_kernel: Limits | None = None
    max_stride: Limits | None = None
    avg_kernel: Limits | None = None
    avg_stride: Limits | None = None
    stride_out_h: Limits | None = None
    pad_limit: tuple[Limits, Limits, Limits, Limits] | None = None
    channel_augmentation: int | None = None
    weight_bank: str | None = None
    bias_bank: str | None = None
    input_banks: tuple[str, ...] = ()
    output_banks: tuple[str, ...] = ()


@dataclass(frozen=True)
class DpuTarget:
    """A DPU, and where a board was named the board's clock and number of cores.

    Attributes:
        name: Registered name, or the synthetic one of a decoded fingerprint.
        family: Such as DPUCZDX8G.
        isa_version: Version of the instruction set.
        feature_code: The 48 feature bits of the fingerprint.
        batch: Images that one run takes (1 where the target file does not say).
        banks: On-chip memories.
        conv: The convolution engine.
        eltwise: Element-wise engine; None where there is none or the ALU does it (types elew_add, elew_mult).
        pool: Pooling engine; None where there is none or the ALU does it (types max_pool, avg_pool).
        depthwise: Depthwise engine; None where there is none or the ALU does it (type dwconv).
        alu: The engine for everything that is no convolution; None on older designs.
        load_parallel: Channels loaded per cycle, None where not stated.
        save_parallel: Channels saved per cycle, None where not stated.
        argmax: Whether the save engine computes argmax.
        frequency_mhz: Clock of the DPU, None where none is published.
        aie_frequency_mhz: Clock of the AI Engines that convolve, None on designs without.
        bandwidth_mb_s: Largest memory bandwidth of the board, in 10**6 bytes per second.
        boards: Boards that have this target.
        board: The board that was asked for, None when a target was.
        cores: DPU cores of that board.
        engines: Images one core takes at a time, in engines of their own (designs for Alveo and VCK5000 cards).
        alternatives: Other targets of the same board.
    """

    name: str
    family: str
    isa_version: int
    feature_code: int
    batch: int
    banks: tuple[Bank, ...]
    conv: Engine
    eltwise: Engine | None
    pool: Engine | None
    depthwise: Engine | None
    alu: Engine | None
    load_parallel: int | None
    save_parallel: int | None
    argmax: bool
    frequency_mhz: float | None = None
    aie_frequency_mhz: float | None = None
    bandwidth_mb_s: float | None = None
    boards: tuple[str, ...] = ()
    board: str | None = None
    cores: int = 1
    engines: int = 1
    alternatives: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> int:
        """The 64 bits that identify the hardware: type code, version of the instruction set, features."""
        return (FAMILIES.index(self.family) + 1) << 56 | self.isa_version << 48 | self.feature_code

    @property
    def fingerprint_text(self) -> str:
        """The fingerprint as in arch.json: 0x and sixteen digits."""
        return f"0x{self.fingerprint:016x}"

    @property
    def peak_ops_per_cycle(self) -> int:
        """Multiplications and additions of one image in one cycle: the "B number" of DPUCZDX8G."""
        lanes = (self.conv.input_channel_parallel or 1) * (self.conv.output_channel_parallel or 1)
        return 2 * self.conv.pixel_parallel * lanes

    def bank(self, name: str) -> Bank | None:
        """The bank group of a name; None when there is none."""
        return next((bank for bank in self.banks if bank.name == name), None)

    @property
    def image_banks(self) -> tuple[Bank, ...]:
        """The bank groups that hold feature maps."""
        return tuple(bank for bank in self.banks if bank.kind == "image")
