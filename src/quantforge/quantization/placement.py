"""Where quantization happens: which values carry a spec, which share one, and why the rest stays float.

The algebra is a partition of values. An operator either computes (its inputs and its output carry specs of
their own) or moves data (what goes in and out shares one spec). An activation fused into its producer takes the
producer's place, and the value between them is never stored, so it carries none.
Sources: chapter 4 of the user guide UG1414 (fused groups); vai_q_onnx guide (pass-through operators).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from quantforge.graph import Graph, Op, Value
from quantforge.ops.attributes import ints
from quantforge.ops.channels import WEIGHTED
from quantforge.ops.registry import spec
from quantforge.quantization.every_value import EXACT_FUSED, groups_of_one, rounded_parameters
from quantforge.quantization.grouping import Grouping, grouping_of
from quantforge.quantization.places import FloatOp, Parameter, Places, SpecGroup
from quantforge.quantization.recipe import Placement, Recipe
from quantforge.quantization.rules import bias_rule, override_for, value_rule, weight_rule

MOVES = frozenset({"move", "join", "pad"})
_FUSING = ("weighted", "elementwise", "reduce", "pool")  # roles that an activation may be fused into


def place(graph: Graph, recipe: Recipe) -> Places:
    """Decide the placement of `graph` under `recipe`. Nothing is measured and nothing is changed.

    Raises:
        InputError: Q0316 when overrides ask for two rules for values that share one spec.
    """
    if recipe.placement.every_value:
        return _every_value(graph, recipe)
    grouping = grouping_of(graph, recipe)
    floats = _float_ops(graph, recipe, grouping)
    quantized = [op for op in graph.ops if op.name not in floats]
    inner = _inner_values(graph, quantized, recipe.placement) | grouping.inner
    wanted = _wanted_values(graph, quantized, recipe.placement, grouping) - inner
    groups = _groups(graph, quantized, wanted, recipe, inner)
    weighted = [op for op in quantized if _has_const_weights(graph, op)]
    return Places(tuple(groups), *_parameters(graph, weighted, recipe), tuple(floats.values()))


def _every_value(graph: Graph, recipe: Recipe) -> Places:
    """The placement of float formats; see `quantization.every_value`."""
    floats = _float_ops(graph, recipe, Grouping())
    rounded = [op for op in graph.ops if op.name not in floats or floats[op.name].code != "Q0503"]
    inner = _inner_values(graph, rounded, replace(recipe.placement, fused=EXACT_FUSED))
    groups = groups_of_one(graph, rounded, recipe, inner, floats)
    stored = {name for group in groups for name in group.values}
    parameters = _parameters(graph, rounded_parameters(graph, rounded, recipe, floats), recipe)
    left = (found for name, found in floats.items() if not stored & set(graph.op(name).outputs))
    return Places(tuple(groups), *parameters, tuple(left))


def _parameters(
    graph: Graph, weighted: list[Op], recipe: Recipe
) -> tuple[tuple[Parameter, ...], tuple[Parameter, ...]]:
    """Weights and biases that are quantized."""
    weights = (op for op in weighted if not weight_rule(op, recipe).keep_float)
    biases = (
        op for op in weighted if graph.const(op, 2) is not None and not bias_rule(op, recipe).keep_float
    )
    return (
        tuple(Parameter(op.inputs[1], op.name) for op in weights),
        tuple(Parameter(op.inputs[2], op.name) for op in biases),
    )


def _float_ops(graph: Graph, recipe: Recipe, grouping: Grouping) -> dict[str, FloatOp]:
    """The ops that stay float, by name, in graph order."""
    rereads = _feeds_weighted(graph)
    floats: dict[str, FloatOp] = {}
    behind: dict[str, str] = {}  # value -> the float op it comes from
    for op in graph.ops:
        reason = _own_reason(graph, op, recipe, grouping)
        sources = [behind[name] for name in op.inputs if name in behind]
        if reason is None and sources and op.name not in rereads:
            reason = (f"post-processing behind {sources[0]}, which no weighted operator reads again", "Q0502")
        if reason is not None:
            floats[op.name] = FloatOp(op.name, op.kind, *reason)
            behind.update(dict.fromkeys(op.outputs, sources[0] if sources else op.name))
    if recipe.placement.float_output_joins:
        floats.update(_gathering(graph, floats))
    return {op.name: floats[op.name] for op in graph.ops if op.name in floats}


def _gathering(graph: Graph, floats: Container[str]) -> dict[str, FloatOp]:
    """The joins whose result is only moved on to outputs or float ops, and what moves it there."""
    onward: set[str] = set()  # ops behind which nothing is quantized
    for op in reversed(graph.ops):
        readers = (reader.name for name in op.outputs for reader in graph.consumers(name))
        moves = spec(op.kind).traits.role in ("move", "join")
        if op.name in floats or (moves and all(name in onward for name in readers)):
            onward.add(op.name)
    found: dict[str, FloatOp] = {}
    joined: dict[str, str] = {}  # value -> the join it comes from
    for op in graph.ops:
        if op.name not in onward or op.name in floats:
            continue
        join = next((joined[name] for name in op.inputs if name in joined), None)
        if join is not None:
            reason = (f"post-processing behind {join}, which no weighted operator reads again", "Q0502")
        elif spec(op.kind).traits.role == "join":
            reason = ("it only gathers results, which keep a scale each", "Q0509")
        else:
            continue
        found[op.name] = FloatOp(op.name, op.kind, *reason)
        joined.update(dict.fromkeys(op.outputs, join or op.name))
    return found


def _own_reason(graph: Graph, op: Op, recipe: Recipe, grouping: Grouping) -> tuple[str, str] | None:
    override = override_for(recipe.overrides, op=op.name, kind=op.kind)
    if override is not None and override.keep_float:
        return "the recipe keeps it in float", "Q0503"
    role = spec(op.kind).traits.role
    custom = op.kind == "opaque" and op.attrs.get("type") in recipe.placement.custom_types
    if role == "float" and not custom:
        return f"{op.attrs.get('type', op.kind)} has no quantized form", "Q0501"
    kind = grouping.kind(op)
    if (role not in MOVES or op.name in grouping.units) and kind not in recipe.placement.kinds and not custom:
        if op.name in grouping.units:
            return f"it is part of a {kind}, which recipe {recipe.name} does not quantize", "Q0530"
        return f"{kind} is not among the kinds recipe {recipe.name} quantizes", "Q0504"
    if op.kind.startswith("avgpool") and any(step != 1 for step in ints(op, "dilation", ())):
        return "an average over a dilated window has no quantized form", "Q0501"
    if not all(graph.value(name).dtype == "float32" for name in op.outputs if name):
        return f"its output is {graph.value(op.outputs[0]).dtype}", "Q0505"
    if op.kind in WEIGHTED and op.kind != "matmul" and not _has_const_weights(graph, op):
        return f"its weights {op.inputs[1]} are computed", "Q0506"
    return None


def _feeds_weighted(graph: Graph) -> set[str]:
    """Names of the ops from which a weighted op can be reached."""
    reached: set[str] = set()
    for op in reversed(graph.ops):
        following = [c for name in op.outputs for c in graph.consumers(name)]
        if op.kind in WEIGHTED or any(c.name in reached for c in following):
            reached.add(op.name)
    return reached


def _has_const_weights(graph: Graph, op: Op) -> bool:
    return op.kind in WEIGHTED and graph.const(op, 1) is not None


def _inner_values(graph: Graph, quantized: list[Op], placement: Placement) -> set[str]:
    """Values between an operator and the activation fused into it."""
    names = {op.name for op in quantized}
    inner: set[str] = set()
    for op in quantized:
        joins = spec(op.kind).traits.role == "join" and not (placement.align_join or placement.separate_join)
        sources = op.inputs if joins else op.inputs[:1] if op.kind in placement.fused else ()
        for source in sources:
            producer = graph.producer(source)
            if producer is None or producer.name not in names or source in graph.outputs:
                continue
            computes = spec(producer.kind).traits.role in _FUSING or (
                joins and producer.kind in placement.fused
            )
            if computes and len(graph.consumers(source)) == 1 and not _shares(producer, placement):
                inner.add(source)
    return inner


def _wanted_values(graph: Graph, quantized: list[Op], placement: Placement, grouping: Grouping) -> set[str]:
    """Values that some quantized operator computes on or computes, closed over operators that move data."""
    wanted: set[str] = set()
    for op in quantized:
        if placement.inputs_only:
            wanted.update(name for name in _computed_on(graph, op) if name not in grouping.bare(op))
        elif not _shares(op, placement):
            wanted.update(name for name in _data(graph, op) if name not in grouping.bare(op))
    moves = [op for op in quantized if _shares(op, placement)]
    grown = True
    while grown:
        before = len(wanted)
        for op in moves:
            data = _data(graph, op)
            if (placement.force_moves or any(name in wanted for name in data)) and not all(
                graph.value(name).is_const for name in op.inputs if name
            ):
                wanted.update(data)
        grown = len(wanted) > before
    return wanted


def _computed_on(graph: Graph, op: Op) -> list[str]:
    """What `op` multiplies, and what it looks up in a table: all that is stored with `inputs_only`."""
    if op.kind in WEIGHTED:
        return [name for name in _data(graph, op) if name in op.inputs]
    table = op.kind == "gather" and graph.const(op, 0) is not None
    return _data(graph, op) if table else []


def _data(graph: Graph, op: Op) -> list[str]:
    """The real-valued inputs and outputs of `op` that a spec of activations may describe."""
    one = _has_const_weights(graph, op) or op.kind == "prelu" or spec(op.kind).traits.role == "normalize"
    inputs = op.inputs[:1] if one else op.inputs
    return [name for name in (*inputs, *op.outputs) if name and graph.value(name).dtype == "float32"]


def _shares(op: Op, placement: Placement) -> bool:
    """Whether what goes in and out of `op` shares one spec."""
    role = spec(op.kind).traits.role
    if role == "pad":
        return op.attrs.get("mode", "constant") != "constant" or op.attrs.get("value", 0.0) == 0.0
    if role == "resize":
        return op.attrs.get("mode") == "nearest"
    if op.kind.startswith("maxpool"):
        return True
    averages = op.kind.startswith("avgpool") or op.kind == "reduction-mean"
    return (role in MOVES and (role != "join" or placement.align_join)) or (averages and placement.align_pool)


def _groups(
    graph: Graph, quantized: list[Op], wanted: set[str], recipe: Recipe, inner: set[str]
) -> list[SpecGroup]:
    placement = recipe.placement
    leader = {name: name for name in wanted}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    derived: set[str] = set()
    for op in quantized:
        data = [name for name in _data(graph, op) if name in wanted]
        if not _shares(op, placement) or not data:
            continue
        for name in data[1:]:
            leader[find(name)] = find(data[0])
        derived.update(name for name in op.outputs if name in wanted)
    members: dict[str, list[Value]] = {}
    for value in graph.values:
        if value.name in wanted:
            members.setdefault(find(value.name), []).append(value)
    groups = []
    for values in members.values():
        names = tuple(value.name for value in values)
        sources = tuple(name for name in names if name not in derived) or names[:1]
        rule = value_rule(graph, names, sources, recipe, inner)
        if not rule.keep_float:
            groups.append(SpecGroup(names, sources, rule))
    return groups
