"""What each verifier finds of the planted errors of examples/advisor, by kind, and how often it cries wolf.

    python benchmarks/verifiers_on_advisor.py [--half developed|measured] [--show false-alarms|missed|doubtful]
        [--judge MODEL --judge-rows N --log FILE]

The exact verifier was developed on half of the topics (by a hash of the topic's name); the other half is the
measurement. Recall: wrong rows of train.jsonl called false. Precision: of the rows of train.jsonl called false, those
that are wrong. False alarms: right rows called false, in the clean twin (each row of which is right). Beside them the
share called false or doubtful. Intervals are Wilson's, 95%; rows of one topic are alike, so they are too narrow.

A judge is asked, on a GPU where there is one, of N rows of train.jsonl and the same lines of the clean twin, drawn at
random (--seed), and the exact verifier of the same rows. It is asked every claim, also those that the exact one would
decide before it in an audit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from relaytune.core.claims import CheckedAnswer, Statement
from relaytune.core.judging import JudgeChoice
from relaytune.core.screen import Screen
from relaytune.core.statistics import wilson_interval
from relaytune.facts.checking import check_answers
from relaytune.facts.sources import Sources, read_sources
from relaytune.facts.verifying import Verifier
from relaytune.facts.verifying.exact import ExactVerifier
from relaytune.facts.verifying.judging import JudgeVerifier

EXAMPLE = Path(__file__).parent.parent / "examples" / "advisor"


@dataclass(frozen=True)
class Row:
    topic: str
    kind: str  # of the error; of a right row, of its topic
    wrong: bool
    statement: Statement


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--example", type=Path, default=EXAMPLE)
    parser.add_argument("--half", choices=["developed", "measured"])
    parser.add_argument("--show", choices=["false-alarms", "missed", "doubtful"])
    parser.add_argument("--judge", help="a local model, named as in base_model.name")
    parser.add_argument("--judge-rows", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=Path("advisor_judge.jsonl"))
    options = parser.parse_args()
    sources = read_sources(options.example / "handbook", Screen.silent(), embeddings=False)
    planted = read_rows(options.example, "train.jsonl", options.half)
    clean = read_rows(options.example, "clean/train.jsonl", options.half)
    exact = ExactVerifier(sources.passages)
    if not options.judge:
        measure(exact, sources, planted, clean, options.show)
        return
    drawn = random.Random(options.seed).sample(range(len(planted)), min(options.judge_rows, len(planted)))
    planted, clean = [planted[at] for at in drawn], [clean[at] for at in drawn]
    measure(exact, sources, planted, clean, options.show)
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    judge = JudgeVerifier(
        JudgeChoice.model_validate({"model": options.judge}), options.log, Screen(Console(stderr=True)), device
    )
    measure(judge, sources, planted, clean, options.show)
    judge.close()
    print(f"\n{judge.words()}")


def read_rows(example: Path, file: str, half: str | None) -> list[Row]:
    """The rows of train.jsonl or of its clean twin, line by line beside what truth.jsonl says of the planted ones."""
    truths = [json.loads(line) for line in (example / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
    by_line = {truth["line"]: truth for truth in truths if truth["file"] == "train.jsonl"}
    rows = []
    for number, line in enumerate((example / file).read_text(encoding="utf-8").splitlines(), start=1):
        row, truth = json.loads(line), by_line[number]
        developed = int(hashlib.sha256(truth["topic"].encode()).hexdigest(), 16) % 2 == 0
        if half is None or developed == (half == "developed"):
            wrong = truth["verdict"] == "wrong" and file == "train.jsonl"
            statement = Statement(f"{file}:{number}", row["question"], row["answer"])
            rows.append(Row(truth["topic"], truth["kind"] or truth["topic_kind"], wrong, statement))
    return rows


def measure(verifier: Verifier, sources: Sources, planted: list[Row], clean: list[Row], show: str | None) -> None:
    began = time.monotonic()
    checked = check(verifier, sources, planted)
    checked_clean = check(verifier, sources, clean)
    seconds = time.monotonic() - began
    pairs = list(zip(planted, checked, strict=True))
    num_claims = sum(len(answer.claims) for answer in [*checked, *checked_clean])
    rows = f"{len(planted)} planted rows, {len(clean)} clean rows"
    print(f"\n{verifier.name}: {rows}, {num_claims} claims in {seconds:.1f} s\n")
    print("| kind of error | rows | called false (recall) | false or doubtful | called right | unchecked |")
    print("| --- | --- | --- | --- | --- | --- |")
    by_kind: dict[str, list[CheckedAnswer]] = defaultdict(list)
    for row, answer in pairs:
        if row.wrong:
            by_kind[row.kind].append(answer)
    for kind, answers in sorted(by_kind.items()):
        print(table_row(kind, answers))
    print(table_row("all", [answer for answers in by_kind.values() for answer in answers]))
    called = [row for row, answer in pairs if answer.verdict == "false"]
    print(f"\nprecision of 'false': {share(sum(row.wrong for row in called), len(called))}")
    right = [answer for row, answer in pairs if not row.wrong]
    for name, answers in (("right rows beside the planted", right), ("clean twin", checked_clean)):
        print(
            f"{name}: {', '.join(f'{verdict} {share(count(answers, verdict), len(answers))}' for verdict in VERDICTS)}"
        )
    if show == "missed":
        print_rows([(row, answer) for row, answer in pairs if row.wrong and answer.verdict != "false"])
    if show == "doubtful":
        print_rows(
            [(row, answer) for row, answer in zip(clean, checked_clean, strict=True) if answer.verdict == "doubtful"]
        )
    if show == "false-alarms":
        alarms = [(row, answer) for row, answer in zip(clean, checked_clean, strict=True) if answer.verdict == "false"]
        print_rows([*((row, answer) for row, answer in pairs if answer.verdict == "false" and not row.wrong), *alarms])


VERDICTS = ("false", "doubtful", "right", "unchecked")


def check(verifier: Verifier, sources: Sources, rows: Sequence[Row]) -> list[CheckedAnswer]:
    answers = check_answers([row.statement for row in rows], sources, [verifier])
    for answer in answers:
        for claim in answer.claims:
            for evidence in (one for verdict in claim.verdicts for one in verdict.evidence):
                passage = next(passage for passage in sources.passages if passage.id == evidence.passage_id)
                assert evidence.quotation in passage.text, f"not in its passage: {evidence.quotation!r}"
    return answers


def table_row(kind: str, answers: list[CheckedAnswer]) -> str:
    false, doubtful, right, unchecked = (count(answers, verdict) for verdict in VERDICTS)
    total = len(answers)
    return f"| {kind} | {total} | {share(false, total)} | {share(false + doubtful, total)} | {right} | {unchecked} |"


def count(answers: Sequence[CheckedAnswer], verdict: str) -> int:
    return sum(answer.verdict == verdict for answer in answers)


def share(part: int, total: int) -> str:
    if not total:
        return "–"
    low, high = wilson_interval(part, total)
    return f"{part / total:.0%} of {total} ({low:.0%}-{high:.0%})"


def print_rows(pairs: Sequence[tuple[Row, Any]]) -> None:
    for row, answer in pairs:
        print(f"\n[{row.topic}, {row.kind}] {row.statement.question}\n  → {row.statement.answer}\n  {answer.verdict}")
        for claim in answer.claims:
            for verdict in claim.verdicts:
                quoted = " / ".join(evidence.quotation[:160] for evidence in verdict.evidence)
                print(f"    {claim.claim.part}: {claim.claim.text!r}: {verdict.support}: {verdict.reason} [{quoted}]")


if __name__ == "__main__":
    main()
