"""`write_xmodel`: records as an .xmodel file, checked before, and whole or not there at all."""

from __future__ import annotations

from pathlib import Path

from quantforge.files import write_atomic
from quantforge.xmodel.encode import encode
from quantforge.xmodel.model import XModel
from quantforge.xmodel.validate import validate


def to_bytes(model: XModel) -> bytes:
    """The bytes of an .xmodel file.

    Raises:
        InputError: Q0903 to Q0910, Q0912 and Q0914 when the model breaks a rule of the format
            (`validate.validate`), Q0913 for an attribute whose value its kind cannot hold.

    >>> to_bytes(XModel("m")).hex(" ", 1)
    '0a 01 6d 52 06 0a 04 72 6f 6f 74'
    """
    data = encode(model)  # first, because the checks rely on values that are what their kinds say
    validate(model)
    return data


def write_xmodel(model: XModel, path: str | Path) -> Path:
    """Write `model` to `path` and return the path. Errors as `to_bytes`, and Q0601 when it cannot be written."""
    return write_atomic(path, to_bytes(model))
