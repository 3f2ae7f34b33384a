"""Operators of the user: opaque ones of the domain "custom", written under their own type with their attributes.

A type that XIR does not define keeps the graph's order of axes and has one argument `input`, as XIR wants it. A type
of XIR gets its inputs one by one under the names of its arguments, images in XIR's order.
Source: user guide UG1414, Register Custom Operation.
"""

from __future__ import annotations

from quantforge.compiler.lowering import layout
from quantforge.compiler.lowering.layout import Order
from quantforge.compiler.lowering.writer import NotInXirError, Rule, Writer, data_type, int32s, text
from quantforge.graph import Op
from quantforge.graph.graph import Attr as Setting
from quantforge.xmodel.catalogue import AttrDef, OpDef, catalogue
from quantforge.xmodel.model import Attr, Attrs

PREFIX = "attr."  # what the attributes of the user begin with in those of the op
_KINDS = ((bool, "bool"), (int, "int32"), (float, "float"), (str, "string"))


def custom(writer: Writer, op: Op) -> None:
    """One operator of the user's type."""
    if op.attrs.get("domain") != "custom":
        raise NotInXirError(f"{op.kind}, which XIR does not have")
    kind = str(op.attrs["type"])
    defined = catalogue().get(kind)
    out = writer.graph.value(op.outputs[0])
    order = _order(len(writer.shape(out.name)), defined)
    names = [_placed(writer, op, index, defined) for index in range(len(op.inputs))]
    known = {} if defined is None else defined.attrs
    attrs: Attrs = {
        name.removeprefix(PREFIX): _attribute(name.removeprefix(PREFIX), value, known)
        for name, value in op.attrs.items()
        if name.startswith(PREFIX)
    }
    sizes = layout.stored(writer.shape(out.name), order)
    if defined is None or "shape" in known:
        attrs["shape"] = int32s(sizes or (1,))
    if defined is None or "data_type" in known:
        attrs["data_type"] = text(str(data_type(out)))
    args = {"input": names} if defined is None else _arguments(defined, names)
    writer.output(op, kind, args, attrs, order)


def _order(rank: int, defined: OpDef | None) -> Order:
    return layout.channels_last(rank) if defined is not None and rank == 4 else layout.identity(rank)


def _placed(writer: Writer, op: Op, index: int, defined: OpDef | None) -> str:
    return writer.placed(op, index, _order(len(writer.shape(op.inputs[index])), defined))


def _arguments(defined: OpDef, names: list[str]) -> dict[str, list[str]]:
    """The inputs under the names of the operator's arguments; one that takes several gets the rest."""
    left, found = list(names), {}
    for argument in defined.args.values():
        count = len(left) if argument.most is None else argument.most
        found[argument.name], left = left[:count], left[count:]
    if left:
        raise NotInXirError(f"{defined.kind} with {len(names)} inputs")
    return found


def _attribute(name: str, value: Setting, known: dict[str, AttrDef]) -> Attr:
    if name in known:
        return Attr(known[name].kind, value)
    items = value if isinstance(value, tuple) else (value,)
    kind = next((word for kind, word in _KINDS if all(isinstance(item, kind) for item in items)), "float")
    return Attr(f"{kind}_vec" if isinstance(value, tuple) else kind, value)


RULES: dict[str, Rule] = {"opaque": custom}
