"""The audit as verdict.md, the report and the card carry it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audited_rows import audited, contradicted_row, write_audit
from finished_run import HOSTILE, build_run, recipe_values, write_recipe_values
from relaytune.audit_text import audit_text, contradicted, reason_of
from relaytune.core.audit import AuditResult
from relaytune.core.claims import CheckedClaim, ClaimVerdict
from relaytune.core.recipe import Recipe, validate_recipe
from relaytune.core.results import EvaluationResult, Verdict, read_result
from relaytune.core.run_folder import RunFolder
from relaytune.decision import decide
from relaytune.note import verdict_markdown
from relaytune.packaging import write_package
from relaytune.reporting import write_report

ROWS = [
    contradicted_row(0, "It costs 795 EUR.", HOSTILE),
    contradicted_row(1, "Who pays?", "Nobody pays.", premise=True),
]
ROWS += [audited(number, "right") for number in range(2, 40)]


def _values(**facts: Any) -> dict[str, Any]:
    values = recipe_values()
    values["data"]["facts"] = {"sources": "handbook", "on_contradiction": "drop", **facts}
    return values


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return build_run(tmp_path / "tickets")


def _audit(run: RunFolder, **facts: Any) -> tuple[Recipe, AuditResult]:
    recipe = write_recipe_values(run, _values(**facts))
    assert recipe.data.facts is not None
    return recipe, write_audit(run, recipe.data.facts, ROWS, 400)


def test_the_verdict_says_how_much_of_the_data_is_false_and_what_was_dropped(run: RunFolder) -> None:
    recipe, audit = _audit(run)
    note = verdict_markdown(
        read_result(run.verdict, Verdict), read_result(run.evaluation, EvaluationResult), recipe, audited=audit
    )
    section = note.split("## The training answers\n")[1].split("\n## ")[0]
    assert "5.0% (95%: 1.2 to 15.8%) are clearly false" in section
    assert "told from 40 of 400 rows" in section
    assert "2 false rows dropped" in section
    assert "of the 398 rows that remain" in section


def test_the_report_shows_rates_gate_and_false_answers_with_their_quotations_escaped(run: RunFolder) -> None:
    _audit(run, max_error_rate=0.01)
    page = write_report(run).read_text(encoding="utf-8")
    section = page.split('<section id="audit">')[1].split("</section>")[0]
    assert "Gate refuses (limit 1%)" in section
    assert "the source says 760 EUR, the answer 795 EUR" in section
    assert "fees.md, line 29" in section
    assert "on a false premise, dropped" in section
    assert "<svg" in section
    assert HOSTILE not in page
    assert "&lt;script&gt;" in section


def test_a_report_without_sources_says_that_nobody_checked(run: RunFolder) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    section = page.split('<section id="audit">')[1].split("</section>")[0]
    assert "nobody checked whether the training answers are true" in section


def test_the_card_carries_the_rate_and_the_package_the_figures(run: RunFolder) -> None:
    _, audit = _audit(run)
    package = write_package(run)
    assert "5.0% (95%: 1.2 to 15.8%) are clearly false" in (package / "README.md").read_text(encoding="utf-8")
    assert read_result(package / "audit.json", AuditResult) == audit


def test_answers_that_a_model_wrote_and_nobody_audited_are_a_risk(run: RunFolder) -> None:
    def risks(values: dict[str, Any]) -> str:
        recipe = validate_recipe(values, "recipe.yaml")
        evaluation = read_result(run.evaluation, EvaluationResult)
        return " ".join(decide(recipe, evaluation, None, (), (), rule_changed=False).remaining_risks)

    said = "written by gemini-1.0-pro and never held against sources"
    written = recipe_values()
    written["data"]["generator"] = "gemini-1.0-pro"
    by_people = recipe_values()
    by_people["data"]["generator"] = "people"
    assert said in risks(written)
    assert "never held against sources" not in risks(by_people) + risks(recipe_values())
    values = _values()
    values["data"]["generator"] = "gemini-1.0-pro"
    assert "never held against sources" not in risks(values)


def test_false_premises_stand_apart_and_the_next_steps_are_named(run: RunFolder) -> None:
    recipe, audit = _audit(run, on_contradiction="keep")
    assert recipe.data.facts is not None
    text = audit_text(audit, recipe.data.facts, ROWS, "relaytune audit recipe.yaml")
    false, premises = text.split("On a false premise:")
    assert "claim: It costs 795 EUR." in false
    assert "premise: Who pays?" in premises
    assert "No gate is set (max_error_rate), and false rows are kept (on_contradiction: keep)." in premises
    assert "on_contradiction: drop" in premises
    assert "`relaytune audit recipe.yaml --to-label labels.csv`" in premises


def test_a_false_premise_that_the_answer_repeats_is_one_wrong_claim() -> None:
    repeated = contradicted_row(1, "The Faculty of Law has a dean.", "There is no faculty of law.")
    asked = contradicted_row(1, "Who is the dean of the Faculty of Law?", "There is no faculty of law.", premise=True)
    both = replace(asked.checked, claims=(*repeated.checked.claims, *asked.checked.claims))
    assert contradicted(replace(asked, checked=both)) == list(repeated.checked.claims)
    assert contradicted(asked) == list(asked.checked.claims)


def test_a_false_premise_is_told_beside_an_answer_that_errs_against_other_words() -> None:
    asked = contradicted_row(1, "What does student membership cost?", "There is no student membership.", premise=True)
    answered = contradicted_row(1, "Student membership costs 120 EUR.", "Junior members pay 90 EUR.")
    both = replace(asked.checked, claims=(*answered.checked.claims, *asked.checked.claims))
    assert contradicted(replace(asked, checked=both)) == [*asked.checked.claims, *answered.checked.claims]


def test_a_row_on_something_that_no_source_knows_is_left_out_for_that_and_not_for_what_else_its_question_says() -> None:
    row = contradicted_row(0, "I live in the yard.", "")
    asked = row.checked.claims[0].claim
    aside = CheckedClaim(replace(asked, part="question"), ())
    unknown = ClaimVerdict("not_found", "exact", "no source knows 'Reed Scholarship'", kind="name")
    named = CheckedClaim(replace(asked, part="question", text="When does the Reed Scholarship close?"), (unknown,))
    on_premise = replace(row, checked=replace(row.checked, false_premise=True, claims=(aside, named)))
    assert reason_of(on_premise) == "no source knows 'Reed Scholarship'"
