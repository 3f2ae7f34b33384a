"""Custom operators in C shared libraries, by the interface of `vart_op_imp.h` beside this file.

The original's libraries are C++ classes over its own tensors and cannot be loaded; the names are the same:
`libvart_op_imp_<type>.so` exports `vart_init_op_imp`, which fills in init, calculate and cleanup.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.runtime.buffers import storage
from quantforge.runtime.custom_ops import Arrays, failed, file_stem
from quantforge.runtime.fixed import Array
from quantforge.xmodel.model import Attrs, Tensor, XOp, value_of

ABI = 1
ENTRY = "vart_init_op_imp"
TYPES = ("float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
_folders: list[Path] = []

C_CONTEXT, C_TEXT = ctypes.c_void_p, ctypes.c_char_p
_GET_INT = ctypes.CFUNCTYPE(ctypes.c_int, C_CONTEXT, C_TEXT, ctypes.POINTER(ctypes.c_int64))
_GET_FLOAT = ctypes.CFUNCTYPE(ctypes.c_int, C_CONTEXT, C_TEXT, ctypes.POINTER(ctypes.c_double))
_GET_STRING = ctypes.CFUNCTYPE(ctypes.c_int, C_CONTEXT, C_TEXT, ctypes.POINTER(C_TEXT))
_GET_INTS = ctypes.CFUNCTYPE(
    ctypes.c_int,
    C_CONTEXT,
    C_TEXT,
    ctypes.POINTER(ctypes.POINTER(ctypes.c_int64)),
    ctypes.POINTER(ctypes.c_size_t),
)
_GET_FLOATS = ctypes.CFUNCTYPE(
    ctypes.c_int,
    C_CONTEXT,
    C_TEXT,
    ctypes.POINTER(ctypes.POINTER(ctypes.c_double)),
    ctypes.POINTER(ctypes.c_size_t),
)


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("name", C_TEXT),
        ("arg", C_TEXT),
        ("type", ctypes.c_int32),
        ("fix_point", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("dims", ctypes.POINTER(ctypes.c_int64)),
        ("data", ctypes.c_void_p),
        ("size_bytes", ctypes.c_uint64),
    )


class _Op(ctypes.Structure):
    _fields_ = (
        ("name", C_TEXT),
        ("type", C_TEXT),
        ("context", C_CONTEXT),
        ("get_int", _GET_INT),
        ("get_float", _GET_FLOAT),
        ("get_string", _GET_STRING),
        ("get_ints", _GET_INTS),
        ("get_floats", _GET_FLOATS),
    )


_INIT = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Op))
_CALCULATE = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.POINTER(_Op),
    ctypes.c_size_t,
    ctypes.POINTER(_Tensor),
    ctypes.POINTER(_Tensor),
)
_CLEANUP = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Imp(ctypes.Structure):
    _fields_ = (
        ("abi", ctypes.c_int32),
        ("init", _INIT),
        ("calculate", _CALCULATE),
        ("cleanup", _CLEANUP),
    )


def add_library_folder(folder: str | Path) -> None:
    """Look for libraries of custom operators in `folder` too, before the system's own places."""
    path = Path(folder).resolve()
    if path not in _folders:
        _folders.append(path)


def header_path() -> Path:
    """Where `vart_op_imp.h` lies."""
    return Path(__file__).with_name("vart_op_imp.h")


def find_library(op: XOp, read: Callable[[str], XOp]) -> Callable[[XOp, Arrays], Array] | None:
    """What the library for the operator's type computes; None when there is no such library.

    Raises:
        InputError: Q1213 for a library that cannot be used.
    """
    name = f"libvart_op_imp_{file_stem(op.kind)}.so"
    path = next((folder / name for folder in _folders if (folder / name).exists()), None)
    try:
        library = ctypes.CDLL(str(path or name))
    except OSError as error:
        if path is None and "cannot open shared object file" in str(error) and name in str(error):
            return None
        raise InputError(
            "Q1213", op.name, str(error), f"a loadable {name}", "build it for this system"
        ) from error
    entry = getattr(library, ENTRY, None)
    if entry is None:
        raise InputError(
            "Q1213", op.name, f"{name} without {ENTRY}", "the entry of vart_op_imp.h", "export it"
        )
    entry.argtypes, entry.restype = [ctypes.POINTER(_Imp)], ctypes.c_int
    imp = _Imp(abi=ABI)
    status = entry(ctypes.byref(imp))
    if status or not imp.calculate:
        found = f"{ENTRY} of {name} gave {status}" if status else f"{name} without calculate"
        raise InputError(
            "Q1213", op.name, found, "0 and a function calculate", "build it against vart_op_imp.h"
        )
    return LibraryOp(op, read, library, imp)


