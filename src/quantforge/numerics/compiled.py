"""Machine code for hot loops: numba with explicit signatures and a cache on disk.

Explicit signatures compile (or load from the cache, in milliseconds) when the module is imported, so no first
call is slow. Where the package's folder is read-only numba caches under the user's home; where nothing can be
written (a container without a home) the functions are compiled anew in each process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(*signatures: str, reorder_sums: bool = False) -> Callable[[Function], Function]:
    """Decorator: compile a function of arrays and numbers for `signatures`; it runs without the GIL.

    With `reorder_sums` sums of floats may be taken in any order, so their last bits depend on the processor.
    """

    def compile_function(function: Function) -> Function:
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
        if reorder_sums:
            options["fastmath"] = {"reassoc", "nsz"}
        try:
            made = numba.njit(list(signatures), cache=True, **options)(function)
        except (RuntimeError, OSError):  # numba found no place for its cache, or a full or unreadable one
            made = numba.njit(list(signatures), **options)(function)
        return cast(Function, made)

    return compile_function
