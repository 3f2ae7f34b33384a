"""Machine code for hot loops: numba with explicit signatures and a cache on disk.

A function is compiled, or loaded from the cache in milliseconds, when it is first called. Importing numba takes
longer than that: `compile_ahead` does both on another thread, beside work that runs outside Python. Where the
package's folder is read-only numba caches under the user's home; where nothing can be written (a container without
a home) the functions are compiled anew in each process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from threading import Lock, Thread
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


class CompiledFunction:
    """A function of arrays and numbers that becomes machine code when it is first called."""

    def __init__(
        self, function: Callable[..., Any], signatures: Sequence[str], options: dict[str, Any]
    ) -> None:
        self._function, self._signatures, self._options = function, list(signatures), options
        self._code: Callable[..., Any] | None = None
        self._lock = Lock()
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """Run the machine code; arguments of other types than the signatures' are a TypeError."""
        return (self._code or self.compile())(*arguments)

    def compile(self) -> Callable[..., Any]:
        """The machine code, made now if it was not made before."""
        with self._lock:
            if self._code is None:
                self._code = _machine_code(self._function, self._signatures, self._options)
            return self._code


def compiled(*signatures: str, reorder_sums: bool = False) -> Callable[[Function], Function]:
    """Decorator: compile a function of arrays and numbers for `signatures`; it runs without the GIL.

    With `reorder_sums` sums of floats may be taken in any order, so their last bits depend on the processor.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    if reorder_sums:
        options["fastmath"] = {"reassoc", "nsz"}

    def decorate(function: Function) -> Function:
        return cast(Function, CompiledFunction(function, signatures, options))

    return decorate


def compile_ahead(*functions: Callable[..., Any]) -> None:
    """Compile `functions` on another thread; whoever calls one before that waits for it."""
    kernels = [function for function in functions if isinstance(function, CompiledFunction)]

    def work() -> None:
        for kernel in kernels:
            kernel.compile()

    Thread(target=work, name="quantforge-compile", daemon=True).start()


def _machine_code(
    function: Callable[..., Any], signatures: list[str], options: dict[str, Any]
) -> Callable[..., Any]:
    import numba

    try:
        return cast(Callable[..., Any], numba.njit(signatures, cache=True, **options)(function))
    except (RuntimeError, OSError):  # numba found no place for its cache, or a full or unreadable one
        return cast(Callable[..., Any], numba.njit(signatures, **options)(function))
