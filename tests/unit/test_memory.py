import mmap
import sys
from pathlib import Path

import numpy as np
import pytest

from quantforge.memory import drop_pages, release_freed_memory


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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_of_a_mapped_file_are_dropped_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    numbers = np.arange(4 << 20, dtype=np.float32)
    path.write_bytes(numbers.tobytes())
    with path.open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    array = np.frombuffer(mapped, np.float32)
    total = float(array.sum(dtype=np.float64))
    before = resident_bytes()
    assert drop_pages(array[1024 : 3 << 20])
    assert before - resident_bytes() > 8 << 20
    assert float(array.sum(dtype=np.float64)) == total
    assert not drop_pages(numbers), "its own memory"
    assert not drop_pages(array[:10]), "less than a page"
    assert not drop_pages(array[::2]), "with gaps"