class LibraryOp:
    """One operator computed by a library, by one thread at a time; its state is cleaned up with it."""

    def __init__(self, op: XOp, read: Callable[[str], XOp], library: Any, imp: _Imp) -> None:
        """Call the library's init."""
        self._read, self._library, self._imp = read, library, imp
        self._lock = Lock()
        self._attrs = _Attributes(op.attrs)
        self._op = _Op(op.name.encode(), op.kind.encode(), None, *self._attrs.callbacks)
        self._state = imp.init(ctypes.byref(self._op)) if imp.init else None
        if imp.cleanup:
            weakref.finalize(self, _clean_up, library, imp, self._state)

    def __call__(self, op: XOp, arrays: Arrays) -> Array:
        """Run calculate.

        Raises:
            InputError: Q1211 for a status other than 0.
        """
        result = np.zeros(op.tensor.shape, storage(op.tensor))
        memory: list[Any] = []
        inputs = [
            _described(self._read(name).tensor, arg, np.ascontiguousarray(array), memory)
            for arg, items in arrays.items()
            for name, array in zip(op.args[arg], items, strict=True)
        ]
        output = _described(op.tensor, "output", result, memory)
        table = (_Tensor * len(inputs))(*inputs)
        with self._lock:
            status = self._imp.calculate(
                self._state, ctypes.byref(self._op), len(inputs), table, ctypes.byref(output)
            )
        if status:
            raise failed(op, f"calculate returned {status}")
        return result


def _clean_up(library: Any, imp: _Imp, state: int | None) -> None:
    imp.cleanup(state)


def _described(tensor: Tensor, arg: str, array: Array, memory: list[Any]) -> _Tensor:
    """The C record of an array; `memory` keeps alive what it points at."""
    dims = (ctypes.c_int64 * array.ndim)(*array.shape)
    name, arg_name = tensor.name.encode(), arg.encode()
    memory += [dims, name, arg_name, array]
    if array.dtype.name not in TYPES:
        found = f"tensor {tensor.name!r} of {array.dtype}"
        raise InputError("Q1213", tensor.name, found, f"one of {', '.join(TYPES)}", "convert it before")
    position = value_of(tensor.attrs, "fix_point", 0) or 0
    return _Tensor(
        name,
        arg_name,
        TYPES.index(array.dtype.name),
        position,
        array.ndim,
        dims,
        array.ctypes.data,
        array.nbytes,
    )


class _Attributes:
    """Answers to the get_ functions; what they point at lives as long as this object."""

    def __init__(self, attrs: Attrs) -> None:
        self._values = {name.encode(): attr.value for name, attr in attrs.items()}
        self._arrays: dict[tuple[bytes, str], Any] = {}
        self.callbacks = (
            _GET_INT(self._scalar(int)),
            _GET_FLOAT(self._scalar(float)),
            _GET_STRING(self._text),
            _GET_INTS(self._vector(ctypes.c_int64, int)),
            _GET_FLOATS(self._vector(ctypes.c_double, float)),
        )

    def _scalar(self, kind: type) -> Callable[..., int]:
        def get(_: Any, name: bytes, value: Any) -> int:
            found = self._values.get(name)
            if not isinstance(found, (int, float)) or (kind is int and isinstance(found, float)):
                return 1
            value[0] = kind(found)
            return 0

        return get

    def _text(self, _: Any, name: bytes, value: Any) -> int:
        found = self._values.get(name)
        if not isinstance(found, str):
            return 1
        value[0] = self._arrays.setdefault((name, "text"), found.encode())
        return 0

    def _vector(self, element: Any, kind: type) -> Callable[..., int]:
        def get(_: Any, name: bytes, values: Any, count: Any) -> int:
            found = self._values.get(name)
            if not isinstance(found, tuple) or not all(isinstance(item, (int, float)) for item in found):
                return 1
            key = (name, kind.__name__)
            if key not in self._arrays:
                self._arrays[key] = (element * len(found))(*(kind(item) for item in found))
            values[0] = ctypes.cast(self._arrays[key], ctypes.POINTER(element))
            count[0] = len(found)
            return 0

        return get
