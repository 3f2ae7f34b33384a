from __future__ import annotations

from pathlib import Path

import pytest

from quantforge.diagnostics import InputError
from quantforge.xmodel.model import Attr
from quantforge.xmodel.read import read_xmodel
from quantforge.xmodel.write import to_bytes, write_xmodel
from tests.unit.xmodel.samples import small


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = write_xmodel(small(), tmp_path / "m.xmodel")
    assert path == tmp_path / "m.xmodel" and path.read_bytes() == to_bytes(small())
    assert read_xmodel(path) == small()


def test_a_broken_model_leaves_an_older_file_alone(tmp_path: Path) -> None:
    path = write_xmodel(small(), tmp_path / "m.xmodel")
    before = path.read_bytes()
    model = small()
    del model.ops["x"]
    with pytest.raises(InputError, match="Q0903"):
        write_xmodel(model, path)
    model = small()
    model.ops["f"].attrs["fix_point"] = Attr("int32", "4")
    with pytest.raises(InputError, match=r"Q0913 f\.fix_point"):
        write_xmodel(model, path)
    assert path.read_bytes() == before and [one.name for one in tmp_path.iterdir()] == ["m.xmodel"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Q0601"):
        write_xmodel(small(), tmp_path / "none" / "m.xmodel")
