from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime import GraphRunner
from quantforge.runtime.graph_runner import ordered_subgraphs, outputs_of
from quantforge.xmodel.model import Attr, Subgraph, XModel
from tests.compiled_xmodels import ModelBuilder, classifier

IMAGES = np.random.default_rng(0).integers(-128, 128, (3, 8, 8, 3)).astype(np.int8)


def test_a_whole_model_in_both_modes() -> None:
    with GraphRunner(classifier()) as fast, GraphRunner(classifier(), "ref") as slow:
        found = fast.run(IMAGES)[0]
        np.testing.assert_array_equal(found, slow.run(IMAGES)[0])
        assert found.shape == (3, 10)
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
        out = np.zeros((1, 10), np.float32)
        assert fast.wait(fast.execute_async([IMAGES[:1]], [out])) == 0
        np.testing.assert_array_equal(out, found[:1])


def two_dpus() -> XModel:
    """image -> DPU -> fix2float, tanh, float2fix on the CPU -> DPU, which also reads the first DPU's result."""
    b = ModelBuilder()
    shape, meaning = (
        (1, 2, 2, 2),
        {"fix_point": 6, "bit_width": 8, "if_signed": True, "round_mode": "DPU_ROUND"},
    )
    x = b.op("upload", [b.data(shape, 6, name="image")], shape, 6)
    first = b.op("download", [b.op("eltwise-fix", [x, x], shape, 6, type="ADD")], shape, 6, name="first")
    real = b.op("fix2float", [first], shape, device="CPU", **meaning)
    real = b.op("tanh", [real], shape, device="CPU", name="tanh")
    fixed = b.op("float2fix", [real], shape, 6, device="CPU", **meaning)
    parts = [b.op("upload", [name], shape, 6) for name in (first, fixed)]
    joined = b.op("concat-fix", parts, (1, 2, 2, 4), 6, axis=3)
    b.op("download", [joined], (1, 2, 2, 4), 6, name="out")
    return b.finish()


def test_results_pass_between_devices_and_over_them() -> None:
    x = np.random.default_rng(0).integers(-128, 128, (2, 2, 2, 2)).astype(np.int8)
    doubled = np.clip(2 * x.astype(int), -128, 127)
    real = np.floor(np.tanh(doubled / 64) * 64 + 0.5)
    for mode in ("run", "ref"):
        with GraphRunner(two_dpus(), mode) as runner:
            np.testing.assert_array_equal(runner.run(x)[0], np.concatenate([doubled, real], axis=-1))


def test_the_order_of_the_children_does_not_matter() -> None:
    model = two_dpus()
    names = [part.name for part in model.root.children]
    model.root.children.reverse()
    assert [part.name for part in ordered_subgraphs(model)] == names


def test_returned_operators_are_outputs_even_when_they_are_read() -> None:
    model = two_dpus()
    assert [op.name for op in outputs_of(model)] == ["out"]
    model.attrs["return_ops"] = Attr("string_vec", ("out", "first"))
    x = np.ones((1, 2, 2, 2), np.int8)
    with GraphRunner(model) as runner:
        assert [tensor.name for tensor in runner.output_tensors()] == ["out_t", "first_t"]
        assert (runner.run(x)[1] == 2).all()
    model.attrs["return_ops"] = Attr("string_vec", ("tanh",))
    with GraphRunner(model) as runner:
        assert [tensor.name for tensor in runner.output_tensors()] == ["tanh_t", "out_t"]
        np.testing.assert_allclose(runner.run(x)[0], np.tanh(2 / 64), rtol=1e-6)


def test_buffers_and_a_closed_runner() -> None:
    with GraphRunner(classifier()) as runner:
        inputs, outputs = runner.input_buffers(), runner.output_buffers()
        np.asarray(inputs[0])[...] = IMAGES[:1]
        runner.wait(runner.execute_async(inputs, outputs))
        np.testing.assert_array_equal(np.asarray(outputs[0]), runner.run(IMAGES[:1])[0])
        assert [tensor.shape for tensor in runner.input_tensors()] == [(1, 8, 8, 3)]
    with pytest.raises(InputError, match=r"Q1215"):
        runner.execute_async(inputs, outputs)


def circle(model: XModel) -> None:
    """Move the last DPU part's operators into the first one."""
    model.root.children[1].children += model.root.children[3].children
    del model.root.children[3]


def loose(model: XModel) -> None:
    model.root.children.pop()


def flat(model: XModel) -> None:
    model.root = Subgraph("root", list(model.ops))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (circle, "Q1214 model: found a circle"),
        (loose, "Q1207 .*in no subgraph"),
        (flat, "Q1207 .*without subgraphs"),
    ],
)
def test_models_that_cannot_run(change: Any, found: str) -> None:
    model = two_dpus()
    change(model)
    with pytest.raises(InputError, match=found):
        GraphRunner(model)


def test_the_fingerprint_is_checked() -> None:
    model = two_dpus()
    model.root.children[1].attrs["dpu_fingerprint"] = Attr("uint64", 5)
    with pytest.raises(InputError, match=r"Q1206 .*0x5"):
        GraphRunner(model, fingerprint=6)
