from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from pytorch_nndct.bfp_config import read_config
from quantforge.diagnostics import InputError, UnsupportedError
from quantforge.numerics.formats import BFLOAT16

MX6 = """
bfp:
  bitwidth: 13
  block_size: 16
  rounding_mode: round_to_nearest
  prime: {mode: shared, sub_block_size: 2, sub_block_shift_bits: 1}
non_linear_approx: {mode: no_approx, degree: 3, exp_table_size: 1}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "bfp.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MX6, "mx6"),
        (MX6.replace("13", "16"), "mx9"),
        ("", "bfp16"),
        ("bfp: {bitwidth: 13, block_size: 16, prime: {mode: null}}", "msfp13"),
        ("bfp: {bitwidth: 12, rounding_mode: round_toward_zero}", "bfp12-toward-zero"),
        (
            MX6.replace("_size: 16", "_size: 32").replace("to_nearest", "toward_zero"),
            "mx6-block32-toward-zero",
        ),
    ],
)
def test_formats(tmp_path: Path, text: str, name: str) -> None:
    recipe = read_config(written(tmp_path, text))
    assert str(recipe.format) == name and recipe.functions == BFLOAT16


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bfp: {bit_width: 8}", "key 'bit_width'.*try: bitwidth"),
        ("bfp: {bitwidth: eight}", "bitwidth: found 'eight'; expected an integer"),
        ("bfp: {bitwidth: true}", "bitwidth: found True"),
        ("bfp: {rounding_mode: up}", "rounding_mode: found 'up'"),
        ("bfp: {prime: {mode: twice}}", "prime.mode: found 'twice'"),
        ("bfp: [1]", "found \\[1\\]; expected a table"),
        ("non_linear_approx: {mode: fast}", "non_linear_approx.mode: found 'fast'"),
        ("bfp: {", "a YAML file"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"Q1476.*{said}"):
        read_config(written(tmp_path, text))


def test_missing_files_and_impossible_sizes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Q1476 .*none\.yaml"):
        read_config(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="Q1475 block format: found 9 bits"):
        read_config(written(tmp_path, "bfp: {bitwidth: 9}"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bfp: {prime: {mode: normal}}", "prime.mode: found 'normal'"),
        ("non_linear_approx: {mode: exp_lut}", "mode: found 'exp_lut'"),
    ],
)
def test_what_the_original_did_not_finish(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UnsupportedError, match=f"Q1477.*{said}"):
        read_config(written(tmp_path, text))
