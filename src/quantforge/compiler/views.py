"""Tensors that lie inside others: parts of a concatenation, and the two names of a reshaped tensor."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from quantforge.xmodel.model import XModel


@dataclass(frozen=True)
class View:
    """A tensor inside that of `base`: byte offset and element strides."""

    base: str
    offset: int
    strides: tuple[int, ...]


def find_views(
    model: XModel, layers: Sequence[Sequence[str]], leaving: Collection[str]
) -> tuple[dict[str, View], set[str]]:
    """Views by operator, and the operators that need no instructions because of them (or are uploads).

    Args:
        model: The model.
        layers: Operators of each superlayer, without constants.
        leaving: Operators whose tensors go out; those keep a place of their own.
    """
    finder = _Finder(model, {name for ops in layers for name in ops}, leaving)
    for ops in reversed(layers):
        kind = model.ops[ops[-1]].kind
        found = kind == "upload"
        if len(ops) == 1 and kind == "concat-fix":
            found = finder.join(ops[0])
        elif len(ops) == 1 and kind == "reshape-fix":
            found = finder.rename(ops[0])
        if found:
            finder.silent.add(ops[-1])
    return finder.views, finder.silent


def dense(shape: Sequence[int]) -> tuple[int, ...]:
    """Element strides of a tensor without gaps.

    >>> dense((1, 2, 3, 4))
    (24, 12, 4, 1)
    """
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


class _Finder:
    """Goes from the last superlayer to the first; a tensor becomes a view at most once."""

    def __init__(self, model: XModel, inside: Collection[str], leaving: Collection[str]) -> None:
        self.model = model
        self.inside = inside
        self.leaving = leaving
        self.views: dict[str, View] = {}
        self.bases: set[str] = set()
        self.silent: set[str] = set()

    def join(self, name: str) -> bool:
        """Let the parts of a concatenation be written into it."""
        op = self.model.ops[name]
        parts, own = op.args["input"], self.views.get(name)
        strides = dense(op.tensor.shape)
        if own is not None and own.strides != strides:
            return False
        if len(set(parts)) != len(parts) or not all(self._free(part) for part in parts):
            return False
        base, offset = (name, 0) if own is None else (own.base, own.offset)
        axis = op.get("axis")
        for part in parts:
            self._place(part, View(base, offset, strides))
            offset += self.model.ops[part].tensor.shape[axis] * strides[axis]
        return True

    def rename(self, name: str) -> bool:
        """Let the input of a reshape be written where the result lies, or read the result where the input lies."""
        before = self.model.ops[name].args["input"][0]
        tensor = self.model.ops[before].tensor
        if name not in self.views and self._free(before):
            self._place(before, View(name, 0, dense(tensor.shape)))
            return True
        if name in self.views or name in self.bases or name in self.leaving or before in self.views:
            return False
        if before not in self.inside:
            return False
        self._place(name, View(before, 0, dense(self.model.ops[name].tensor.shape)))
        return True

    def _free(self, name: str) -> bool:
        """Whether a tensor may lie inside another one."""
        return (
            name in self.inside
            and name not in self.leaving
            and name not in self.views
            and name not in self.bases
            and self.model.ops[name].kind != "upload"
        )

    def _place(self, name: str, view: View) -> None:
        self.views[name] = view
        self.bases.add(view.base)
