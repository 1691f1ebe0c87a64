from __future__ import annotations

import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

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


ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.RelaytuneError)]


@pytest.mark.parametrize("kind", ALL)
def test_an_error_comes_out_of_a_pickle_as_it_went_in(kind: type[errors.RelaytuneError]) -> None:
    error = kind("recipe.yaml", ["first", "second"]) if kind is errors.RecipeError else kind("what")
    read = pickle.loads(pickle.dumps(error))
    assert type(read) is kind
    assert (str(read), read.args, vars(read)) == (str(error), error.args, vars(error))


def _refuse() -> None:
    raise errors.RecipeError("recipe.yaml", ["first", "second"])


def test_what_a_worker_process_refuses_is_told_and_the_pool_goes_on() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        refused, next_one = pool.submit(_refuse), pool.submit(len, "abc")
        assert str(refused.exception()) == "recipe.yaml: 2 problems\n  - first\n  - second"
        assert next_one.result() == 3


def test_an_error_of_a_model_names_the_key_that_names_the_model() -> None:
    assert str(errors.ModelError("there is no file x.gguf", "base_model.name")) == (
        "base_model.name: there is no file x.gguf"
    )
