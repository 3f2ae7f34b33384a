"""What each section shows and when it is left out."""

from __future__ import annotations

from dataclasses import replace

from quantforge.quantization.report import OutputReport
from quantforge.reporting import sections
from tests.unit.reporting.samples import large_report, small_report


def test_the_headline_numbers():
    text = sections.headline(small_report())
    for words in (
        "88.13 % <i>→</i> 88.05 %",
        "-0.08 points, SQNR 28.8 dB",
        "4.39 KiB",
        "3× smaller",
        "94.85 %",
    ):
        assert words in text


def test_without_labels_the_sqnr_is_the_headline():
    report = replace(small_report(), outputs=(OutputReport("boxes", 31.0),), timings=(), layers=())
    text = sections.headline(report)
    assert '<h3>Output boxes</h3><p class="value">31.0 dB</p>' in text
    assert "Operations" not in text and "Time" not in text


def test_culprits_have_copyable_remedies():
    text = sections.culprits(small_report())
    assert text.count("<li ") == 2
    assert text.count('class="copy"') == 1
    assert "[[override]]\ntensor = &quot;conv1&quot;" in text
    assert "No single line of a recipe removes it." in text


def test_sections_without_content_are_empty():
    bare = replace(small_report(), culprits=(), layers=(), tensors=())
    assert (
        sections.culprits(bare)
        == sections.errors(bare)
        == sections.histograms(bare)
        == sections.graph(bare)
        == ""
    )
    assert sections.float_ops(bare).startswith("<p")


def test_every_tensor_with_a_histogram_can_be_selected():
    report = large_report(3)
    text = sections.histograms(report)
    assert text.count("<option ") == text.count("<template ") == len(report.tensors)
    assert text.count("<optgroup ") == 2


def test_only_what_stayed_float_is_listed_as_float():
    text = sections.float_ops(small_report())
    assert text.count("<tr>") == 2
    assert "<code>Q0501</code>" in text


def test_a_culprit_marks_the_layer_it_is_fused_into():
    report = small_report()
    tensor, layer = report.tensors[1], report.layers[0]
    report = replace(
        report,
        tensors=(replace(tensor, producer="relu1"),),
        layers=(replace(layer, ops=("conv1", "relu1")),),
    )
    assert 'class="badge">1</text>' in sections.graph(report)
