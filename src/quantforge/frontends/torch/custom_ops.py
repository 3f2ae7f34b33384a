"""Functions of the user that stay one operator: opaque in the graph, one node in the files.

While a module is exported, a call of such a function becomes `quantforge::custom_op`, which carries the operator's
type, the tensors among the arguments, and the others as JSON. Everywhere else the function itself is called,
so that gradients pass. The export has to know shape and dtype of the result: the function runs on tensors without
data, and on zeros where it looks at data; running it for two sizes of the batch tells which axes follow.

The table of registered functions belongs to the process: a decorator has nowhere else to put them.
Source: user guide UG1414, Register Custom Operation.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from quantforge.diagnostics import InputError
from quantforge.frontends.torch.native import NativeCall
from quantforge.graph import Attr, Op, Origin

DOMAIN = "custom"
_TENSOR = "tensor"  # {"tensor": 2} in the JSON of the arguments is the third tensor
_LITERALS = (bool, int, float, str, type(None))


@dataclass(frozen=True, eq=False)
class CustomOp:
    """A registered function.

    Attributes:
        type: Name of the operator type.
        function: The user's function; its first argument is a context as `torch.autograd.Function` has it.
        attributes: Names of the arguments that are attributes of the operator.
        in_xir: Whether XIR has an operator of this type.
    """

    type: str
    function: Callable[..., Any]
    attributes: tuple[str, ...] = ()
    in_xir: bool = False

    def bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, without the context.

        Raises:
            TypeError: As the function would.
        """
        found = inspect.signature(self.function).bind(None, *args, **kwargs)
        found.apply_defaults()
        names = list(found.arguments)
        return {name: found.arguments[name] for name in names[1:]}


