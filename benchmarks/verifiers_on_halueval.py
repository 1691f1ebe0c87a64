"""HaluEval's questions, each with one right and one hallucinated answer, held against the knowledge that they are of.

    python benchmarks/verifiers_on_halueval.py --source FOLDER [--judge MODEL --judge-rows N --log FILE]
        [--entailment MODEL]

FOLDER holds qa_one-turn_data.json of HaluEval (arXiv 2305.11747, MIT): 500 rows. The knowledge is the only source. The
exact verifier was developed on the even rows; the odd ones are measured. Right answers are far shorter here, so a rule
that only counts words stands beside the verifiers, its limit chosen on the even rows, and pairs of about one length are
shown apart. Balanced accuracy: the mean of right answers held right and hallucinated ones held wrong (false or
doubtful); what is unchecked counts as a mistake on either side. Intervals: 95%, bootstrap over rows. Models run on a
GPU where there is one.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from relaytune.core.claims import Claim, ClaimVerdict, Passage, Statement
from relaytune.core.judging import JudgeChoice
from relaytune.core.screen import Screen
from relaytune.core.statistics import mean_interval
from relaytune.facts.checking import check_answers
from relaytune.facts.sources import Sources
from relaytune.facts.verifying import Verifier
from relaytune.facts.verifying.entailment import EntailmentVerifier
from relaytune.facts.verifying.exact import ExactVerifier
from relaytune.facts.verifying.judging import JudgeVerifier

ABOUT_AS_LONG = 2  # words between two answers at most
Verdicts = list[tuple[str, str]]  # of the right and of the hallucinated answer of each row


@dataclass(frozen=True)
class Row:
    passage: Passage
    question: str
    right: str
    hallucinated: str

    @property
    def longer_by(self) -> int:
        """Words that the hallucinated answer has more."""
        return len(self.hallucinated.split()) - len(self.right.split())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--judge", help="a local model, named as in base_model.name")
    parser.add_argument("--judge-rows", type=int, default=30)
    parser.add_argument("--log", type=Path, default=Path("halueval_judge.jsonl"))
    parser.add_argument("--entailment")
    options = parser.parse_args()
    rows = read_rows(options.source / "qa_one-turn_data.json")
    developed, measured = rows[0::2], rows[1::2]
    limit = best_limit(developed)
    right, hallucinated = words([row.right for row in measured]), words([row.hallucinated for row in measured])
    print(f"{len(measured)} rows; median words: {right} of right answers, {hallucinated} of hallucinated ones\n")
    print("Answers called right, doubtful, false, unchecked:\n")
    print("| verifier | pairs | right answers | hallucinated answers | balanced accuracy |")
    print("| --- | --- | --- | --- | --- |")
    show(f"length rule: up to {limit} words is right", measured, by_length(measured, limit))
    show("exact", measured, [verdicts(row, ExactVerifier([row.passage])) for row in measured])
    if options.entailment:
        model = EntailmentVerifier.load(options.entailment, device())
        show(model.name, measured, verdicts_in_one_go(measured, model))
    if options.judge:
        some = measured[: options.judge_rows]
        judge = JudgeVerifier(
            JudgeChoice.model_validate({"model": options.judge}), options.log, Screen(Console(stderr=True)), device()
        )
        show(judge.name, some, verdicts_in_one_go(some, judge))
        judge.close()
        show("exact, the same rows", some, [verdicts(row, ExactVerifier([row.passage])) for row in some])
        print(f"\n{judge.words()}")


def read_rows(path: Path) -> list[Row]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        passage = Passage(str(number), "knowledge.txt", f"line {number + 1}", "", row["knowledge"].strip())
        rows.append(Row(passage, row["question"], row["right_answer"], row["hallucinated_answer"]))
    return rows


def verdicts(row: Row, verifier: Verifier) -> tuple[str, str]:
    answers = {"right": row.right, "hallucinated": row.hallucinated}
    statements = [Statement(id, row.question, answer) for id, answer in answers.items()]
    right, hallucinated = check_answers(statements, Sources([row.passage], ""), [verifier])
    return right.verdict, hallucinated.verdict


class InOneGo:
    """Gathers what it is asked, and says it the next time around, when `verifier` has been asked it all at once."""

    def __init__(self, verifier: Verifier) -> None:
        self.name = verifier.name
        self._verifier = verifier
        self._claims: list[Claim] = []
        self._passages: list[Sequence[Passage]] = []
        self._said: Iterator[ClaimVerdict | None] | None = None

    def verify(self, claims: Sequence[Claim], passages: Sequence[Sequence[Passage]]) -> list[ClaimVerdict | None]:
        if self._said is None:
            self._claims += claims
            self._passages += passages
            return [None for _ in claims]
        return [next(self._said) for _ in claims]

    def ask(self) -> None:
        self._said = iter(self._verifier.verify(self._claims, self._passages))


def verdicts_in_one_go(rows: Sequence[Row], verifier: Verifier) -> Verdicts:
    """`verdicts` of each row, by a model that answers the claims of all rows in batches."""
    both = InOneGo(verifier)
    for row in rows:
        verdicts(row, both)
    both.ask()
    return [verdicts(row, both) for row in rows]


def device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def by_length(rows: Sequence[Row], limit: int) -> Verdicts:
    def verdict(answer: str) -> str:
        return "right" if len(answer.split()) <= limit else "false"

    return [(verdict(row.right), verdict(row.hallucinated)) for row in rows]


def best_limit(rows: Sequence[Row]) -> int:
    return max(range(1, 20), key=lambda limit: sum(map(correct, by_length(rows, limit))))


def correct(pair: tuple[str, str]) -> float:
    """Share of a row's two answers that are held for what they are."""
    return ((pair[0] == "right") + (pair[1] in ("false", "doubtful"))) / 2


def show(name: str, rows: Sequence[Row], found: Verdicts) -> None:
    show_row(name, found)
    matched = [pair for row, pair in zip(rows, found, strict=True) if abs(row.longer_by) <= ABOUT_AS_LONG]
    show_row(f"{name}: pairs of about one length", matched)


def show_row(name: str, found: Verdicts) -> None:
    right, hallucinated = (Counter(pair[side] for pair in found) for side in (0, 1))
    cells = [", ".join(str(counts[verdict]) for verdict in ("right", "doubtful", "false", "unchecked"))
             for counts in (right, hallucinated)]  # fmt: skip
    scores = [correct(pair) for pair in found]
    interval = mean_interval(scores, [str(number) for number in range(len(scores))])
    shown = f" ({interval[0]:.0%}-{interval[1]:.0%})" if interval else ""
    mean = f"{sum(scores) / len(scores):.0%}" if scores else "–"
    print(f"| {name} | {len(found)} | {cells[0]} | {cells[1]} | {mean}{shown} |")


def words(answers: Sequence[str]) -> int:
    return sorted(len(answer.split()) for answer in answers)[len(answers) // 2]


if __name__ == "__main__":
    main()
