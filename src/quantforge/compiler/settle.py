"""Bring the fix operators of a flat model to where a DPU rounds, without changing a number.

Operators that only move or pick numbers commute with rounding, so that around them a `fix` may stand on either side:

1. A fix that repeats the one before it goes.
2. A moving operator between fixed numbers and something other than a fix gets a fix of the same grid behind it.
3. A fix behind a moving operator is repeated in front of it where the numbers come in unrounded, or, for operators
   that copy bytes, from another grid. (Concatenated convolutions are quantized that way.)

After this, every value that a DPU could hold is the output of a `fix`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from quantforge.compiler.grid import Grid
from quantforge.xmodel.model import FLOAT32, Attr, Tensor, XModel, XOp

# Copies bytes: in and out share one grid.
COPYING = frozenset(
    {"reshape", "flatten", "squeeze", "transpose", "concat", "strided_slice", "identity"}
    | {"pixel-shuffle", "reorg", "gstiling", "pad"}
)
# Picks numbers, and shifts them when asked to.
PICKING = frozenset({"maxpool2d", "reduction_max", "resize"})
MOVING = COPYING | PICKING


@dataclass(frozen=True)
class Settled:
    """The flat model with its fixes in place.

    `renamed` maps operators to fixes that have the same value: fixes that went, and moving operators.
    """

    model: XModel
    renamed: dict[str, str]


def settle(model: XModel, claimed: Collection[str] = (), returned: Collection[str] = ()) -> Settled:
    """Apply the rules above to a copy of `model`.

    Args:
        model: A flat model.
        claimed: Operators that keep what is around them.
        returned: Operators whose values the caller gets, rounded no earlier than now.

    Raises:
        InputError: Q1100 for a fix without its attributes.
    """
    copy = XModel(model.name, {}, model.root, dict(model.attrs))
    ops = {name: _copied(op) for name, op in model.ops.items()}
    renamed = _drop_repeated(ops, claimed)
    _raise(ops, {*claimed, *returned})
    renamed |= _lower(ops, claimed)
    copy.ops = in_order(ops)
    renamed |= _drop_repeated(copy.ops, claimed)
    return Settled(copy, renamed)


def moves(op: XOp) -> bool:
    """Whether rounding may be done before `op` as well as behind it."""
    if op.kind == "resize":
        return bool(op.get("mode") == "NEAREST")
    if op.kind == "pad":
        return op.get("mode") == "SYMMETRIC" or not any(op.get("constant_values", ()))
    return op.kind in MOVING


def in_order(ops: dict[str, XOp]) -> dict[str, XOp]:
    """The operators with producers first, otherwise as they come."""
    ordered: dict[str, XOp] = {}
    for start in ops:
        stack = [start]
        while stack:
            name = stack[-1]
            waiting = [p for p in ops[name].producers if p not in ordered]
            if name in ordered or not waiting:
                ordered.setdefault(stack.pop(), ops[name])
            else:
                stack.extend(reversed(waiting))
    return ordered


def _copied(op: XOp) -> XOp:
    tensor = Tensor(op.tensor.name, op.tensor.shape, op.tensor.dtype, dict(op.tensor.attrs))
    return XOp(op.name, op.kind, tensor, dict(op.args), dict(op.attrs))


def _drop_repeated(ops: dict[str, XOp], claimed: Collection[str]) -> dict[str, str]:
    """Rule 1. Rounding twice onto one grid is rounding once."""
    renamed: dict[str, str] = {}
    for name, op in list(ops.items()):
        op.args = {key: tuple(renamed.get(p, p) for p in names) for key, names in op.args.items()}
        before = ops[op.producers[0]] if op.kind == "fix" and name not in claimed else None
        if before is not None and before.kind == "fix" and Grid.of(before).numbers == Grid.of(op).numbers:
            renamed[name] = before.name
            del ops[name]
    return renamed


def _raise(ops: dict[str, XOp], kept: Collection[str]) -> None:
    """Rule 3, from the outputs on, so that a fix passes a whole row of moving operators."""
    readers = _readers(ops.values())
    pending = list(ops)
    while pending:
        op = ops[pending.pop()]
        if op.kind != "fix" or not moves(ops[op.producers[0]]):
            continue
        mover, grid = ops[op.producers[0]], Grid.of(op)
        if readers[mover.name] != [op.name] or mover.name in kept:
            continue
        for index, producer in enumerate(mover.args["input"]):
            made = _fixed(ops, producer, index, mover, grid)
            if made != producer:
                names = mover.args["input"]
                mover.args["input"] = (*names[:index], made, *names[index + 1 :])
                readers[made] = [mover.name]
                twice = producer in mover.args["input"]
                readers[producer] = [r for r in readers[producer] if r != mover.name or twice] + [made]
                pending.append(made)


def _fixed(ops: dict[str, XOp], producer: str, index: int, mover: XOp, grid: Grid) -> str:
    """`producer`, with a fix onto `grid` behind it unless its numbers are there or `mover` can shift them."""
    source = ops[producer]
    if source.kind == "fix" and (mover.kind not in COPYING or Grid.of(source).numbers == grid.numbers):
        return producer
    name = unique(ops, f"{producer}_inserted_fix_{index}")
    ops[name] = fix_of(source, name, grid)
    return name


def _lower(ops: dict[str, XOp], claimed: Collection[str]) -> dict[str, str]:
    """Rule 2, from the inputs on; which fix has the value of which operator now."""
    readers, renamed = _readers(ops.values()), {}
    for name, op in list(in_order(ops).items()):
        if name in claimed or not moves(op) or [ops[reader].kind for reader in readers[name]] == ["fix"]:
            continue
        sources = [ops[p] for p in op.args.get("input", ())]
        if not sources or any(source.kind != "fix" for source in sources):
            continue
        grids = {Grid.of(source).numbers for source in sources}
        if len(grids) != 1:
            continue
        made = unique(ops, f"{name}_fix")
        for reader in readers[name]:
            ops[reader].args = {
                key: tuple(made if p == name else p for p in names) for key, names in ops[reader].args.items()
            }
        ops[made] = fix_of(op, made, Grid.of(sources[0]))
        readers[made], readers[name] = readers[name], [made]
        renamed[name] = made
    return renamed


def fix_of(source: XOp, name: str, grid: Grid) -> XOp:
    """A fix operator behind `source`; it says that the compiler put it there."""
    attrs = grid.attrs() | {"inserted": Attr("bool", True)}
    return XOp(name, "fix", Tensor(name, source.tensor.shape, FLOAT32), {"input": (source.name,)}, attrs)


def unique(taken: Iterable[str], stem: str) -> str:
    """`stem`, with a number behind it when it is taken."""
    name, count = stem, 0
    while name in taken:
        count += 1
        name = f"{stem}_{count}"
    return name


def _readers(ops: Iterable[XOp]) -> dict[str, list[str]]:
    listed = list(ops)
    readers: dict[str, list[str]] = {op.name: [] for op in listed}
    for op in listed:
        for producer in dict.fromkeys(op.producers):
            readers[producer].append(op.name)
    return readers
