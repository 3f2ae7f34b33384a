from __future__ import annotations

from dataclasses import replace

import click
import pytest
from click.testing import CliRunner

from quantforge.cli.finetune_options import METHODS, FineTuneOptions, finetune_options
from quantforge.quantization.fine_tuning import FineTune, TuneMethod
from quantforge.quantization.recipe import DPU_CNN


def test_nothing_given_leaves_the_recipe() -> None:
    assert FineTuneOptions().laid_over(DPU_CNN) is DPU_CNN


def test_what_is_given_is_laid_over_the_recipe() -> None:
    recipe = replace(DPU_CNN, finetune=FineTune(epochs=9, samples=50))
    found = FineTuneOptions(True, "adaround", None, True).laid_over(recipe)
    assert found.finetune == FineTune(TuneMethod.ADAROUND, 50, True, epochs=9)
    assert FineTuneOptions(True, samples=7).laid_over(DPU_CNN).finetune == FineTune(samples=7)


@pytest.mark.parametrize("given", [{"method": "adaquant"}, {"samples": 3}, {"mirror": True}])
def test_details_without_the_option_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(click.UsageError, match="need --finetune"):
        FineTuneOptions(False, **given).laid_over(DPU_CNN)  # type: ignore[arg-type]


def test_a_verb_receives_them_as_one_argument() -> None:
    seen = []

    @click.command()
    @finetune_options
    def verb(tuning: FineTuneOptions) -> None:
        seen.append(tuning)

    arguments = [
        "--finetune",
        "--finetune-method",
        "adaround",
        "--finetune-samples",
        "5",
        "--finetune-mirror",
    ]
    assert CliRunner().invoke(verb, arguments).exit_code == 0
    assert CliRunner().invoke(verb, []).exit_code == 0
    assert seen == [FineTuneOptions(True, "adaround", 5, True), FineTuneOptions()]
    assert set(METHODS) == {method.value for method in TuneMethod}
