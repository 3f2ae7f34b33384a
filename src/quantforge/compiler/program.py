"""The program of a DPU subgraph: what the hardware would be told, in quantforge's own bytes.

The instruction set of the hardware is not public. A program here is a header (`quantforge.xmodel.digest`) and records
of 32 bytes each, little-endian:

    opcode         1   see `OPCODES`
    flags          1   1: the tensor stays on the chip, 2: loaded while the superlayer before computes
    layer          2   number of the superlayer
    rows           2   pieces along the height; the record is done once for each piece
    columns        2   pieces along the width
    channels       2   parts of the output channels
    space          1   register of the DDR address: 0 parameters, 1 workspace, 2 input, 3 output; 255 without
    -              1
    ddr_address    4   bytes
    bank_address   4   bytes in the image banks (parameters: in the weight banks)
    size           4   bytes in DDR that a LOAD or SAVE moves in all; operations of a computing record (saturated)
    shift_cut      2   right shift of the sums
    shift_bias     2   left shift of the bias
    operator       4   place of the operator among those of the subgraph, in their order

For every superlayer: LOAD of parameters and of inputs that are not on the chip, the computing records, SAVE unless
the result stays on the chip. END closes the program. The software DPU runs the operators; it checks that the digest
in the header is theirs.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import astuple, dataclass

from quantforge.compiler.schedule import CONST, Layer, Schedule
from quantforge.compiler.tiling import Tiling
from quantforge.targets.dpu import DpuTarget
from quantforge.xmodel.digest import Header, digest_of, read_header
from quantforge.xmodel.model import XModel, XOp

OPCODES = ("END", "LOAD", "SAVE", "CONV", "DEPTHWISE", "POOL", "ELTWISE", "COPY")
STAYS, AHEAD = 1, 2
NO_SPACE = 255
_RECORD = struct.Struct("<BBHHHHBxIIIhhI")
_LARGEST = (1 << 32) - 1


@dataclass(frozen=True)
class Record:
    """One instruction; the module describes the fields."""

    opcode: int
    flags: int
    layer: int
    rows: int
    columns: int
    channels: int
    space: int
    ddr_address: int
    bank_address: int
    size: int
    shift_cut: int = 0
    shift_bias: int = 0
    operator: int = 0

    def __str__(self) -> str:
        pieces = f"{self.rows}x{self.columns}x{self.channels}"
        where = "" if self.space == NO_SPACE else f" REG_{self.space}+{self.ddr_address}"
        shifts = (
            f" cut {self.shift_cut} bias {self.shift_bias}"
            if OPCODES[self.opcode] in ("CONV", "DEPTHWISE")
            else ""
        )
        name = OPCODES[self.opcode]
        return f"{self.layer:4d} {name:<9} {pieces:>9} bank {self.bank_address}{where} {self.size}{shifts}"


def write_program(model: XModel, schedule: Schedule, target: DpuTarget, prefetch: bool) -> bytes:
    """The program of one scheduled subgraph."""
    records = [
        *_records(model, schedule, prefetch),
        Record(0, 0, len(schedule.layers), 1, 1, 1, NO_SPACE, 0, 0, 0),
    ]
    header = Header(target.fingerprint, len(records), _RECORD.size, digest_of(model, schedule.subgraph))
    return header.to_bytes() + b"".join(_RECORD.pack(*astuple(record)) for record in records)


def read_program(program: bytes) -> tuple[Header, tuple[Record, ...]]:
    """Header and records of a program.

    Raises:
        InputError: Q1108 for bytes that are no program of quantforge, or are cut off.
    """
    header, start = read_header(program)
    return header, tuple(Record(*fields) for fields in _RECORD.iter_unpack(program[start:]))


def _records(model: XModel, schedule: Schedule, prefetch: bool) -> Iterator[Record]:
    place = {name: index for index, name in enumerate(schedule.subgraph.all_ops())}
    for number, layer in enumerate(schedule.layers):
        kind = model.ops[layer.writes].kind
        if layer.writes in schedule.silent or kind in ("upload", "download"):
            continue
        tiling = schedule.tilings[layer.leaf.name]
        yield from _loads(model, schedule, layer, number, tiling, place, prefetch and number > 0)
        for name in layer.ops:
            yield _compute(schedule, model.ops[name], number, tiling, place[name])
        out = schedule.places[layer.writes]
        if not out.on_chip:
            size = _bytes(model.ops[layer.writes])
            bank = schedule.work.get((number, layer.writes), 0)
            yield Record(
                OPCODES.index("SAVE"), 0, number, tiling.rows, tiling.columns, tiling.channels, out.space,
                out.offset, bank, size, operator=place[layer.writes],
            )  # fmt: skip


def _loads(
    model: XModel,
    schedule: Schedule,
    layer: Layer,
    number: int,
    tiling: Tiling,
    place: dict[str, int],
    ahead: bool,
) -> Iterator[Record]:
    bank = 0
    for name in layer.constants:
        where, size = schedule.places.get(name), _bytes(model.ops[name])
        offset = 0 if where is None else where.offset
        flags = AHEAD if ahead else 0
        yield Record(
            OPCODES.index("LOAD"), flags, number, 1, 1, tiling.channels, CONST, offset, bank, size,
            operator=place.get(name, 0),
        )  # fmt: skip
        bank += size
    for name in layer.reads:
        source = schedule.places[name]
        if not source.on_chip:
            at, size = schedule.work.get((number, name), 0), _bytes(model.ops[name])
            yield Record(
                OPCODES.index("LOAD"), 0, number, tiling.rows, tiling.columns, tiling.channels, source.space,
                source.offset, at, size, operator=place[name],
            )  # fmt: skip


def _compute(schedule: Schedule, op: XOp, number: int, tiling: Tiling, index: int) -> Record:
    where = schedule.places[op.name]
    bank = where.offset if where.on_chip else schedule.work.get((number, op.name), 0)
    return Record(
        OPCODES.index(_opcode(op.kind)), STAYS if where.on_chip else 0, number, tiling.rows, tiling.columns,
        tiling.channels, NO_SPACE, 0, bank, min(op.get("workload", 0), _LARGEST),
        op.get("shift_cut", 0), op.get("shift_bias", 0), index,
    )  # fmt: skip


def _opcode(kind: str) -> str:
    if "conv" in kind:
        return "DEPTHWISE" if "depthwise" in kind else "CONV"
    if kind in ("pool-fix", "reduction_max-fix", "argmax-fix"):
        return "POOL"
    return "ELTWISE" if kind in ("eltwise-fix", "depthwise-fix", "hard-sigmoid-fix") else "COPY"


def _bytes(op: XOp) -> int:
    return math.prod(op.tensor.shape) * max(op.tensor.dtype.bits // 8, 1)
