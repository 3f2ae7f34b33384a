"""The tokens of one line of the text form of graphs: names, strings, words, numbers, punctuation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from quantforge.diagnostics import InputError

BARE_NAME = r"[A-Za-z0-9_./-]+(?::[A-Za-z0-9_./-]+)*"
QUOTED = r'"(?:[^"\\]|\\.)*"'
_TOKEN = re.compile(rf"\s*(?:(%(?:{QUOTED}|{BARE_NAME}))|({QUOTED})|([A-Za-z0-9_.+-]+)|([^\s]))", re.DOTALL)
INTEGER = re.compile(r"-?[0-9]+")

T = TypeVar("T")


class LineReader:
    """The tokens of one line, read from left to right."""

    def __init__(self, line: str, number: int) -> None:
        self._number = number
        self._tokens = [match[match.lastindex or 0] for match in _TOKEN.finditer(line)]
        self._at = 0

    @property
    def next(self) -> str:
        """The next token, "" at the end of the line."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        """Read any token."""
        token = self.next
        self._at += 1
        return token

    def accept(self, token: str) -> bool:
        """Read `token` if it comes next."""
        found = self.next == token
        self._at += found
        return found

    def expect(self, token: str) -> None:
        """Read `token`, which must come next."""
        if not self.accept(token):
            self.refuse(repr(token))

    def refuse(self, expected: str) -> NoReturn:
        """Raise Q0407 at the next token."""
        found = repr(self.next) if self.next else "the end of the line"
        raise InputError(
            "Q0407", f"line {self._number}", found, expected, "compare with the text of print_graph"
        )

    def word(self) -> str:
        """A word, or a quoted string in its place."""
        return self.string() if self.next.startswith('"') else self._matching(r"[A-Za-z0-9_.+-]+", "a word")

    def string(self) -> str:
        """A quoted string."""
        return str(json.loads(self._matching(QUOTED, "a string in quotes"), strict=False))

    def name(self) -> str:
        """A value name; "" for ``_``."""
        if self.accept("_"):
            return ""
        token = self._matching(rf"%(?:{QUOTED}|{BARE_NAME})", "a value name such as %x")[1:]
        return str(json.loads(token, strict=False)) if token.startswith('"') else token

    def integer(self) -> int:
        """An integer."""
        return int(self._matching(INTEGER.pattern, "an integer"))

    def number(self) -> float:
        """A float or an integer."""
        try:
            value = float(self.next)
        except ValueError:
            self.refuse("a number")
        self._at += 1
        return value

    def listed(self, opening: str, closing: str, item: Callable[[], T]) -> list[T]:
        """Items between brackets, parted by commas; one comma may trail."""
        items: list[T] = []
        self.expect(opening)
        while not self.accept(closing):
            items.append(item())
            if not self.accept(","):
                self.expect(closing)
                break
        return items

    def _matching(self, pattern: str, expected: str) -> str:
        if not re.fullmatch(pattern, self.next, re.DOTALL):
            self.refuse(expected)
        return self.take()
