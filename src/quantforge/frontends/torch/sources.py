"""Where in the user's code a call of an exported graph is made: the stack trace that torch.export keeps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_FRAME = re.compile(
    r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>[^\n]+)(?:\n\s+(?P<code>[^\n]+))?'
)


def source_lines(nodes: Iterable[Any]) -> dict[str, tuple[str, ...]]:
    """For each node the frames of its stack outside torch, innermost last, as ``file:line in function: code``."""
    found = {node.name: frames(node.meta.get("stack_trace") or "") for node in nodes}
    return {name: lines for name, lines in found.items() if lines}


def frames(trace: str) -> tuple[str, ...]:
    r"""The frames of a stack trace that lie outside torch.

    >>> frames('File "/net.py", line 3, in forward\n    return self.fc(x)')
    ('/net.py:3 in forward: return self.fc(x)',)
    """
    kept = []
    for frame in _FRAME.finditer(trace):
        file = frame["file"]
        if file.startswith("torch/") or "site-packages/torch/" in file:
            continue
        code = f": {frame['code'].strip()}" if frame["code"] else ""
        kept.append(f"{file}:{frame['line']} in {frame['function'].strip()}{code}")
    return tuple(dict.fromkeys(kept))
