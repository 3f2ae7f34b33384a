"""The constants of the cost model: a handful per family of DPUs, read from `cost.toml` beside this module."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What a network gives, on which depends what the host does with it: a vector of scores, boxes, or maps.
Task = Literal["scores", "boxes", "maps"]
TASKS: tuple[Task, ...] = ("scores", "boxes", "maps")


@dataclass(frozen=True)
class Constants:
    """Rates of a family.

    Attributes:
        conv: Cycles for each cycle that the convolution engine would need at its peak.
        misc: The same for pooling, depthwise and element-wise layers.
        weights: Bytes of weights per cycle and channel of the load port.
        load: Bytes of inputs per cycle and channel of the load port.
        join: Bytes per cycle and channel of the load port for a further tensor that is added to the output.
        save: Bytes of outputs per cycle and channel of the save port.
        fixed: Cycles to start and end a layer.
        source: How they were obtained.
    """

    conv: float
    misc: float
    weights: float
    load: float
    join: float
    save: float
    fixed: float
    source: str


@dataclass(frozen=True)
class Host:
    """What the processor beside the DPU adds to a call with one image: milliseconds, and more per input megapixel."""

    call: float
    per_megapixel: float
    source: str


@dataclass(frozen=True)
class Totals:
    """Constants of the estimate that knows only operations, input size and task.

    Attributes:
        cycles: Cycles for each cycle at the convolution engine's peak.
        maps: Milliseconds at 300 MHz per sqrt(giga-operations * megapixels), for feature maps that cross the ports.
        call: Milliseconds per image on the host.
        scores: Milliseconds per input megapixel on the host, for networks that give scores.
        boxes: The same for networks that give boxes.
        maps_out: The same for networks that give maps.
        source: How they were obtained.
    """

    cycles: float
    maps: float
    call: float
    scores: float
    boxes: float
    maps_out: float
    source: str

    def per_megapixel(self, task: Task) -> float:
        """Milliseconds per input megapixel on the host."""
        return {"scores": self.scores, "boxes": self.boxes, "maps": self.maps_out}[task]


def load_constants(family: str) -> Constants:
    """The constants of a family; those of DPUCZDX8G for a family without measurements of its own.

    >>> load_constants("DPUCZDX8G").fixed > 0
    True
    """
    rows = _table()["layers"]
    return Constants(**rows.get(family, rows["DPUCZDX8G"]))


def measured_families() -> tuple[str, ...]:
    """Families whose constants come from measurements of their own."""
    return tuple(_table()["layers"])


def load_host(family: str) -> Host | None:
    """What the host adds on boards of a family; None without published figures."""
    row = _table()["host"].get(family)
    return None if row is None else Host(**row)


def load_totals(family: str) -> Totals | None:
    """The constants of the estimate from totals; None for a family without published figures."""
    row = _table()["totals"].get(family)
    return None if row is None else Totals(**row)


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(resources.files("quantforge.compiler").joinpath("cost.toml").read_text("utf-8"))
