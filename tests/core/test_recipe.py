from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from relaytune.core.errors import RecipeError
from relaytune.core.recipe import load_recipe, validate_recipe
from relaytune.core.sections import BaseModelChoice, JsonCompletion

JUDGING = {"judges": [{"model": "qwen3-32b", "base_url": "http://localhost:8000/v1"}]}
WriteRecipe = Callable[[Path, dict[str, Any]], Path]


def _set(values: dict[str, Any], place: str, value: Any) -> None:
    *parents, last = place.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def _problems(values: Any, overrides: Sequence[str] = ()) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        validate_recipe(values, "recipe.yaml", overrides)
    return caught.value.problems


def _problem_of_file(path: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert caught.value.where == str(path)
    (problem,) = caught.value.problems
    return problem


def test_a_small_recipe_is_read_and_completed_with_defaults(
    tmp_path: Path, recipe_values: dict[str, Any], write_recipe: WriteRecipe
) -> None:
    recipe = load_recipe(write_recipe(tmp_path, recipe_values))
    assert recipe.task.completion == JsonCompletion(json=("priority", "reason"))
    assert recipe.contract.allowed_labels == ("low", "normal", "urgent")
    assert [clause.kind for clause in recipe.decision.keep_when] == ["beats", "at_least"]
    assert (recipe.lora.rank, recipe.training.seed, recipe.evaluation.few_shot.ks) == (16, 0, (2, 4, 8))


# what is wrong in the file itself


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no such file" in _problem_of_file(tmp_path / "recipe.yaml")


def test_a_folder_in_place_of_a_recipe_is_told_what_to_name(tmp_path: Path) -> None:
    problem = _problem_of_file(tmp_path)
    assert "is a folder" in problem
    assert str(tmp_path / "recipe.yaml") in problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"# to be written\n", "the file is empty"),
        (b"name: caf\xe9\n", "is not UTF-8 (byte 9); save it as UTF-8"),
        (b"name: [unclosed\n", "is not YAML: line 2, column 1: expected"),
        (b"name: a\n\tb: c\n", "is not YAML"),
        (b"name: a\n---\nname: b\n", "is not YAML"),
        (b"name: " + b"[" * 5000, "is not YAML: nested too deeply"),
        (b"name: 0b_\n", "is not YAML"),
        (b"name: !!python/object:builtins.exit {}\n", "is not YAML"),
        (b"name: a\ndata:\n  train: a\n  train: b\n", "key 'train' stands twice"),
        (b"1: a\n", "a key must be a text; put it in quotes"),
        (b"? [a]\n: b\n", "a key must be a text; put it in quotes"),
        (b"- name\n", "a mapping of keys is needed; found list"),
        (b"recipe.yaml\n", "a mapping of keys is needed; found str"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_in_one_sentence(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    found = _problem_of_file(path)
    assert problem in found
    assert "\n" not in found


def test_a_fault_in_yaml_is_given_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("name: a\nname: b\n")
    assert "line 2" in _problem_of_file(path)


def test_a_file_with_a_byte_order_mark_is_read(
    tmp_path: Path, recipe_values: dict[str, Any], write_recipe: WriteRecipe
) -> None:
    path = write_recipe(tmp_path, recipe_values)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_recipe(path).name == "tickets"


# what is wrong in the values


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        ("data.facts.sample", True, "data.facts.sample: should be a whole number from 1 on, or all (found True)"),
        ("data.facts.passages", True, "data.facts.passages: should be a whole number (found True)"),
        ("data.facts.max_error_rate", False, "data.facts.max_error_rate: should be a number (found False)"),
        ("data.max_train_rows", True, "data.max_train_rows: should be a whole number (found True)"),
        ("training.num_epochs", True, "training.num_epochs: should be a number (found True)"),
        ("lora.rank", True, "lora.rank: should be a whole number (found True)"),
        (
            "evaluation.few_shot.ks",
            [2, True],
            "evaluation.few_shot.ks: should be a whole number (found [2, True])",
        ),
        (
            "judging.judges",
            [{**JUDGING["judges"][0], "timeout_seconds": True}],
            "judging.judges.0.timeout_seconds: should be a number (found True)",
        ),
    ],
)
def test_true_is_not_read_as_1(recipe_values: dict[str, Any], place: str, value: Any, problem: str) -> None:
    if place.startswith("data.facts"):
        _set(recipe_values, "data.facts.sources", "handbook")
    _set(recipe_values, place, value)
    assert _problems(recipe_values) == (problem,)


