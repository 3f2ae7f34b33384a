from __future__ import annotations

import gc
from threading import Thread

import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime import engines
from quantforge.runtime.cpu_ops import CpuEngine
from quantforge.runtime.engine import FastEngine
from quantforge.runtime.engines import Engine, check_program, engine_for
from quantforge.runtime.reference import ReferenceEngine
from quantforge.xmodel.digest import Header, digest_of
from quantforge.xmodel.model import Attr
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


def test_a_program_must_belong_to_its_operators() -> None:
    model = classifier()
    part = dpu_part(model)
    header = Header(0x101, 0, 32, digest_of(model, part))
    part.attrs |= {"mc_code": Attr("bytes", header.to_bytes()), "dpu_fingerprint": Attr("uint64", 0x101)}
    check_program(model, part)
    part.attrs["dpu_fingerprint"] = Attr("uint64", 0x102)
    with pytest.raises(InputError, match=r"Q1206 .*a program for 0x101; expected one for 0x102"):
        engine_for(model, part, "run")
    part.attrs["dpu_fingerprint"] = Attr("uint64", 0x101)
    next(op for op in model.ops.values() if op.kind == "conv2d-fix").attrs["pad"] = Attr(
        "int32_vec", (0, 0, 0, 0)
    )
    with pytest.raises(InputError, match=r"Q1206 .*made from other operators or weights"):
        engine_for(model, part, "run")
    part.attrs["mc_code"] = Attr("bytes", b"of another compiler")
    with pytest.raises(InputError, match=r"Q1108 mc_code"):
        engine_for(model, part, "run")


def test_a_model_that_is_not_compiled_is_refused() -> None:
    model = classifier()
    model.root.ops = list(model.ops)
    model.root.children = []
    model.root.attrs.clear()
    with pytest.raises(InputError, match=r"Q1207 .*without a device"):
        engine_for(model, model.root, "run")
