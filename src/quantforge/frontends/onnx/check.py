"""Refuse malformed graphs before anything trusts them: names, arity, attribute types.

Looser than onnx.checker, which also refuses unknown attributes and operators that runtimes accept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any, NoReturn

from onnx import defs

from quantforge.diagnostics import InputError
from quantforge.frontends.onnx.fold import Body, captured_names
from quantforge.frontends.onnx.native import is_default_domain


def check_body(body: Body, inputs: Iterable[str], model: str) -> None:
    """Every value is made once, before it is read; outputs exist; nodes fit their operator's signature.

    Raises:
        InputError: Q0109 naming the node.
    """
    names = list(inputs)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        _malformed(model, "the graph inputs", f"{twice[0]!r} twice")
    made = set(names) | set(body.consts)
    for node in body.nodes:
        where = f"node {node.name or node.op_type!r}"
        fault = _signature_fault(node, body.opsets.get("", 0))
        if fault:
            _malformed(model, where, fault)
        for name in (*node.input, *captured_names(node)):
            if name and name not in made:
                _malformed(model, where, f"input {name!r} that nothing before it makes")
        for name in node.output:
            if name and name in made:
                _malformed(model, where, f"output {name!r} that exists already")
            made.add(name)
    missing = [name for name in body.outputs if name not in made]
    if missing:
        _malformed(model, "the graph outputs", f"{missing[0]!r} that nothing makes")
    if not body.outputs:
        _malformed(model, "the graph", "no outputs")


def _malformed(model: str, where: str, found: str) -> NoReturn:
    raise InputError(
        "Q0109",
        f"{model}: {where}",
        found,
        "a well-formed graph, in which every value is made once, before it is used",
        "run onnx.checker.check_model on the file and export it again",
    )


def _signature_fault(node: Any, opset: int) -> str | None:
    """What about `node` contradicts its operator's schema, or None; also for the nodes of its subgraphs."""
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else list(attribute.graphs):
            for inner in graph.node:
                fault = _signature_fault(inner, opset)
                if fault:
                    return f"a subgraph with {fault}"
    schema = _schema(node.op_type, opset) if is_default_domain(node.domain) else None
    if schema is None:
        return None
    given = len([name for name in node.input if name])
    if len(node.input) > schema.max_input or given < schema.min_input:
        return f"{given} inputs of {schema.min_input} to {schema.max_input} for {node.op_type}"
    for formal, name in zip(schema.inputs, node.input, strict=False):
        if not name and formal.option == defs.OpSchema.FormalParameterOption.Single:
            return f"{node.op_type} without its input {formal.name!r}"
    if not schema.min_output <= len(node.output) <= schema.max_output:
        return f"{len(node.output)} outputs of {schema.min_output} to {schema.max_output} for {node.op_type}"
    names = {attribute.name for attribute in node.attribute}
    for name, declared in schema.attributes.items():
        if declared.required and name not in names:
            return f"{node.op_type} without its attribute {name!r}"
    for attribute in node.attribute:
        declared = schema.attributes.get(attribute.name)
        if (
            declared is not None
            and int(declared.type.value) != attribute.type
            and not attribute.ref_attr_name
        ):
            return f"attribute {attribute.name!r} of {node.op_type} with a value of another type"
    return None


@cache
def _schema(op_type: str, opset: int) -> Any:
    """The operator's schema at `opset`, or None when onnx knows no such operator."""
    try:
        return defs.get_schema(op_type, opset, "")
    except defs.SchemaError:
        return None
