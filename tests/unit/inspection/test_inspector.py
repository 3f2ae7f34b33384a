"""Whole models: small ones, and published ones against what the original tools made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantforge.compiler.lower import lower
from quantforge.frontends.onnx import import_model, single_node
from quantforge.inspection import Inspection, inspect
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import Attr, Subgraph, XModel
from quantforge.xmodel.read import read_xmodel
from tests.unit.inspection.models import Build

SHARED = Path(__file__).parents[4] / "shared" / "data"
ZCU102 = load_dpu("ZCU102")

published = pytest.mark.skipif(not (SHARED / "xmodels").is_dir(), reason=f"no published models in {SHARED}")
real = pytest.mark.skipif(not (SHARED / "models").is_dir(), reason=f"no models in {SHARED}")


def network(fixed: bool = False) -> XModel:
    """conv + relu, softmax, conv: a DPU, the CPU, and the DPU again."""
    build = Build(fixed)
    first = build.unary("relu", build.conv(build.data((1, 8, 8, 8)), fix=False))
    middle = build.unary("softmax", first, axis=3)
    build.conv(middle, "last")
    return build.model


def test_devices_of_a_float_model() -> None:
    found = inspect(network(), ZCU102)
    assert found.devices == {
        "x": "USER", "conv_w": "DPU", "conv": "DPU", "relu": "DPU", "softmax": "CPU", "last_w": "DPU", "last": "DPU",
    }  # fmt: skip
    assert list(found.reasons) == ["softmax"]
    assert found.subgraphs == {"USER": 1, "DPU": 2, "CPU": 1}
    assert found.dpu_share == 1.0
    relu = next(verdict for verdict in found.verdicts if verdict.name == "relu")
    assert (relu.fused_into, relu.notes) == ("conv", ())


def test_fixes_lie_where_numbers_come_from_and_constants_where_they_are_read() -> None:
    found = inspect(network(fixed=True), ZCU102).devices
    assert found["x_fix"] == "USER"
    assert found["relu_fix"] == "DPU"
    assert found["softmax_fix"] == "CPU"
    assert found["conv_w"] == found["conv_w_fix"] == "DPU"


def test_constants_of_the_cpu_say_why() -> None:
    build = Build()
    build.conv(build.data((1, 32, 32, 8)), kernel=(17, 17))
    found = inspect(build.model, ZCU102)
    weights = next(verdict for verdict in found.verdicts if verdict.name == "conv_w")
    assert (weights.device, weights.reasons[0].id) == ("CPU", "const_children_cpu")
    assert [verdict.name for verdict in found.on_cpu] == ["conv"]
    assert found.dpu_share == 0.0


def test_notes() -> None:
    build = Build()
    x = build.data((1, 8, 8, 8))
    build.unary("relu", build.many("add", [x, x], "twice", (1, 8, 8, 8)), "fused")
    build.unary("relu", x, "alone")
    build.unary("transpose", "alone", "turned", order=(0, 3, 1, 2))
    build.op("strided_slice", "every_other", (1, 8, 8, 4), {"input": ("fused",)}, strides=(1, 1, 1, 2))
    build.many("add", ["every_other", "every_other"], "sum", (1, 8, 8, 4))
    build.op("strided_slice", "last", (1, 8, 8, 2), {"input": ("sum",)}, strides=(1, 1, 1, 2))
    verdicts = {verdict.name: verdict for verdict in inspect(build.model, ZCU102).verdicts}
    notes = {name: verdict.notes for name, verdict in verdicts.items()}
    assert notes["fused"] == ()
    assert notes["alone"][0].startswith("alone")
    assert notes["turned"][0].startswith("layout_transpose")
    assert notes["every_other"][0].startswith("a convolution with weights of zeros and ones")
    assert verdicts["every_other"].device == "DPU"
    assert verdicts["last"].device == "CPU" and verdicts["last"].reasons[0].rule == "strided_slice.stride"


def test_a_compiled_model_is_reported_as_it_is() -> None:
    model = network()
    model.root = Subgraph(
        "root",
        children=[
            Subgraph("in", ["x"], attrs={"device": Attr("string", "USER")}),
            Subgraph("dpu", ["conv_w", "conv", "relu"], attrs={"device": Attr("string", "DPU")}),
            Subgraph("cpu", ["softmax", "last_w", "last"], attrs={"device": Attr("string", "CPU")}),
        ],
    )
    model.attrs["quantforge_reasons"] = Attr("map_string_2_string", {"softmax": "no DPU has it", "relu": "-"})
    found = inspect(model, ZCU102)
    assert found.compiled
    assert found.subgraphs == {"USER": 1, "DPU": 1, "CPU": 1}
    assert found.devices["last"] == "CPU"
    assert list(found.reasons) == ["softmax"] and "no DPU has it" in found.reasons["softmax"]


@published
@pytest.mark.parametrize("target", ["DPUCZDX8G_ISA1_B4096", "DPUCVDX8G_ISA3_C32B6"])
def test_a_published_model_is_divided_as_the_original_compiler_did(target: str) -> None:
    found = inspect(read_xmodel(SHARED / "xmodels" / "pointpillars_quantized.xmodel"), load_dpu(target))
    compiled = read_xmodel(SHARED / "xmodels" / f"pointpillars_{target}.xmodel")
    device_of = {name: child.get("device") for child in compiled.root.children for name in child.all_ops()}
    common = {name for name in found.devices if name in device_of and not name.endswith("_fix")}
    assert len(common) >= 24
    assert {name: found.devices[name] for name in common} == {name: device_of[name] for name in common}
    # behind the last DPU subgraph the compiled file converts three outputs to floats, each on its own
    counts = [child.get("device") for child in compiled.root.children]
    assert found.subgraphs == {
        "USER": counts.count("USER"),
        "DPU": counts.count("DPU"),
        "CPU": counts.count("CPU") - 3,
    }


def found_in(name: str, board: str) -> Inspection:
    graph = import_model(str(SHARED / "models" / f"{name}.onnx"))
    return inspect(lower(graph, node_of=single_node), load_dpu(board))


@real
@pytest.mark.parametrize("board", ["ZCU102", "VCK190", "VEK280", "U50", "DPUCAHX8L_ISA0"])
def test_resnet_20_is_one_subgraph_everywhere(board: str) -> None:
    found = found_in("resnet20_cifar10", board)
    assert found.subgraphs == {"USER": 1, "DPU": 1}
    assert found.on_cpu == ()


@real
def test_mobilenet_needs_a_depthwise_engine() -> None:
    assert found_in("mobilenetv2_cifar10", "ZCU102").on_cpu == ()
    without = found_in("mobilenetv2_cifar10", "DPUCAHX8H_ISA2")
    assert {reason.id for verdict in without.on_cpu for reason in verdict.reasons} == {
        "engine_missing",
        "activation",
    }
    assert 0.5 < (without.dpu_share or 0.0) < 1.0
