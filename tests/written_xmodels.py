"""Models built by hand as files."""

from __future__ import annotations

from pathlib import Path

from quantforge.xmodel.model import Attr, XModel
from quantforge.xmodel.write import write_xmodel
from tests.compiled_xmodels import classifier


def write_classifier(path: str | Path) -> XModel:
    """Write `classifier`, with the attributes that a file needs; returns it."""
    model = classifier()
    for op in model.ops.values():
        if op.kind in ("data", "data-fix", "const", "const-fix"):
            op.attrs["shape"] = Attr("int32_vec", op.tensor.shape)
            op.attrs["data_type"] = Attr("string", str(op.tensor.dtype))
    write_xmodel(model, path)
    return model
