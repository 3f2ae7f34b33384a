"""``--apply FILE``: the remedies of an earlier report, or a file of ``[[override]]`` tables, as overrides."""

from __future__ import annotations

from pathlib import Path

from quantforge.diagnostics import InputError
from quantforge.quantization.recipe import Override
from quantforge.quantization.recipe_file import parse_overrides
from quantforge.reporting.json import from_json


def read_overrides(path: Path) -> tuple[Override, ...]:
    """The overrides that `path` proposes: a report (``.json``) or TOML text.

    Raises:
        InputError: Q0004 when the file cannot be read; Q0313 or Q0801 when its text is wrong.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        expected = "the report.json of an earlier run, or a TOML file of [[override]] tables"
        raise InputError("Q0004", str(path), str(error), expected, "check the path") from error
    if path.suffix == ".json":
        text = from_json(text, str(path)).remedies
    return parse_overrides(text, str(path))
