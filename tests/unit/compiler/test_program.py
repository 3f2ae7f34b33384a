from __future__ import annotations

import pytest

from quantforge.compiler.options import CompileOptions
from quantforge.compiler.program import AHEAD, OPCODES, STAYS, read_program
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.digest import digest_of
from tests.flat_xmodels import B4096, Net, compiled


def program(prefetch: bool = True, size: int = 8) -> tuple[bytes, bytes]:
    net = Net()
    x = net.fix(net.relu(net.conv("a", net.data("x", (1, size, size, 16), 4), 16)), 3)
    net.fix(net.op("s", "add", [x, net.fix(net.conv("b", x, 16), 3)], (1, size, size, 16)), 3)
    model, _ = compiled(net.done(), options=CompileOptions(prefetch=prefetch))
    subgraph = model.root.children[1]
    return subgraph.get("mc_code"), digest_of(model, subgraph)


def test_header_and_records() -> None:
    data, digest = program()
    header, records = read_program(data)
    assert header.fingerprint == load_dpu(B4096).fingerprint and header.digest == digest
    assert [OPCODES[record.opcode] for record in records] == [
        "LOAD", "LOAD", "LOAD", "CONV", "LOAD", "LOAD", "CONV", "ELTWISE", "SAVE", "END",
    ]  # fmt: skip
    first = records[3]
    assert (first.shift_cut, first.shift_bias, first.flags) == (8, 5, STAYS)
    assert first.size == 8 * 8 * 16 * (2 * 9 * 16 + 1)
    assert [record.space for record in records if OPCODES[record.opcode] == "LOAD"] == [0, 0, 2, 0, 0]
    assert "CONV" in str(first) and "cut 8" in str(first)


def test_prefetch_marks_the_loads_of_parameters() -> None:
    def flags(data: bytes) -> list[int]:
        return [record.flags for record in read_program(data)[1] if OPCODES[record.opcode] == "LOAD"]

    assert flags(program(True)[0]) == [AHEAD, AHEAD, 0, AHEAD, AHEAD]
    assert flags(program(False)[0]) == [0, 0, 0, 0, 0]


def test_large_layers_are_done_in_pieces() -> None:
    _, records = read_program(program(size=200)[0])
    assert {record.rows for record in records if OPCODES[record.opcode] == "CONV"} == {3}
    assert OPCODES[records[4].opcode] == "SAVE" and records[4].space == 1


@pytest.mark.parametrize(
    "change", [lambda b: b[:-1], lambda b: b"", lambda b: b"XXXX" + b[4:], lambda b: b + b"\0"]
)
def test_what_is_no_program(change: object) -> None:
    with pytest.raises(InputError, match="Q1108"):
        read_program(change(program()[0]))  # type: ignore[operator]
