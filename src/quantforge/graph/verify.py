"""The rules every graph obeys, checked between passes.

Names: what is read is defined, what is computed is computed once, ops stand behind what they read.
Types: attributes are integers, floats, strings, booleans or tuples of one of them; constants have the
dtype and shape of their value. Specs: one scale, or one per slice along an axis that exists.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from quantforge.diagnostics import InternalError
from quantforge.graph.graph import Graph, Op, Value
from quantforge.numerics.formats import IntFormat


def verify(graph: Graph, kinds: Collection[str] | None = None) -> None:
    """Check `graph`; with `kinds` also that every op is of one of them.

    Raises:
        InternalError: Q0402, with all problems.
    """
    found = problems(graph, kinds)
    if found:
        count = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        listed = "; ".join(found)
        raise InternalError(
            "Q0402", f"graph {graph.name}", f"{count}: {listed}", "a well-formed graph", "report this bug"
        )


def problems(graph: Graph, kinds: Collection[str] | None = None) -> tuple[str, ...]:
    """What is wrong with `graph`, in words; empty when nothing is."""
    return (
        *_interface(graph),
        *_order(graph),
        *(text for op in graph.ops for text in _op(op, kinds)),
        *(text for value in graph.values for text in (*_constant(value), *_spec(value))),
    )


def _interface(graph: Graph) -> Iterator[str]:
    for name in graph.inputs:
        if not graph.has_value(name):
            yield f"graph input {name!r} is not a value"
        if graph.producer(name) is not None:
            yield f"graph input {name!r} is computed by an op"
    if len(set(graph.inputs)) < len(graph.inputs):
        yield "a graph input is listed twice"
    computed = {name for op in graph.ops for name in op.outputs}
    for name in graph.outputs:
        if not graph.has_value(name):
            yield f"graph output {name!r} is not a value"
        elif name not in computed and name not in graph.inputs and not graph.value(name).is_const:
            yield f"graph output {name!r} is computed by nothing"


def _order(graph: Graph) -> Iterator[str]:
    """Single assignment in topological order; a cycle shows as an op that reads what comes later."""
    computed_by = {name: op.name for op in graph.ops for name in op.outputs if name}
    ready = {value.name for value in graph.values if value.is_const} | set(graph.inputs)
    made: set[str] = set()
    for op in graph.ops:
        for name in op.inputs:
            if not name or name in ready:
                continue
            if name in computed_by:
                yield f"op {op.name!r} reads {name!r} before {computed_by[name]!r} computes it"
            elif graph.has_value(name):
                yield f"op {op.name!r} reads {name!r}, which nothing computes"
            else:
                yield f"op {op.name!r} reads {name!r}, which is not a value"
        for name in filter(None, op.outputs):
            if not graph.has_value(name):
                yield f"op {op.name!r} computes {name!r}, which is not a value"
            elif graph.value(name).is_const:
                yield f"op {op.name!r} computes the constant {name!r}"
            if name in made:
                yield f"{name!r} is computed twice, the second time by op {op.name!r}"
            made.add(name)
            ready.add(name)


def _op(op: Op, kinds: Collection[str] | None) -> Iterator[str]:
    if kinds is not None and op.kind not in kinds:
        yield f"op {op.name!r} is of the unknown kind {op.kind!r}"
    if not any(op.outputs):
        yield f"op {op.name!r} has no output"
    for name, value in op.attrs.items():
        items = value if isinstance(value, tuple) else (value,)
        allowed = (int, float, str) if isinstance(value, tuple) else (int, float, str, bool)
        types = {type(item) for item in items}
        if not types <= set(allowed) or len(types) > 1:
            yield f"op {op.name!r} has the attribute {name}={value!r} of type {type(value).__name__}"


def _constant(value: Value) -> Iterator[str]:
    if value.const is None:
        return
    if str(value.const.dtype) != value.dtype:
        yield f"constant {value.name!r} holds {value.const.dtype}, its value says {value.dtype}"
    if value.shape != value.const.shape:
        yield f"constant {value.name!r} has shape {value.const.shape}, its value says {value.shape}"


def _spec(value: Value) -> Iterator[str]:
    spec = value.quant
    if spec is None:
        return
    if not value.is_float:
        yield f"{value.name!r} of {value.dtype} carries a spec"
    if len(spec.scale) != len(spec.zero_point):
        yield f"{value.name!r} has {len(spec.scale)} scales and {len(spec.zero_point)} zero points"
    if isinstance(spec.format, IntFormat):
        outside = [zero for zero in spec.zero_point if not spec.format.qmin <= zero <= spec.format.qmax]
        if outside:
            yield f"{value.name!r} has the zero point {outside[0]} outside {spec.format}"
    yield from _slices(value)


def _slices(value: Value) -> Iterator[str]:
    spec = value.quant
    if spec is None:
        return
    if spec.axis is None:
        if len(spec.scale) != 1:
            yield f"{value.name!r} has {len(spec.scale)} scales and no axis"
        return
    if value.shape is None:
        return
    rank = len(value.shape)
    if not -rank <= spec.axis < rank:
        yield f"{value.name!r} of {rank} axes has scales along axis {spec.axis}"
        return
    size = value.shape[spec.axis]
    if isinstance(size, int) and len(spec.scale) not in (1, size):
        yield f"{value.name!r} has {len(spec.scale)} scales along axis {spec.axis} of size {size}"
