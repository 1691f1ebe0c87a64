"""The figures of the study that relaytune grew from, computed anew from its own raw files, and what they cannot show.

    python benchmarks/original_study.py --source FOLDER

FOLDER holds v4-nlp-metrics-256.csv, v4-nlp-metrics-512.csv and v4-llm-judge-scores.csv (arXiv 2504.15610v4; the
repository's docs/eval). The judge's slots are blinded and the key is not in the files. It is found again here: slot a
is the base model where the next draw of Python's random.Random(42) is below one half. That this is the key is shown
by the published totals, which it gives exactly; a wrong one would have to do so by chance.

Answers' texts are not in these files, only their lengths: stand-ins of the same length are compared.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Sequence
from pathlib import Path

from relaytune.comparing.criteria import CriteriaFile
from relaytune.core.criteria import Criteria
from relaytune.core.records import Example, Generation, Judgement, Rating, Score
from relaytune.core.results import EvaluationResult
from relaytune.decision import decide_answers
from relaytune.evaluation.judging.conclusion import conclude_judging
from relaytune.evaluation.summary import Evidence, clusters_of, summarize
from relaytune.note import evaluation_markdown

JUDGE = "the study's judge"
CRITERIA = {"domain_accuracy": "domain", "helpfulness": "help"}  # → column
OVERLAP = {"rouge_l": "rouge_l_f1", "bertscore": "bertscore_f1"}
PUBLISHED = {"base preferred": 23, "tuned preferred": 9, "base domain_accuracy": 107, "tuned domain_accuracy": 87}
RULE = "keep when tuned beats base on preference; never when domain_accuracy falls by more than 0.1"

Row = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    source = parser.parse_args().source
    for tokens in (256, 512):
        print(f"# {tokens} new tokens\n")
        print(evaluation_markdown(overlap_of(rows_of(source / f"v4-nlp-metrics-{tokens}.csv")), "Gemini 1.0 Pro"))
    print("# The judge, at 512 tokens\n")
    judged, criteria = judged_of(
        rows_of(source / "v4-nlp-metrics-512.csv"), rows_of(source / "v4-llm-judge-scores.csv")
    )
    print(evaluation_markdown(judged, "Gemini 1.0 Pro"))
    assert criteria.rule is not None
    verdict = decide_answers(criteria.rule, judged)
    print(f"# What relaytune concludes\n\nRule: {criteria.rule.sentence}\n\n**{verdict.outcome}**: {verdict.reason}\n")
    for diagnosis in verdict.diagnoses:
        print(f"- {diagnosis.name}: {diagnosis.evidence}. Suggests: {diagnosis.next_change}.")


def rows_of(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def criteria_of(**values: object) -> Criteria:
    found = CriteriaFile.model_validate({"evaluation": {"forgetting": False, **values.pop("evaluation")}, **values})  # type: ignore[dict-item]
    return Criteria(None, found.evaluation, found.judging, found.decision, "Gemini 1.0 Pro")


def examples_of(rows: Sequence[Row]) -> list[Example]:
    return [
        Example(row["sample_id"], ({"role": "user", "content": row["prompt"].strip().lower()},), "", "raw file")
        for row in rows
    ]


def answers_of(rows: Sequence[Row], examples: Sequence[Example]) -> dict[str, list[Generation]]:
    """Stand-ins of the answers' lengths."""
    columns = {"tuned": "lora_response_length_chars", "base": "base_response_length_chars"}
    return {
        name: [
            Generation(example.id, example.messages, "x" * int(row[column]), "unknown", 0)
            for row, example in zip(rows, examples, strict=True)
        ]
        for name, column in columns.items()
    }


def scores_of(rows: Sequence[Row]) -> list[Score]:
    return [
        Score(row["sample_id"], contender, metric, float(row[f"{column}_{theirs}"]))
        for row in rows
        for metric, column in OVERLAP.items()
        for contender, theirs in (("tuned", "lora"), ("base", "base"))
    ]


def overlap_of(rows: Sequence[Row]) -> EvaluationResult:
    examples = examples_of(rows)
    criteria = criteria_of(evaluation={"scorers": list(OVERLAP)})
    return summarize(criteria, Evidence(examples, answers_of(rows, examples), scores_of(rows)))


def judged_of(rows: Sequence[Row], judged: Sequence[Row]) -> tuple[EvaluationResult, Criteria]:
    examples = examples_of(rows)
    answers = answers_of(rows, examples)
    criteria = criteria_of(
        evaluation={"scorers": list(OVERLAP)},
        # its judge was a model, whose verdicts are read as they were recorded; nothing is asked
        judging={"human_labels": "recorded", "criteria": dict.fromkeys(CRITERIA, "0 to 3, with a rubric")},
        decision=RULE,
    )
    judgements, ratings = deblinded(judged)
    check_key(judgements, ratings)
    assert criteria.judging is not None
    said = conclude_judging(
        criteria.judging,
        examples,
        {name: {row.id: row.completion for row in given} for name, given in answers.items()},
        judgements,
        ratings,
        clusters_of(examples),
    )
    scores = [*scores_of(rows), *said.scores]
    evidence = Evidence(examples, answers, scores, preferences=said.preferences, judging=said.result)
    return summarize(criteria, evidence), criteria


def deblinded(judged: Sequence[Row]) -> tuple[list[Judgement], list[Rating]]:
    key = random.Random(42)
    judgements, ratings = [], []
    for row in judged:
        slots = ("base", "tuned") if key.random() < 0.5 else ("tuned", "base")
        better = {"a": "first", "b": "second", "tie": "tie"}[row["preferred_slot"]]
        judgements.append(Judgement(row["sample_id"], JUDGE, *slots, better, ""))  # type: ignore[arg-type]
        for slot, contender in zip("ab", slots, strict=True):
            for criterion, column in CRITERIA.items():
                points = float(row[f"{column}_{slot}"])
                ratings.append(Rating(row["sample_id"], JUDGE, contender, criterion, points, row[f"note_{slot}"]))
    return judgements, ratings


def check_key(judgements: Sequence[Judgement], ratings: Sequence[Rating]) -> None:
    """The published totals, or this is not the key."""
    better = [{"first": row.first, "second": row.second}.get(row.better or "") for row in judgements]
    found = {f"{name} preferred": better.count(name) for name in ("base", "tuned")} | {
        f"{name} domain_accuracy": round(
            sum(row.value or 0 for row in ratings if (row.contender, row.criterion) == (name, "domain_accuracy"))
        )
        for name in ("base", "tuned")
    }
    if found != PUBLISHED:
        raise SystemExit(f"the key of the blinded slots is another one: {found}, published {PUBLISHED}")


if __name__ == "__main__":
    main()
