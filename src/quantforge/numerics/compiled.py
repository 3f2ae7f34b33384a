"""Machine code for hot loops: numba compiles them, once per machine.

A function takes numbers and C-contiguous arrays and returns nothing; results go into arrays it is given. It is
compiled, or loaded in milliseconds (see `machine_code`), when it is first called; `compile_ahead` does it on another
thread, beside work that runs outside Python. Where the package's folder is read-only the code is kept under the
user's home; where nothing can be written (a container without a home) it is compiled anew in each process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from threading import Lock, Thread
from typing import Any, TypeVar, cast

from quantforge.numerics import machine_code
from quantforge.numerics.machine_code import Argument

Function = TypeVar("Function", bound=Callable[..., None])


class CompiledFunction:
    """A function of arrays and numbers that becomes machine code when it is first called."""

    def __init__(
        self, function: Callable[..., None], arguments: Sequence[Argument], reorder_sums: bool
    ) -> None:
        self._function, self._arguments, self._reorder_sums = function, tuple(arguments), reorder_sums
        self._code: Callable[..., None] | None = None
        self._lock = Lock()
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> None:
        """Run the machine code; arguments of other types than declared are a TypeError."""
        (self._code or self.compile())(*arguments)

    def compile(self) -> Callable[..., None]:
        """The machine code, made now if it was not made before."""
        with self._lock:
            if self._code is None:
                self._code = self._machine_code()
            return self._code

    def _machine_code(self) -> Callable[..., None]:
        known = (self._function, self._arguments, self._reorder_sums)
        return machine_code.load(*known) or machine_code.keep(*known) or _cached_by_numba(*known)


def compiled(*arguments: str, reorder_sums: bool = False) -> Callable[[Function], Function]:
    """Decorator: compile a function for arguments such as "float32", "int64[2]" and "float32[1] const".

    The number in brackets counts the axes of an array; "const" allows it to be read-only. The function runs without
    the GIL. With `reorder_sums` sums of floats may be taken in any order, so their last bits depend on the processor.
    """

    def decorate(function: Function) -> Function:
        parsed = [Argument.parse(text) for text in arguments]
        return cast(Function, CompiledFunction(function, parsed, reorder_sums))

    return decorate


def compile_ahead(*functions: Callable[..., Any]) -> None:
    """Compile `functions` on another thread; whoever calls one before that waits for it."""
    kernels = [function for function in functions if isinstance(function, CompiledFunction)]

    def work() -> None:
        for kernel in kernels:
            kernel.compile()

    Thread(target=work, name="quantforge-compile", daemon=True).start()


def _cached_by_numba(
    function: Callable[..., None], arguments: Sequence[Argument], reorder_sums: bool
) -> Callable[..., None]:
    """By numba and its own cache: for functions whose code needs numba's memory manager."""
    import numba

    signatures, options = [machine_code.numba_types(arguments)], machine_code.numba_options(reorder_sums)
    try:
        return cast(Callable[..., None], numba.njit(signatures, cache=True, **options)(function))
    except (RuntimeError, OSError):  # numba found no place for its cache, or a full or unreadable one
        return cast(Callable[..., None], numba.njit(signatures, **options)(function))
