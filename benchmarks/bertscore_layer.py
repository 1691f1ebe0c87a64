"""Which layer of an encoder BERTScore should look at, and whether our numbers are those of the package bert-score.

    python benchmarks/bertscore_layer.py --data FOLDER [--encoder NAME] [--against-bert-score]

FOLDER holds banking77's train.csv and test.csv (text, category). A pair of messages of one intent should score above
a pair of two intents. Triples (message, another of its intent, one of another intent): the third is drawn at random,
or is the one with the highest ROUGE-L among 40, so that wording misleads. The layer that puts most hard triples in
order on train.csv is chosen; its share on test.csv is what it is worth. ROUGE-L does the same for comparison.

--against-bert-score compares precision, recall and F1 with those of bert-score 0.3.13 (which must be installed) on the
same encoder and layer.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from relaytune.core.encoder import DEFAULT_ENCODER
from relaytune.evaluation.bertscore import DEFAULT_LAYER, Encoder, bertscore
from relaytune.evaluation.overlap import rouge_l

Triple = tuple[str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", default=DEFAULT_ENCODER)
    parser.add_argument("--triples", type=int, default=600)
    parser.add_argument("--against-bert-score", action="store_true")
    arguments = parser.parse_args()
    encoder = Encoder.load(arguments.encoder, 1)
    splits = {name: triples(arguments.data / f"{name}.csv", arguments.triples) for name in ("train", "test")}
    if arguments.against_bert_score:
        compare_with_bert_score(replace(encoder, layer=DEFAULT_LAYER), splits["test"][0])
        return
    print(f"{encoder.name}: triples in order, of {arguments.triples}")
    print("layer     train: random  hard   test: random  hard")
    show("ROUGE-L", splits, None)
    for layer in range(1, encoder.model.config.num_hidden_layers + 1):
        show(f"{layer:7}", splits, replace(encoder, layer=layer))


def show(title: str, splits: dict[str, tuple[list[Triple], list[Triple]]], encoder: Encoder | None) -> None:
    rates = [in_order(kind, encoder) for split in splits.values() for kind in split]
    print(title, "        {:7.1%} {:7.1%}       {:7.1%} {:7.1%}".format(*rates), flush=True)


def in_order(rows: Sequence[Triple], encoder: Encoder | None) -> float:
    """Share of triples whose pair of one intent scores higher; a tie counts half."""
    references = [message for message, _, _ in rows] * 2
    answers = [same for _, same, _ in rows] + [other for _, _, other in rows]
    if encoder is None:
        values = [score or 0.0 for score in rouge_l(references, answers)]
    else:
        values = [score.f1 if score else 0.0 for score in bertscore(encoder, references, answers)]
    pairs = list(zip(values[: len(rows)], values[len(rows) :], strict=True))
    return sum((same > other) + (same == other) / 2 for same, other in pairs) / len(rows)


def triples(path: Path, count: int) -> tuple[list[Triple], list[Triple]]:
    """Triples whose third message is drawn at random, and ones where it is the most alike in wording."""
    by_intent: dict[str, list[str]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by_intent[row["category"]].append(row["text"])
    rng = random.Random(f"triples {path.name}")
    easy, hard = [], []
    for _ in range(count):
        intent = rng.choice(sorted(by_intent))
        message, same = rng.sample(by_intent[intent], 2)
        others = [rng.choice(by_intent[rng.choice(sorted(by_intent.keys() - {intent}))]) for _ in range(40)]
        alike = [score or 0.0 for score in rouge_l([message] * len(others), others)]
        easy.append((message, same, others[0]))
        hard.append((message, same, others[alike.index(max(alike))]))
    return easy, hard


def compare_with_bert_score(encoder: Encoder, rows: Sequence[Triple]) -> None:
    import torch
    from bert_score.utils import bert_cos_score_idf

    references, answers = [row[0] for row in rows], [row[2] for row in rows]
    weights: dict[int, float] = defaultdict(lambda: 1.0)
    weights[encoder.tokenizer.cls_token_id] = weights[encoder.tokenizer.sep_token_id] = 0.0
    layers = encoder.model.encoder.layer
    encoder.model.encoder.layer = layers[: encoder.layer]  # as bert-score does it
    # in a batch bert-score lets padding match with a cosine of 0, which counts where all others are below
    theirs = {
        size: bert_cos_score_idf(
            encoder.model, references, answers, encoder.tokenizer, weights, batch_size=size, device="cpu"
        )
        for size in (1, 64)
    }
    encoder.model.encoder.layer = layers
    ours = torch.tensor([[row.precision, row.recall, row.f1] for row in bertscore(encoder, references, answers) if row])
    print(f"{len(rows)} pairs, {encoder.score_name()}: apart from bert-score")
    for size, scores in theirs.items():
        apart = (ours - scores).abs().amax(1)
        print(f"  in batches of {size}: by at most {apart.max():.1g}; {(apart > 1e-5).sum()} pairs by more than 1e-5")


if __name__ == "__main__":
    main()
