"""Pieces of work for pools; functions of a module, as other processes need them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from quantforge.diagnostics import InputError


def power(shared: int, item: int) -> int:
    return shared**item


def refuse(shared: str, item: int) -> int:
    """Fails at the third item."""
    if item == 3:
        raise InputError("Q0526", shared, "three", "another number", "leave it out")
    return item


def die_once(folder: str, item: int) -> int:
    """Kills the worker that does item 2, the first time."""
    mark = Path(folder) / "died"
    if item == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * 10


def die_always(shared: None, item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def process(shared: None, item: int) -> int:
    return os.getpid()
