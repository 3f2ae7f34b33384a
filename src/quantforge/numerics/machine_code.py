"""Machine code of hot loops, kept between processes and loaded without numba.

numba compiles well and starts slowly: to import it and to load a function from its own cache takes longer than some
whole quantizations. So what it compiled is kept as an object file, and a later process loads it with llvmlite alone.

What is kept is the function in numba's own calling convention: it gets a place for its result, a place for an
exception, and then its arguments, an array as (owner, parent, items, bytes per item, data, sizes, strides). Owner and
parent stay null: such functions neither keep nor make arrays. Only code that needs nothing from outside, neither
Python nor numba's memory manager, is kept; other functions are numba's to cache.

The key of a file is a hash of the module's text, the arguments, the options, llvmlite's version and the processor; a
checksum guards against files cut short.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from quantforge.diagnostics import InputError, InternalError
from quantforge.files import write_atomic

_DIGEST = 32
_OUTSIDE = {"memcpy", "memset", "memmove"}  # every process has them
_engines: list[Any] = []  # own the memory of the code


@dataclass(frozen=True)
class Argument:
    """One argument of a compiled function: a number of `dtype`, or a C-contiguous array with `axes` axes.

    >>> Argument.parse("float32[2] const")
    Argument(dtype='float32', axes=2, const=True)
    """

    dtype: str
    axes: int | None = None
    const: bool = False

    @classmethod
    def parse(cls, text: str) -> Argument:
        """From "float32", "float32[2]" or, where it may be read-only, "float32[2] const"."""
        found = re.fullmatch(r"(\w+?\d+)(?:\[(\d)\]( const)?)?", text)
        if found is None:
            raise InternalError(
                "Q0491", "a compiled function", repr(text), "such as float32[2]", "report this bug"
            )
        return cls(found[1], None if found[2] is None else int(found[2]), found[3] is not None)

    def accepts(self, given: Any) -> bool:
        """Whether `given` can be passed here."""
        if self.axes is None:
            return not isinstance(given, np.ndarray)
        return (
            isinstance(given, np.ndarray)
            and given.dtype == self.dtype
            and given.ndim == self.axes
            and given.flags.c_contiguous
            and (self.const or given.flags.writeable)
        )

    @property
    def ctypes(self) -> list[Any]:
        """The machine's arguments that it becomes."""
        if self.axes is None:
            return [np.ctypeslib.as_ctypes_type(self.dtype)]
        sizes = [ctypes.c_int64] * (2 * self.axes)
        return [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, *sizes]

    def passed(self, given: Any) -> tuple[Any, ...]:
        """`given` as the machine's arguments."""
        if self.axes is None:
            return (given.item() if isinstance(given, np.generic) else given,)
        return (None, None, given.size, given.itemsize, given.ctypes.data, *given.shape, *given.strides)


def load(function: Callable[..., Any], arguments: Sequence[Argument], reorder_sums: bool) -> Any:
    """The kept machine code of `function` as a callable; None when there is none."""
    for folder in _folders(function):
        try:
            content = (folder / _file_name(function, arguments, reorder_sums)).read_bytes()
        except OSError:
            continue
        digest, symbol, code = content[:_DIGEST], *content[_DIGEST:].partition(b"\0")[::2]
        if digest == _digest(content[_DIGEST:]):
            return _callable(function.__name__, arguments, symbol.decode(), code)
    return None


def keep(function: Callable[..., Any], arguments: Sequence[Argument], reorder_sums: bool) -> Any:
    """Compile `function` and keep its machine code; None when that needs something from outside.

    Where no folder can be written, the code is used and not kept.
    """
    compiled = _compiled(function, arguments, reorder_sums)
    if compiled is None:
        return None
    symbol, code = compiled
    content = symbol.encode() + b"\0" + code
    for folder in _folders(function):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / _file_name(function, arguments, reorder_sums), _digest(content) + content)
            break
        except (OSError, InputError):  # a folder that cannot be written
            continue
    return _callable(function.__name__, arguments, symbol, code)


def _compiled(
    function: Callable[..., Any], arguments: Sequence[Argument], reorder_sums: bool
) -> tuple[str, bytes] | None:
    """Symbol and object file."""
    import numba
    from numba.core.registry import cpu_target

    types = numba_types(arguments)
    machine = cpu_target.target_context.codegen()._tm
    options = numba_options(reorder_sums)
    dispatcher = numba.njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **options)(function)
    dispatcher.compile(types)
    found = dispatcher.overloads[types]
    module = _alone(found.library._final_module.clone(), found.fndesc.llvm_func_name, machine)
    outside = {
        symbol.name for symbol in (*module.functions, *module.global_variables) if symbol.is_declaration
    }
    if {name for name in outside if not name.startswith("llvm.")} - _OUTSIDE:
        return None
    return found.fndesc.llvm_func_name, machine.emit_object(module)


def _alone(module: Any, symbol: str, machine: Any) -> Any:
    """The module with what `symbol` calls, and without the parts of numba's runtime that come with every function."""
    import llvmlite.binding as llvm

    for function in module.functions:
        if function.name != symbol and not function.is_declaration:
            function.linkage = "internal"
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    passes.add_strip_dead_prototype_pass()
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    return module


def numba_types(arguments: Sequence[Argument]) -> tuple[Any, ...]:
    """The arguments as numba names them."""
    from numba import types

    return tuple(
        getattr(types, one.dtype)
        if one.axes is None
        else types.Array(getattr(types, one.dtype), one.axes, "C", readonly=one.const)
        for one in arguments
    )


def numba_options(reorder_sums: bool) -> dict[str, Any]:
    """How numba compiles; `reorder_sums` lets it take sums of floats in any order."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    return {**options, "fastmath": {"reassoc", "nsz"}} if reorder_sums else options


def _callable(name: str, arguments: Sequence[Argument], symbol: str, code: bytes) -> Callable[..., None]:
    """The function behind `symbol` of an object file; it runs without the GIL."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    places = [ctypes.c_void_p, ctypes.c_void_p]  # of the result and of an exception
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, *places, *(c for one in arguments for c in one.ctypes))
    native = prototype(engine.get_function_address(symbol))

    def call(*given: Any) -> None:
        if len(given) != len(arguments) or not all(map(Argument.accepts, arguments, given)):
            raise TypeError(f"{name} takes ({', '.join(map(str, arguments))})")
        nothing = ctypes.c_void_p()
        place = ctypes.addressof(nothing)
        status = native(
            place, place, *(part for one, x in zip(arguments, given, strict=True) for part in one.passed(x))
        )
        if status:
            raise InternalError(
                "Q0491", name, f"status {status}", "a kernel that cannot fail", "report this bug"
            )

    return call


def _file_name(function: Callable[..., Any], arguments: Sequence[Argument], reorder_sums: bool) -> str:
    import llvmlite
    import llvmlite.binding as llvm

    source = Path(function.__code__.co_filename).read_bytes()
    features = llvm.get_host_cpu_features().flatten()
    parts = (
        function.__qualname__, tuple(arguments), reorder_sums, llvmlite.__version__,
        llvm.get_process_triple(), llvm.get_host_cpu_name(), features,
    )  # fmt: skip
    key = hashlib.blake2b(source + repr(parts).encode(), digest_size=12).hexdigest()
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}.{key}.machine-code"


def _folders(function: Callable[..., Any]) -> tuple[Path, ...]:
    """Where code is kept, in order: beside the module's bytecode, else in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(function.__code__.co_filename).parent / "__pycache__", Path(home) / "quantforge"


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_DIGEST).digest()