def test_a_tolerance_of_true_is_not_read_as_1(recipe_values: dict[str, Any]) -> None:
    recipe_values["contract"] = {"number": {"tolerance": True}}
    problems = _problems(recipe_values)
    assert "contract.number.tolerance: should be a number (found True)" in problems


def test_true_and_false_are_what_they_are_where_they_are_asked_for(recipe_values: dict[str, Any]) -> None:
    recipe_values["session"] = {"carry_moments": False}
    assert not validate_recipe(recipe_values, "recipe.yaml").session.carry_moments


@pytest.mark.parametrize(
    ("place", "nearest"),
    [
        ("nmae", "name"),
        ("task.instructions", "instruction"),
        ("task.completion.jsn", "json"),
        ("contract.json_shema", "json_schema"),
        ("data.trian", "train"),
        ("base_model.revison", "revision"),
        ("lora.rnak", "rank"),
        ("training.learning_rte", "learning_rate"),
        ("evaluation.max_tokens", "max_new_tokens"),
        ("evaluation.few_shot.draw", "draws"),
        ("decision.keep_wen", "keep_when"),
    ],
)
def test_an_unknown_key_at_any_level_offers_the_nearest_name(
    recipe_values: dict[str, Any], place: str, nearest: str
) -> None:
    _set(recipe_values, place, 1)
    assert _problems(recipe_values) == (f"{place}: unknown key; did you mean {nearest}?",)


def test_an_unknown_key_that_is_near_to_nothing_gets_the_allowed_names(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "lora.quantisation", 4)
    assert _problems(recipe_values) == ("lora.quantisation: unknown key; allowed here: rank, alpha, target_modules",)


def test_several_problems_are_told_at_once(recipe_values: dict[str, Any]) -> None:
    del recipe_values["base_model"]
    del recipe_values["data"]["held_out"]
    _set(recipe_values, "lora.rank", "many")
    _set(recipe_values, "training.schedule", "stepwise")
    _set(recipe_values, "evaluation.few_shot.ks", [0, 2])
    recipe_values["models"] = "none"
    problems = _problems(recipe_values)
    assert len(problems) == 6
    assert {problem.split(":")[0] for problem in problems} == {
        "base_model", "data.held_out", "lora.rank", "training.schedule", "evaluation.few_shot.ks", "models",
    }  # fmt: skip


@pytest.mark.parametrize(
    "key", ["name", "task", "contract", "data", "base_model", "decision", "data.train", "decision.keep_when"]
)
def test_a_missing_key_is_named(recipe_values: dict[str, Any], key: str) -> None:
    *parents, last = key.split(".")
    part = recipe_values
    for parent in parents:
        part = part[parent]
    del part[last]
    assert _problems(recipe_values) == (f"{key}: missing; add it",)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("name", "my run", "match pattern"),
        ("name", "../elsewhere", "match pattern"),
        ("lora.rank", 0, "should be more than 0"),
        ("lora.rank", 600, "should be at most 512"),
        ("lora.rank", 8.5, "should be a whole number"),
        ("lora.alpha", float("inf"), "should be a finite number"),
        ("lora", None, "should hold keys of its own"),
        ("lora", "rank 8", "should hold keys of its own"),
        ("training.learning_rate", "fast", "should be a number"),
        ("training.learning_rate", 2, "should be less than 1"),
        ("data.validation_fraction", 0.5, "should be less than 0.5"),
        ("data.on_error", "skip", "should be 'refuse' or 'drop'"),
        (
            "training.precision",
            "fp16",
            "'bfloat16_products', 'bfloat16' or 'float16'",
        ),
        ("data.train", 7, "should be a text; put it in quotes"),
        ("training.seed", -1, "should be at least 0"),
        ("session.carry_moments", 7, "should be true or false"),
        ("session.store", "ftp://there/runs", "not ftp://"),
        ("base_model.sha256", "abc", "match pattern"),
        ("decision.keep_when", "tuned beats base on label_accuracy", "should be a list"),
        ("decision.keep_when", [], "should not be empty"),
        ("evaluation.few_shot.ks", [], "should not be empty"),
    ],
)
def test_a_wrong_value_is_one_problem_that_shows_it(
    recipe_values: dict[str, Any], place: str, value: Any, said: str
) -> None:
    _set(recipe_values, place, value)
    (problem,) = _problems(recipe_values)
    assert problem.startswith(f"{place}: ")
    assert said in problem
    assert problem.endswith(f"(found {value!r})")


