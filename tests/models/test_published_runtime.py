"""Compiled models that the original tools published cannot run here, and the refusal says why."""

from __future__ import annotations

import pytest

from quantforge.diagnostics import InputError
from quantforge.runtime import GraphRunner
from quantforge.xmodel.read import read_xmodel
from tests.unit.frontends.onnx.text_models import DATA

PUBLISHED = DATA.parent / "xmodels"
FILES = sorted(PUBLISHED.glob("*.xmodel"))

pytestmark = [
    pytest.mark.models,
    pytest.mark.skipif(not FILES, reason="../shared/data/xmodels is not there"),
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_published_files_are_refused_with_a_way_out(path) -> None:  # type: ignore[no-untyped-def]
    expected = (
        r"Q1207 .*compile it" if "quantized" in path.stem else r"Q1205 .*original compiler.*compile the"
    )
    with pytest.raises(InputError, match=expected):
        GraphRunner(read_xmodel(path))
