"""Limits of operators on DPUs as data: `rules.toml` read, checked and evaluated.

Source: table 28 of the user guide UG1414 (Vitis AI 3.5) by family, with what tables 29 and 30 add. Every DPU of a
family is judged by the family's rules with its own numbers; where its target file says less than the table, what
both allow is taken.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from quantforge.inspection.engines import engine_of, numbers_of, target_limits
from quantforge.inspection.expressions import Expression, Names, parse
from quantforge.inspection.results import Reason
from quantforge.inspection.wording import formula, labelled, number
from quantforge.targets.dpu import DpuTarget, Limits, dpu_names, limits_text, load_dpu, parse_limits

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

UNKNOWN_FAMILY = "?"


@dataclass(frozen=True)
class OperatorRow:
    """What the table says of an operator as a whole.

    Attributes:
        kind: Such as conv2d.
        columns: The families that have it.
        engines: Engines that do it, as "engine" or "engine:type", the first that exists counts.
        fuses: Activations that can follow it in one step, by column.
    """

    kind: str
    columns: str
    engines: tuple[str, ...]
    fuses: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Rule:
    """One limit; the head of `rules.toml` explains the fields."""

    id: str
    ops: tuple[str, ...]
    columns: str
    reason: str
    when: Expression | None = None
    check: tuple[Expression, ...] = ()
    within: Limits | None = None
    least: Expression | None = None
    most: Expression | None = None
    target: str | None = None
    holds: Expression | None = None
    found: str = ""
    limit: str = ""
    change: tuple[tuple[str, ...], ...] = ()
    advice: str = ""

    def broken(self, names: Names, target: DpuTarget, kind: str) -> tuple[Expression, ...]:
        """The checked expressions out of bounds; `holds` itself when it is false."""
        if self.when is not None and not self.when.value(names):
            return ()
        if self.holds is not None:
            return () if self.holds.value(names) else (self.holds,)
        return tuple(check for check in self.check if not self.allows(check, names, target, kind))

    def allows(self, check: Expression, names: Names, target: DpuTarget, kind: str) -> bool:
        """Whether the value of one checked expression is legal."""
        value = check.value(names)
        if self.within is not None and not _inside(self.within, value):
            return False
        if self.least is not None and value < self.least.value(names):
            return False
        if self.most is not None and value > self.most.value(names):
            return False
        limits = self.target_limits(check, target, kind)
        return limits is None or _inside(limits, value)

    def target_limits(self, check: Expression, target: DpuTarget, kind: str) -> Limits | None:
        """What the target file says of a checked variable."""
        if self.target is None:
            return None
        return target_limits(target, engine_of(target, operator(kind).engines), kind, self.target, check.text)


def rules_for(kind: str, target: DpuTarget) -> Iterator[Rule]:
    """The rules of an operator in the column of `target`."""
    letter = column(target)
    for rule in _rules():
        if kind in rule.ops and ("*" in rule.columns or letter in rule.columns):
            yield rule


def reasons_against(kind: str, names: Names, target: DpuTarget) -> tuple[Reason, ...]:
    """Every rule that an operator breaks on `target`; none when it may run there.

    Args:
        kind: An operator of the table, such as conv2d.
        names: Its variables; those of the target are added.
        target: The DPU.

    Returns:
        A single reason where the family or the target lacks the operator, else one per broken rule.

    >>> from quantforge.targets.dpu import load_dpu
    >>> names = {"ic": 8192, "num_inputs": 2, "same_shape": True}
    >>> [str(reason) for reason in reasons_against("add", names, load_dpu("ZCU102"))]
    ['input channels 8192; supported: at most 4096 = 256 * cp']
    """
    row = operator(kind)
    missing = _missing(row, target)
    if missing is not None:
        return (missing,)
    known = {**numbers_of(target, depth_of(target)), **names}
    found = []
    for rule in rules_for(kind, target):
        broken = rule.broken(known, target, kind)
        if broken:
            found.append(_reason(rule, broken, known, target, kind))
    return tuple(found)


def _missing(row: OperatorRow, target: DpuTarget) -> Reason | None:
    """The reason why `target` has nothing for an operator."""
    letter = column(target)
    listed = "*" in row.columns or letter in row.columns
    if listed and (not row.engines or engine_of(target, row.engines) is not None):
        return None
    rule = f"{row.kind}.supported"
    if "3d" in row.kind and letter != "V":
        found, fix = f"{row.kind} on a {target.family}", "compile for a DPUCVDX8G"
        return Reason("conv3d_family", rule, found, "3-D convolutions on a DPUCVDX8G", fix)
    if listed:
        having = _siblings_with(row, target)
        found, limit = f"{target.name} without an engine for {row.kind}", "an engine for it"
        limit += f", as {having[0]} has" if having else ""
        return Reason("engine_missing", rule, found, limit, _instead(row.kind, having[:1]))
    families = [name for key, name in _families().items() if key in row.columns]
    found, limit = f"{row.kind} on a {target.family}", f"{row.kind} on {', '.join(families)}"
    return Reason("engine_missing", rule, found, limit, _instead(row.kind, families[:1]))


def _siblings_with(row: OperatorRow, target: DpuTarget) -> list[str]:
    """Registered DPUs of the same family with an engine for an operator."""
    dpus = (load_dpu(name) for name in dpu_names())
    return [
        dpu.name for dpu in dpus if dpu.family == target.family and engine_of(dpu, row.engines) is not None
    ]


def _instead(kind: str, others: Sequence[str]) -> str:
    """Another operator, or another DPU."""
    replaced = {
        "mul": "a product with a constant per channel, which is a depthwise convolution",
        "depthwise-conv2d": "conv2d with 1 group",
        "transposed-depthwise-conv2d": "transposed-conv2d with 1 group",
        "argmax": "leave it to the code behind the model",
    }
    return " or ".join([*([replaced[kind]] if kind in replaced else []), *others]) or "another DPU"


def fusable(kind: str, target: DpuTarget) -> tuple[str, ...]:
    """Activations that the table allows behind an operator on `target` and that its engine lists."""
    row, letter = operator(kind), column(target)
    engine = engine_of(target, row.engines)
    if engine is None:
        return ()
    listed = [name for columns, names in row.fuses.items() if letter in columns for name in names]
    if letter == UNKNOWN_FAMILY:
        listed = list(ACTIVATION_WORDS)
    return tuple(name for name in listed if ACTIVATION_WORDS[name] in engine.nonlinear)


# Names of XIR, and those of the target files.
ACTIVATION_WORDS = {
    "relu": "relu",
    "relu6": "relu_six",
    "leaky-relu": "leaky_relu",
    "hard-sigmoid": "hsigmoid",
    "hard-swish": "hswish",
}


def column(target: DpuTarget) -> str:
    """The letter of the family's column; "?" when the table has none."""
    return next((letter for letter, name in _families().items() if name == target.family), UNKNOWN_FAMILY)


