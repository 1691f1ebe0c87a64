from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from command_line import recipe_values
from relaytune.comparing.criteria import load_criteria
from relaytune.core.criteria import Criteria
from relaytune.core.errors import RecipeError

LABELS = {"labels": ["low", "high"]}


def _load(folder: Path, values: Any, *contenders: str, with_references: bool = True) -> Criteria:
    path = folder / "criteria.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return load_criteria(path, contenders or ("a", "b"), with_references=with_references)


def _problems(folder: Path, values: Any, *contenders: str) -> str:
    with pytest.raises(RecipeError) as caught:
        _load(folder, values, *contenders)
    return "\n".join(caught.value.problems)


def test_without_a_file_overlap_is_measured_only_where_there_are_references() -> None:
    assert "rouge_l" in load_criteria(None, ["a", "b"], with_references=True).metrics
    assert "rouge_l" not in load_criteria(None, ["a", "b"], with_references=False).metrics


def test_of_a_whole_recipe_the_contract_and_the_rule_are_taken(tmp_path: Path) -> None:
    criteria = _load(tmp_path, recipe_values(), "tuned", "base")
    assert criteria.contract is not None
    assert criteria.main_metric == "label_accuracy"
    assert criteria.rule is not None
    assert criteria.rule.sentence == "keep when tuned label_accuracy at least 0.99"
    assert not any(name.startswith("general") for name in criteria.metrics), "no base model is asked here"


def test_all_problems_are_named_with_the_nearest_key(tmp_path: Path) -> None:
    problems = _problems(tmp_path, {"contarct": LABELS, "evaluation": {"scorers": ["rouge"]}, "decision": "keep it"})
    assert "contarct: unknown key; did you mean contract?" in problems
    assert "evaluation.scorers.0: should be 'rouge_l', 'sentence_bleu'" in problems
    assert "'keep it'" in problems


def test_a_rule_naming_a_contender_that_is_not_there_says_how_files_are_called(tmp_path: Path) -> None:
    problems = _problems(tmp_path, recipe_values())
    assert "names tuned; contenders: a, b\n" in problems
    assert "a contender is called by its file without ending: rename a file, or change the rule" in problems


def test_the_best_prompt_is_known_only_where_a_file_is_called_like_a_prompt(tmp_path: Path) -> None:
    values = {"contract": LABELS, "decision": "keep when tuned beats best prompt on label_accuracy"}
    assert _load(tmp_path, values, "tuned", "base").rule is not None
    assert "best_prompt is the better of the files base and few_shot" in _problems(tmp_path, values, "tuned", "b")


def test_a_rule_naming_factual_errors_without_sources_says_which_key_of_this_file_names_them(tmp_path: Path) -> None:
    problems = _problems(tmp_path, {"contract": LABELS, "decision": "keep when a beats b on factual_errors"})
    assert "names factual_errors, which needs facts.sources: a folder of documents" in problems


def test_a_rule_naming_a_metric_that_is_not_measured_lists_those_that_are(tmp_path: Path) -> None:
    problems = _problems(tmp_path, {"contract": LABELS, "decision": "keep when a beats b on accuracy"})
    assert "names accuracy; measured here: label_accuracy" in problems
    assert "rename a file" not in problems


def test_a_rule_may_name_a_best_prompt_itself(tmp_path: Path) -> None:
    decision = {"keep_when": ["tuned label_accuracy at least 0.5"]}
    decision["discard_when"] = ["best_prompt beats tuned on label_accuracy"]
    assert _load(tmp_path, {"contract": LABELS, "decision": decision}, "tuned", "base").rule is not None


def test_a_recipe_with_sources_guards_facts_against_base_only_where_base_is_among_the_files(tmp_path: Path) -> None:
    recipe = recipe_values()
    recipe["data"] = recipe["data"] | {"facts": {"sources": "handbook"}}
    recipe["decision"] = {"keep_when": ["tuned beats few_shot on label_accuracy"]}
    for files, guard in ((("tuned", "few_shot"), "few_shot"), (("tuned", "few_shot", "base"), "base")):
        rule = _load(tmp_path, recipe, *files).rule
        assert rule is not None
        assert [clause.text for clause in rule.discard_when] == [f"{guard} beats tuned on factual_errors"]
