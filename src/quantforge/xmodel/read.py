"""`read_xmodel`: an .xmodel file as records, checked."""

from __future__ import annotations

from pathlib import Path

from quantforge.diagnostics import InputError
from quantforge.xmodel.decode import decode
from quantforge.xmodel.model import XModel
from quantforge.xmodel.trees import settle_root
from quantforge.xmodel.validate import check
from quantforge.xmodel.wire import Source


def read_xmodel(source: str | Path | bytes) -> XModel:
    """Read an .xmodel from a path, or from its bytes.

    Attributes that are absent and have a default stay absent; `catalogue.with_defaults` fills them in. Operators
    that no subgraph below the root lists become leaves of their own, `subgraph_<operator>`; a root without children
    lists all operators.

    Raises:
        InputError: Q0902 when the file cannot be read, Q0901 when its bytes are no xmodel, Q0903 to Q0911 and Q0914
            when the model breaks a rule of the format (`validate.check`).

    >>> read_xmodel(bytes.fromhex("0a016d5206") + b"\\x0a\\x04root").name
    'm'
    """
    if isinstance(source, bytes):
        name, data = "the bytes", source
    else:
        name, data = str(source), _bytes_of(Path(source))
    model = decode(Source(name, data))
    settle_root(model)
    check(model)
    return model


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("Q0902", str(path), reason, "a readable .xmodel file", "check the path") from error