@pytest.mark.parametrize("sample", ["some", 0, 1.5, True])
def test_a_wrong_size_of_the_audits_sample_is_one_problem(recipe_values: dict[str, Any], sample: Any) -> None:
    recipe_values["data"]["facts"] = {"sources": "handbook", "sample": sample}
    assert _problems(recipe_values) == (
        f"data.facts.sample: should be a whole number from 1 on, or all (found {sample!r})",
    )


def test_keys_in_the_address_of_a_store_are_refused_and_not_repeated(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "session.store", "s3://AKIA:secret@bucket/runs")
    assert _problems(recipe_values) == (
        "session.store: no keys in a recipe: credentials are taken from the environment",
    )


def test_a_refused_list_entry_is_not_echoed_as_a_list_too_short(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "evaluation.few_shot.ks", ["two"])
    _set(recipe_values, "decision.keep_when", ["tuned is better", "tuned is best"])
    problems = _problems(recipe_values)
    assert [problem.split(":")[0] for problem in problems] == [
        "evaluation.few_shot.ks.0", "decision.keep_when.0", "decision.keep_when.1",
    ]  # fmt: skip


def test_a_rule_sentence_that_is_not_understood_is_answered_with_an_example(
    recipe_values: dict[str, Any],
) -> None:
    _set(recipe_values, "decision.discard_when", ["tuned is worse"])
    (problem,) = _problems(recipe_values)
    assert problem.startswith("decision.discard_when.0: 'tuned is worse' is not understood; write 'tuned beats")
    assert problem.count("tuned is worse") == 1


def test_a_rule_that_names_metrics_the_contract_has_not_is_refused(recipe_values: dict[str, Any]) -> None:
    recipe_values["decision"] = {
        "keep_when": ["tuned beats base on exact_match"],
        "discard_when": ["tuned rouge at most 0.2"],
    }
    measured = (
        "label_accuracy, likeliest_label_accuracy, parses, contract_pass, stopped, loops, repetition, refused, "
        "abstained, general_right, general_nats"
    )
    assert _problems(recipe_values) == (
        f"decision: 'tuned beats base on exact_match' names exact_match; measured here: {measured}",
        f"decision: 'tuned rouge at most 0.2' names rouge; measured here: {measured}",
    )


def test_a_rule_of_one_text_must_say_what_each_part_is(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "decision", "tuned beats base on label_accuracy")
    (problem,) = _problems(recipe_values)
    assert problem.startswith("decision: 'tuned beats base on label_accuracy': each part begins with 'keep when'")


def test_every_metric_of_a_sentence_must_be_measured(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "decision.keep_when", ["tuned beats base on label_accuracy or clarity or parses or warmth"])
    (problem,) = _problems(recipe_values)
    assert "names clarity, warmth; measured here: " in problem
    _set(recipe_values, "judging", {**JUDGING, "criteria": {"clarity": "is clear", "warmth": "is warm"}})
    assert validate_recipe(recipe_values, "recipe.yaml").criteria.metrics["warmth"].kind == "mean"


