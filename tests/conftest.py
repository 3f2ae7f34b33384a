"""Options and fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parent.parent
GOLDEN_LIMIT_BYTES = 50_000

GoldenCheck = Callable[[str, str], None]

hypothesis.settings.register_profile("quick", max_examples=15)  # what `make check` uses


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden", action="store_true", help="rewrite golden files instead of comparing with them"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under ``--golden`` run only the tests that own a golden file."""
    if config.getoption("--golden"):
        items[:] = [item for item in items if "golden" in getattr(item, "fixturenames", ())]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> GoldenCheck:
    """``golden(name, text)`` compares `text` with ``tests/golden/name``; ``--golden`` rewrites it."""

    def check(name: str, text: str) -> None:
        path = ROOT / "tests" / "golden" / name
        assert len(text.encode()) < GOLDEN_LIMIT_BYTES, (
            f"golden file {name} is over {GOLDEN_LIMIT_BYTES} bytes"
        )
        if request.config.getoption("--golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        assert path.exists(), f"{path} is missing: run `make golden` and review the new file"
        assert path.read_text("utf-8") == text, "run `make golden` and review the difference"

    return check
