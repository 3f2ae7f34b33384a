"""Output files appear complete or not at all: written beside their place under another name, then renamed.

with atomic_path("model.onnx") as path:
    path.write_bytes(data)          # an error or Ctrl-C here leaves no model.onnx, and an older one untouched
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from quantforge.diagnostics import InputError


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """A path to write to, in the folder of `target`; renamed to `target` when the block ends without an error.

    Raises:
        InputError: Q0601 when the folder or the file cannot be written.
    """
    target = Path(target)
    check_writable(target)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        yield partial
        _adopt_mode(partial, target)
        partial.replace(target)
    except OSError as error:
        raise _refusal(target, error) from error
    finally:
        partial.unlink(missing_ok=True)


def write_atomic(target: str | Path, data: bytes | str) -> Path:
    """Write a whole file, text as UTF-8; returns its path. Errors as `atomic_path`."""
    with atomic_path(target) as path:
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return Path(target)


def check_writable(target: str | Path) -> None:
    """See that a file can be put at `target`; meant for before long work.

    Raises:
        InputError: Q0601 when it cannot.
    """
    target = Path(target)
    try:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a folder")
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise _refusal(target, error) from error


def _adopt_mode(partial: Path, target: Path) -> None:
    """Give the new file the permissions of the one it replaces, or those a new file has."""
    if target.exists():
        mode = target.stat().st_mode & 0o777
    else:
        mask = os.umask(0)
        os.umask(mask)
        mode = 0o666 & ~mask
    partial.chmod(mode)


def _refusal(target: Path, error: OSError) -> InputError:
    return InputError(
        "Q0601",
        str(target),
        error.strerror or str(error),
        "a folder that can be written to",
        "create the folder, free some space, or choose another output path",
    )