def test_a_preference_can_be_named_only_where_pairs_are_judged(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "decision.keep_when", ["tuned beats base on preference"])
    assert "names preference" in _problems(recipe_values)[0]
    _set(recipe_values, "judging", JUDGING)
    validate_recipe(recipe_values, "recipe.yaml")
    _set(recipe_values, "judging", {**JUDGING, "pairwise": False, "criteria": {"clarity": "is clear"}})
    assert "names preference" in _problems(recipe_values)[0]


@pytest.mark.parametrize(
    ("sentence", "strangers"),
    [
        ("Tuned beats base on label_accuracy", "Tuned"),
        ("gpt beats bases on label_accuracy", "gpt, bases"),
        ("gpt label_accuracy at least 0.5", "gpt"),
        ("tuned no worse than gpt on label_accuracy within 0.1", "gpt"),
    ],
)
def test_a_contender_that_there_is_not_is_refused_with_those_that_there_are(
    recipe_values: dict[str, Any], sentence: str, strangers: str
) -> None:
    _set(recipe_values, "decision.keep_when", [sentence])
    known = "tuned, exported, few_shot, base, best_prompt"
    assert _problems(recipe_values) == (f"decision: {sentence!r} names {strangers}; contenders: {known}",)


def test_an_imported_contender_can_be_named_in_the_rule(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "decision.keep_when", ["tuned beats gpt on label_accuracy", "gpt parses at least 0.5"])
    _set(recipe_values, "evaluation.imported", {"gpt": "gpt.jsonl"})
    assert validate_recipe(recipe_values, "recipe.yaml").decision.keep_when[0].other == "gpt"


@pytest.mark.parametrize("name", ["tuned", "base", "best_prompt", "GPT", "a-model", "4o", ""])
def test_an_imported_contender_has_a_name_of_its_own_that_a_sentence_can_hold(
    recipe_values: dict[str, Any], name: str
) -> None:
    _set(recipe_values, "evaluation.imported", {name: "answers.jsonl"})
    (problem,) = _problems(recipe_values)
    assert f"{name!r} cannot name a contender" in problem


@pytest.mark.parametrize(
    ("role", "sentence", "said"),
    [
        ("keep_when", "tuned label_accuracy at least 1.5", "a share lies between 0 and 1"),
        ("keep_when", "tuned label_accuracy at least -0.1", "a share lies between 0 and 1"),
        ("discard_when", "tuned preference at least 0.5", "a preference is of two contenders"),
        ("keep_when", "tuned no worse than base on parses within 5", "5 points are 0.05"),
        ("keep_when", "tuned no worse than base on preference within 5", "5 points are 0.05"),
        ("never_when", "parses falls by more than 5", "5 points are 0.05"),
        ("never_when", "general_nats rises", "'general_nats rises by more than 0.1'"),
        ("never_when", "clarity falls", "'clarity falls by more than 0.1'"),
    ],
)
def test_a_level_or_margin_that_no_value_can_have_is_refused(
    recipe_values: dict[str, Any], role: str, sentence: str, said: str
) -> None:
    _set(recipe_values, "judging", {**JUDGING, "criteria": {"clarity": "is clear"}})
    _set(recipe_values, f"decision.{role}", [sentence])
    (problem,) = _problems(recipe_values)
    assert problem.startswith(f"decision: {sentence!r}: ")
    assert said in problem


def test_levels_and_margins_of_means_are_in_their_own_unit(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "judging", {**JUDGING, "criteria": {"clarity": "is clear"}})
    _set(recipe_values, "decision.keep_when", ["tuned clarity at least 3.5"])
    _set(recipe_values, "decision.never_when", ["clarity falls by more than 1.5", "general_right falls"])
    validate_recipe(recipe_values, "recipe.yaml")


