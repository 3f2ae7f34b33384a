from __future__ import annotations

import numpy as np
import pytest

from quantforge.xmodel.model import Attr, Attrs
from tests.flat_xmodels import Net, check_same, compiled, ints, kinds, text


def moved(kind: str, shape: tuple[int, ...], attrs: Attrs, out: int = 4) -> Net:
    """A convolution, the moving operator, and a convolution, so that moving is worth it."""
    net = Net()
    x = net.fix(net.conv("first", net.data("x", (1, 4, 6, 4), 5), 4), 4)
    y = net.fix(net.op("moved", kind, [x], shape, attrs), out)
    if len(shape) == 4:
        net.fix(net.conv("last", y, 3, 1), 2)
    return net


CASES = [
    ("reshape", (1, 6, 4, 4), {"shape": ints(1, 6, 4, 4)}, "reshape-fix"),
    ("flatten", (1, 96), {"start_axis": Attr("int32", 1), "end_axis": Attr("int32", 3)}, "reshape-fix"),
    ("strided_slice", (1, 2, 3, 4), {"begin": ints(0, 1, 0, 0), "end": ints(1, 3, 6, 4), "strides": ints(1, 1, 2, 1)},
     "strided_slice-fix"),
    ("gstiling", (1, 2, 3, 16), {"stride": Attr("int32", 2), "reverse": Attr("bool", False)}, "tile-fix"),
    ("pixel-shuffle", (1, 8, 12, 1), {"scale": Attr("int32", 2), "upscale": Attr("bool", True)}, "pixel-shuffle-fix"),
    ("pad", (1, 6, 8, 4), {"paddings": ints(0, 0, 1, 1, 1, 1, 0, 0), "mode": text("SYMMETRIC")}, "pad-fix"),
    ("resize", (1, 8, 12, 4), {"mode": text("NEAREST"), "scale": Attr("float_vec", (2.0, 2.0))}, "upsample-fix"),
    ("resize", (1, 8, 12, 4), {"mode": text("BILINEAR"), "scale": Attr("float_vec", (2.0, 2.0)),
                               "half_pixel_centers": Attr("bool", True)}, "upsample-fix"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "shape", "attrs", "fixed"), CASES)
def test_moves_are_exact(kind: str, shape: tuple[int, ...], attrs: Attrs, fixed: str) -> None:
    flat = moved(kind, shape, attrs).done()
    if kind == "flatten":
        del flat.ops["moved"].attrs["start_axis"]
        flat.ops["moved"].kind, flat.ops["moved"].attrs = "reshape", {"shape": ints(*shape)}
    if kind == "resize":
        for name in ("align_corners", "half_pixel_centers"):
            flat.ops["moved"].attrs.setdefault(name, Attr("bool", False))
    model, _ = check_same(flat)
    assert fixed in kinds(model) and kind not in kinds(model)


def test_a_transpose_of_axes_of_size_1_is_a_reshape() -> None:
    net = Net()
    x = net.fix(net.conv("first", net.data("x", (1, 4, 6, 4), 5), 4, kernel=4, pad=0), 4)
    assert net.shape(x) == (1, 1, 3, 4)
    y = net.fix(net.op("t", "transpose", [x], (1, 3, 1, 4), {"order": ints(0, 2, 1, 3)}), 4)
    net.fix(net.conv("last", y, 3, 1), 2)
    assert "reshape-fix" in kinds(check_same(net.done())[0])


def test_a_transpose_of_memory_stays_on_the_cpu() -> None:
    model, report = compiled(moved("transpose", (1, 4, 4, 6), {"order": ints(0, 3, 1, 2)}).done())
    assert "transpose" in kinds(model) and "reorders memory" in report.reasons["moved"]


def test_uneven_resizing_and_other_fills_stay_on_the_cpu() -> None:
    attrs = {"mode": text("NEAREST"), "scale": Attr("float_vec", (1.5, 1.5))}
    assert "whole factors" in compiled(moved("resize", (1, 6, 9, 4), attrs).done())[1].reasons["moved"]
    filled = {
        "paddings": ints(0, 0, 1, 1, 1, 1, 0, 0),
        "mode": text("CONSTANT"),
        "constant_values": Attr("float_vec", (1.0,) * 8),
    }
    assert "pads by CONSTANT" in compiled(moved("pad", (1, 6, 8, 4), filled).done())[1].reasons["moved"]


@pytest.mark.parametrize("positions", [(4, 4), (4, 2)])
def test_concat_brings_its_parts_to_one_grid(positions: tuple[int, int]) -> None:
    net = Net()
    x = net.data("x", (1, 4, 6, 3), 5)
    parts = [net.fix(net.conv(f"c{i}", x, 4 + i), position) for i, position in enumerate(positions)]
    net.fix(net.op("cat", "concat", parts, (1, 4, 6, 9), {"axis": Attr("int32", 3)}), 3)
    model, _ = check_same(net.done())
    assert model.ops["cat"].kind == "concat-fix"
    assert all(model.ops[name].tensor.fix_point == 3 for name in model.ops["cat"].args["input"])


def test_concat_of_sums_that_are_not_rounded_yet() -> None:
    net = Net()
    x = net.data("x", (1, 4, 6, 3), 5)
    parts = [net.relu(net.conv(f"c{i}", x, 4)) for i in range(2)]
    net.fix(net.op("cat", "concat", parts, (1, 4, 6, 8), {"axis": Attr("int32", -1)}), 3)
    model, _ = check_same(net.done())
    assert [model.ops[name].tensor.name for name in model.ops["cat"].args["input"]] == [
        "c0_relu_inserted_fix_0", "c1_relu_inserted_fix_1",
    ]  # fmt: skip


def test_moving_alone_is_left_to_the_cpu() -> None:
    net = Net()
    x = net.data("x", (1, 4, 6, 3), 5)
    net.fix(net.op("r", "reshape", [x], (1, 72), {"shape": ints(1, 72)}), 5)
    model, report = compiled(net.done())
    assert "upload" not in kinds(model) and "only moves bytes" in report.reasons["r"]


def test_copying_onto_another_grid_shifts_before_it() -> None:
    model, _ = check_same(moved("reshape", (1, 6, 4, 4), {"shape": ints(1, 6, 4, 4)}, out=2).done())
    assert kinds(model).count("pool-fix") == 1
    assert np.prod(model.ops["moved"].tensor.shape) == 96
