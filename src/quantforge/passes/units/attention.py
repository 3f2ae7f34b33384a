"""Recognise the softmax of attention scores, with the scaling and the masks in front of it.

    shares = softmax(q k^T / sqrt d + mask),    result = shares v

The unit begins at the product q k^T and ends behind the softmax; q, k, the shares and v are stored, since products
compute on them, and the scores between are not.
Why: a mask holds 0 and -3.4e38 (or minus infinity), and a scale that reaches so far has one step for all scores. A
mask is not data that a scale should describe, so neither it nor its sum with the scores carries a spec. A
position bias that is added in the same place is not stored either.
Reference: Vaswani et al., Attention Is All You Need, 2017.
"""

from __future__ import annotations

from quantforge.graph import Graph, Op
from quantforge.passes.matching import operands
from quantforge.passes.result import Note
from quantforge.passes.units.unit import Unit, Units, unit_of

NAME = "group-attention"
HIDES = -50.0  # exp of it is nothing beside 1
_STEPS = 8  # operators between the product and the softmax


def find_attentions(graph: Graph, masks_alone: bool = False) -> Units:
    """Every softmax behind a product of two computed values; one behind a mask without such a product is noted.

    With `masks_alone` a unit begins at the first mask, and scores without a mask are none.
    """
    units, notes = [], []
    for op in graph.ops:
        if op.kind not in ("softmax", "masked-softmax"):
            continue
        found = _scores_of(graph, op, masks_alone)
        if isinstance(found, Unit):
            units.append(found)
        elif found is not None:
            notes.append(found)
    return Units(tuple(units), tuple(notes))


def _scores_of(graph: Graph, softmax: Op, masks_alone: bool) -> Unit | Note | None:
    """The unit that ends in `softmax`; None for a softmax of other numbers, with nothing in front."""
    chain = [softmax.name]
    masks: tuple[list[str], str] | None = (
        None  # the operators from the first mask on, and the scores in front of it
    )
    masked = softmax.kind == "masked-softmax"
    value = softmax.inputs[0]
    for _ in range(_STEPS):
        op = graph.producer(value)
        if op is None or _is_product(graph, op):
            break
        scores = _scores_side(graph, op)
        if scores is None:
            masked = masked or _may_mask(graph, op)
            break
        masked = masked or _may_mask(graph, op)
        chain.append(op.name)
        value = scores
        if _may_mask(graph, op):
            masks = list(chain), value
    op = graph.producer(value)
    if op is None or not _is_product(graph, op):
        text = f"the scores {value} are not a product of two computed values"
        return Note(NAME, softmax.name, False, text) if masked else None
    if masks_alone:
        if masks is None:
            return None
        chain, value = masks
    return unit_of(graph, "softmax", NAME, chain, softmax.outputs[0], [value])


def _is_product(graph: Graph, op: Op) -> bool:
    return op.kind == "matmul" and graph.const(op, 1) is None and graph.const(op, 0) is None


def _may_mask(graph: Graph, op: Op) -> bool:
    """Whether `op` chooses, or adds something computed or a constant that hides."""
    if op.kind != "eltwise-add":
        return op.kind == "where"
    consts = [graph.value(name).const for name in op.inputs]
    return all(data is None or float(data.min(initial=0.0)) <= HIDES for data in consts)


def _scores_side(graph: Graph, op: Op) -> str | None:
    """The input of `op` through which the scores come: scaling by a constant, adding or choosing by a mask."""
    if op.kind == "identity":
        return op.inputs[0]
    if op.kind == "where":
        return next((name for name in op.inputs[1:] if _leads_to_product(graph, name)), None)
    if op.kind in ("eltwise-mul", "eltwise-div", "eltwise-add", "eltwise-max"):
        for data, other in operands(op):
            single = graph.value(other).const is not None
            if _leads_to_product(graph, data) and (single or op.kind == "eltwise-add"):
                return data
    return None


def _leads_to_product(graph: Graph, name: str, steps: int = _STEPS) -> bool:
    """Whether `name` comes from a product of two computed values by operators that a unit may hold."""
    op = graph.producer(name)
    if op is None or steps == 0:
        return False
    if _is_product(graph, op):
        return True
    if op.kind not in ("identity", "where", "eltwise-mul", "eltwise-div", "eltwise-add", "eltwise-max"):
        return False
    return any(_leads_to_product(graph, each, steps - 1) for each in op.inputs if each)
