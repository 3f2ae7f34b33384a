"""The report as JSON text and back, exactly: `from_json` gives an equal report.

    {"version": 1,
     "model": "resnet20.onnx",
     "tensors": [
      {"name": "conv1", "kind": "activation", "spec": {"format": "int8", "scale": [0.03125]}, ...},

Fields are written under their names and left out where they have their default. Formats are texts, enumerations
their values, tuples lists; an infinite or undefined number is the text "inf", "-inf" or "nan", since JSON has none.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from quantforge.diagnostics import InputError
from quantforge.frontends.sensitivity import Sensitivity
from quantforge.numerics.formats import FloatFormat, IntFormat, parse_format
from quantforge.quantization.compare import Comparison
from quantforge.quantization.report import QuantizationReport

VERSION = 1
_WRITE_IT_AGAIN = "quantize again to write a new report"


def to_json(report: QuantizationReport | Comparison | Sensitivity) -> str:
    """A report, a comparison or a ranking as JSON text, one tensor, layer, note per line."""
    return "{" + ",\n ".join([f'"version": {VERSION}', *_members(report)]) + "}\n"


def from_json(text: str, where: str = "report") -> QuantizationReport:
    """Read the JSON text of a report; `where` names it in errors.

    Raises:
        InputError: Q0801 when the text is not a report, Q0802 when it is one of another version.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise InputError("Q0801", where, str(error), "the JSON text of a report", _WRITE_IT_AGAIN) from error
    if not isinstance(data, dict) or "version" not in data:
        found = "no version" if isinstance(data, dict) else type(data).__name__
        raise InputError("Q0801", where, found, "an object with a version", _WRITE_IT_AGAIN)
    version = data.pop("version")
    if version != VERSION:
        raise InputError("Q0802", where, f"version {version!r}", f"version {VERSION}", _WRITE_IT_AGAIN)
    report: QuantizationReport = _record(QuantizationReport, data, where, "")
    return report


def _members(report: QuantizationReport | Comparison | Sensitivity) -> Iterator[str]:
    for key, value in _plain(report).items():
        rows = isinstance(value, list) and value and isinstance(value[0], dict)
        body = "[\n  " + ",\n  ".join(map(_dumps, value)) + "]" if rows else _dumps(value)
        yield f"{json.dumps(key)}: {body}"


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """`value` out of what JSON has."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (IntFormat, FloatFormat)):
        return str(value)
    if dataclasses.is_dataclass(value):
        fields = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {field.name: _plain(item) for field, item in fields if item != field.default}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _record(kind: Any, data: Any, where: str, path: str) -> Any:
    """A dataclass `kind` from its JSON object; `path` is the way to it inside the report."""
    if not isinstance(data, dict):
        raise _wrong(where, path, data, f"an object ({kind.__name__})")
    hints = _hints(kind)
    for key in data:
        if key not in hints:
            raise InputError(
                "Q0801", where, f"unknown key {_join(path, key)}", f"one of {', '.join(hints)}", "remove it"
            )
    for field in dataclasses.fields(kind):
        if field.name not in data and field.default is dataclasses.MISSING:
            raise InputError("Q0801", where, f"no {_join(path, field.name)}", "the field", _WRITE_IT_AGAIN)
    return kind(**{key: _read(hints[key], item, where, _join(path, key)) for key, item in data.items()})


def _read(hint: Any, data: Any, where: str, path: str) -> Any:
    """`data` as the type `hint`."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if IntFormat in options:
        return parse_format(str(data))
    if data is None and type(None) in options:
        return None
    option = next(option for option in options if option is not type(None))
    if get_origin(option) is tuple:
        return _tuple(get_args(option), data, where, path)
    if dataclasses.is_dataclass(option):
        return _record(option, data, where, path)
    if issubclass(option, Enum):
        members = {member.value: member for member in option}
        if not isinstance(data, str) or data not in members:
            raise _wrong(where, path, data, f"one of {', '.join(members)}")
        return members[data]
    if option is float and (type(data) in (int, float) or data in ("inf", "-inf", "nan")):
        return float(data)
    if type(data) is option:
        return data
    raise _wrong(where, path, data, str(option.__name__))


def _tuple(items: tuple[Any, ...], data: Any, where: str, path: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise _wrong(where, path, data, "a list")
    kinds = [items[0]] * len(data) if items[-1] is Ellipsis else list(items)
    if len(kinds) != len(data):
        raise _wrong(where, path, data, f"{len(kinds)} items")
    return tuple(
        _read(kind, item, where, f"{path}[{i}]")
        for i, (kind, item) in enumerate(zip(kinds, data, strict=True))
    )


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _wrong(where: str, path: str, data: Any, expected: str) -> InputError:
    text = repr(data)
    found = f"{path or 'report'} = {text if len(text) <= 60 else text[:57] + '...'}"
    return InputError("Q0801", where, found, expected, _WRITE_IT_AGAIN)
