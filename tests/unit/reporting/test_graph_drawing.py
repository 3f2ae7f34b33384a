"""One box per layer with its colour and its tooltip."""

from __future__ import annotations

from quantforge.quantization.report import LayerReport
from quantforge.reporting.graph_drawing import describe_layer, draw_graph, shorten
from tests.unit.reporting.samples import large_report, small_report


def test_every_layer_has_a_box_of_its_precision():
    report = large_report(8)
    drawing = draw_graph(report.layers, {})
    assert drawing.count('<g class="box') == len(report.layers)
    assert drawing.count('class="box float"') == 1
    assert drawing.count('class="box int8"') == len(report.layers) - 1


def test_culprits_carry_their_rank():
    drawing = draw_graph(small_report().layers, {"pool": 3})
    assert drawing.count("<circle") == 1
    assert 'class="badge">3</text>' in drawing


def test_the_tooltip_says_what_is_known():
    layer = LayerReport(
        "conv", "conv2d", "int8", (), ("relu",), (), 2_000, 40, 10, 30.0, 20.0, "too large", "Q0501"
    )
    assert describe_layer(layer).splitlines() == [
        "conv",
        "conv2d + relu in int8",
        "2 k MACs",
        "parameters 40 B → 10 B",
        "adds error at 30.0 dB",
        "accumulated 20.0 dB",
        "float: too large",
    ]
    assert describe_layer(LayerReport("a", "concat", "int8")) == "a\nconcat in int8"


def test_long_names_keep_their_end_and_long_kinds_their_beginning():
    assert shorten("short", 10) == "short"
    assert len(shorten("x" * 50, 10)) == 10
    drawing = draw_graph((LayerReport("a", "transposed-depthwise-conv2d", "int8", (), ("leaky-relu",)),), {})
    assert ">transposed-depthwise-conv…<" in drawing
