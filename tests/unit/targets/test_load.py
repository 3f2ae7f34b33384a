from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from quantforge.diagnostics import InputError
from quantforge.numerics.formats import INT8
from quantforge.targets.load import load_target, parse_target, target_names

DPU = resources.files("quantforge.targets").joinpath("dpu.toml").read_text("utf-8")


@pytest.mark.parametrize("name", target_names())
def test_every_target_reads_and_has_its_own_name(name: str) -> None:
    target = load_target(name)
    assert target.name == name and target.description
    assert INT8 in target.activations and INT8 in target.weights


def test_the_dpu_is_int8_with_powers_of_two_and_limited_shifts() -> None:
    dpu = load_target("dpu")
    assert (dpu.scales, dpu.activations, dpu.weights, dpu.bias) == (
        ("power-of-two",),
        (INT8,),
        (INT8,),
        (INT8,),
    )
    assert not dpu.per_channel and not dpu.asymmetric
    assert dpu.shifts is not None and dpu.shifts.cut == (0, 16)
    assert load_target("cpu").shifts is None


def test_a_target_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(DPU.replace('name = "dpu"', 'name = "mine"').split("[shifts]")[0], "utf-8")
    assert load_target(path).name == "mine"
    assert load_target(str(path)).shifts is None


def test_an_unknown_target_suggests_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"Q0320 target: found 'DPUCZDX8G'; expected one of cpu, dpu, npu.*target='dpu'"
    ):
        load_target("DPUCZDX8G")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Q0321 .*absent.toml: found .*No such file"):
        load_target(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("per_channel", "per_chanel", r"key per_chanel; expected a key of a target; try: per_channel"),
        ("per_channel = false", "", r"no key per_channel"),
        ("per_channel = false", "per_channel = 1", r"per_channel = 1; expected a bool"),
        ('scales = ["power-of-two"]', 'scales = ["log"]', r"expected some of float, power-of-two"),
        ('weights = ["int8"]', 'weights = "int8"', r"formats.weights = 'int8'; expected a list of texts"),
        ("cut = [0, 16]", "cut = [16, 0]", r"shifts.cut = \[16, 0\]; expected two integers"),
        ("cut = [0, 16]", "", r"no key shifts.cut"),
        ("[shifts]", "[[shifts]]", r"shifts = .*; expected a table"),
        ("[shifts]", "[shifts", r"expected TOML"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(old: str, new: str, found: str) -> None:
    assert old in DPU
    with pytest.raises(InputError, match=rf"Q0321 mine: found .*{found}"):
        parse_target(DPU.replace(old, new), "mine")


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(InputError, match=r"Q0303 .*'int99x'"):
        parse_target(DPU.replace('weights = ["int8"]', 'weights = ["int99x"]'))
