"""An inspection as plain text."""

from __future__ import annotations

from quantforge.reporting.inspection_text import inspection_summary, inspection_text
from tests.unit.reporting.inspected import clean, small

SUMMARY = """\
model       net
target      DPUCZDX8G_ISA1_B4096 (0x0101000056010407)
subgraphs   1 USER, 1 DPU, 2 CPU
on the DPU  8.11 % of 14.5 M multiply-accumulates
operators   3 of 5 operators on the CPU

On the CPU
  sigmoid (2 times)
    no_dpu_pattern: sigmoid; supported: on no DPU
    try: hard-sigmoid, where the DPU has it, or leave it to the code behind the model
      s1 [1, 32, 32, 16]
      s2 [1, 32, 32, 16]
  conv2d
    kernel_range: kernel width 17; supported: 1-16
    try: kernel width 16 or several convolutions one after the other
      wide [1, 32, 32, 16], 13.4 M MACs
"""


def test_the_summary() -> None:
    assert inspection_summary(small()) == SUMMARY


def test_nothing_on_the_cpu() -> None:
    text = inspection_summary(clean())
    assert "all 1 operator on the DPU" in text and "On the CPU" not in text


def test_every_operator_has_a_block() -> None:
    text = inspection_text(small())
    assert text.startswith("Fields\n")
    assert SUMMARY.rstrip("\n") in text
    blocks = text.split("\nOperators\n")[1].split("\n\n")
    assert sum("  name        " in block for block in blocks) == len(small().verdicts)
    wide = next(block for block in blocks if "  name        wide\n" in block)
    assert wide.strip("\n").splitlines() == [
        "  name        wide",
        "  type        conv2d",
        "  inputs      s2_fix, wide_w_fix",
        "  shape       [1, 32, 32, 16]",
        "  device      CPU",
        "  MACs        13,369,344",
        "  constraint  kernel width 17; supported: 1-16",
        "  rule        conv2d.kernel (kernel_range)",
        "  try         kernel width 16 or several convolutions one after the other",
    ]
    relu = next(block for block in blocks if "  name        relu\n" in block)
    assert "  fused into  conv" in relu
