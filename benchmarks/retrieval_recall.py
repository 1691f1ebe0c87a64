"""How often the right section of the handbook is among the first five passages: by words, by meaning, by both.

    python benchmarks/retrieval_recall.py [examples/advisor]

The queries are the questions of the advisor example alone, and each with its answer, right or wrong. The right section
stands in truth.jsonl, which the tool itself never reads.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from relaytune.core.claims import Passage
from relaytune.core.encoder import Encoder
from relaytune.core.screen import Screen
from relaytune.facts import sources as sources_module
from relaytune.facts import words as words_module
from relaytune.facts.sources import Sources, indexed_text, read_sources

Search = Callable[[Sequence[str], int], list[list[Passage]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("example", type=Path, nargs="?", default=Path("examples/advisor"))
    example = parser.parse_args().example
    rows = read_rows(example)
    screen = Screen.silent()
    sources = read_sources(example / "handbook", screen, embeddings=False)
    encoder = Encoder.load()
    searches: dict[str, Search] = {
        "words (BM25)": by(sources),
        "words, without stemming": without_stemming(sources),
        "words, headings once": counting_headings(sources, 1),
        "words, headings three times": counting_headings(sources, 3),
        "words, without headings": counting_headings(sources, 0),
        "meaning (all-MiniLM-L6-v2)": by_meaning(sources, encoder),
        "both (reciprocal rank fusion)": by(Sources(sources.passages, "", encoder)),
    }
    print(f"{len(sources.passages)} passages, {len(rows)} questions whose section is known")
    print(f"{'recall of the right section at':32} {'1':>6} {'5':>6} {'10':>6}   at 5: right answers, wrong answers")
    for query, texts in {
        "question": [row["question"] for row in rows],
        "question and answer": [f"{row['question']} {row['answer']}" for row in rows],
    }.items():
        print(query)
        for name, search in searches.items():
            ranks = [rank_of(row["where"], best) for row, best in zip(rows, search(texts, 10), strict=True)]
            of_kind = defaultdict(list)
            for row, rank in zip(rows, ranks, strict=True):
                of_kind[row["verdict"]].append(rank <= 5)
            shares = [sum(rank <= k for rank in ranks) / len(ranks) for k in (1, 5, 10)]
            kinds = ", ".join(f"{sum(hits) / len(hits):.3f} ({kind})" for kind, hits in sorted(of_kind.items()))
            print(f"  {name:30} {shares[0]:6.3f} {shares[1]:6.3f} {shares[2]:6.3f}   {kinds}")


def read_rows(example: Path) -> list[dict[str, Any]]:
    """The rows of truth.jsonl that name a section, with their answers."""
    files = {name: read_lines(example / name) for name in ("train.jsonl", "held_out.jsonl")}
    rows = [row for row in read_lines(example / "truth.jsonl") if row["where"] and row["where"]["heading"]]
    return [{**row, "answer": files[row["file"]][row["line"] - 1]["answer"]} for row in rows]


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def by(sources: Sources) -> Search:
    return lambda texts, k: [[one.passage for one in best] for best in sources.search_all(texts, k)]


def without_stemming(sources: Sources) -> Search:
    def search(texts: Sequence[str], k: int) -> list[list[Passage]]:
        stem = words_module._stem
        words_module._stem = lambda word: word
        try:
            return by(Sources(sources.passages, ""))(texts, k)
        finally:
            words_module._stem = stem

    return search


def counting_headings(sources: Sources, times: int) -> Search:
    usual = sources_module.HEADING_COUNTS
    sources_module.HEADING_COUNTS = times
    try:
        return by(Sources(sources.passages, ""))
    finally:
        sources_module.HEADING_COUNTS = usual


def by_meaning(sources: Sources, encoder: Encoder) -> Search:
    vectors = encoder.embed([indexed_text(passage) for passage in sources.passages])

    def search(texts: Sequence[str], k: int) -> list[list[Passage]]:
        order = (-(encoder.embed(texts) @ vectors.T)).argsort(axis=1, kind="stable")[:, :k]
        return [[sources.passages[at] for at in best] for best in order]

    return search


def rank_of(where: dict[str, str], found: Sequence[Passage]) -> int:
    """The rank of the first passage of the right section; beyond all where none is."""
    for rank, passage in enumerate(found, start=1):
        if passage.document == where["document"] and where["heading"] in passage.heading.split(" › "):
            return rank
    return 1_000


if __name__ == "__main__":
    main()
