from __future__ import annotations

import pytest

from relaytune.core import errors


@pytest.mark.parametrize("kind", [errors.DataError, errors.RunError, errors.MachineError])
def test_data_run_and_machine_that_fall_short_exit_with_1(kind: type[errors.RelaytuneError]) -> None:
    assert kind("what").exit_code == 1


@pytest.mark.parametrize(
    "error",
    [errors.UsageError("what"), errors.ModelError("what"), errors.RecipeError("recipe.yaml", ["what"])],
)
def test_a_wrong_command_model_or_recipe_exits_with_2(error: errors.RelaytuneError) -> None:
    assert error.exit_code == 2


def test_a_recipe_error_counts_and_lists_its_problems() -> None:
    error = errors.RecipeError("recipe.yaml", ["first", "second"])
    assert str(error) == "recipe.yaml: 2 problems\n  - first\n  - second"
    assert error.problems == ("first", "second")
    assert str(errors.RecipeError("recipe.yaml", ["only"])).startswith("recipe.yaml: 1 problem\n")
