"""Give memory back to the system: what was freed, and pages of mapped files that are not needed for now.

Large blocks that were freed stay with the C library's allocator once others were taken behind them. After a
session on ONNX Runtime that is hundreds of megabytes, which the next session would not use again.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


def release_freed_memory() -> bool:
    """Ask the allocator to return what it holds free; True when it did. Only glibc can."""
    trim = _malloc_trim()
    return trim is not None and bool(trim(0))


def drop_pages(array: NDArray[Any]) -> bool:
    """Let go of the memory behind an array that lies in a mapped file; it is read again when it is used again.

    True when there was something to let go of: pages that lie within the array, of a file mapped for reading only.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    mapped = base.obj if isinstance(base, memoryview) and base.readonly else None
    if not isinstance(mapped, mmap.mmap) or not hasattr(mapped, "madvise") or not array.flags.c_contiguous:
        return False
    start = array.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (start + array.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length <= 0:
        return False
    mapped.madvise(mmap.MADV_DONTNEED, first, length)
    return True


@cache
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
