"""Whether one operator fits its definition: arguments, attributes and the values that have a meaning."""

from __future__ import annotations

import math
from collections.abc import Iterable

from quantforge.diagnostics import InputError
from quantforge.xmodel.catalogue import AttrDef, OpDef, definition, setting
from quantforge.xmodel.model import Attr, DataType, XOp, value_of

PAD_MODES = ("FLOOR", "CEIL", "SAME", "VALID")
ROUND_MODES = ("STD_ROUND", "DPU_ROUND", "PY3_ROUND")
NONLINEAR = ("", "NONE", "RELU", "PRELU", "LEAKYRELU", "RELU6", "HSIGMOID", "HSWISH")
FILLS = ("CONSTANT", "REFLECT", "SYMMETRIC")
SAMPLINGS = ("NEAREST", "BILINEAR", "TRILINEAR")
_UNSET = -128

# (kinds, or None for all that define the attribute) and the texts that it may have
_WORDS: dict[str, tuple[tuple[str, ...] | None, tuple[str, ...]]] = {
    "pad_mode": (None, PAD_MODES),
    "round_mode": (None, ROUND_MODES),
    "nonlinear": (None, NONLINEAR),
    "mode": (("resize", "upsample-fix", "downsample-fix"), SAMPLINGS),
    "type": (("pool-fix",), ("MAX", "AVG")),
}
_MORE_WORDS = {
    ("pad", "mode"): FILLS,
    ("pad-fix", "mode"): FILLS,
    ("eltwise-fix", "type"): ("ADD", "MUL"),
    ("depthwise-fix", "type"): ("MUL",),
}
# kinds that some writers use for an attribute and that mean the same
_SAME_MEANING = {("float", "double"), ("double", "float"), ("float_vec", "int32_vec")}


def check_operator(op: XOp, lenient: bool = False) -> None:
    """See that `op` fits the definition of its kind.

    Args:
        op: The operator.
        lenient: Bring an attribute of a kind that means the same (a double for a float, whole numbers for a list
            of floats) to the defined kind, as files of other tools have them, instead of refusing it.

    Raises:
        InputError: Q0905 for an argument that is unknown, missing or given too often, Q0906 for a required
            attribute that is missing, Q0907 for an attribute of another kind, Q0914 for a value without a meaning.
    """
    defined = definition(op.kind)
    _check_arguments(op, defined)
    for attribute in defined.attrs.values():
        _check_attribute(op, attribute, lenient)
    _check_words(op, defined)
    _check_data(op)
    _check_hard_activation(op)


def _where(op: XOp) -> str:
    return f"{op.name} ({op.kind})"


def _check_arguments(op: XOp, defined: OpDef) -> None:
    for name in op.args:
        if name not in defined.args:
            known = ", ".join(defined.args) or "no arguments"
            kind = "a custom operator" if defined.custom else op.kind
            found, expected = f"the argument {name!r}", f"{kind} with {known}"
            raise InputError("Q0905", _where(op), found, expected, "rename or remove the argument")
    for argument in defined.args.values():
        given = len(op.args.get(argument.name, ()))
        if given < argument.least or (argument.most is not None and given > argument.most):
            most = "" if argument.most == argument.least else " or more"
            expected = f"{argument.least}{most}" if given < argument.least else f"at most {argument.most}"
            found = f"{given} producers for the argument {argument.name!r}"
            raise InputError("Q0905", _where(op), found, expected, "connect the argument as defined")


def _check_attribute(op: XOp, attribute: AttrDef, lenient: bool) -> None:
    attr = op.attrs.get(attribute.name)
    if attr is None:
        if attribute.default is None:
            found, expected = f"no attribute {attribute.name!r}", f"one of kind {attribute.kind}"
            raise InputError("Q0906", _where(op), found, expected, "set the attribute")
        return
    if attr.kind != attribute.kind:
        if not lenient or (attribute.kind, attr.kind) not in _SAME_MEANING:
            found = f"attribute {attribute.name!r} of kind {attr.kind}"
            fix = "write it with the kind that the definition gives"
            raise InputError("Q0907", _where(op), found, f"kind {attribute.kind}", fix)
        attr = op.attrs[attribute.name] = _brought_to(attribute.kind, attr)
    if attribute.length is not None and len(attr.value) != attribute.length:
        _refuse(op, attribute.name, attr.value, f"a list of {attribute.length}")


def _brought_to(kind: str, attr: Attr) -> Attr:
    return Attr(kind, tuple(map(float, attr.value)) if kind.endswith("_vec") else float(attr.value))


def _check_words(op: XOp, defined: OpDef) -> None:
    for name in defined.attrs:
        kinds, words = _WORDS.get(name, ((), ()))
        if kinds is not None and op.kind not in kinds:
            words = _MORE_WORDS.get((op.kind, name), ())
        if words and setting(op, name) not in words:
            _refuse(op, name, setting(op, name), f"one of {', '.join(filter(None, words))}")
    for name in ("kernel", "stride", "dilation"):
        if name not in defined.attrs or setting(op, "global"):
            continue
        value = setting(op, name)
        if min(value if isinstance(value, tuple) else (value,)) < 1:
            _refuse(op, name, value, "numbers of 1 or more")
    if "data_type" in defined.attrs:
        try:
            DataType.parse(op.get("data_type"))
        except ValueError as error:
            _refuse(op, "data_type", op.get("data_type"), "a type such as FLOAT32 or XINT8", error)


def _check_data(op: XOp) -> None:
    """A constant holds as many bytes as its tensor, or none where a compiler has put them elsewhere."""
    if op.kind not in ("const", "const-fix"):
        return
    held = len(op.get("data"))
    needed = -(-math.prod(op.tensor.shape) * op.tensor.dtype.bits // 8)
    if held != needed and not (held == 0 and op.kind == "const-fix"):
        shape = f"{list(op.tensor.shape)} of {op.tensor.dtype}"
        found, expected = f"{held} bytes of data", f"{needed} for {shape}"
        raise InputError("Q0914", _where(op), found, expected, "store the elements in C order, little-endian")


def _check_hard_activation(op: XOp) -> None:
    activation = op.get("nonlinear")
    if "hsigmoid_in" not in definition(op.kind).attrs or activation not in ("HSIGMOID", "HSWISH"):
        return
    shifts: Iterable[str] = ("hsigmoid_in", "shift_hsigmoid")
    shifts = (*shifts, "shift_hswish") if activation == "HSWISH" else shifts
    for name in (*shifts, "shift_bias", "shift_cut"):
        if value_of(op.attrs, name, _UNSET) == _UNSET:
            found, fix = f"no attribute {name!r}", "set the attribute"
            raise InputError("Q0906", _where(op), found, f"one beside nonlinear {activation}", fix)


def _refuse(op: XOp, name: str, value: object, expected: str, cause: Exception | None = None) -> None:
    found = f"{name} = {value!r}"
    raise InputError("Q0914", _where(op), found, expected, "set a value that is defined") from cause
