"""Files made by the original compiler, which lie beside the repository where there are any."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "xmodels"


def published(name: str) -> Path:
    """The path of a file; the test that asks for it is skipped where it is absent."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"no file {path}")
    return path
