"""Files appear complete or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantforge.diagnostics import InputError
from quantforge.files import atomic_path, check_writable, write_atomic


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "out.txt"
    with atomic_path(target) as partial:
        partial.write_text("done")
        assert not target.exists() and partial.parent == tmp_path
    assert target.read_text() == "done"
    assert [path.name for path in tmp_path.iterdir()] == ["out.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    target = write_atomic(tmp_path / "out.txt", "old")

    def fail() -> None:
        with atomic_path(target) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_permissions_are_those_of_a_new_file_or_of_the_old_one(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        target = write_atomic(tmp_path / "out.bin", b"1")
        assert target.stat().st_mode & 0o777 == 0o644
        target.chmod(0o600)
        write_atomic(target, b"2")
        assert target.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(mask)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        write_atomic(tmp_path / "none" / "out.txt", "x")
    assert str(caught.value) == (
        f"Q0601 {tmp_path}/none/out.txt: found No such file or directory; expected a folder that can be written to; "
        "try: create the folder, free some space, or choose another output path"
    )


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Q0601"):
        check_writable(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match=r"Q0601 .*found Permission denied"):
        check_writable(tmp_path / "out.txt")


def test_a_full_disk(tmp_path: Path) -> None:
    def fail() -> None:
        with atomic_path(tmp_path / "out.txt"):
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"Q0601 .*found No space left on device"):
        fail()
    assert list(tmp_path.iterdir()) == []
