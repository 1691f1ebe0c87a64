"""How the tickets recipe was found: cross-validated label accuracy, on the training rows alone.

    python benchmarks/tickets_recipe_search.py --device cuda training.label_weight=20 training.learning_rate=2e-3

Three of five folds; each trains from scratch without early stopping and answers the rows left out. Held-out rows are
not read. Prints one line: share of right labels among the rows left out, and among 96 rows trained on.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

from relaytune.core.contract import label_span, read_answer
from relaytune.core.decoding import decode
from relaytune.core.model import ModelFolder, find_model, load_model, load_template
from relaytune.core.recipe import Recipe, load_recipe
from relaytune.core.records import Example
from relaytune.core.template import ChatTemplate
from relaytune.data.loading import load_rows
from relaytune.data.rendering import render
from relaytune.training.loop import train_adapter
from relaytune.training.lora import add_lora

FOLDS, FOLDS_RUN, MAX_TOKENS = 5, 3, 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key.path=value")
    parser.add_argument("--recipe", type=Path, default=Path("examples/tickets/recipe.yaml"))
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    recipe = load_recipe(arguments.recipe, arguments.overrides)
    folder = find_model(recipe.base_model, print)
    template = load_template(folder)
    rows, _ = load_rows(arguments.recipe.parent / recipe.data.train)
    examples = [example for row in rows if (example := render(row, recipe)[0]) is not None]
    random.Random(5).shuffle(examples)

    right = answered = right_trained = answered_trained = 0
    for fold in range(FOLDS_RUN):
        left_out = examples[fold::FOLDS]
        trained_on = [example for place, example in enumerate(examples) if place % FOLDS != fold]
        model = trained(recipe, folder, template, trained_on, left_out, arguments.device, fold)
        right += num_right(recipe, template, model, left_out)
        answered += len(left_out)
        right_trained += num_right(recipe, template, model, trained_on[:96])
        answered_trained += 96
    print(
        f"left out {right}/{answered} ({right / answered:.1%}), trained on {right_trained}/{answered_trained} "
        f"({right_trained / answered_trained:.1%}): {' '.join(arguments.overrides) or 'the recipe as it is'}"
    )


def trained(
    recipe: Recipe,
    folder: ModelFolder,
    template: ChatTemplate,
    train: list[Example],
    left_out: list[Example],
    device: str,
    seed: int,
) -> Any:
    """The base model with an adapter trained on `train`, merged. The loss of `left_out` stops nothing."""

    def encoded(example: Example) -> Any:
        span = label_span(recipe.contract, example.completion)
        return template.encode(example, span, recipe.training.label_weight)

    model = add_lora(load_model(folder, device), recipe.lora, recipe.base_model.name, seed)
    settings = recipe.training.model_copy(update={"early_stopping_patience": 10**6})
    train_adapter(model, [encoded(row) for row in train], [encoded(row) for row in left_out], settings, MAX_TOKENS)
    return model.merge_and_unload().eval()


def num_right(recipe: Recipe, template: ChatTemplate, model: Any, examples: list[Example]) -> int:
    """How many answers give the right label; the adapter is the last step's."""
    prompts = [template.prompt_ids(example.messages) for example in examples]
    stop = frozenset({template.end_of_turn_id})
    answers = decode(model, prompts, recipe.evaluation.max_new_tokens, stop)
    expected = [read_answer(recipe.contract, example.completion).label for example in examples]
    given = [
        read_answer(recipe.contract, template.decode(row.ids[:-1] if row.stopped else row.ids)).label for row in answers
    ]
    return sum(one == other for one, other in zip(given, expected, strict=True))


if __name__ == "__main__":
    main()
