"""``--apply FILE``: lay the remedies of an earlier report, or a file of recipe lines, over a recipe."""

from __future__ import annotations

from pathlib import Path

from quantforge.diagnostics import InputError
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.recipe_file import patch_recipe


def apply_remedies(recipe: Recipe, path: Path) -> Recipe:
    """`recipe` with what `path` proposes: a report (``.json``) or the TOML lines of a recipe.

    Raises:
        InputError: Q0004 when the file cannot be read; Q0313 or Q0801 when its text is wrong.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        expected = "the report.json of an earlier run, or a TOML file of recipe lines"
        raise InputError("Q0004", str(path), str(error), expected, "check the path") from error
    if path.suffix == ".json":
        from quantforge.reporting.json import from_json

        text = from_json(text, str(path)).remedies
    return patch_recipe(recipe, text, str(path))
