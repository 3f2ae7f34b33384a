from __future__ import annotations

from quantforge.compiler.compile import compilation
from quantforge.targets.dpu import load_dpu
from tests.flat_xmodels import B4096, Net, all_dpu, check_same, ints, kinds


def shuffled(begin: tuple[int, ...], step: tuple[int, ...], out: tuple[int, ...], last: bool = True) -> Net:
    net = Net()
    x = net.fix(net.conv("first", net.data("x", (1, 4, 5, 3), 5), 6), 4)
    attrs = {"begin": ints(*begin), "end": ints(1, 4, 5, 6), "strides": ints(*step)}
    y = net.fix(net.op("pick", "strided_slice", [x], out, attrs), 4)
    if last:
        net.fix(net.conv("last", y, 3), 3)
    return net


def test_every_second_channel_is_a_convolution() -> None:
    net = shuffled((0, 0, 0, 1), (1, 1, 1, 2), (1, 4, 5, 3))
    model, report = check_same(net.done(), devices=all_dpu(net.model))
    pick = model.ops["pick(PickChannels)"]
    assert pick.get("pick_channels") == (1, 2)
    assert pick.kind == "conv2d-fix" and pick.get("shift_cut") == 0 and report.reasons == {}
    assert report.devices["DPU"] == 1


def test_not_at_the_end_of_a_model() -> None:
    net = shuffled((0, 0, 0, 1), (1, 1, 1, 2), (1, 4, 5, 3), last=False)
    made = compilation(net.done(), load_dpu(B4096))
    assert "strided_slice" in kinds(made.model)
    assert "stride of the channels 2" in made.report.reasons["pick"]


def test_a_step_over_pixels_is_a_slice() -> None:
    net = shuffled((0, 0, 1, 0), (1, 1, 2, 1), (1, 4, 2, 6))
    model, _ = check_same(net.done(), devices=all_dpu(net.model))
    assert "strided_slice-fix" in kinds(model)