def test_the_rule_may_be_one_text(recipe_values: dict[str, Any]) -> None:
    lists = validate_recipe(recipe_values, "recipe.yaml").decision
    recipe_values["decision"] = (
        "keep when tuned beats best prompt on label_accuracy and tuned contract_pass at least 0.9; "
        "discard when tuned contract_pass at most 0.5"
    )
    recipe = validate_recipe(recipe_values, "recipe.yaml")
    assert recipe.decision == lists
    assert validate_recipe(json.loads(json.dumps(recipe.as_json())), "resolved").hash == recipe.hash


def test_all_problems_of_a_recipe_are_told_at_once(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "training.learning_rte", 1e-4)
    _set(recipe_values, "lora.rank", 0)
    _set(recipe_values, "decision.keep_when", ["tuned beats base on rouge", "tuned parses at least 2"])
    problems = _problems(recipe_values, ["nonsense"])
    assert [problem.split(":")[0] for problem in problems] == [
        "--set 'nonsense'", "lora.rank", "training.learning_rte", "decision", "decision",
    ]  # fmt: skip


def test_what_is_wrong_in_the_rule_itself_is_not_told_twice(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "lora.rank", 0)
    _set(recipe_values, "decision.keep_when", ["tuned is better", "tuned beats base on rouge"])
    problems = _problems(recipe_values)
    assert [problem.split(":")[0] for problem in problems] == ["lora.rank", "decision.keep_when.0"]


@pytest.mark.parametrize("value", [3, True, ["priority"]])
def test_a_wrong_completion_is_one_problem_that_shows_both_ways_to_write_it(
    recipe_values: dict[str, Any], value: Any
) -> None:
    _set(recipe_values, "task.completion", value)
    assert _problems(recipe_values) == (
        f"task.completion: write a text, e.g. '{{category}}', or {{json: [priority, reason]}} (found {value!r})",
    )


@pytest.mark.parametrize("value", [3, None, [], ["priority", 2], [["priority"]]])
def test_wrong_columns_of_a_json_completion_are_one_problem(recipe_values: dict[str, Any], value: Any) -> None:
    _set(recipe_values, "task.completion", {"json": value})
    (problem,) = _problems(recipe_values)
    assert problem.startswith("task.completion.json: write one column, e.g. answer, or a list of columns")
    assert problem.endswith(f"(found {value!r})")


def test_an_empty_json_completion_lacks_its_columns(recipe_values: dict[str, Any]) -> None:
    _set(recipe_values, "task.completion", {})
    assert _problems(recipe_values) == ("task.completion.json: missing; add it",)


@pytest.mark.parametrize(
    "task",
    [
        {"input": "{ticket}"},
        {"completion": "{priority}"},
        {"instruction": "Sort."},
    ],
)
def test_half_a_task_is_refused(recipe_values: dict[str, Any], task: dict[str, Any]) -> None:
    recipe_values["task"] = task
    (problem,) = _problems(recipe_values)
    assert "input and completion" in problem


def test_a_task_whose_rows_hold_messages_needs_no_keys(recipe_values: dict[str, Any]) -> None:
    recipe_values["task"] = {}
    assert validate_recipe(recipe_values, "recipe.yaml").task.input is None


# YAML that means what it says


@pytest.mark.parametrize(
    ("text", "number"),
    [("2e-4", 0.0002), ("+2E-04", 0.0002), (".2e-3", 0.0002), ("2e+2", 200), ("-2e2", -200)],
)
def test_a_number_with_an_exponent_is_a_number(
    tmp_path: Path, recipe_values: dict[str, Any], write_recipe: WriteRecipe, text: str, number: float
) -> None:
    # inside a schema, where no field's type would turn a text into a number
    _set(recipe_values, "contract.json_schema.maximum", "NUMBER")
    path = write_recipe(tmp_path, recipe_values)
    path.write_text(path.read_text().replace("NUMBER", text))
    schema = load_recipe(path).contract.json_schema
    assert schema is not None
    assert schema["maximum"] == pytest.approx(number)


