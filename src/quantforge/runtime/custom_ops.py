"""Custom operators of the CPU: a class per operator type, registered, installed as a package, or in a C library.

    @register_op("Mylayer")
    class Mylayer:
        def __init__(self, op): self.alpha = op.get_attr("alpha")
        def calculate(self, output, input): np.asarray(output)[...] = np.asarray(input[0]) * self.alpha

`calculate` gets one `TensorBuffer` to write to and, under the name of each argument of the operator, a list of
TensorBuffers to read from (user guide UG1414, custom operators). The documented package form is a module
`vart_op_imp/<type>.py` with a class of that name; the C form is a library `libvart_op_imp_<type>.so`. In file names
':', '/' and '\\' of the type become '_'. Looked for in this order: registered, package, library.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol, TypeVar

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.runtime.buffers import TensorBuffer, storage
from quantforge.runtime.fixed import Array
from quantforge.xmodel.model import Attrs, Tensor, XOp

PACKAGE = "vart_op_imp"
Arrays = dict[str, list[Array]]
Class = TypeVar("Class", bound=type)


class CustomOp(Protocol):
    """What a custom operator's class looks like; `calculate` takes the operator's arguments by name."""

    calculate: Callable[..., Any]


_registered: dict[str, Callable[[Any], CustomOp]] = {}


class AttrView:
    """Attributes by the names that `xir` has for them."""

    def __init__(self, attrs: Attrs) -> None:
        self._attrs = attrs

    def has_attr(self, name: str) -> bool:
        """Whether there is an attribute of this name."""
        return name in self._attrs

    def get_attr(self, name: str) -> Any:
        """Its value; lists as lists.

        Raises:
            KeyError: When there is none.
        """
        value = self._attrs[name].value
        return list(value) if isinstance(value, tuple) else value

    def get_attrs(self) -> dict[str, Any]:
        """All of them."""
        return {name: self.get_attr(name) for name in self._attrs}


class TensorView(AttrView):
    """A tensor as custom operators see it."""

    def __init__(self, tensor: Tensor) -> None:
        super().__init__(tensor.attrs)
        self.name = tensor.name
        self.dims = list(tensor.shape)
        self.ndim = len(tensor.shape)
        self.dtype = str(tensor.dtype).lower()


class OpView(AttrView):
    """An operator as custom operators see it."""

    def __init__(self, op: XOp) -> None:
        super().__init__(op.attrs)
        self._op = op

    def get_name(self) -> str:
        """Name of the operator."""
        return self._op.name

    def get_type(self) -> str:
        """Its type."""
        return self._op.kind

    def get_input_num(self, arg: str | None = None) -> int:
        """How many inputs it has, or those of one argument."""
        return len(self._op.producers if arg is None else self._op.args.get(arg, ()))

    def get_output_tensor(self) -> TensorView:
        """What it gives."""
        return TensorView(self._op.tensor)


def register_op(kind: str) -> Callable[[Class], Class]:
    """Class decorator: operators of type `kind` are computed by this class.

    Raises:
        InputError: Q1212 for a type that is registered already, or a class without `calculate`.
    """

    def decorate(made: Class) -> Class:
        if kind in _registered:
            raise InputError("Q1212", kind, "a second class for this type", "one", "unregister_op first")
        _check_class(kind, made)
        _registered[kind] = made
        return made

    return decorate


def unregister_op(kind: str) -> None:
    """Forget the class of a type; a type without one is fine."""
    _registered.pop(kind, None)


def find_custom(op: XOp, read: Callable[[str], XOp]) -> Callable[[XOp, Arrays], Array] | None:
    """What computes operators of this custom type, or None.

    Raises:
        InputError: Q1211 when its constructor raises, Q1212 or Q1213 for a class or library of the wrong form.
    """
    factory = _registered.get(op.kind) or _packaged(op.kind)
    if factory is None:
        from quantforge.runtime.c_ops import find_library

        return find_library(op, read)
    try:
        instance = factory(OpView(op))
    except Exception as error:  # foreign code may raise anything; it becomes one coded error
        raise failed(op, f"__init__ raised {type(error).__name__}: {error}") from error
    return PythonOp(instance, read)


class PythonOp:
    """An instance of a custom operator's class, used by one thread at a time."""

    def __init__(self, instance: CustomOp, read: Callable[[str], XOp]) -> None:
        self._instance = instance
        self._read = read
        self._lock = Lock()

    def __call__(self, op: XOp, arrays: Arrays) -> Array:
        """Run `calculate`; more samples than the model says arrive one model batch at a time.

        Raises:
            InputError: Q1211 naming the operator, with what was raised.
        """
        result = np.zeros(op.tensor.shape, storage(op.tensor))
        inputs = {
            arg: [
                TensorBuffer(TensorView(self._read(name).tensor), array)
                for name, array in zip(op.args[arg], items, strict=True)
            ]
            for arg, items in arrays.items()
        }
        output = TensorBuffer(TensorView(op.tensor), result)
        with self._lock:
            try:
                self._instance.calculate(output, **inputs)
            except Exception as error:  # foreign code may raise anything; it becomes one coded error
                raise failed(op, f"calculate raised {type(error).__name__}: {error}") from error
        return result


def failed(op: XOp, found: str) -> InputError:
    """The error for a custom operator that went wrong."""
    return InputError(
        "Q1211", op.name, f"type {op.kind!r}: {found}", "a result", "correct the custom operator"
    )


def file_stem(kind: str) -> str:
    """The type as a part of file names.

    >>> file_stem("onnx:My/Op")
    'onnx_My_Op'
    """
    return re.sub(r"[:/\\]", "_", kind)


def _packaged(kind: str) -> Callable[[Any], CustomOp] | None:
    """The class of vart_op_imp/<type>.py; None when there is no such module."""
    stem = file_stem(kind)
    if not stem.isidentifier() or importlib.util.find_spec(PACKAGE) is None:
        return None
    if importlib.util.find_spec(f"{PACKAGE}.{stem}") is None:
        return None
    made = getattr(importlib.import_module(f"{PACKAGE}.{stem}"), stem, None)
    if made is None:
        found = f"module {PACKAGE}.{stem} without a class {stem}"
        raise InputError("Q1212", kind, found, "file name = class name = operator type", "rename the class")
    _check_class(kind, made)
    return made  # type: ignore[no-any-return]


def _check_class(kind: str, made: Any) -> None:
    calculate = getattr(made, "calculate", None)
    if not callable(calculate) or "output" not in inspect.signature(calculate).parameters:
        found = f"{getattr(made, '__name__', made)!s} without calculate(self, output, ...)"
        fix = "add the method, with a parameter for each argument of the operator"
        raise InputError("Q1212", kind, found, "a class with calculate(self, output, input)", fix)
