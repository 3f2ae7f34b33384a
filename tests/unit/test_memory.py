import sys
from pathlib import Path

import numpy as np
import pytest

from quantforge.memory import release_freed_memory


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and needs glibc")
def test_freed_memory_goes_back_to_the_system():
    release_freed_memory()
    before = resident_bytes()
    # small blocks come from the heap, and the one kept at its end pins what is freed below it
    blocks = [np.ones(8192, np.uint8) for _ in range(8192)]
    last = blocks[-1]
    del blocks
    release_freed_memory()
    assert resident_bytes() - before < 16 << 20
    assert last.size == 8192


@pytest.mark.skipif(sys.platform == "linux", reason="glibc can")
def test_elsewhere_nothing_happens():
    assert release_freed_memory() is False
