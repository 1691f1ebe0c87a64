"""What a base model knows of the general set (evaluation/general.jsonl) before any tuning.

    python benchmarks/general_set.py [--answers]

Neither all right nor all wrong is what the set needs, to show a loss. --answers prints every answer.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from statistics import mean

from relaytune.core.model import find_model
from relaytune.core.recipe import load_recipe
from relaytune.core.screen import Screen
from relaytune.evaluation.general import is_right, load_general
from relaytune.evaluation.generating import Answerer
from relaytune.evaluation.perplexity import reference_nats_per_token


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("examples/tickets/recipe.yaml"))
    parser.add_argument("--answers", action="store_true")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe)
    answerer = Answerer.load(recipe, find_model(recipe.base_model, print), "cpu", Screen.silent())
    rows = {row.id: row for row in answerer.answer_general("general")}
    by_kind: dict[str, list[float]] = defaultdict(list)
    for question in load_general().questions:
        right, _ = is_right(question, rows[question.id].completion)
        by_kind[question.id.partition("-")[0]].append(right or 0.0)
        if arguments.answers:
            print(f"{right:.0f} {question.id}: {question.question} | {rows[question.id].completion!r}")
    for kind, rights in by_kind.items():
        print(f"{kind:12} {sum(rights):.0f} of {len(rights)} right")
    everything = [right for rights in by_kind.values() for right in rights]
    print(f"{'all':12} {sum(everything):.0f} of {len(everything)} right, {mean(everything):.0%}")
    cut = sum(rows[question.id].finish_reason == "length" for question in load_general().questions)
    print(f"{'cut off':12} {cut}")
    nats = [value for text in load_general().texts if (value := reference_nats_per_token(rows[text.id])[0]) is not None]
    print(f"texts: {mean(nats):.2f} nats per token, {min(nats):.2f} to {max(nats):.2f}")


if __name__ == "__main__":
    main()
