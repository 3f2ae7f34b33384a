from __future__ import annotations

import gc
from threading import Thread

import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime import engines
from quantforge.runtime.cpu_ops import CpuEngine
from quantforge.runtime.engine import FastEngine
from quantforge.runtime.engines import Engine, engine_for
from quantforge.runtime.reference import ReferenceEngine
from tests.compiled_xmodels import classifier, dpu_part


def test_device_and_mode_choose_the_engine() -> None:
    model = classifier()
    assert isinstance(engine_for(model, dpu_part(model), "run"), FastEngine)
    assert isinstance(engine_for(model, dpu_part(model), "ref"), ReferenceEngine)
    assert isinstance(engine_for(model, dpu_part(model), "sim"), ReferenceEngine)
    assert isinstance(engine_for(model, model.root.children[-1], "run"), CpuEngine)


def test_a_subgraph_is_compiled_once_even_by_many_threads() -> None:
    model, found = classifier(), list[Engine]()
    threads = [
        Thread(target=lambda: found.append(engine_for(model, dpu_part(model), "run"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_engines_are_forgotten_with_their_model() -> None:
    model = classifier()
    identity = id(dpu_part(model))
    engine_for(model, dpu_part(model), "ref")
    assert any(key[0] == identity for key in engines._known)
    del model
    gc.collect()
    assert not any(key[0] == identity for key in engines._known)


@pytest.mark.parametrize(
    ("child", "mode", "found"), [(1, "fast", "mode 'fast'"), (0, "run", "device 'USER'")]
)
def test_what_cannot_run_is_refused(child: int, mode: str, found: str) -> None:
    model = classifier()
    with pytest.raises(InputError, match=f"Q1207 .*{found}"):
        engine_for(model, model.root.children[child], mode)


def test_a_model_that_is_not_compiled_is_refused() -> None:
    model = classifier()
    model.root.ops = list(model.ops)
    model.root.children = []
    model.root.attrs.clear()
    with pytest.raises(InputError, match=r"Q1207 .*without a device"):
        engine_for(model, model.root, "run")
