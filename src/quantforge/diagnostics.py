"""What went wrong, where, what was found, what was expected, and what to try next.

Every error a user can meet is a `QuantforgeError` that carries one `Diagnostic` with a stable code. The
long form of each code is data (`codes.toml`), printed by ``quantforge explain CODE``. Codes are never reused.
"""

from __future__ import annotations

import sys
from dataclasses import astuple, dataclass
from functools import cache
from importlib import resources

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Diagnostic:
    """One finding: `code` (such as ``Q0101``), `where` (node, tensor, file), `found`, `expected`, `fix`.

    >>> print(Diagnostic("Q0101", "model.onnx", "12 bytes of text", "an ONNX model", "check the path"))
    Q0101 model.onnx: found 12 bytes of text; expected an ONNX model; try: check the path
    """

    code: str
    where: str
    found: str
    expected: str
    fix: str

    def __str__(self) -> str:
        return f"{self.code} {self.where}: found {self.found}; expected {self.expected}; try: {self.fix}"


class QuantforgeError(Exception):
    """Base of every error raised on purpose; `diagnostic` says it all."""

    def __init__(self, code: str, where: str, found: str, expected: str, fix: str) -> None:
        self.diagnostic = Diagnostic(code, where, found, expected, fix)
        super().__init__(str(self.diagnostic))

    def __reduce__(self) -> tuple[type[QuantforgeError], tuple[str, ...]]:
        """Errors cross from one process to another."""
        return type(self), astuple(self.diagnostic)


class InputError(QuantforgeError):
    """What the user gave (model, data, option, path) cannot be used."""


class UnsupportedError(QuantforgeError):
    """A legal request that this version does not serve."""


class TargetError(QuantforgeError):
    """The target device cannot do what the graph or the recipe asks."""


class CalibrationError(QuantforgeError):
    """The calibration data ran but its statistics cannot be used."""


class InternalError(QuantforgeError):
    """A broken invariant of quantforge itself: please report it."""


@dataclass(frozen=True)
class Explanation:
    """The long form of a code: a one-line `title` and a `text` of a few sentences."""

    code: str
    title: str
    text: str


@cache
def explanations() -> dict[str, Explanation]:
    """All known codes, in the order of the table."""
    source = resources.files("quantforge").joinpath("codes.toml").read_text("utf-8")
    return {
        code: Explanation(code, row["title"], row["text"].strip())
        for code, row in tomllib.loads(source).items()
    }


def explain(code: str) -> Explanation:
    """Look up a code, case-insensitively.

    >>> explain("q0101").title
    'The file is not a readable ONNX model'

    Raises:
        InputError: Q0001 when there is no such code.
    """
    import difflib

    known = explanations()
    found = known.get(code.upper())
    if found is None:
        near = difflib.get_close_matches(code.upper(), known, n=3, cutoff=0.5)
        hint = (
            f"quantforge explain {near[0]}" if near else "quantforge explain, without a code, lists them all"
        )
        raise InputError("Q0001", "explain", repr(code), "a code such as Q0101", hint)
    return found
