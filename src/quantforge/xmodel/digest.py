"""Which operators a program was made from: a digest of a DPU subgraph, and the header that carries it.

A program (`mc_code`) says in its header for which hardware and from which operators it was made. A runtime that
works on the operators compares the digest before it believes the program, so that a file whose operators or weights
were edited after compiling is noticed.

Header, little-endian, 56 bytes: magic ``QFDP``, version (2 bytes), length of the header (2), fingerprint of the
hardware (8), number of records (4), length of a record (4), SHA-256 of the operators (32).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attrs, Subgraph, XModel, XOp

MAGIC = b"QFDP"
VERSION = 1
_HEADER = struct.Struct("<4sHHQII32s")
# What says how an operator is done or described, not what it computes.
_BESIDE = frozenset(
    {"device", "workload", "workload_on_arch", "channel_augmentation", "origin", "data", "partition_msg"}
)
_MEANING = ("fix_point", "bit_width", "if_signed", "round_mode")


@dataclass(frozen=True)
class Header:
    """The header of a program."""

    fingerprint: int
    records: int
    record_bytes: int
    digest: bytes
    version: int = VERSION

    def to_bytes(self) -> bytes:
        """The bytes in front of the records."""
        size = (self.records, self.record_bytes)
        return _HEADER.pack(MAGIC, self.version, _HEADER.size, self.fingerprint, *size, self.digest)


def read_header(program: bytes) -> tuple[Header, int]:
    """The header of a program, and where its records start.

    Raises:
        InputError: Q1108 for bytes that are no program of quantforge, or are cut off.
    """
    if len(program) < _HEADER.size or program[:4] != MAGIC:
        found = "no bytes" if not program else f"{len(program)} bytes that begin with {program[:4].hex(' ')}"
        fix = "compile the quantized model with quantforge; programs of other compilers do not run here"
        raise InputError("Q1108", "mc_code", found, f"a program that begins with {MAGIC.decode()}", fix)
    _, version, start, fingerprint, records, size, digest = _HEADER.unpack_from(program)
    if version != VERSION or len(program) != start + records * size:
        found = f"version {version}, {records} records of {size} bytes in {len(program)} bytes"
        raise InputError("Q1108", "mc_code", found, f"version {VERSION}, whole", "compile the model again")
    return Header(fingerprint, records, size, digest, version), start


def digest_of(model: XModel, subgraph: Subgraph) -> bytes:
    """SHA-256 over what the operators of a subgraph compute: kinds, arguments, shapes, numbers and constants."""
    made = hashlib.sha256()
    for name in sorted(subgraph.all_ops()):
        for piece in _pieces(model.ops[name]):
            made.update(piece)
    return made.digest()


def _pieces(op: XOp) -> Iterator[bytes]:
    tensor = op.tensor
    grid = tuple((key, tensor.attrs[key].value) for key in _MEANING if key in tensor.attrs)
    args = sorted(op.args.items())
    yield repr((op.name, op.kind, args, tensor.shape, str(tensor.dtype), grid, _settings(op.attrs))).encode()
    yield bytes(op.get("data", b""))


def _settings(attrs: Attrs) -> list[tuple[str, str, object]]:
    return sorted((name, attr.kind, attr.value) for name, attr in attrs.items() if name not in _BESIDE)
