from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantforge.compiler.compile import compilation, returned_by
from quantforge.diagnostics import InputError
from quantforge.targets.dpu import load_dpu
from quantforge.xmodel.model import Attr
from quantforge.xmodel.write import to_bytes
from tests.flat_xmodels import B4096, VERSAL, Net, check_same, kinds, text, window

TARGETS = (B4096, VERSAL, "DPUCV2DX8G_ISA1_C20B14", "DPUCAHX8H_ISA2_DWC", "DPUCVDX8H_ISA1_F2W4_4PE")


def classifier(blocks: int, width: int, rounding: str = "DPU_ROUND", size: int = 12) -> Net:
    """Convolution, residual blocks, a mean and a product."""
    net = Net(seed=blocks, rounding=rounding)
    x = net.fix(net.relu(net.conv("stem", net.data("image", (1, size, size, 3), 5), width)), 3)
    for index in range(blocks):
        y = net.fix(net.relu(net.conv(f"b{index}a", x, width)), 3)
        y = net.fix(net.conv(f"b{index}b", y, width), 3)
        x = net.fix(net.relu(net.op(f"b{index}", "add", [x, y], net.shape(x))), 3)
    attrs = {
        "axis": Attr("int32_vec", (1, 2)),
        "keep_dims": Attr("bool", False),
        "avg_exact": Attr("bool", True),
    }
    mean = net.fix(net.op("mean", "reduction_mean", [x], (1, width), attrs), 5)
    turned = {"transpose_a": Attr("bool", False), "transpose_b": Attr("bool", True)}
    net.op(
        "fc",
        "matmul",
        [mean, net.random("fc_w", (10, width), 7)],
        (1, 10),
        turned,
        bias=net.random("fc_b", (10,), 5),
    )
    net.fix("fc", 2)
    net.op("probabilities", "softmax", ["fc_fix"], (1, 10), {"axis": Attr("int32", -1)})
    return net


@settings(deadline=None, max_examples=8)
@given(
    blocks=st.integers(0, 2), width=st.integers(1, 20), rounding=st.sampled_from(["DPU_ROUND", "PY3_ROUND"])
)
def test_a_classifier_is_one_dpu_subgraph_and_exact(blocks: int, width: int, rounding: str) -> None:
    model, report = check_same(classifier(blocks, width, rounding).done("probabilities"))
    assert report.devices == {"USER": 1, "DPU": 1, "CPU": 1}
    assert kinds(model)[-2:] == ["fix2float", "softmax"]


@pytest.mark.parametrize("target", TARGETS)
def test_with_the_inspection_on_every_family(target: str) -> None:
    flat = classifier(1, 8, size=8).done("probabilities")
    made = compilation(flat, load_dpu(target))
    assert made.report.devices["DPU"] == 1 and "softmax" in made.report.reasons["probabilities"]
    to_bytes(made.model)


def test_the_model_itself_is_not_changed() -> None:
    flat = classifier(1, 4).done("probabilities")
    before = deepcopy(flat)
    compilation(flat, load_dpu(B4096))
    assert flat == before


def test_the_maps_of_values_follow() -> None:
    net = classifier(0, 4)
    flat = net.done("probabilities")
    flat.attrs["quantforge_values"] = Attr(
        "map_string_2_string",
        {"in": "image_fix", "stem": "stem", "relu": "stem_relu_fix", "out": "probabilities"},
    )
    flat.attrs["quantforge_orders"] = Attr(
        "map_string_2_int32_vec", {"in": (0, 2, 3, 1), "stem": (0, 2, 3, 1)}
    )
    made = compilation(flat, load_dpu(B4096)).model
    assert made.attrs["quantforge_values"].value == {"in": "image", "relu": "stem", "out": "probabilities"}
    assert made.attrs["quantforge_orders"].value == {"in": (0, 2, 3, 1)}


def test_what_is_returned() -> None:
    net = classifier(0, 4)
    assert returned_by(net.done()) == ("probabilities",)
    assert returned_by(net.done("fc_fix")) == ("fc_fix",)
    assert returned_by(net.done("gone")) == ("probabilities",)


def test_errors_come_before_work() -> None:
    net = classifier(0, 4)
    del net.model.ops["stem_relu_fix"].attrs["fix_point"]
    with pytest.raises(InputError, match="Q1100"):
        compilation(net.done(), load_dpu(B4096))


def test_nothing_is_lost_between_two_dpu_parts() -> None:
    net = Net()
    x = net.fix(net.conv("a", net.data("x", (1, 6, 6, 4), 4), 4), 3)
    s = net.fix(net.op("s", "sigmoid", [x], (1, 6, 6, 4)), 7)
    y = net.fix(net.conv("b", s, 4), 3)
    pooled = net.op("p", "maxpool2d", [y], (1, 3, 3, 4), window(2, 2, 0) | {"pad_mode": text("FLOOR")})
    net.fix(pooled, 3)
    _, report = check_same(net.done())
    assert report.devices["DPU"] == 2
