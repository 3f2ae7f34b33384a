from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from quantforge.diagnostics import InputError  # noqa: E402
from quantforge.frontends.torch.tuning.announce import announce, needed  # noqa: E402
from quantforge.frontends.torch.tuning.kept import Budget, Samples, Vault  # noqa: E402
from quantforge.frontends.torch.tuning.options import Schedule, TuneOptions  # noqa: E402
from tests.unit.frontends.torch.tuning.nets import CPU, images, mixed  # noqa: E402

OPTIONS = TuneOptions(layer_samples=8, schedule=Schedule(batch=16))
SAMPLE, WIDE = 3 * 8 * 8 * 4, 8 * 8 * 8 * 4  # bytes of one image, and of one value between layers


@pytest.fixture
def samples() -> Samples:
    found = Samples(Vault(), True)
    found.add({"x": images(20)})
    return found


def test_what_is_needed(samples: Samples) -> None:
    graph = mixed().graph
    assert graph is not None
    need = needed(graph, samples, OPTIONS, CPU)
    assert need.inputs == 20 * SAMPLE
    assert need.targets == 20 * 5 * 4
    # the residual and two beside it, in float and as they are kept: two of the three as integers
    assert need.activations == 8 * (3 + 1.5) * WIDE
    assert need.batch == 16
    assert need.kept == need.inputs + need.targets + need.activations


def test_steps_shrink_to_fit_the_budget(samples: Samples) -> None:
    graph = mixed().graph
    assert graph is not None
    whole = needed(graph, samples, OPTIONS, CPU)
    small = replace(OPTIONS, budget=Budget(whole.step // 3))
    need = needed(graph, samples, small, CPU)
    assert need.batch == 4
    assert need.step <= small.budget.memory_bytes


def test_it_is_said_before_it_is_taken(
    samples: Samples, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    graph = mixed().graph
    assert graph is not None
    options = replace(OPTIONS, budget=Budget(50_000, tmp_path))
    with caplog.at_level(logging.WARNING, "quantforge"):
        announce(graph, 5, samples, needed(graph, samples, options, CPU), options)
    (text,) = [record.getMessage() for record in caplog.records if record.name == "quantforge"]
    assert text.startswith("Q1440 ")
    assert "20 samples" in text
    assert str(tmp_path) in text


def test_a_full_disk_is_an_error_before_anything_is_kept(
    samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = mixed().graph
    assert graph is not None
    options = replace(OPTIONS, budget=Budget(1000, tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2000))
    with pytest.raises(InputError, match="Q1444"):
        announce(graph, 5, samples, needed(graph, samples, options, CPU), options)
