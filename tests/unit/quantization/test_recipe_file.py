from dataclasses import replace

import pytest

from quantforge.diagnostics import InputError
from quantforge.numerics.formats import BFLOAT16, FLOAT16, IntFormat
from quantforge.numerics.rounding import Rounding
from quantforge.quantization.recipe import (
    CPU_CNN,
    RECIPES,
    BiasRule,
    BiasScale,
    Equalization,
    Override,
    Part,
    RangeMethod,
    Recipe,
    ScaleKind,
    ShiftLimits,
    Statistic,
    TensorRule,
)
from quantforge.quantization.recipe_file import (
    load_recipe,
    parse_overrides,
    parse_recipe,
    patch_recipe,
    recipe_text,
)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_built_in_recipe_reads_back_equal(recipe: Recipe):
    assert parse_recipe(recipe_text(recipe)) == recipe


def test_overrides_and_equalization_read_back_equal():
    overrides = (
        Override(op="a", keep_float=True),
        Override(tensor="b*", format=IntFormat(16), percentile=99.0),
    )
    recipe = replace(CPU_CNN.with_overrides(overrides), equalize=Equalization(sweeps=3))
    assert parse_recipe(recipe_text(recipe)) == recipe


def test_every_kind_of_field_reads_back_equal():
    change = Override(
        kinds=("conv2d", "matmul"),
        part=Part.BIAS,
        scales=ScaleKind.FLOAT,
        symmetric=False,
        statistic=Statistic.MEDIAN,
        rounding=Rounding.HALF_UP,
    )
    recipe = replace(
        CPU_CNN.with_overrides((change,)),
        inputs=TensorRule(BFLOAT16, keep_float=True),
        bias=BiasRule(FLOAT16, BiasScale.FLOAT, rounding=Rounding.HALF_AWAY),
        placement=replace(CPU_CNN.placement, every_value=True, align_join=False),
        shift_limits=ShiftLimits(least_cut=-1, least_bias=0),
    )
    assert parse_recipe(recipe_text(recipe)) == recipe
    assert parse_recipe("shift_limits = false\n[inputs]\nmethod = 'non-overflow'").inputs == TensorRule(
        method=RangeMethod.NON_OVERFLOW
    )


def test_fields_go_on_top_of_the_base():
    recipe = parse_recipe('base = "cpu-cnn"\n[activations]\nmethod = "percentile"\npercentile = 99')
    assert recipe.activations.method is RangeMethod.PERCENTILE
    assert recipe.activations.percentile == 99.0
    assert recipe.weights == CPU_CNN.weights


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[activation]\nx = 1", "try: 'activations'"),
        ("[activations]\nmehtod = 1", "'activations.mehtod'"),
        ('[activations]\nmethod = "mimax"', 'try: activations.method = "min-max"'),
        ("[weights]\nper_channel = 3", "weights.per_channel = 3"),
        ("fold_batch_norm", "expected TOML"),
        ('[[override]]\ntensor = "a"\nop = "b"', "exactly one of tensor, op and kinds"),
    ],
)
def test_a_wrong_recipe_names_the_key_and_the_nearest(text: str, found: str):
    with pytest.raises(InputError, match="Q03") as caught:
        parse_recipe(text)
    assert found in str(caught.value)


def test_overrides_of_a_report_accept_nothing_else():
    assert parse_overrides('[[override]]\nop = "x"\nkeep_float = true') == (
        Override(op="x", keep_float=True),
    )
    with pytest.raises(InputError, match="only \\[\\[override\\]\\]"):
        parse_overrides('name = "x"')


def test_a_patch_changes_keys_and_adds_overrides():
    kept = parse_recipe('base = "cpu"\n[[override]]\nop = "a"\nkeep_float = true')
    patched = patch_recipe(kept, '[weights]\nper_channel = true\n[[override]]\nop = "b"\nkeep_float = true')
    assert patched.weights.per_channel and patched.weights.format == kept.weights.format
    assert [override.op for override in patched.overrides] == ["a", "b"]
    with pytest.raises(InputError, match="Q0313 remedies: found key 'base'"):
        patch_recipe(kept, 'base = "dpu"')


def test_load_recipe_takes_a_recipe_a_name_or_a_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "cpu"\nname = "mine"')
    assert load_recipe(path).name == "mine"
    assert load_recipe("cpu") is CPU_CNN
    assert load_recipe(CPU_CNN) is CPU_CNN
    with pytest.raises(InputError, match="Q0312"):
        load_recipe(tmp_path / "absent.toml")
    with pytest.raises(InputError, match="Q0311"):
        load_recipe("gpu-cnn")