def test_labels_that_yaml_1_1_takes_for_truth_values_or_dates_are_texts(
    tmp_path: Path, recipe_values: dict[str, Any], write_recipe: WriteRecipe
) -> None:
    recipe_values["contract"] = "CONTRACT"
    path = write_recipe(tmp_path, recipe_values)
    path.write_text(path.read_text().replace("CONTRACT", "{labels: [yes, no, on, Off, 2024-01-31, 2024-13-45]}"))
    assert load_recipe(path).contract.labels == ("yes", "no", "on", "Off", "2024-01-31", "2024-13-45")


def test_true_and_false_are_still_truth_values(
    tmp_path: Path, recipe_values: dict[str, Any], write_recipe: WriteRecipe
) -> None:
    path = write_recipe(tmp_path, recipe_values)
    assert "additionalProperties: false" in path.read_text()
    schema = load_recipe(path).contract.json_schema
    assert schema is not None
    assert schema["additionalProperties"] is False


# overrides


def test_overrides_change_any_value_and_win_over_the_file(
    tmp_path: Path, recipe_values: dict[str, Any], write_recipe: WriteRecipe
) -> None:
    _set(recipe_values, "lora.rank", 8)
    overrides = [
        "lora.rank=4",
        "training.learning_rate=1e-3",
        "evaluation.few_shot.ks=[1, 3]",
        "task.instruction=a = b",
        "data.max_train_rows=10",
        "data.max_train_rows=20",
    ]
    recipe = load_recipe(write_recipe(tmp_path, recipe_values), overrides)
    assert recipe.lora.rank == 4
    assert recipe.training.learning_rate == pytest.approx(1e-3)
    assert recipe.evaluation.few_shot.ks == (1, 3)
    assert recipe.task.instruction == "a = b"
    assert recipe.data.max_train_rows == 20


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("lora.rank", "write it as key.path=value"),
        ("=3", "write it as key.path=value"),
        ("name.first=a", "name holds no keys"),
        ("lora.rank=[", "the value is not YAML"),
    ],
)
def test_an_override_that_cannot_be_applied_is_refused(recipe_values: dict[str, Any], override: str, said: str) -> None:
    (problem,) = _problems(recipe_values, [override])
    assert problem.startswith(f"--set {override!r}: ")
    assert said in problem


def test_an_override_is_checked_like_the_file(recipe_values: dict[str, Any]) -> None:
    assert _problems(recipe_values, ["lora.rnk=4"]) == ("lora.rnk: unknown key; did you mean rank?",)
    (problem,) = _problems(recipe_values, ["lora.rank="])
    assert problem.startswith("lora.rank: ")


def test_bad_overrides_and_a_bad_recipe_are_told_together(recipe_values: dict[str, Any]) -> None:
    recipe_values["nmae"] = "x"
    problems = _problems(recipe_values, ["lora.rank", "name.first=a"])
    assert [problem.split(":")[0] for problem in problems] == [
        "--set 'lora.rank'",
        "--set 'name.first=a'",
        "nmae",
    ]


def test_overrides_leave_the_callers_values_as_they_are(recipe_values: dict[str, Any]) -> None:
    before = copy.deepcopy(recipe_values)
    validate_recipe(recipe_values, "recipe.yaml", ["lora.rank=4", "data.train=other.csv"])
    assert recipe_values == before


# the resolved recipe


