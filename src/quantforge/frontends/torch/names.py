"""Stable layer names: the path of the module a call belongs to, and what it does there.

A library module that makes one kind of call gives it its own name ("layer1.0.conv1"). Every other call gets the name
of its operator behind the path of the module in whose code it stands ("layer1.0.relu"). Repeats count: "relu_1". The
names depend on the user's code alone, not on torch's version or on how it numbers its nodes.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from quantforge.frontends.torch.custom_ops import is_custom

_REPEAT = re.compile(r"@\d+")
_ATTRIBUTE = re.compile(r"\[([^\]]*)\]")
_MARKER = "_empty_nn_module_stack_from_metadata_hook"
_LIBRARY = ("torch.nn.", "torch.ao.nn.", "torchvision.ops.", "pytorch_nndct.nn.")
_TRACED = ("torch.export.", "torch.fx.")  # classes of modules that are made of a trace
_TENSORS = (torch.Tensor, tuple, list)
_ALIASES = {
    "_native_batch_norm_legit_no_training": "batch_norm",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "max_pool2d_with_indices": "max_pool2d",
    "constant_pad_nd": "pad",
    "scaled_dot_product_attention": "attention",
    "_softmax": "softmax",
    "_log_softmax": "log_softmax",
    "_to_copy": "to",
    "convolution": "conv",
    "hardtanh": "clamp",
}


class Namer:
    """Gives out names, each once."""

    def __init__(
        self, nodes: Iterable[Any], taken: Iterable[str], parameters: Mapping[str, str] | None = None
    ) -> None:
        """`parameters` are the paths of parameters by fx node, for calls that say nothing of their module."""
        self._taken = set(taken)
        self._parameters = dict(parameters or {})
        calls = (node for node in nodes if isinstance(node.meta.get("val"), _TENSORS))
        self._operators: dict[str, set[str]] = {}
        for node in calls:
            if node.target is not operator.getitem:
                self._operators.setdefault(_innermost(node)[0], set()).add(operator_name(node.target))

    def layer(self, node: Any) -> str:
        """The name of the op made from an fx node."""
        path, kind = _innermost(node)
        if path and len(self._operators[path]) == 1 and kind.startswith(_LIBRARY):
            return self.fresh(path)
        traced = not kind or kind.startswith(_TRACED)
        owner = self._owner(node) if not path and traced else ""
        if owner:
            return self.fresh(owner)
        word = str(node.args[0]) if is_custom(node.target) else operator_name(node.target)
        return self.fresh(f"{path}.{word}" if path else word)

    def _owner(self, node: Any) -> str:
        """The module whose parameters a call reads; a traced module has no other trace of it."""
        read = (self._parameters.get(item.name, "") for item in node.all_input_nodes)
        return next((name.rpartition(".")[0] for name in read if "." in name), "")

    def fresh(self, stem: str) -> str:
        """`stem`, with a number when it is taken."""
        name, count = stem, 0
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._taken.add(name)
        return name


def packet_name(target: Any) -> str | None:
    """The name of an ATen operator without its overload; None for anything else.

    >>> packet_name(torch.ops.aten.add.Tensor)
    'add'
    """
    if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":
        return None
    return str(target.overloadpacket.__name__)


def operator_name(target: Any) -> str:
    """The short name of an operator.

    >>> operator_name(torch.ops.aten.add.Tensor), operator_name(torch.ops.aten._softmax.default)
    ('add', 'softmax')
    """
    packet = getattr(target, "overloadpacket", None)
    word = str(getattr(packet, "__name__", None) or getattr(target, "__name__", target))
    return _ALIASES.get(word, word.strip("_") or "call")


def scopes_of(nodes: Iterable[Any]) -> dict[str, str]:
    """For each fx node the modules it is called in: classes, and in brackets the names they have.

    The root has no name: ``Net/Sequential[layer1]/Conv2d[0]``.
    """
    return {node.name: scope for node in nodes if (scope := _scope(node))}


def scope_path(scope: str) -> str:
    """The path of the innermost module of a scope.

    >>> scope_path("Net/Sequential[layer1]/Conv2d[0]")
    'layer1.0'
    """
    return ".".join(_ATTRIBUTE.findall(scope))


def _scope(node: Any) -> str:
    parts: list[str] = []
    outer = ""
    for path, kind in (node.meta.get("nn_module_stack") or {}).values():
        path = _REPEAT.sub("", path)
        word = (kind if isinstance(kind, str) else kind.__qualname__).rpartition(".")[2]
        own = path.removeprefix(f"{outer}.") if outer else path
        if path == _MARKER:
            return ""
        if own and own != outer:
            parts += [f"[{part}]" for part in own.split(".")[:-1]]
            parts.append(f"{word}[{own.split('.')[-1]}]")
        elif not parts:
            parts.append(word)
        outer = path
    return "/".join(parts)


def _innermost(node: Any) -> tuple[str, str]:
    """Path and class of the module whose code makes the call."""
    stack = node.meta.get("nn_module_stack") or {}
    if not stack:
        return "", ""
    path, kind = list(stack.values())[-1]
    kind = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    if path == _MARKER:
        return "", ""
    return _REPEAT.sub("", path), kind
