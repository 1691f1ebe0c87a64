"""Answers of files, held against sources as those of a run are, by the verifier that needs no model."""

from __future__ import annotations

from pathlib import Path

from relaytune.core.checked_answers import write_checked_answers
from relaytune.core.claims import Statement
from relaytune.core.criteria import Criteria
from relaytune.core.facts import Facts
from relaytune.core.records import question_of
from relaytune.core.screen import Screen
from relaytune.evaluation.summary import Evidence


def hold_against_sources(
    criteria: Criteria, facts: Facts, evidence: Evidence, folder: Path, output: Path | None, screen: Screen
) -> Evidence:
    """The evidence with what the sources say; `folder` is what they are relative to. facts.jsonl goes to `output`.

    Raises:
        DataError: the sources are faulty.
    """
    from relaytune.evaluation.factuality import with_facts
    from relaytune.facts.checking import check_answers
    from relaytune.facts.sources import read_sources
    from relaytune.facts.verifying.exact import ExactVerifier

    if facts.entailment or facts.judge:
        screen.say("facts: of files of answers neither the entailment model nor the judge is asked, only what is exact")
    sources = read_sources(folder / facts.sources, screen)
    verifier = ExactVerifier(sources.passages)
    checked = {
        name: check_answers(
            [Statement(answer.id, question_of(answer), answer.completion) for answer in answers],
            sources,
            [verifier],
            facts.passages,
            screen,
        )
        for name, answers in evidence.generations.items()
    }
    if output is not None:
        write_checked_answers(output / "facts.jsonl", checked)
    return with_facts(criteria, evidence, checked)
