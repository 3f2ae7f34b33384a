"""The message ids of the original, put into the errors of this project where they mean the same.

docs/pytorch_nndct.md says of every documented id what answers it here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from quantforge.diagnostics import QuantforgeError

PREFIX = "QUANTIZER_TORCH_"
IDS: Mapping[str, str] = {
    "Q0201": "NO_CALIBRATION",
    "Q0203": "TENSOR_VALUE_INVALID",
    **dict.fromkeys(("Q0602", "Q0603", "Q0604", "Q0605", "Q1479"), "EXPORT_ONNX"),
    **dict.fromkeys(("Q1150", "Q1151", "Q1153"), "EXPORT_XMODEL"),
    "Q1152": "XMODEL_DEVICE",
    "Q1401": "PYTORCH_TRACE",
    "Q1402": "PYTORCH_TRACE",
    "Q1411": "CALIB_RESULT_MISMATCH",
    "Q1412": "BIAS_CORRECTION",
}


@contextlib.contextmanager
def documented() -> Iterator[None]:
    """Errors from within name the message id of the original, in brackets behind the place.

    Raises:
        QuantforgeError: The same class and code.
    """
    try:
        yield
    except QuantforgeError as error:
        found = error.diagnostic
        name = IDS.get(found.code)
        if name is None or PREFIX in found.where:
            raise
        where = f"{found.where} ({PREFIX}{name})"
        raise type(error)(found.code, where, found.found, found.expected, found.fix) from error