@pytest.mark.parametrize(
    ("name", "in_package", "is_hub_id"),
    [
        ("package:some_model/files/base.gguf", ("some_model", "files/base.gguf"), False),
        ("owner/model", None, True),
        ("owner/model.gguf", None, False),
        ("owner/model/file", None, False),
        ("model", None, False),
        ("./model", None, False),
        ("~/model", None, False),
        ("here/model", None, False),
    ],
)
def test_a_base_model_is_known_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, in_package: tuple[str, str] | None, is_hub_id: bool
) -> None:
    (tmp_path / "here" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    choice = BaseModelChoice.model_validate({"name": name})
    assert (choice.in_package, choice.is_hub_id) == (in_package, is_hub_id)


@pytest.mark.parametrize("completion", [{"json": ["priority", "reason"]}, {"json": "priority"}, "{priority}"])
def test_a_resolved_recipe_read_again_is_the_same_recipe(recipe_values: dict[str, Any], completion: Any) -> None:
    _set(recipe_values, "task.completion", completion)
    recipe = validate_recipe(recipe_values, "recipe.yaml")
    again = validate_recipe(json.loads(json.dumps(recipe.as_json())), "resolved")
    assert again == recipe
    assert again.hash == recipe.hash
    assert recipe.as_json()["task"]["completion"] == completion


def test_a_resolved_recipe_written_as_a_file_is_the_same_recipe(
    tmp_path: Path, recipe_values: dict[str, Any], write_recipe: WriteRecipe
) -> None:
    _set(recipe_values, "training.learning_rate", 1e-5)
    recipe = validate_recipe(recipe_values, "recipe.yaml")
    assert load_recipe(write_recipe(tmp_path, recipe.as_json())).hash == recipe.hash


def test_a_default_written_out_does_not_change_the_hash(recipe_values: dict[str, Any]) -> None:
    before = validate_recipe(recipe_values, "recipe.yaml").hash
    for place, value in (("lora.alpha", 32), ("training.num_epochs", 2), ("evaluation.few_shot.draws", 2)):
        _set(recipe_values, place, value)
    assert validate_recipe(recipe_values, "recipe.yaml").hash == before


def test_any_changed_value_changes_the_hash(recipe_values: dict[str, Any]) -> None:
    overrides: list[list[str]] = [
        [],
        ["training.seed=1"],
        ["lora.rank=8"],
        ["name=other"],
        ["decision.discard_when=[]"],
    ]
    hashes = {validate_recipe(recipe_values, "recipe.yaml", changes).hash for changes in overrides}
    assert len(hashes) == len(overrides)


def test_with_sources_the_rule_guards_facts_and_is_read_back_as_the_same_rule(recipe_values: dict[str, Any]) -> None:
    without = validate_recipe(recipe_values, "recipe.yaml").decision
    recipe_values["data"]["facts"] = {"sources": "handbook"}
    recipe = validate_recipe(recipe_values, "recipe.yaml")
    assert recipe.decision == without.guarding_facts()
    assert validate_recipe(recipe.as_json(), "recipe.yaml").decision.hash == recipe.decision.hash
    _set(
        recipe_values, "decision", "keep when tuned beats best_prompt on label_accuracy; never when factual errors rise"
    )
    assert validate_recipe(recipe_values, "recipe.yaml").decision.discard_when == ()


def test_factual_errors_can_be_named_only_where_there_are_sources(recipe_values: dict[str, Any]) -> None:
    clauses = ["tuned no worse than base on factual_errors within 0.05", "tuned verified at least 0.5"]
    _set(recipe_values, "decision.keep_when", [*clauses, "tuned beats base on verified or label_accuracy"])
    needed = "which needs data.facts.sources: a folder of documents that answers are held against"
    assert _problems(recipe_values) == (
        f"decision: {clauses[0]!r} names factual_errors, {needed}",
        f"decision: {clauses[1]!r} names verified, {needed}",
    )
    recipe_values["data"]["facts"] = {"sources": "handbook"}
    assert validate_recipe(recipe_values, "recipe.yaml")


def test_judges_may_not_call_a_criterion_what_is_measured_against_sources(recipe_values: dict[str, Any]) -> None:
    recipe_values["judging"] = {
        "judges": [{"model": "qwen3-32b", "base_url": "http://localhost:8000/v1"}],
        "criteria": {"factual_errors": "claims that are wrong", "clarity": "is clear"},
        "rubric": "true",
    }
    assert validate_recipe(recipe_values, "recipe.yaml")
    recipe_values["data"]["facts"] = {"sources": "handbook"}
    (problem,) = _problems(recipe_values)
    assert problem.startswith("judging.criteria: factual_errors is what is measured against the sources of facts")
    assert "judged_factual_errors" in problem
