"""Compiled real models: against files that the original compiler made, and against the quantized model's integers.

Compared with the published pair of point pillars (quantized, and compiled by the original for two DPUs). What
differs: our constants carry their data (the original keeps it reordered in a register), programs are quantforge's
own, tensors in the workspace lie elsewhere (ours is smaller), more of them stay on the chip, and on Versal the
original packs parameters tighter (here each starts at a multiple of 4096 bytes).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantforge.compiler.compile import compilation
from quantforge.compiler.lower import lower
from quantforge.compiler.lowering.concrete import concrete
from quantforge.frontends.onnx import absorb, import_model, single_node
from quantforge.frontends.quantize import quantize
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import Subgraph, XModel, XOp
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.write import to_bytes
from tests import xir_float
from tests.flat_xmodels import run

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.models


def load(name: str) -> XModel:
    path = DATA / "xmodels" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return read_xmodel(path)


@pytest.fixture(params=["DPUCZDX8G_ISA1_B4096", "DPUCVDX8G_ISA3_C32B6"])
def pair(request: pytest.FixtureRequest) -> tuple[XModel, XModel]:
    """Ours and the published one."""
    flat, published = load("pointpillars_quantized.xmodel"), load(f"pointpillars_{request.param}.xmodel")
    ours = compilation(flat, load_dpu(request.param)).model
    return read_xmodel(to_bytes(ours)), published


def facts(op: XOp) -> dict[str, object]:
    """What both files say of an operator."""
    tensor = op.tensor
    meaning = ("fix_point", "bit_width", "if_signed", "round_mode")
    return {
        "kind": op.kind, "args": op.args, "tensor": tensor.name, "shape": tensor.shape, "type": str(tensor.dtype),
        "grid": {key: tensor.attrs[key].value for key in meaning if key in tensor.attrs},
    }  # fmt: skip


def nodes(tree: Subgraph) -> dict[tuple[str, frozenset[str]], Subgraph]:
    found = {(tree.name, frozenset(tree.all_ops())): tree}
    for child in tree.children:
        found |= nodes(child)
    return found


def test_operators_names_and_numbers_are_those_of_the_original(pair: tuple[XModel, XModel]) -> None:
    ours, published = pair
    assert set(ours.ops) == set(published.ops) and len(ours.ops) == 89
    for name, op in published.ops.items():
        assert facts(ours.ops[name]) == facts(op)
        for key, attr in op.attrs.items():
            if key != "data":
                assert ours.ops[name].attrs[key] == attr, (name, key)


def test_subgraphs_and_workloads_are_those_of_the_original(pair: tuple[XModel, XModel]) -> None:
    ours, published = nodes(pair[0].root), nodes(pair[1].root)
    assert set(ours) == set(published)
    for key, tree in published.items():
        for name in (
            "device",
            "workload",
            "workload_on_arch",
            "skip_code_gen",
            "runner",
            "dpu_name",
            "dpu_fingerprint",
        ):
            assert ours[key].get(name) == tree.get(name), (key[0], name)


def test_memory_of_the_interfaces_is_that_of_the_original(pair: tuple[XModel, XModel]) -> None:
    ours, published = nodes(pair[0].root), nodes(pair[1].root)
    for key, tree in published.items():
        wanted, found = tree.get("reg_id_to_size"), ours[key].get("reg_id_to_size")
        if wanted is not None:
            same = ("REG_2", "REG_3") if "VDX" in tree.get("dpu_name") else ("REG_0", "REG_2", "REG_3")
            assert {reg: found.get(reg) for reg in same} == {reg: wanted.get(reg) for reg in same}
            assert found.get("REG_1", 0) <= wanted.get("REG_1", 0)


@pytest.mark.parametrize(
    "name", ["resnet20_cifar10", "mobilenetv2_cifar10", "ultraface_rfb_320", "fastestdet"]
)
def test_integers_are_those_of_the_quantized_model(name: str) -> None:
    path = DATA / "models" / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    graph = concrete(import_model(str(path)))
    rng = np.random.default_rng(1)
    samples = [{n: rng.standard_normal(graph.value(n).shape).astype(np.float32) for n in graph.inputs}]
    found = quantize(graph, samples, recipe="dpu-cnn")
    flat = lower(concrete(absorb(import_model(found.model))), node_of=single_node)
    made = compilation(flat, load_dpu("DPUCZDX8G_ISA1_B4096"))
    assert made.report.devices["DPU"] <= 2
    model = read_xmodel(to_bytes(made.model))
    feeds = xir_float.in_xir_order(flat, samples[0])
    expected = xir_float.run(flat, feeds)
    actual = run(model, flat, feeds, expected)
    compared = 0
    for value, op in model.attrs["quantforge_values"].value.items():
        tensor = model.ops[op].tensor
        if tensor.dtype.fixed and op in actual:
            wanted = np.ldexp(
                expected[flat.attrs["quantforge_values"].value[value]].astype(float), tensor.fix_point
            )
            assert np.array_equal(wanted.reshape(-1), actual[op].reshape(-1)), value
            compared += 1
    assert compared > 30