@dataclass
class Context:
    """What the function gets as its first argument: the recording part of a `torch.autograd` context."""

    saved_tensors: tuple[Any, ...] = ()
    needs_input_grad: tuple[bool, ...] = field(default_factory=tuple)

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors; gradients are computed by torch from the operators of the function."""
        self.saved_tensors = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Nothing to do here."""

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Nothing to do here."""

    def set_materialize_grads(self, value: bool) -> None:
        """Nothing to do here."""


_registered: dict[str, CustomOp] = {}


def register(op: CustomOp) -> CustomOp:
    """Add `op` to the table; the same function, defined again, takes its own place.

    Raises:
        InputError: Q1455 when another function has this type.
    """
    known = _registered.get(op.type)
    if known is not None and _place(known.function) != _place(op.function):
        raise InputError(
            "Q1455", "register_custom_op (QUANTIZER_TORCH_OP_REGIST)",
            f"type {op.type!r} for {'.'.join(_place(op.function))}",
            f"a type that {'.'.join(_place(known.function))} does not have", "give each function a type of its own",
        )  # fmt: skip
    _registered[op.type] = op
    return op


def registered(type_name: str) -> CustomOp:
    """The function of a type.

    Raises:
        InputError: Q1456 when none is registered in this process.
    """
    if type_name not in _registered:
        raise InputError(
            "Q1456", f"custom operator {type_name!r}", "no function", "one registered in this process",
            "import the module that registers it",
        )  # fmt: skip
    return _registered[type_name]


def registered_types() -> tuple[str, ...]:
    """The types that are registered, in order."""
    return tuple(_registered)


def _place(function: Callable[..., Any]) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def call(op: CustomOp, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call the function, or leave one operator in the module that is being exported.

    Raises:
        InputError: Q1457 for arguments that no file can hold, and for results other than one tensor.
    """
    if not torch.compiler.is_exporting():
        return op.function(Context(), *args, **kwargs)
    tensors: list[torch.Tensor] = []

    def written(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            tensors.append(leaf)
            return {_TENSOR: len(tensors) - 1}
        if isinstance(leaf, torch.SymInt):
            return int(leaf)
        if isinstance(leaf, _LITERALS):
            return leaf
        raise InputError(
            "Q1457", f"custom operator {op.type!r}", f"an argument of type {type(leaf).__name__}",
            "tensors, numbers, strings and lists of them", "decide it inside of the function",
        )  # fmt: skip

    named = {name: _mapped(value, written) for name, value in op.bound(args, kwargs).items()}
    return _custom_op(op.type, tensors, json.dumps(named))


def _mapped(value: Any, written: Callable[[Any], Any]) -> Any:
    return [_mapped(item, written) for item in value] if isinstance(value, list | tuple) else written(value)


def compute(type_name: str, tensors: Sequence[torch.Tensor], text: str) -> torch.Tensor:
    """Call the function of a type on tensors and on the arguments that `call` wrote as JSON.

    Raises:
        InputError: Q1456 when no function is registered, Q1457 when it does not return one tensor.
    """
    op = registered(type_name)

    def filled(item: Any) -> Any:
        if isinstance(item, dict):
            return tensors[item[_TENSOR]]
        return [filled(part) for part in item] if isinstance(item, list) else item

    found = op.function(Context(), **{name: filled(item) for name, item in json.loads(text).items()})
    if not isinstance(found, torch.Tensor):
        raise InputError(
            "Q1457", f"custom operator {type_name!r}", f"a result of type {type(found).__name__}", "one tensor",
            "return one tensor; split the function where it has several results",
        )  # fmt: skip
    return found


def attributes_of(type_name: str, text: str) -> dict[str, Any]:
    """The attributes in the arguments that `call` wrote as JSON."""
    named = json.loads(text)
    return {name: named[name] for name in registered(type_name).attributes if name in named}


@torch.library.custom_op("quantforge::custom_op", mutates_args=())
def _custom_op(type_name: str, tensors: Sequence[torch.Tensor], text: str) -> torch.Tensor:
    found = compute(type_name, tensors, text)
    return found.clone() if any(found is tensor for tensor in tensors) or found._is_view() else found


@_custom_op.register_fake
def _(type_name: str, tensors: Sequence[torch.Tensor], text: str) -> torch.Tensor:
    sizes: list[Any] = [size for t in tensors for size in t.shape if isinstance(size, torch.SymInt)]
    seen = _probe(type_name, tensors, text, 1)
    shape: list[Any] = list(seen.shape)
    if sizes:
        grown = _probe(type_name, tensors, text, 2)
        shape = [_followed(int(a), int(b), sizes) for a, b in zip(seen.shape, grown.shape, strict=True)]
    return torch.empty(shape, dtype=seen.dtype, device=tensors[0].device if tensors else None)


def _followed(once: int, twice: int, sizes: Sequence[Any]) -> Any:
    """A size of the result in terms of the open sizes, which were doubled for the second number."""
    if once == twice:
        return once
    for size in sizes:
        hint = size.node.hint
        if twice == 2 * once and once % hint == 0:
            return size * (once // hint)
    for size in sizes:
        int(size)  # no rule: the export has to take these sizes as fixed
    return once


def _probe(type_name: str, tensors: Sequence[torch.Tensor], text: str, factor: int) -> torch.Tensor:
    """The result without its data, for open sizes times `factor`."""

    def sized(tensor: torch.Tensor) -> list[int]:
        return [
            int(size.node.hint) * factor if isinstance(size, torch.SymInt) else size for size in tensor.shape
        ]

    shapes = [(sized(tensor), tensor.dtype) for tensor in tensors]
    with _disable_current_modes(), torch.no_grad():
        try:
            return compute(type_name, [torch.empty(s, dtype=d, device="meta") for s, d in shapes], text)
        except (RuntimeError, TypeError, ValueError, IndexError):  # it looks at data
            return compute(type_name, [torch.zeros(s, dtype=d) for s, d in shapes], text)


def is_custom(target: Any) -> bool:
    """Whether a call is one of a registered function."""
    return bool(target is torch.ops.quantforge.custom_op.default)


def custom_op(
    name: str, inputs: tuple[str, ...], outputs: tuple[str, ...], args: tuple[Any, ...], node: str
) -> Op:
    """The operator of the graph for a call; `args` are those of the call, tensors as `Ref`."""
    type_name, text = str(args[0]), str(args[2])
    attrs: dict[str, Attr] = {"type": type_name, "domain": DOMAIN, "why": "a registered function"}
    for key, value in attributes_of(type_name, text).items():
        if value is not None:
            attrs[f"attr.{key}"] = _attr(value)
    native = NativeCall(compute, args, {})
    return Op("opaque", name, inputs, outputs, attrs, Origin((node,), None, native))


def _attr(value: Any) -> Attr:
    """Lists of one kind become tuples, other nests their text."""
    if not isinstance(value, list):
        return value  # type: ignore[no-any-return]
    for kind in (bool, int, float, str):
        if all(isinstance(item, kind) for item in value):
            return tuple(value)
    numbers = all(isinstance(item, int | float) for item in value)
    return tuple(float(item) for item in value) if numbers else json.dumps(value)