def depth_of(target: DpuTarget) -> str:
    """Whose depth the rules mean by bank_depth: "image" or "weight"."""
    letter = column(target)
    return "weight" if letter == UNKNOWN_FAMILY else str(_table()["families"][letter]["depth"])


@cache
def operator(kind: str) -> OperatorRow:
    """The row of an operator.

    Raises:
        KeyError: When the table has none.
    """
    row = _table()["operators"][kind]
    fuses = {columns: tuple(names) for columns, names in row.get("fuses", {}).items()}
    return OperatorRow(kind, row["columns"], tuple(row.get("engines", ())), fuses)


@cache
def operators() -> tuple[str, ...]:
    """The operators of the table."""
    return tuple(_table()["operators"])


@cache
def alternatives() -> Mapping[str, str]:
    """What could stand in place of operators that no DPU has."""
    found: dict[str, str] = _table()["cpu"]
    return found


def _reason(rule: Rule, broken: Sequence[Expression], names: Names, target: DpuTarget, kind: str) -> Reason:
    from quantforge.inspection.advice import nearest

    if rule.holds is not None:
        shown = {key: number(value) for key, value in names.items()} | {"last": str(names.get("rank", 1) - 1)}
        texts = (text.format(**shown) for text in (rule.found, rule.limit, rule.advice))
        return Reason(rule.reason, rule.id, *texts)
    found = ", ".join(formula(check, names) for check in broken)
    limits = dict.fromkeys(_limit_text(rule, check, names, target, kind) for check in broken)
    change = nearest(rule, broken, names, target, kind)
    fix = " or ".join(", ".join(labelled(name, value) for name, value in option.items()) for option in change)
    fix = (
        " ".join(part for part in (fix, rule.advice) if part)
        or f"a smaller {labelled(broken[0].names[0], None)}"
    )
    return Reason(rule.reason, rule.id, found, ", ".join(limits), fix.removeprefix("or "))


def _limit_text(rule: Rule, check: Expression, names: Names, target: DpuTarget, kind: str) -> str:
    """The bounds of one check in words and numbers."""
    limits = rule.target_limits(check, target, kind)
    if limits is not None and replace(rule, target=None).allows(check, names, target, kind):
        return f"{limits_text(limits)} (target file)"
    if rule.within is not None:
        return limits_text(rule.within)
    least = number(rule.least.value(names)) if rule.least is not None else None
    most = None if rule.most is None else number(rule.most.value(names))
    if least is not None and most is not None:
        return least if least == most else f"{least} to {most}"
    source = rule.most.text if rule.most is not None else ""
    return f"at most {most}" + ("" if source == most else f" = {source}")


def _inside(limits: Limits, value: Any) -> bool:
    """Whether a number, a fraction too, lies in one of the ranges; a range of one number is that number."""
    return any(low <= value <= high for low, high in limits)


@cache
def _table() -> dict[str, Any]:
    text = resources.files("quantforge.inspection").joinpath("rules.toml").read_text("utf-8")
    return tomllib.loads(text)


@cache
def _families() -> dict[str, str]:
    return {letter: row["name"] for letter, row in _table()["families"].items()}


@cache
def _rules() -> tuple[Rule, ...]:
    return tuple(_rule(row) for row in _table()["rules"])


def _rule(row: dict[str, Any]) -> Rule:
    def expression(key: str) -> Expression | None:
        return parse(row[key]) if key in row else None

    return Rule(
        id=row["id"],
        ops=tuple(row["ops"]),
        columns=row["columns"],
        reason=row["reason"],
        when=expression("when"),
        check=tuple(parse(text) for text in row.get("check", ())),
        within=parse_limits(row["within"]) if "within" in row else None,
        least=expression("least"),
        most=expression("most"),
        target=row.get("target"),
        holds=expression("holds"),
        found=row.get("found", ""),
        limit=row.get("limit", ""),
        change=tuple(tuple(names.split()) for names in row.get("change", ())),
        advice=row.get("advice", ""),
    )
