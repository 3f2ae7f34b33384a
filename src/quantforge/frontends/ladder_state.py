"""Finished rungs on disk, so that an interrupted climb goes on where it was.

One JSON file, written whole after every rung: figures by a hash of the model, the data and the recipe. What belongs
to another model, data or recipe is left alone and not used.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quantforge.diagnostics import InputError
from quantforge.files import write_atomic
from quantforge.frontends.rungs import Outcome
from quantforge.quantization.goal import Figures
from quantforge.quantization.recipe import Recipe
from quantforge.quantization.recipe_file import recipe_text
from quantforge.quantization.sensitivity import Layer

VERSION = 1

Ranking = tuple[tuple[Layer, float], ...]  # the worst layer first, each with its share of the noise


@dataclass
class LadderState:
    """The finished rungs of one model and data; `path` None keeps them in memory only."""

    path: Path | None
    key: str
    rungs: dict[str, Any] = field(default_factory=dict)
    rankings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def opened(cls, path: Path | None, key: str) -> LadderState:
        """The state of an earlier run, or an empty one.

        Raises:
            InputError: Q0527 when the file is there and is no state.
        """
        if path is None or not path.exists():
            return cls(path, key)
        try:
            data = json.loads(path.read_text("utf-8"))
            sound = isinstance(data["rungs"], dict) and isinstance(data["rankings"], dict)
            if data["version"] != VERSION or not sound:
                raise ValueError(f"version {data['version']}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                "Q0527", str(path), str(error), f"the state of a ladder, version {VERSION}", "delete the file"
            ) from error
        return cls(path, key, data["rungs"], data["rankings"])

    def outcome(self, recipe: Recipe) -> Outcome | None:
        """What an earlier run found for `recipe`.

        Raises:
            InputError: Q0527 when the entry is damaged.
        """
        found = self.rungs.get(self._name(recipe))
        if found is None:
            return None
        try:
            return Outcome(Figures(**found["figures"]), float(found["seconds"]))
        except (KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"a rung without {error}", "figures and seconds") from error

    def keep(self, recipe: Recipe, outcome: Outcome) -> None:
        """Add a rung and write the file."""
        entry = {"figures": dataclasses.asdict(outcome.figures), "seconds": outcome.seconds}
        self.rungs[self._name(recipe)] = entry
        self._write()

    def ranking(self, recipe: Recipe) -> Ranking | None:
        """The layers by `recipe`, with their shares of the noise, as an earlier run ranked them.

        Raises:
            InputError: Q0527 when the entry is damaged.
        """
        found = self.rankings.get(self._name(recipe))
        if found is None:
            return None
        try:
            return tuple(
                (Layer(name, kind, tuple(ops), result), float(share))
                for name, kind, ops, result, share in found
            )
        except (TypeError, ValueError) as error:
            raise self._damaged(f"a damaged ranking: {error}", "layers") from error

    def keep_ranking(self, recipe: Recipe, layers: Ranking) -> None:
        """Add a ranking and write the file."""
        self.rankings[self._name(recipe)] = [
            [layer.name, layer.kind, list(layer.ops), layer.result, share] for layer, share in layers
        ]
        self._write()

    def _damaged(self, found: str, expected: str) -> InputError:
        return InputError("Q0527", str(self.path), found, expected, "delete the file")

    def _write(self) -> None:
        if self.path is not None:
            data = {"version": VERSION, "rungs": self.rungs, "rankings": self.rankings}
            write_atomic(self.path, json.dumps(data, indent=1) + "\n")

    def _name(self, recipe: Recipe) -> str:
        return hashlib.blake2b((self.key + recipe_text(recipe)).encode(), digest_size=16).hexdigest()
