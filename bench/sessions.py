"""ONNX Runtime sessions that keep to the threads of the job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime


def open_session(model: str | Path, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU with ONNX Runtime's default optimizations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def limit_default_threads(threads: int) -> None:
    """Make `onnxruntime.SessionOptions()` start with `threads`, for code that opens sessions by itself."""
    plain = onnxruntime.SessionOptions

    def limited(*args: Any, **named: Any) -> onnxruntime.SessionOptions:
        options = plain(*args, **named)
        options.intra_op_num_threads = threads
        return options

    onnxruntime.SessionOptions = limited
