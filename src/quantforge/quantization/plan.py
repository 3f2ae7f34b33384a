"""The plan: every spec of a graph by value name, as JSON in and out.

    {"version": 1, "recipe": "dpu-cnn", "tensors": {"conv1.weight": {"format": "int8", "position": 7}, ...}}

A spec with one power-of-two scale and zero point 0 is written by its position; any other by scale, zero point
and axis. Scales are written with the digits that read back to the same double.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.graph import Graph, QuantSpec
from quantforge.numerics.formats import parse_format
from quantforge.numerics.rounding import Rounding

VERSION = 1


@dataclass(frozen=True)
class Plan:
    """Specs by value name and the name of the recipe that chose them."""

    recipe: str
    tensors: Mapping[str, QuantSpec]

    def to_json(self) -> str:
        """The plan as JSON text, one line per tensor."""
        rows = (f"{json.dumps(name)}: {json.dumps(_row(spec))}" for name, spec in self.tensors.items())
        body = ",\n    ".join(rows)
        head = f'"version": {VERSION},\n  "recipe": {json.dumps(self.recipe)}'
        return f'{{\n  {head},\n  "tensors": {{\n    {body}\n  }}\n}}\n'

    @classmethod
    def from_json(cls, text: str, where: str = "plan") -> Plan:
        """Read the text of a plan.

        Raises:
            InputError: Q0314 when the text is not a plan of this version.
        """
        try:
            data = json.loads(text)
            if data["version"] != VERSION:
                raise InputError(
                    "Q0314", where, f"version {data['version']}", f"version {VERSION}", "export it again"
                )
            return cls(data["recipe"], {name: _spec(row) for name, row in data["tensors"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError("Q0314", where, f"{error!r}", "the JSON of a plan", "export it again") from error


def plan_of(graph: Graph, recipe: str) -> Plan:
    """The plan that `graph` carries."""
    return Plan(recipe, {value.name: value.quant for value in graph.quantized() if value.quant is not None})


def apply_plan(graph: Graph, plan: Plan) -> Graph:
    """A copy of `graph` whose values carry the specs of `plan` and no others.

    Raises:
        InputError: Q0315 when the plan names a value the graph does not have.
    """
    missing = [name for name in plan.tensors if not graph.has_value(name)]
    if missing:
        raise InputError(
            "Q0315", missing[0], "no such value in the graph", "a plan of the same model", "make it anew"
        )
    graph = graph.copy()
    for value in graph.values:
        spec = plan.tensors.get(value.name)
        if value.quant != spec:
            graph.set_value(replace(value, quant=spec))
    return graph


def _row(spec: QuantSpec) -> dict[str, Any]:
    row: dict[str, Any] = {"format": str(spec.format)}
    if spec.position is not None:
        row["position"] = spec.position
    elif spec.axis is None:
        row |= {"scale": spec.scale[0], "zero_point": spec.zero_point[0]}
    else:
        row |= {"axis": spec.axis, "scale": list(spec.scale), "zero_point": list(spec.zero_point)}
    if spec.rounding is not Rounding.HALF_EVEN:
        row["rounding"] = spec.rounding.value
    return row


def _spec(row: Mapping[str, Any]) -> QuantSpec:
    format, rounding = parse_format(row["format"]), Rounding(row.get("rounding", Rounding.HALF_EVEN.value))
    if "position" in row:
        return QuantSpec.power_of_two(format, row["position"], rounding)
    if "axis" in row:
        return QuantSpec(format, tuple(row["scale"]), tuple(row["zero_point"]), row["axis"], rounding)
    return QuantSpec(format, (row["scale"],), (row["zero_point"],), None, rounding)
