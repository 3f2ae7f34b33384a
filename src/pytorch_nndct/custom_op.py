"""`register_custom_op`: a function of the user that is one operator of the quantized model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.frontends.torch import custom_ops
from quantforge.ops.registry import KINDS
from quantforge.quantization.recipe import Recipe
from quantforge.xmodel.catalogue import catalogue


def register_custom_op(
    op_type: str, attrs_list: Sequence[str] | None = None, mapping_to_xir: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: calls of the function are one operator of type `op_type`.

    The first parameter of the function is a context, as in `torch.autograd.Function`; callers leave it out. The
    function returns one tensor. It stays in float unless `torch_quantizer` has its type in `custom_quant_ops`.

    Args:
        op_type: Name of the operator type, in the xmodel and in ONNX.
        attrs_list: Parameters of the function that are attributes of the operator; tensors are its inputs.
        mapping_to_xir: XIR has an operator of this type, and the xmodel is to use it.

    Returns:
        The decorator. Decorating a function again, as when a module is reloaded, replaces it.

    Raises:
        InputError: Q1455 for a type that is taken, Q1458 for a function or attributes of the wrong form.
    """
    _check_type(op_type, mapping_to_xir)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        _check_function(function, attrs_list or ())
        op = custom_ops.register(
            custom_ops.CustomOp(op_type, function, tuple(attrs_list or ()), mapping_to_xir)
        )

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            return custom_ops.call(op, args, kwargs)

        return called

    return decorate


def with_custom_types(recipe: Recipe, types: Sequence[str] | None) -> Recipe:
    """The recipe with the inputs and outputs of these operator types quantized.

    Raises:
        InputError: Q1421 for anything but a list of names.
    """
    if types is None:
        return recipe
    if isinstance(types, str) or not all(isinstance(name, str) for name in types):
        raise InputError(
            "Q1421", "custom_quant_ops", repr(types), "a list of operator types", "custom_quant_ops=['MyOp']"
        )
    return replace(recipe, placement=replace(recipe.placement, custom_types=tuple(types)))


def _check_type(op_type: str, mapping_to_xir: bool) -> None:
    where = "op_type (QUANTIZER_TORCH_OP_REGIST)"
    standard = op_type in catalogue()
    if mapping_to_xir and not standard:
        raise InputError(
            "Q1455", where, f"{op_type!r}, which XIR does not define, with mapping_to_xir",
            "a type of XIR", "leave out mapping_to_xir",
        )  # fmt: skip
    if not mapping_to_xir and (standard or op_type in KINDS):
        raise InputError(
            "Q1455", where, f"{op_type!r}, a type that exists", "a new type",
            "choose another name, or mapping_to_xir=True to write the operator of XIR",
        )  # fmt: skip


def _check_function(function: Callable[..., Any], attributes: Sequence[str]) -> None:
    names = list(inspect.signature(function).parameters)
    missing = [name for name in attributes if name not in names[1:]]
    if names[:1] != ["ctx"] or missing:
        found = f"no parameter {missing[0]!r}" if missing else f"parameters ({', '.join(names)})"
        raise InputError(
            "Q1458", f"custom operator {function.__qualname__}", found,
            "ctx first, then tensors and the attributes of attrs_list", "correct the names",
        )  # fmt: skip
