"""Give freed memory back to the system.

Large blocks that were freed stay with the C library's allocator once others were taken behind them. After a
session on ONNX Runtime that is hundreds of megabytes, which the next session would not use again.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any


def release_freed_memory() -> bool:
    """Ask the allocator to return what it holds free; True when it did. Only glibc can."""
    trim = _malloc_trim()
    return trim is not None and bool(trim(0))


@cache
def _malloc_trim() -> Any:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
