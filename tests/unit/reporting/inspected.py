"""Inspections to render."""

from __future__ import annotations

from quantforge.inspection import Inspection, inspect
from quantforge.targets.dpu import load_dpu
from tests.unit.inspection.models import Build
from tests.unit.reporting.samples import HOSTILE


def small(fixed: bool = True) -> Inspection:
    """A convolution and its activation on the DPU, two operators on the CPU, and a convolution too wide."""
    build = Build(fixed)
    x = build.data((1, 32, 32, 8))
    act = build.unary("relu", build.conv(x, fix=False))
    build.unary("sigmoid", act, "s1")
    soft = build.unary("sigmoid", act, "s2")
    build.conv(soft, "wide", kernel=(17, 3))
    build.model.name = "net"
    return inspect(build.model, load_dpu("ZCU102"))


def hostile() -> Inspection:
    """Names that would break a page."""
    build = Build()
    build.unary("softmax", build.data((1, 4, 4, 8)), HOSTILE, axis=3)
    build.model.name = HOSTILE
    return inspect(build.model, load_dpu("ZCU102"))


def clean() -> Inspection:
    """Everything on the DPU."""
    build = Build()
    build.conv(build.data((1, 8, 8, 8)))
    return inspect(build.model, load_dpu("ZCU102"))
