"""A model as data for JSON: its device-level subgraphs, one operator, its attributes.

Keys and their order are those that `xdputil xmodel` prints (user guide UG1414, chapter on debugging tools).
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attrs, Subgraph, Tensor, XModel, XOp, value_of
from quantforge.xmodel.trees import in_order

_CONSTANTS = ("const", "const-fix")


def subgraph_list(model: XModel) -> dict[str, Any]:
    """The device-level subgraphs in the order in which they run; DPU ones with their tensors and registers."""
    return {
        "subgraphs": [
            _subgraph(model, index, part) for index, part in enumerate(in_order(model, model.root.children))
        ]
    }


def subgraph_at(model: XModel, index: int) -> Subgraph:
    """The device-level subgraph number `index`, as `subgraph_list` counts.

    Raises:
        InputError: Q1301 when there is none.
    """
    parts = in_order(model, model.root.children)
    if not 0 <= index < len(parts):
        found = f"index {index}"
        expected = f"0 to {len(parts) - 1}" if parts else "a compiled model; this one has no subgraphs"
        raise InputError("Q1301", model.name, found, expected, "list them with `xdputil xmodel FILE -l`")
    return parts[index]


def op_named(model: XModel, name: str) -> XOp:
    """The operator `name`, or the one whose tensor is called so.

    Raises:
        InputError: Q1302 naming the nearest when there is none.
    """
    found = model.ops.get(name) or next((op for op in model.ops.values() if op.tensor.name == name), None)
    if found is None:
        near = difflib.get_close_matches(name, model.ops, n=1, cutoff=0.4)
        fix = f"the nearest is {near[0]!r}" if near else "list them with `xir graph FILE`"
        raise InputError("Q1302", model.name, f"no operator {name!r}", "an operator of the model", fix)
    return found


def describe_op(model: XModel, name: str) -> dict[str, Any]:
    """One operator: attributes (parameters and the quantizer's own left out), inputs and output."""
    op = op_named(model, name)
    producers = [model.ops[producer] for producer in op.producers]
    return {
        "name": op.name,
        "type": op.kind,
        "attrs": {
            key: plain(attr.value)
            for key, attr in sorted(op.attrs.items())
            if key != "data" and not key.startswith("quant_")
        },
        "inputs": [
            {"index": index, "op_name": producer.name, **_tensor(producer.tensor)}
            for index, producer in enumerate(producers)
        ],
        "outputs": _tensor(op.tensor),
    }


def describe_attributes(model: XModel) -> dict[str, Any]:
    """Attributes of the graph and of its root subgraph."""
    return {"graph": model.name, "attrs": _attrs(model.attrs), "root": _attrs(model.root.attrs)}


def boundary(model: XModel, part: Subgraph) -> tuple[list[XOp], list[XOp]]:
    """Operators whose tensors go into and come out of a subgraph, both sorted by the names of their tensors."""
    inside = set(part.all_ops())
    read = dict.fromkeys(p for name in inside for p in model.ops[name].producers if p not in inside)
    inputs = (model.ops[name] for name in read if model.ops[name].kind not in _CONSTANTS)
    readers = model.consumers()
    outputs = (
        model.ops[name]
        for name in inside
        if model.ops[name].kind not in _CONSTANTS and (not readers[name] or set(readers[name]) - inside)
    )
    return _by_tensor(inputs), _by_tensor(outputs)


def plain(value: Any) -> Any:
    """An attribute's value as JSON has it; bytes as their size and MD5 sum.

    >>> plain({"a": (1, 2), "b": b"xyz"})
    {'a': [1, 2], 'b': {'size': 3, 'md5': 'd16fb36f0911f878998c136191af705e'}}
    """
    if isinstance(value, bytes):
        return {"size": len(value), "md5": md5(value)}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in sorted(value.items())}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def md5(data: bytes) -> str:
    """The MD5 sum in hexadecimal; it tells files apart and protects nothing."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _subgraph(model: XModel, index: int, part: Subgraph) -> dict[str, Any]:
    device = str(part.get("device", ""))
    found: dict[str, Any] = {"index": index, "name": part.name, "device": device}
    if device != "DPU":
        return found
    inputs, outputs = boundary(model, part)
    found["fingerprint"] = hex(part.get("dpu_fingerprint", 0))
    found["DPU Arch"] = part.get("dpu_name", "")
    found["workload"] = part.get("workload", 0)
    found["input_tensor"] = _numbered(inputs)
    found["output_tensor"] = _numbered(outputs)
    found["reg info"] = _registers(model, part)
    found["instruction reg"] = len(part.get("mc_code", b""))
    return found


def _numbered(ops: Iterable[XOp]) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "name": op.tensor.name,
            "shape": list(op.tensor.shape),
            "fixpos": op.tensor.fix_point,
        }
        for index, op in enumerate(ops)
    ]


def _registers(model: XModel, part: Subgraph) -> list[dict[str, Any]]:
    types = _register_types(model, part)
    sizes = part.get("reg_id_to_size", {})
    parameters = part.get("reg_id_to_parameter_value", {})
    names = sorted({*types, *sizes}, key=lambda name: (len(name), name))
    return [
        {
            "name": name,
            "context type": types.get(name, ""),
            "size": sizes.get(name, len(parameters.get(name, b""))),
        }
        for name in names
    ]


def _register_types(model: XModel, part: Subgraph) -> dict[str, str]:
    """CONST, WORKSPACE, or DATA_LOCAL with what crosses the boundary there: _INPUT or _OUTPUT when it is one."""
    types = {**part.get("reg_id_to_context_type", {}), **part.get("reg_id_to_context_type_v2", {})}
    sides: dict[str, set[str]] = {}
    for name in part.all_ops():
        op = model.ops[name]
        held = {"upload": op, "download": model.ops[op.producers[0]] if op.producers else op}.get(op.kind)
        number = None if held is None else value_of(held.tensor.attrs, "reg_id")
        if number is not None:
            sides.setdefault(f"REG_{number}", set()).add("INPUT" if op.kind == "upload" else "OUTPUT")
    data = {
        name: "DATA_LOCAL" if len(sides.get(name, ())) != 1 else f"DATA_LOCAL_{next(iter(sides[name]))}"
        for name, kind in types.items()
        if kind in ("INTERFACE", "DATA")
    }
    return types | data


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"tensor_name": tensor.name, "shape": list(tensor.shape), "data_type": str(tensor.dtype)}


def _attrs(attrs: Attrs) -> dict[str, Any]:
    return {key: plain(attr.value) for key, attr in sorted(attrs.items())}


def _by_tensor(ops: Iterable[XOp]) -> list[XOp]:
    return sorted(ops, key=lambda op: op.tensor.name)
