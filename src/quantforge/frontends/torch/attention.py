"""Rules for attention: softmax under masks, and scaled dot-product attention in the operators it is made of.

A mask that is added to scores would give them the range of the lowest float. The sum is taken apart again: what is
data is added before, and the masks become inputs of masked-softmax.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import fx

from quantforge.frontends.torch.moves import emit_reshape
from quantforge.frontends.torch.names import packet_name
from quantforge.frontends.torch.native import dtype_name
from quantforge.frontends.torch.view import CallView
from quantforge.graph import Attr

_LOW = -50.0  # exp of it is less than one part in 2**72: a constant that holds such numbers is a mask


def softmax(view: CallView) -> None:
    """softmax along one axis; of scores under masks where masks are added or filled in."""
    source = view.traced(view.node.args[0])
    view.require(source.is_floating_point(), "integers")
    view.require(view.result.dtype == source.dtype, "a change of dtype")
    axis = view.axis("dim", view.result.ndim)
    scores, masks = _taken_apart(view, view.node.args[0])
    inner = None if masks else _before_reshape(view, view.node.args[0], axis)
    if masks:
        view.emit("masked-softmax", [scores, *masks], axis=axis)
    elif inner is not None:
        scores, masks = _taken_apart(view, inner)
        shape = view.traced(inner).shape
        emit_reshape(
            view, view.emit("masked-softmax", [scores, *masks], "shares", axis=len(shape) - 1), shape
        )
    else:
        view.emit("softmax", [view.value_of(view.node.args[0])], axis=axis)


def _before_reshape(view: CallView, item: Any, axis: int) -> fx.Node | None:
    """A sum with masks in front of a reshape that leaves the last axis, along which the softmax goes, as it is."""
    if not isinstance(item, fx.Node) or packet_name(item.target) not in ("view", "reshape", "_unsafe_view"):
        return None
    inner, last = item.args[0], view.result.ndim - 1
    if (
        axis != last
        or not isinstance(inner, fx.Node)
        or view.traced(inner).shape[-1] != view.result.shape[-1]
    ):
        return None
    terms = _terms(inner)
    masks = [term for term in terms if is_mask(view, term)]
    data = [term for term in terms if term not in masks]
    one = len(data) == 1 and _broadcast(view, data) == tuple(view.traced(inner).shape)
    return inner if masks and one else None


def _taken_apart(view: CallView, item: Any) -> tuple[str, list[str]]:
    """The scores, and the masks that were put on them; no masks when it is no such sum."""
    if not isinstance(item, fx.Node):
        return "", []
    filled = _filled_in(view, item)
    if filled is not None:
        return filled
    terms = _terms(item)
    masks = [term for term in terms if is_mask(view, term)]
    data = [term for term in terms if term not in masks]
    whole = tuple(view.traced(item).shape)
    if not masks or not data or _broadcast(view, data) != whole:
        return "", []
    scores = view.value_of(data[0])
    for index, term in enumerate(data[1:]):
        scores = view.emit("eltwise-add", [scores, view.value_of(term)], f"scores{index or ''}")
    return scores, [view.row_of(term) for term in masks]


def _broadcast(view: CallView, items: list[fx.Node]) -> tuple[Any, ...]:
    found: Any = torch.broadcast_shapes(*(view.traced(item).shape for item in items))  # type: ignore[no-untyped-call]
    return tuple(found)


def _filled_in(view: CallView, item: fx.Node) -> tuple[str, list[str]] | None:
    """where(condition, lowest, scores): a mask that is the lowest number where the condition holds, else 0."""
    if packet_name(item.target) != "where" or len(item.args) != 3:
        return None
    condition, low, scores = item.args
    number = _number(view, low)
    if number is None or number > _LOW or not isinstance(scores, fx.Node):
        return None
    if tuple(view.traced(scores).shape) != tuple(view.traced(item).shape):
        return None
    dtype = dtype_name(view.traced(scores).dtype)
    lowest = max(number, float(np.finfo(dtype).min))
    fills = [view.constant(part, np.asarray(fill, dtype)) for part, fill in (("low", lowest), ("zero", 0.0))]
    mask = view.emit("where", [view.row_of(condition), *fills], "mask")
    view.keep_float(mask)
    return view.value_of(scores), [mask]


def _number(view: CallView, item: Any) -> float | None:
    """A number, or what is in a constant of one element."""
    if isinstance(item, int | float):
        return float(item)
    known = view.graph.value(view.known[item]).const if item in view.known else None
    return float(known.reshape(())) if known is not None and known.size == 1 else None


def _terms(item: fx.Node) -> list[fx.Node]:
    """What is added up in `item`, as far as it is a plain sum of floats."""
    plain = packet_name(item.target) == "add" and item.kwargs.get("alpha", 1) == 1 and len(item.args) == 2
    if not plain or not all(_is_float(argument) for argument in item.args):
        return [item]
    return [term for argument in item.args for term in _terms(argument)]  # type: ignore[arg-type]


def _is_float(item: Any) -> bool:
    tensor = item.meta.get("val") if isinstance(item, fx.Node) else None
    return isinstance(tensor, torch.Tensor) and tensor.is_floating_point()


def is_mask(view: CallView, item: fx.Node) -> bool:
    """Whether floats only say which scores count: computed ones that are no data, constants with very low numbers."""
    if item not in view.known:
        return False
    data = view.graph.value(view.row_of(item)).const
    if data is not None:
        return bool(data.size) and float(data.min()) <= _LOW
    return not view.is_data(item)


def attention(view: CallView) -> None:
    """softmax(q k^T * scale, masks) v."""
    view.require(view.number("dropout_p", 0.0) == 0.0, "dropout")
    query, rank = view.tensor("query"), view.tensor("query").ndim
    key, value = _heads(view, "key"), _heads(view, "value")
    order = (*range(rank - 2), rank - 1, rank - 2)
    scale = view.number("scale", 1 / math.sqrt(int(query.shape[-1])))
    keys = view.emit("transpose", [key], "keys", order=order)
    factor = view.constant("scale", np.asarray(scale, dtype_name(query.dtype)))
    scores = view.emit("matmul", [view.value("query"), keys], "product")
    scores = view.emit("eltwise-mul", [scores, factor], "scores")
    scores, masks = _masked(view, scores)
    kind = "masked-softmax" if masks else "softmax"
    shares = view.emit(kind, [scores, *masks], "softmax", axis=rank - 1)
    view.emit("matmul", [shares, value])


def _heads(view: CallView, name: str) -> str:
    """Keys or values; with fewer heads than queries each is repeated for its group."""
    tensor, queries = view.tensor(name), view.tensor("query")
    if not view.arg("enable_gqa", False) or tensor.shape[-3] == queries.shape[-3]:
        return view.value(name)
    view.require(tensor.ndim == 4, "groups of heads in other than four axes")
    heads, times = int(tensor.shape[1]), int(queries.shape[1]) // int(tensor.shape[1])
    lone = view.emit("unsqueeze", [view.value(name)], f"{name}.group", axes=(2,))
    wide = view.emit("expand", [lone], f"{name}.repeated", shape=(1, 1, times, 1, 1))
    sizes = [size if isinstance(size, int) else -1 for size in tensor.shape[2:]]
    view.require(sizes.count(-1) == 0, "a length known only when running")
    return view.emit("reshape", [wide], f"{name}.heads", shape=(0, heads * times, *sizes))


def _masked(view: CallView, scores: str) -> tuple[str, list[str]]:
    """The scores with data added to them, and the masks."""
    masks: list[str] = []
    if view.arg("is_causal", False):
        rows, columns = (view.tensor(name).shape[-2] for name in ("query", "key"))
        view.require(isinstance(rows, int) and isinstance(columns, int), "a causal mask of unknown size")
        masks.append(view.constant("causal", np.tri(int(rows), int(columns), dtype=np.bool_)))
    if not view.has("attn_mask"):
        return scores, masks
    item = view.arg("attn_mask")
    name = view.row_of(item)
    if view.traced(item).dtype == torch.bool:
        known = view.graph.value(name).const
        return scores, masks if known is not None and bool(known.all()) else [*masks, name]
    for index, term in enumerate(_terms(item)):
        if is_mask(view, term):
            masks.append(view.row_of(term))
        else:
            scores = view.emit("eltwise-add", [scores, view.row_of(term)], f"masked{index or ''}")
    return scores, masks


def log_softmax(view: CallView) -> None:
    """log_softmax along one axis."""
    source = view.traced(view.node.args[0])
    view.require(source.is_floating_point() and view.result.dtype == source.dtype, "a change of dtype")
    attrs: dict[str, Attr] = {"axis": view.axis("dim", view.result.ndim)}
    view.emit("log-softmax", [view.value_of(view.node.args[0])], **attrs)
