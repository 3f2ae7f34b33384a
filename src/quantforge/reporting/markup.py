"""Small pieces of HTML and SVG as text. Whatever comes from a model is escaped here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape as _escape


def escape(text: str) -> str:
    """Text for an element or a quoted attribute.

    >>> escape('<conv "1">')
    '&lt;conv &quot;1&quot;&gt;'
    """
    return _escape(text, quote=True)


def element(tag: str, *content: str, **attributes: str | float | None) -> str:
    """An element; `content` is markup already, attribute values are escaped, None leaves one out.

    A trailing underscore of an attribute name is dropped (``class_``), others become hyphens (``data_tip``).

    >>> element("td", "7", class_="number", data_sort=7.0)
    '<td class="number" data-sort="7">7</td>'
    """
    return f"<{_opening(tag, attributes)}>{''.join(content)}</{tag}>"


def shape(tag: str, **attributes: str | float | None) -> str:
    """An SVG element without content.

    >>> shape("rect", x=1.25, rx=2)
    '<rect x="1.2" rx="2"/>'
    """
    return f"<{_opening(tag, attributes)}/>"


def tip(*lines: str) -> str:
    """The text of a tooltip, one line each; the first is its title."""
    return "\n".join(line for line in lines if line)


def table(head: Iterable[str], rows: Iterable[str], **attributes: str | float | None) -> str:
    """A table of ready `head` cells and `rows`, which scrolls sideways where it does not fit."""
    body = element("thead", element("tr", *head)) + element("tbody", *rows)
    return element("div", element("table", body, **attributes), class_="scroll")


def _opening(tag: str, attributes: Mapping[str, str | float | None]) -> str:
    words = [tag]
    for name, value in attributes.items():
        if value is not None:
            text = _number(value) if isinstance(value, (int, float)) else escape(value)
            words.append(f'{name.rstrip("_").replace("_", "-")}="{text}"')
    return " ".join(words)


def _number(value: float) -> str:
    """A coordinate, to a tenth.

    >>> _number(12.0), _number(3.14159)
    ('12', '3.1')
    """
    text = f"{round(value, 1) + 0.0:.1f}"  # + 0.0 turns -0 into 0
    return text.removesuffix(".0")
