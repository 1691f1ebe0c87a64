"""How much the wrong part of an answer should count by words, and how near in meaning a row must be to be marked.

    python benchmarks/tracing_rule.py

Nothing is trained. To each held-out question of examples/advisor about a topic whose training rows are all wrong, a
tuned model is taken to give the answer of one of these rows, drawn at random. It is traced by words and by meaning; the
rows to find are all wrong rows of the topic. With real answers and gradients: planted_errors.py.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from advisor_runs import ADVISOR, KnownTruth
from planted_errors import FIRST, Run, line
from relaytune.core.encoder import Encoder
from relaytune.core.records import Example, read_examples
from relaytune.core.traces import TracedAnswer, TracedRow, WrongAnswer
from relaytune.pipeline import check_stage
from relaytune.pipeline.tracing import specifics_of
from relaytune.tracing import words
from relaytune.tracing.tracing import trace_answers

WEIGHTS = (1, 3, 5, 9)
NEARS = (0.5, 0.6, 0.65, 0.7, 0.75, 0.8)


def main() -> None:
    truth = KnownTruth()

    def planted(row: Example | TracedRow, topic: str) -> bool:
        known = truth.of(row)
        return known.verdict == "wrong" and known.topic == topic

    with tempfile.TemporaryDirectory() as folder:
        job = Run("errors", 0, Path(folder), ADVISOR, ()).open()
        check_stage(job)
        train = read_examples(job.run.train)
        held_out = [row for row in read_examples(job.run.held_out) if truth.of(row).topic_rows == "wrong"]
    chance = random.Random(0)
    topics = [truth.of(row).topic for row in held_out]
    wrong = [
        WrongAnswer(row, "tuned", chance.choice([each for each in train if planted(each, topic)]).completion, (), "")
        for row, topic in zip(held_out, topics, strict=True)
    ]
    encoder = Encoder.load()
    vectors: dict[str, Any] = {}  # text → its vector, for every weight

    def embed(texts: Sequence[str]) -> Any:
        new = [text for text in dict.fromkeys(texts) if text not in vectors]
        vectors.update(zip(new, encoder.embed(new), strict=True))
        return np.stack([vectors[text] for text in texts])

    print(line("the wrong part counts", *(f"{name}: one among {FIRST}, share of {FIRST}" for name in ORDERS)))
    print("|" + " --- |" * (1 + len(ORDERS)))
    chosen = words.WRONG_WEIGHT
    traced: dict[int, list[TracedAnswer]] = {}
    for weight in WEIGHTS:
        words.WRONG_WEIGHT = weight
        traced[weight] = trace_answers(wrong, train, specifics_of, embed=embed)
        print(line(f"{weight} times", *(cells(traced[weight], topics, order, planted) for order in ORDERS.values())))
    print()
    print(line("near at least", "wrong rows of the topic that are marked", "other rows that are marked"))
    print("|" + " --- |" * 3)
    for near in (0.0, *NEARS):
        marked = [
            planted(row, topic)
            for answer, topic in zip(traced[chosen], topics, strict=True)
            for row in answer.rows
            if row.states and not row.speaks_of and nearness(row, answer) >= near
        ]
        sought = sum(
            planted(row, topic) for answer, topic in zip(traced[chosen], topics, strict=True) for row in answer.rows
        )
        print(line(near, f"{sum(marked)}/{sought}, {sum(marked) / sought:.1%}", len(marked) - sum(marked)))


ORDERS: dict[str, Callable[[TracedRow], int]] = {
    "words": lambda row: row.by["words"].rank,
    "meaning": lambda row: row.by["meaning"].rank,
    "joined": lambda _: 0,  # as they stand
}


def cells(
    traced: Sequence[TracedAnswer],
    topics: Sequence[str],
    order: Callable[[TracedRow], int],
    planted: Callable[[TracedRow, str], bool],
) -> str:
    hits = [
        [planted(row, topic) for row in sorted(answer.rows, key=order)[:FIRST]]
        for answer, topic in zip(traced, topics, strict=True)
    ]
    return f"{sum(map(any, hits))}/{len(hits)}, {sum(map(sum, hits)) / (FIRST * len(hits)):.0%}"


def nearness(row: TracedRow, answer: TracedAnswer) -> float:
    return row.by["meaning"].value / max(each.by["meaning"].value for each in answer.rows)


if __name__ == "__main__":
    main()
