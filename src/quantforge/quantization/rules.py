"""Which rule a tensor has: the recipe's rule for its kind, with the last override that speaks of it laid over it.

An override speaks of a tensor by its name, or of an operator by its name or kind and of one of its tensors by its
`Part`. Tensors that share one spec have one rule, and it is that of the operators that compute them; operators that
only move them count where those say nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import fields, replace
from fnmatch import fnmatchcase

from quantforge.calibration.methods import ScaleKind
from quantforge.diagnostics import InputError
from quantforge.graph import Graph, Op
from quantforge.quantization.recipe import BiasRule, BiasScale, Override, Part, Recipe, TensorRule

_CHANGES = (
    "format", "scales", "symmetric", "per_channel", "method", "statistic", "percentile", "slack", "rounding",
)  # fmt: skip


def override_for(
    overrides: Iterable[Override],
    *,
    op: str | None = None,
    tensor: str | None = None,
    kind: str | None = None,
    part: Part | None = None,
) -> Override | None:
    """The last override that speaks of a tensor by its name, or of this part of an op by its name or kind.

    Overrides without a part speak of the whole operator, and of its weights.
    """
    parts = (None, part) if part in (None, Part.WEIGHTS) else (part,)
    found = None
    for override in overrides:
        if override.tensor is not None:
            matches = _matches(override.tensor, tensor)
        else:
            speaks = override.part in parts
            matches = speaks and (_matches(override.op, op) or (kind is not None and kind in override.kinds))
        if matches:
            found = override
    return found


def value_rule(
    graph: Graph,
    values: tuple[str, ...],
    sources: tuple[str, ...],
    recipe: Recipe,
    inner: Collection[str] = (),
) -> TensorRule:
    """The rule of activations that share one spec.

    Args:
        graph: Where they are.
        values: All of them.
        sources: Those whose statistics decide.
        recipe: Rules and overrides.
        inner: Values between an operator and the activation fused into it.

    Raises:
        InputError: Q0316 when overrides ask for two rules.
    """
    own_inputs = recipe.inputs is not None and all(name in graph.inputs for name in sources)
    base = recipe.inputs if own_inputs and recipe.inputs is not None else recipe.activations
    for name in values:
        override = override_for(recipe.overrides, tensor=name)
        if override is not None:
            return laid_over(base, override)
    for names in (sources, values):
        found = (pair for name in names for pair in _overrides_of(graph, name, recipe, inner))
        rules = {op: laid_over(base, override) for op, override in found}
        if len(set(rules.values())) > 1:
            raise _conflict(rules)
        for rule in rules.values():
            return rule
    return base


def weight_rule(op: Op, recipe: Recipe) -> TensorRule:
    """The rule of the weights (input 1) of `op`."""
    override = override_for(
        recipe.overrides, op=op.name, tensor=op.inputs[1], kind=op.kind, part=Part.WEIGHTS
    )
    return recipe.weights if override is None else laid_over(recipe.weights, override)


def bias_rule(op: Op, recipe: Recipe) -> BiasRule:
    """The rule of the bias (input 2) of `op`."""
    override = override_for(recipe.overrides, op=op.name, tensor=op.inputs[2], kind=op.kind, part=Part.BIAS)
    if override is None:
        return recipe.bias
    rule = recipe.bias
    names = {field.name for field in fields(rule)}
    changes = {key: value for key, value in _changes(override).items() if key in names}
    if override.scales is not None:
        changes["scale"] = BiasScale.FLOAT if override.scales is ScaleKind.FLOAT else BiasScale.OWN
    return replace(rule, **changes, keep_float=override.keep_float)  # type: ignore[arg-type]


def laid_over(rule: TensorRule, override: Override) -> TensorRule:
    """`rule` with the fields that `override` sets."""
    return replace(rule, **_changes(override), keep_float=override.keep_float)  # type: ignore[arg-type]


def check_overrides(graph: Graph, recipe: Recipe) -> None:
    """Refuse overrides that match nothing.

    Raises:
        InputError: Q0508 with the nearest name, or the kinds that the model has.
    """
    for override in recipe.overrides:
        if override.kinds:
            found = dict.fromkeys(op.kind for op in graph.ops)
            if not found.keys() & set(override.kinds):
                where = f"override kinds = {list(override.kinds)}"
                raise InputError(
                    "Q0508", where, "no match", "a kind of operator of the model", ", ".join(found)
                )
            continue
        word, pattern, names = (
            ("op", override.op, [op.name for op in graph.ops])
            if override.op is not None
            else ("tensor", override.tensor, [value.name for value in graph.values])
        )
        if pattern is not None and not any(_matches(pattern, name) for name in names):
            near = difflib.get_close_matches(pattern, names, n=1, cutoff=0.3)
            fix = repr(near[0]) if near else "print the report's list of names"
            where = f"override {word} = {pattern!r}"
            raise InputError("Q0508", where, "no match", f"the name of a {word}", fix)


def _matches(pattern: str | None, name: str | None) -> bool:
    return pattern is not None and name is not None and (name == pattern or fnmatchcase(name, pattern))


def _changes(override: Override) -> dict[str, object]:
    return {key: getattr(override, key) for key in _CHANGES if getattr(override, key) is not None}


def _overrides_of(
    graph: Graph, name: str, recipe: Recipe, inner: Collection[str]
) -> Iterator[tuple[str, Override]]:
    """What overrides say of `name` by the operators around it, which are named."""
    is_input = name in graph.inputs
    part = Part.INPUTS if is_input else Part.ACTIVATIONS
    for op in graph.consumers(name) if is_input else _makers(graph, name, inner):
        override = override_for(recipe.overrides, op=op.name, kind=op.kind, part=part)
        if override is not None:
            yield op.name, override


def _makers(graph: Graph, name: str, inner: Collection[str]) -> Iterator[Op]:
    """The operator behind `name` and those it is fused with."""
    op = graph.producer(name)
    while op is not None:
        yield op
        op = graph.producer(op.inputs[0]) if op.inputs and op.inputs[0] in inner else None


def _conflict(rules: dict[str, TensorRule]) -> InputError:
    first, *_ = rules
    other = next(name for name in rules if rules[name] != rules[first])
    differ = [
        field.name
        for field in fields(TensorRule)
        if getattr(rules[first], field.name) != getattr(rules[other], field.name)
    ]
    return InputError(
        "Q0316", f"operators {first!r} and {other!r}", f"two rules, which differ in {', '.join(differ)}",
        "one rule for tensors that share one spec", "give these operators the same settings",
    )  # fmt: skip
