"""By what two files of answers are compared: a file of criteria, a whole recipe, or what fits any answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from relaytune.core.contract import Contract
from relaytune.core.criteria import Criteria
from relaytune.core.errors import RecipeError
from relaytune.core.facts import Facts
from relaytune.core.judging import Judging
from relaytune.core.recipe import criterion_problems, read_yaml, rule_problems, validate_recipe, validate_section
from relaytune.core.rule import BEST_PROMPT, DecisionRule
from relaytune.core.section import Section
from relaytune.core.sections import PROMPTS, Evaluation


class CriteriaFile(Section):
    """The sections of a recipe that say how answers are measured and decided on; all may be left out."""

    contract: Contract | None = None
    evaluation: Evaluation = Evaluation.model_validate({})
    judging: Judging | None = None
    decision: DecisionRule | None = None
    facts: Facts | None = Field(None, description="sources that answers are held against, relative to this file")
    generator: str | None = Field(None, description="the model that wrote the references, or `people`")
    base_model: str | None = Field(None, description="the model that the contenders are, for the judges' relatives")


def load_criteria(path: Path | None, contenders: Sequence[str], *, with_references: bool) -> Criteria:
    """Read criteria; of a whole recipe the sections that matter here are taken.

    Nothing is asked of a base model here, so what it knew before is not measured. Without scorers named, overlap is
    measured where there are references and no contract says more.

    Raises:
        RecipeError: the file is wrong, or its rule names what is not there.
    """
    criteria = _read(path) if path else Criteria(None, Evaluation.model_validate({}), None, None)
    scorers = criteria.evaluation.scorers
    if scorers is None and criteria.contract is None:
        scorers = ("rouge_l", "sentence_bleu") if with_references else ()
    evaluation = criteria.evaluation.model_copy(update={"forgetting": False, "scorers": scorers})
    criteria = replace(criteria, evaluation=evaluation)
    if criteria.rule is not None:
        criteria = replace(criteria, rule=_guarded(criteria.rule, criteria.facts, contenders))
    if criteria.rule is not None:
        prompts = [name for name in PROMPTS if name in contenders]
        known = (*contenders, *([BEST_PROMPT] if prompts else []))
        wrong = rule_problems(criteria.rule, criteria.metrics, known, "facts.sources")
        named = {name for clause in criteria.rule.clauses for name in (clause.contender, clause.other) if name}
        if named - {*known}:
            best = "" if prompts else f"; {BEST_PROMPT} is the better of the files base and few_shot"
            wrong.append(f"a contender is called by its file without ending: rename a file, or change the rule{best}")
        if wrong:
            raise RecipeError(str(path), [f"decision: {problem}" for problem in wrong])
    return criteria


def _read(path: Path) -> Criteria:
    values = read_yaml(path)
    if isinstance(values, dict) and isinstance(values.get("base_model"), dict):
        criteria = validate_recipe(values, str(path)).criteria
        # as it was written: a run guards it against base, which need not be among the files
        return replace(criteria, rule=DecisionRule.model_validate(values["decision"]))
    found = validate_section(CriteriaFile, values, str(path))
    if wrong := criterion_problems(found.judging, found.facts):
        raise RecipeError(str(path), wrong)
    return Criteria(
        found.contract,
        found.evaluation,
        found.judging,
        found.decision,
        found.generator,
        found.base_model,
        found.facts,
    )


def _guarded(rule: DecisionRule, facts: Facts | None, contenders: Sequence[str]) -> DecisionRule:
    """With sources, the rule also asks for factual errors: as in a run of tuned and base, else of the two that it
    compares first.
    """
    if facts is None:
        return rule
    if {"tuned", "base"} <= {*contenders}:
        return rule.guarding_facts()
    first = next((clause for clause in rule.keep_when if clause.other), None)
    if first is None or first.other is None:
        return rule
    return rule.guarding_facts(first.contender, first.other)
