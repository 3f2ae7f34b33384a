"""The terminal form: golden text, narrow terminals, hostile names."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from quantforge.quantization.report import LayerReport
from quantforge.reporting.text import SHOWN_REASONS, print_report, to_text
from tests.conftest import GoldenCheck
from tests.unit.reporting.samples import HOSTILE, large_report, small_report


def test_the_whole_small_report(golden: GoldenCheck):
    golden("report_small.txt", to_text(small_report(), full=True))


def test_the_summary_of_a_large_report(golden: GoldenCheck):
    golden("report_large.txt", to_text(large_report(12)))


def test_the_summary_comes_first():
    assert to_text(small_report()).startswith("model       small.onnx\nrecipe      dpu-cnn for DPUCZDX8G\n")


def test_lines_fit_the_width():
    for width in (60, 80, 120):
        assert max(map(len, to_text(large_report(4), width).splitlines())) <= width


def test_names_are_text_and_not_markup():
    assert "alert(1)" in to_text(small_report())
    layer = LayerReport("[/red] [bold]", "[opaque]", "float32", float_reason="[link=x]", float_code="Q0501")
    text = to_text(replace(small_report(), model="[red]", layers=(layer,), culprits=()), full=True)
    assert all(name in text for name in ("[red]", "[/red] [bold]", "[opaque]", "[link=x]"))


def test_colour_is_only_for_terminals():
    assert "\x1b" not in to_text(small_report())
    colourful = io.StringIO()
    print_report(
        small_report(), Console(file=colourful, force_terminal=True, color_system="standard", width=100)
    )
    assert "\x1b[" in colourful.getvalue()


def test_standard_output_is_the_default(capsys):
    print_report(small_report())
    assert "small.onnx" in capsys.readouterr().out


def test_a_report_without_findings_says_only_what_is_there():
    bare = replace(small_report(), culprits=(), layers=(), tensors=(), notes=(), notices=(), timings=())
    text = to_text(replace(bare, peak_memory_bytes=None, target=None, model_bytes=(0, 0)))
    assert text.splitlines()[-1].startswith("output")
    assert not any(word in text for word in ("stayed float", "loss", "layers", "time", "memory", "notes"))


def test_float_ops_of_one_reason_share_a_row():
    layers = tuple(
        LayerReport(f"op{i}", "softmax", "float32", float_reason=f"reason {i % 20}", float_code="Q0504")
        for i in range(100)
    )
    text = to_text(replace(small_report(), layers=layers))
    assert "op0, op20, op40 and 2 more" in text
    assert f"and {20 - SHOWN_REASONS} more reasons" in text
    assert HOSTILE[:8] in text
