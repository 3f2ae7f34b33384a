"""Quantize what lies inside If, Loop and Scan.

A body is a model of its own: its inputs, and the outer values that it reads, go in; it is imported, calibrated and
quantized as any other, and written back with its constants inside. What goes into it is found by running: the outer
model up to the operator, and then, for a loop, the body once for each trip. The first `RUNS` of them count, so that
memory does not grow with the data.

Bodies are written with QuantizeLinear and DequantizeLinear, whatever the form of the model around them. A body that
would need a newer opset than the model has stays in float, and so do bodies inside bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.build import rename_captured
from quantforge.frontends.onnx.emit import tensor_proto, to_proto
from quantforge.frontends.onnx.fold import captured_names
from quantforge.frontends.onnx.import_ import import_model
from quantforge.frontends.onnx.native import NOT_A_TENSOR, UNKNOWN, NativeModel, NativeNode, element_type
from quantforge.frontends.onnx.partial import attributes_of
from quantforge.frontends.onnx.run import OnnxExecutor
from quantforge.graph import Array, Graph, Op, Value
from quantforge.graph.execution import Feeds
from quantforge.passes.result import Note

NAME = "quantize-bodies"
RUNS = 64
TYPES = ("If", "Loop", "Scan")
QuantizeBody = Callable[[Graph, Sequence[Feeds]], Graph]


@dataclass
class _Body:
    """One subgraph of `op`: its attribute, its imported form, and what was fed to it."""

    attribute: str
    proto: Any
    graph: Graph
    feeds: list[dict[str, Array]]

    def add(self, feeds: Mapping[str, Array]) -> None:
        """Keep what goes in, copied, up to `RUNS`."""
        if len(self.feeds) < RUNS:
            self.feeds.append({name: np.array(feeds[name]) for name in self.graph.inputs})


def quantize_bodies(
    graph: Graph, batches: Sequence[Feeds], quantize: QuantizeBody, executor: OnnxExecutor
) -> tuple[Graph, tuple[Note, ...]]:
    """A copy of an imported `graph` whose bodies are quantized, and a note for each.

    Args:
        graph: As `import_model` gives it.
        batches: Some calibration data, which goes through the model in float.
        quantize: Makes the quantized form of a body from what is fed to it; InputError Q0507 for nothing to do.
        executor: Runs the model and the bodies.
    """
    graph, notes = graph.copy(), list[Note]()
    for op in graph.ops:
        if op.kind != "opaque" or op.attrs.get("type") not in TYPES or op.attrs.get("domain"):
            continue
        bodies, reason = _bodies(graph, op)
        if reason is not None:
            notes.append(Note(NAME, op.name, False, reason))
            continue
        _feed(graph, op, bodies, batches, executor)
        done = {}
        for body in bodies:
            found = _quantized(graph, op, body, quantize)
            if isinstance(found, str):
                notes.append(Note(NAME, op.name, False, f"{body.attribute}: {found}"))
            else:
                done[body.attribute] = found
                notes.append(
                    Note(NAME, op.name, True, f"{body.attribute} quantized, from {len(body.feeds)} runs")
                )
        if done:
            _put_back(graph, op, done)
    return graph, tuple(notes)


def _bodies(graph: Graph, op: Op) -> tuple[list[_Body], str | None]:
    """The subgraphs of `op` as graphs, or why they cannot be."""
    record = op.origin.native
    outer = {name: graph.value(name) for name in captured_names(record.proto)}
    odd = [n for n, v in outer.items() if v.const is None and v.dtype in (NOT_A_TENSOR, UNKNOWN)]
    if odd:
        return [], f"it reads {odd[0]}, whose type is not known"
    bodies = []
    for attribute in record.proto.attribute:
        if attribute.HasField("g"):
            try:
                inner = import_model(_as_model(graph, attribute.g, outer))
            except InputError as error:
                return [], f"{attribute.name} cannot be read on its own: {error}"
            bodies.append(_Body(attribute.name, attribute.g, inner, []))
    return bodies, None


def _as_model(graph: Graph, body: Any, outer: Mapping[str, Value]) -> Any:
    """The ModelProto of a body, with the outer values that it reads as inputs or constants."""
    node = helper.make_node("If", [], [], then_branch=body)
    read = [outer[name] for name in captured_names(node)]
    whole = helper.make_model(
        body, opset_imports=[helper.make_opsetid(*item) for item in graph.native.opsets.items()]
    )
    whole.ir_version = max(int(graph.native.ir_version), 8)
    whole.functions.extend(graph.native.functions)
    whole.graph.name = whole.graph.name or "body"
    for value in read:
        if value.const is not None:
            whole.graph.initializer.append(tensor_proto(value.name, value.const))
        else:
            kind = element_type(value.dtype)
            whole.graph.input.append(helper.make_tensor_value_info(value.name, kind, value.shape))
    return whole


def _feed(
    graph: Graph, op: Op, bodies: list[_Body], batches: Sequence[Feeds], executor: OnnxExecutor
) -> None:
    """Run the model up to `op`, and collect what goes into its bodies."""
    session = executor.session(graph, [name for name in dict.fromkeys(op.inputs) if name])
    runs = {"If": _run_if, "Loop": _run_loop, "Scan": _run_scan}[str(op.attrs["type"])]
    sessions = {body.attribute: executor.session(body.graph, body.graph.outputs) for body in bodies}
    for feeds in batches:
        found = session.run(feeds)
        values = {name: np.array(array) for name, array in found.items()}
        for body, given in runs(op, bodies, values, sessions):
            body.add(given)
        if all(len(body.feeds) >= RUNS for body in bodies):
            break


Runs = Iterator[tuple[_Body, Mapping[str, Array]]]


def _run_if(op: Op, bodies: list[_Body], values: Mapping[str, Array], sessions: Mapping[str, Any]) -> Runs:
    wanted = "then_branch" if bool(values[op.inputs[0]].reshape(-1)[0]) else "else_branch"
    for body in bodies:
        if body.attribute == wanted:
            yield body, values


def _run_loop(op: Op, bodies: list[_Body], values: Mapping[str, Array], sessions: Mapping[str, Any]) -> Runs:
    body, proto = bodies[0], op.origin.native.proto
    trips = int(values[proto.input[0]].reshape(-1)[0]) if proto.input[0] else RUNS
    going = bool(values[proto.input[1]].reshape(-1)[0]) if len(proto.input) > 1 and proto.input[1] else True
    names = [value.name for value in body.proto.input]
    state = [values[name] for name in proto.input[2:]]
    for trip in range(min(trips, RUNS)):
        if not going:
            return
        given = dict(zip(names, (np.asarray(trip, np.int64), np.asarray(going), *state), strict=True))
        yield body, {**values, **given}
        made = _run_body(body, sessions, {**values, **given})
        going, state = bool(made[0].reshape(-1)[0]), made[1 : 1 + len(state)]


def _run_scan(op: Op, bodies: list[_Body], values: Mapping[str, Array], sessions: Mapping[str, Any]) -> Runs:
    body, proto = bodies[0], op.origin.native.proto
    attributes = attributes_of(proto)
    count = int(attributes["num_scan_inputs"])
    names = [value.name for value in body.proto.input]
    states = len(names) - count
    axes = attributes.get("scan_input_axes") or [0] * count
    backward = attributes.get("scan_input_directions") or [0] * count
    state = [values[name] for name in proto.input[:states]]
    scanned = [values[name] for name in proto.input[states:]]
    length = scanned[0].shape[axes[0]]
    for step in range(min(length, RUNS)):
        rows = [
            np.take(array, length - 1 - step if back else step, axis=axis)
            for array, axis, back in zip(scanned, axes, backward, strict=True)
        ]
        given = {**values, **dict(zip(names, (*state, *rows), strict=True))}
        yield body, given
        state = _run_body(body, sessions, given)[:states]


def _run_body(body: _Body, sessions: Mapping[str, Any], values: Mapping[str, Array]) -> list[Array]:
    results = sessions[body.attribute].run({name: values[name] for name in body.graph.inputs})
    return [np.array(results[name]) for name in body.graph.outputs]


def _quantized(graph: Graph, op: Op, body: _Body, quantize: QuantizeBody) -> Any:
    """The quantized GraphProto, or why there is none."""
    if not body.feeds:
        return "no data reached it"
    try:
        made = to_proto(quantize(body.graph, body.feeds))
    except InputError as error:
        return str(error)
    native = graph.native
    wanted = next(int(o.version) for o in made.opset_import if not o.domain)
    if not isinstance(native, NativeModel) or wanted != native.opsets[""]:
        return f"it needs opset {wanted}, and the model has {native.opsets['']}"
    return _inner(made.graph, body.proto, f"{op.name}/{body.attribute}/")


def _inner(made: Any, original: Any, prefix: str) -> Any:
    """`made` with the interface of the body `original`; its new names get `prefix`, for outer ones stay theirs."""
    known = {value.name for value in (*original.input, *original.output)}
    known |= {name for node in original.node for name in node.output}
    own = {name for node in made.node for name in node.output} | {tensor.name for tensor in made.initializer}
    renames = {name: f"{prefix}{name}" for name in own - known}
    for node in made.node:
        node.input[:] = [renames.get(name, name) for name in node.input]
        node.output[:] = [renames.get(name, name) for name in node.output]
        rename_captured(node, renames)
    for tensor in made.initializer:
        tensor.name = renames.get(tensor.name, tensor.name)
    for value in made.value_info:
        value.name = renames.get(value.name, value.name)
    for output in made.output:  # a constant may be returned
        output.name = renames.get(output.name, output.name)
    del made.input[:]
    made.input.extend(original.input)
    return made


def _put_back(graph: Graph, op: Op, done: Mapping[str, Any]) -> None:
    """Give `op` its new bodies; it reads only what they read."""
    record = op.origin.native
    proto = NodeProto()
    proto.CopyFrom(record.proto)
    for attribute in proto.attribute:
        if attribute.name in done:
            attribute.g.CopyFrom(done[attribute.name])
    captured = captured_names(proto)
    native = NativeNode(proto, record.data, record.static, captured)
    inputs = (*op.inputs[: len(record.data)], *captured)
    graph.replace_op(replace(op, inputs=inputs, origin=replace(op.origin, native=native, made_by=NAME)))
